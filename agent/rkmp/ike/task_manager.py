"""Message IDs, the window of one, retransmission, and the response that is kept for a repeated request.

RFC 7296 sections 2.1, 2.2 and 2.3. Knows exchanges only as things that wait their turn, and datagrams only as octets:
what they mean, and whether they are genuine, was decided before they get here.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from rkmp.ike.events import Event
from rkmp.ike.exchanges.exchange import Exchange
from rkmp.ike.settings import Retransmission
from rkmp.value import value

LAST_MESSAGE_ID = 2**32 - 1
"""RFC 7296 2.2: the IKE SA has to end before a Message ID comes round again."""


class RequestKind(enum.Enum):
    """What a request is by its Message ID."""

    NEW = "new"
    REPEATED = "repeated"
    STALE = "stale"
    OUT_OF_WINDOW = "out-of-window"


class Due(enum.Enum):
    """What the timer of the request under way asks for."""

    NOTHING = "nothing"
    RETRANSMIT = "retransmit"
    GIVE_UP = "give-up"


@dataclass(slots=True)
class OutstandingRequest:
    """Our one request that has no response yet.

    ``datagrams`` carry it, more than one where it is fragmented. ``due`` is when it is sent again or, after the last
    try, given up. ``doubt`` is what to report should no better
    answer than an untrusted one arrive before ``give_up_at``.
    """

    exchange: Exchange
    message_id: int
    datagrams: tuple[bytes, ...]
    transmissions: int
    due: float
    doubt: Event | None = None
    give_up_at: float | None = None


@value
class AnsweredRequest:
    """The peer's last request, octet for octet (the first fragment, where it came in fragments), and our answer."""

    message_id: int
    request: bytes
    response: tuple[bytes, ...]


class TaskManager:
    """The queue of our requests and the memory of the peer's last one."""

    __slots__ = ("_answered", "_queue", "_retransmission", "expected_message_id", "next_message_id", "outstanding")

    def __init__(self, retransmission: Retransmission) -> None:
        self._retransmission = retransmission
        self._queue: deque[Exchange] = deque()
        self._answered: AnsweredRequest | None = None
        self.outstanding: OutstandingRequest | None = None
        self.next_message_id = 0
        self.expected_message_id = 0

    def adopt(self, retransmission: Retransmission) -> None:
        """Repeat requests by another schedule from now on."""
        self._retransmission = retransmission

    # -- our requests ------------------------------------------------------------------------------------------------

    def enqueue(self, exchange: Exchange) -> None:
        """Let ``exchange`` wait behind all others."""
        self._queue.append(exchange)

    def enqueue_first(self, exchanges: tuple[Exchange, ...]) -> None:
        """Let ``exchanges`` go, in their order, before all that wait."""
        self._queue.extendleft(reversed(exchanges))

    @property
    def queued(self) -> tuple[Exchange, ...]:
        """What waits, first come first."""
        return tuple(self._queue)

    def next_exchange(self) -> Exchange | None:
        """Take the next exchange from the queue, or return None while one is under way or none waits."""
        if self.outstanding is not None or not self._queue:
            return None
        return self._queue.popleft()

    def drop_queue(self) -> tuple[Exchange, ...]:
        """Empty the queue and return what waited in it."""
        dropped = tuple(self._queue)
        self._queue.clear()
        return dropped

    def discard(self, exchange: Exchange) -> None:
        """Take one exchange out of the queue."""
        self._queue.remove(exchange)

    @property
    def is_exhausted(self) -> bool:
        """Whether the Message IDs of our requests are used up."""
        return self.next_message_id > LAST_MESSAGE_ID

    @property
    def requests_completed(self) -> int:
        """How many of our requests are over, answered or not."""
        return self.next_message_id - (self.outstanding is not None)

    def begin(self, exchange: Exchange, datagrams: tuple[bytes, ...], now: float) -> None:
        """Note that ``datagrams`` carry the request of ``exchange`` with :attr:`next_message_id`."""
        self.outstanding = OutstandingRequest(
            exchange, self.next_message_id, datagrams, 1, now + self._retransmission.interval(1)
        )
        self.next_message_id += 1

    def restart(self, exchange: Exchange, datagrams: tuple[bytes, ...], now: float) -> None:
        """Replace the request under way by another with the same Message ID.

        RFC 7296 2.2: an IKE_SA_INIT that is sent again with a cookie or another group keeps Message ID 0.
        """
        if self.outstanding is None:
            raise AssertionError("nothing is under way")
        self.outstanding = OutstandingRequest(
            exchange, self.outstanding.message_id, datagrams, 1, now + self._retransmission.interval(1)
        )

    def complete(self) -> Exchange:
        """Note that the request under way is over, one way or the other, and return its exchange."""
        if self.outstanding is None:
            raise AssertionError("nothing is under way")
        exchange = self.outstanding.exchange
        self.outstanding = None
        return exchange

    def doubt(self, event: Event, give_up_at: float) -> None:
        """Keep the request under way, but not beyond ``give_up_at``; then ``event`` tells why it failed.

        The first doubt sets the time, the last one the reason.
        """
        if self.outstanding is not None:
            self.outstanding.doubt = event
            if self.outstanding.give_up_at is None:
                self.outstanding.give_up_at = give_up_at

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        if self.outstanding is None:
            return None
        if self.outstanding.give_up_at is None:
            return self.outstanding.due
        return min(self.outstanding.due, self.outstanding.give_up_at)

    def handle_timer(self, now: float) -> Due:
        """Return what is due, having counted it as done."""
        request = self.outstanding
        if request is None:
            return Due.NOTHING
        if request.give_up_at is not None and request.give_up_at <= now:
            return Due.GIVE_UP
        if request.due > now:
            return Due.NOTHING
        if request.transmissions >= self._retransmission.tries:
            return Due.GIVE_UP
        request.transmissions += 1
        request.due = now + self._retransmission.interval(request.transmissions)
        return Due.RETRANSMIT

    # -- the peer's requests -----------------------------------------------------------------------------------------

    def classify(self, message_id: int, datagram: bytes) -> RequestKind:
        """Return what a request of the peer is.

        Only the very same octets are a repetition: anything else with an old Message ID gets no answer (2.1). Of a
        request in fragments the first counts, the others are stale (RFC 7383 2.6.1).
        """
        if message_id == self.expected_message_id:
            return RequestKind.NEW
        if message_id > self.expected_message_id:
            return RequestKind.OUT_OF_WINDOW
        answered = self._answered
        if answered is not None and answered.message_id == message_id and answered.request == datagram:
            return RequestKind.REPEATED
        return RequestKind.STALE

    def is_last_answered(self, message_id: int) -> bool:
        """Return whether the last request that was answered had this Message ID."""
        return self._answered is not None and self._answered.message_id == message_id

    def answered(self, request: bytes, response: tuple[bytes, ...]) -> None:
        """Note that the expected request was ``request`` and that ``response`` went back."""
        self._answered = AnsweredRequest(self.expected_message_id, request, response)
        self.expected_message_id += 1

    @property
    def last_response(self) -> tuple[bytes, ...]:
        """The response to the peer's last request, for its repetitions; only to be asked for after one."""
        if self._answered is None:
            raise AssertionError("no request was answered")
        return self._answered.response
