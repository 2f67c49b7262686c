"""IKE_FOLLOWUP_KE: a further key exchange for an IKE SA that is to replace another (RFC 9370 2.2.4).

What was agreed in CREATE_CHILD_SA, and the key exchanges since, are remembered on both sides; the side that answers
gives them a name, by which the request finds them, and forgets them after a while.
"""

from __future__ import annotations

from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.context import Context
from rkmp.ike.events import RekeyFailure
from rkmp.ike.exchanges.exchange import Outcome, Payloads
from rkmp.ike.exchanges.rekeying_exchange import RekeyingExchange, useless
from rkmp.ike.occurrence import first_error, notify_of, only
from rkmp.ike.rekeying import Rekeying
from rkmp.instant import Random
from rkmp.wire import ExchangeType, KeyExchange, Notify, NotifyType

LINK_LENGTH = 16
"""Octets of the names that we give."""


class IkeFollowupKe(RekeyingExchange):
    """Does the next key exchange of ``rekeying``, which a response has named."""

    exchange_type = ExchangeType.IKE_FOLLOWUP_KE

    def __init__(self, rekeying: Rekeying | None = None) -> None:
        super().__init__()
        self._rekeying = rekeying
        self._key_exchange: PendingKeyExchange | None = None

    # -- as requester ------------------------------------------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return KE, and the name of what it is for, as it came."""
        method = _wanted(self._under_way)
        self._key_exchange = start(method, context.random)
        link = Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, self._under_way.link)
        return (KeyExchange(method, self._key_exchange.public_value), link)

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new IKE SA, the next key exchange, or that there will be none."""
        error = first_error(payloads)
        if error is not None:
            return self.refused(error)
        answer, method = only(KeyExchange, payloads), _wanted(self._under_way)
        if self._key_exchange is None or answer is None or answer.method != method:
            return useless(RekeyFailure.INCONSISTENT_ANSWER, f"it is not for key exchange {method}")
        try:
            shared_secret = self._key_exchange.finish(answer.data)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
        rekeying = self._under_way.with_secret(shared_secret, named_link(payloads))
        if rekeying.next_key_exchange is None:
            return Outcome(successor=rekeying.successor(context))
        if not rekeying.link:
            return useless(RekeyFailure.INCONSISTENT_ANSWER, "it does not name the next key exchange")
        return Outcome(follow_ups=(IkeFollowupKe(rekeying),))

    @property
    def _under_way(self) -> Rekeying:
        if self._rekeying is None:
            raise AssertionError("this side answers")
        return self._rekeying

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new IKE SA, or what is remembered for the next request."""
        rekeying, offered = context.rekeying, only(KeyExchange, payloads)
        if rekeying is None or rekeying.link != named_link(payloads):
            raise IkeError(NotifyType.STATE_NOT_FOUND, "nobody is rekeying the IKE SA by that name, or any more")
        if offered is None or offered.method != _wanted(rekeying):
            raise IkeError(NotifyType.INVALID_SYNTAX, f"the request is not for key exchange {_wanted(rekeying)}")
        try:
            public_value, shared_secret = respond(offered.method, offered.data, context.random)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
        rekeying = rekeying.with_secret(shared_secret, b"")
        self._response = (KeyExchange(offered.method, public_value),)
        if rekeying.next_key_exchange is None:
            return Outcome(successor=rekeying.successor(context))
        rekeying = rekeying.named(new_link(context.random))
        self._response += (Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, rekeying.link),)
        return Outcome(rekeying=rekeying)


def new_link(random: Random) -> bytes:
    """Return a name for what is remembered until the next request."""
    return random(LINK_LENGTH)


def named_link(payloads: Payloads) -> bytes:
    """Return the name in a message, empty where there is none."""
    link = notify_of(NotifyType.ADDITIONAL_KEY_EXCHANGE, payloads)
    return b"" if link is None else link.data


def _wanted(rekeying: Rekeying) -> int:
    if rekeying.next_key_exchange is None:
        raise AssertionError("all key exchanges are done")
    return rekeying.next_key_exchange
