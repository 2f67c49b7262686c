"""lock and unlock (RFC 6241 sections 7.5 and 7.6): one whole datastore at a time, for one session."""

from __future__ import annotations

from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.datastore_names import NMDA_DATASTORE
from rkmp.netconf.operations.request import Operation, Outcome, Request

_TARGETS = {"target": ("running", "candidate", "startup", NMDA_DATASTORE)}


async def lock(request: Request) -> Outcome:
    """Let nobody but this session change the target."""
    request.server.datastores.lock(request.datastore("target"), request.session.id)
    return None


async def unlock(request: Request) -> Outcome:
    """Give up this session's lock of the target."""
    request.server.datastores.unlock(request.datastore("target"), request.session.id)
    return None


OPERATIONS = (
    Operation(base("lock"), lock, _TARGETS),
    Operation(base("unlock"), unlock, _TARGETS),
)
