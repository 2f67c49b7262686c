"""What the exchanges have in common that replace the IKE SA: how they fail, on either side (RFC 7296 2.21.3, 2.25)."""

from __future__ import annotations

from rkmp.errors import IkeError
from rkmp.ike.context import Context
from rkmp.ike.events import CloseReason, Event, IkeSaRekeyFailed, RekeyFailure
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads
from rkmp.ike.exchanges.informational import Farewell
from rkmp.ike.refusals import notify_name, rekey_failure
from rkmp.wire import ExchangeType, Notify, NotifyType


class RekeyingExchange(Exchange):
    """One exchange of those that lead to an IKE SA in the place of the one that carries it."""

    @property
    def rekeys_ike_sa(self) -> bool:
        """Whether the request is to replace the IKE SA: that it is."""
        return True

    # -- as requester ------------------------------------------------------------------------------------------------

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA is closed: its peer answers nonsense."""
        return useless(rekey_failure(fault.notify_type), fault.reason)

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that there is no new IKE SA, unless the peer has made one."""
        if timed_out:
            message = f"the peer does not answer {ExchangeType(self.exchange_type).name}"
            return Outcome(events=(failed(RekeyFailure.NO_RESPONSE, message),))
        if context.children_outlive_it:
            return Outcome()
        return Outcome(events=(failed(RekeyFailure.IKE_SA_CLOSED, "the IKE SA was closed"),))

    def refused(self, error: Notify) -> Outcome:
        """Return that the peer does not want to, which ends the IKE SA where it finds us malformed."""
        message = f"the peer answers {ExchangeType(self.exchange_type).name} with {notify_name(error.notify_type)}"
        closing = None
        if error.notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, message)
        return Outcome(events=(failed(rekey_failure(error.notify_type), message, error.notify_type),), closing=closing)

    # -- as the side that answers ------------------------------------------------------------------------------------

    def __init__(self) -> None:
        self._response: Payloads = ()

    def build_response(self, context: Context) -> Payloads:
        """Return what the request just processed is answered with."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that the IKE SA goes on as it is, but for a malformed request, which ends it (2.21.3)."""
        closing = None
        if refusal.notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, f"the peer's request: {refusal.reason}")
        reason = rekey_failure(refusal.notify_type)
        event = IkeSaRekeyFailed(reason, refusal.notify_type, refusal.reason, requester=False)
        return Outcome(events=(event,), closing=closing)


def failed(reason: RekeyFailure, message: str, notify_type: int | None = None) -> IkeSaRekeyFailed:
    """Return that a request of ours has come to nothing."""
    return IkeSaRekeyFailed(reason, notify_type, message, requester=True)


def useless(reason: RekeyFailure, fault: str) -> Outcome:
    """Return that the IKE SA is closed: its peer may think that there is a new one, which we cannot use."""
    message = f"the peer's answer is no use: {fault}"
    closing = Closing(CloseReason.INVALID_SYNTAX, message)
    return Outcome(events=(failed(reason, message),), complaint=Farewell.deleting(closing))
