"""The operations that the server carries out itself, and the table of them all."""

from rkmp.netconf.operations import (
    editing,
    event_subscription,
    invocation,
    locking,
    nmda,
    partial_locking,
    retrieval,
    schema_retrieval,
    session_control,
    subscribing,
)
from rkmp.netconf.operations.invocation import invoke_rpc
from rkmp.netconf.operations.request import Operation

OPERATIONS: tuple[Operation, ...] = (
    *retrieval.OPERATIONS,
    *editing.OPERATIONS,
    *locking.OPERATIONS,
    *partial_locking.OPERATIONS,
    *nmda.OPERATIONS,
    *session_control.OPERATIONS,
    *schema_retrieval.OPERATIONS,
    *event_subscription.OPERATIONS,
    *subscribing.OPERATIONS,
    *invocation.OPERATIONS,
)

__all__ = ["OPERATIONS", "invoke_rpc"]
