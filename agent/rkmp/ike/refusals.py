"""What a refusal is called: notify types to the reasons that events carry (RFC 7296 3.10.1)."""

from __future__ import annotations

from rkmp.ike.events import ChildRefusal, NegotiationFailure, RekeyFailure
from rkmp.wire import NotifyType

NEGOTIATION_FAILURES: dict[int, NegotiationFailure] = {
    NotifyType.NO_PROPOSAL_CHOSEN: NegotiationFailure.NO_PROPOSAL_CHOSEN,
    NotifyType.INVALID_KE_PAYLOAD: NegotiationFailure.INVALID_KE_PAYLOAD,
    NotifyType.INVALID_MAJOR_VERSION: NegotiationFailure.INVALID_MAJOR_VERSION,
    NotifyType.INVALID_SYNTAX: NegotiationFailure.INVALID_SYNTAX,
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD,
}
"""What each notify says about an IKE SA that does not come to be; any other error is a plain refusal."""

CHILD_REFUSALS: dict[int, ChildRefusal] = {
    NotifyType.NO_PROPOSAL_CHOSEN: ChildRefusal.NO_PROPOSAL_CHOSEN,
    NotifyType.TS_UNACCEPTABLE: ChildRefusal.TS_UNACCEPTABLE,
    NotifyType.INVALID_KE_PAYLOAD: ChildRefusal.INVALID_KE_PAYLOAD,
    NotifyType.TEMPORARY_FAILURE: ChildRefusal.TEMPORARY_FAILURE,
    NotifyType.CHILD_SA_NOT_FOUND: ChildRefusal.CHILD_SA_NOT_FOUND,
    NotifyType.NO_ADDITIONAL_SAS: ChildRefusal.NO_ADDITIONAL_SAS,
    NotifyType.INVALID_SYNTAX: ChildRefusal.INVALID_SYNTAX,
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: ChildRefusal.UNSUPPORTED_CRITICAL_PAYLOAD,
}
"""What each notify says about a child that does not come to be; any other error is a plain refusal."""

REKEY_FAILURES: dict[int, RekeyFailure] = {
    NotifyType.TEMPORARY_FAILURE: RekeyFailure.TEMPORARY_FAILURE,
    NotifyType.NO_PROPOSAL_CHOSEN: RekeyFailure.NO_PROPOSAL_CHOSEN,
    NotifyType.INVALID_KE_PAYLOAD: RekeyFailure.INVALID_KE_PAYLOAD,
    NotifyType.NO_ADDITIONAL_SAS: RekeyFailure.NO_ADDITIONAL_SAS,
    NotifyType.STATE_NOT_FOUND: RekeyFailure.STATE_NOT_FOUND,
    NotifyType.INVALID_SYNTAX: RekeyFailure.INVALID_SYNTAX,
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: RekeyFailure.UNSUPPORTED_CRITICAL_PAYLOAD,
}
"""What each notify says about an IKE SA that is not replaced; any other error is a plain refusal."""


def negotiation_failure(notify_type: int) -> NegotiationFailure:
    """Return the reason that stands for ``notify_type``."""
    return NEGOTIATION_FAILURES.get(notify_type, NegotiationFailure.REFUSED)


def child_refusal(notify_type: int) -> ChildRefusal:
    """Return the reason that stands for ``notify_type``."""
    return CHILD_REFUSALS.get(notify_type, ChildRefusal.REFUSED)


def rekey_failure(notify_type: int) -> RekeyFailure:
    """Return the reason that stands for ``notify_type``."""
    return REKEY_FAILURES.get(notify_type, RekeyFailure.REFUSED)


def notify_name(notify_type: int) -> str:
    """Return the RFC's name of ``notify_type``, or its number."""
    try:
        return NotifyType(notify_type).name
    except ValueError:
        return f"notify {notify_type}"
