"""Why a request about subscriptions is refused: identities as rpc-errors (RFC 8640 section 7), with hints.

One table: an identity, its module and the error-tag that goes with it. Each answer has the identity as its
error-app-tag and the hints, where there are any, in the structure of the operation (RFC 8639, RFC 8641 appendix A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rkmp.errors import RkmpError, RpcError
from rkmp.netconf.namespaces import SUBSCRIBED_NOTIFICATIONS, YANG_PUSH

_NOTIFICATIONS_MODULE = "ietf-subscribed-notifications"
_PUSH_MODULE = "ietf-yang-push"

_ERROR_TAGS = {
    (_NOTIFICATIONS_MODULE, "encoding-unsupported"): "invalid-value",
    (_NOTIFICATIONS_MODULE, "filter-unsupported"): "invalid-value",
    (_NOTIFICATIONS_MODULE, "insufficient-resources"): "resource-denied",
    (_NOTIFICATIONS_MODULE, "no-such-subscription"): "invalid-value",
    (_NOTIFICATIONS_MODULE, "replay-unsupported"): "operation-not-supported",
    (_PUSH_MODULE, "datastore-not-subscribable"): "invalid-value",
    (_PUSH_MODULE, "no-such-subscription-resync"): "invalid-value",
    (_PUSH_MODULE, "on-change-unsupported"): "operation-not-supported",
    (_PUSH_MODULE, "on-change-sync-unsupported"): "operation-not-supported",
    (_PUSH_MODULE, "period-unsupported"): "invalid-value",
    (_PUSH_MODULE, "update-too-big"): "too-big",
    (_PUSH_MODULE, "sync-too-big"): "too-big",
    (_PUSH_MODULE, "unchanging-selection"): "operation-failed",
}
_MODULES = {identity: module for module, identity in _ERROR_TAGS}


class Refusal(RkmpError):
    """A request that is refused for the reason that ``identity`` names; ``hints`` are leaves of the structure."""

    def __init__(self, identity: str, message: str, hints: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.identity = identity
        self.message = message
        self.hints = tuple(hints)


@dataclass(frozen=True, slots=True)
class HintStructure:
    """The yang-data structure for the hints of one operation on one kind of target."""

    namespace: str
    name: str


ESTABLISH_STREAM = HintStructure(SUBSCRIBED_NOTIFICATIONS, "establish-subscription-stream-error-info")
ESTABLISH_DATASTORE = HintStructure(YANG_PUSH, "establish-subscription-datastore-error-info")
MODIFY_STREAM = HintStructure(SUBSCRIBED_NOTIFICATIONS, "modify-subscription-stream-error-info")
MODIFY_DATASTORE = HintStructure(YANG_PUSH, "modify-subscription-datastore-error-info")
RESYNC = HintStructure(YANG_PUSH, "resync-subscription-error")


def rpc_error(refusal: Refusal, structure: HintStructure | None = None) -> RpcError:
    """Return the answer to a request that is refused; hints go where ``structure`` says.

    RFC 8640 section 7: the leaf ``reason`` is left out, being the error-app-tag already.
    """
    module = _MODULES[refusal.identity]
    hints = None
    if structure is not None and refusal.hints:
        name = f"{{{structure.namespace}}}{structure.name}"
        hints = name, [(f"{{{structure.namespace}}}{leaf}", text) for leaf, text in refusal.hints]
    tag = _ERROR_TAGS[module, refusal.identity]
    return RpcError(tag, refusal.message, app_tag=f"{module}:{refusal.identity}", structure=hints)
