"""What an IKE SA consists of and how it changes: outcomes are committed here, requests leave from here.

RFC 7296 2.1 to 2.3 and 2.21. Knows neither how a message is read (:mod:`rkmp.ike.reception`) nor what one means
(:mod:`rkmp.ike.exchanges`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import final

from rkmp.ike.addressing import NO_SPI
from rkmp.ike.context import Context
from rkmp.ike.events import CloseReason, Event, IkeSaClosed, LivenessFailed
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Withdrawn
from rkmp.ike.exchanges.informational import Farewell
from rkmp.ike.message_protection import MessageProtection
from rkmp.ike.states import TRANSITIONS, IkeSaState
from rkmp.ike.statistics import Statistic
from rkmp.ike.task_manager import LAST_MESSAGE_ID, TaskManager
from rkmp.wire import Message

_SENDING_STATES = frozenset({IkeSaState.INIT_SENT, IkeSaState.AUTH_SENT, IkeSaState.ESTABLISHED, IkeSaState.CLOSING})


@final
class IkeSaCore:
    """The changing parts of one IKE SA.

    ``protection`` is there once there are keys. ``last_heard`` is when the last protected message came,
    ``half_open_until`` when a responder gives up waiting for IKE_AUTH, ``linger_until`` when a closed IKE SA stops
    repeating its last response. ``close_when_established`` is a close that came too early.
    """

    __slots__ = (
        "_closing",
        "close_when_established",
        "context",
        "datagrams",
        "events",
        "half_open_until",
        "last_heard",
        "linger_until",
        "protection",
        "state",
        "statistics",
        "tasks",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = IkeSaState.NEW
        self.tasks = TaskManager(context.settings.retransmission)
        self.protection: MessageProtection | None = None
        self.statistics: Counter[Statistic] = Counter()
        self.events: list[Event] = []
        self.datagrams: list[bytes] = []
        self.last_heard = float("-inf")
        self.half_open_until: float | None = None
        self.linger_until: float | None = None
        self.close_when_established: Closing | None = None
        self._closing: Closing | None = None

    # -- requests ----------------------------------------------------------------------------------------------------

    def enqueue(self, exchanges: tuple[Exchange, ...], *, first: bool = False) -> None:
        """Let ``exchanges`` wait for their turn, or go ``first``."""
        for exchange in exchanges:
            self.context.being_deleted.update(exchange.deleted_send_ids)
        if first:
            self.tasks.enqueue_first(exchanges)
        else:
            for exchange in exchanges:
                self.tasks.enqueue(exchange)

    def advance(self, now: float) -> None:
        """Send what waits, as far as the window allows."""
        while self.state in _SENDING_STATES and (exchange := self.tasks.next_exchange()) is not None:
            if self.tasks.next_message_id < LAST_MESSAGE_ID or (
                exchange.closing is not None and not self.tasks.is_exhausted
            ):
                self.send_request(exchange, now)
                continue
            # RFC 7296 2.2: the IKE SA has to end before Message IDs come round; the last of them says so.
            closing = Closing(CloseReason.MESSAGE_IDS_EXHAUSTED, "there are no Message IDs left")
            self.tasks.enqueue_first((exchange,))
            if self.tasks.is_exhausted:
                self.end(closing, now)
            else:
                self.begin_closing(Farewell.deleting(closing))

    def send_request(self, exchange: Exchange, now: float, *, restarts: bool = False) -> None:
        """Send the request of ``exchange``; ``restarts``: in the place of the one under way, an IKE_SA_INIT."""
        context = self.context
        try:
            payloads = exchange.build_request(context)
        except Withdrawn as withdrawn:
            self.commit(withdrawn.outcome, now)
            return
        message_id = 0 if restarts else self.tasks.next_message_id
        if self.protection is not None:
            datagram = self.protection.seal(exchange.exchange_type, message_id, payloads, is_response=False)
        else:
            datagram = Message(
                context.local_spi, NO_SPI, exchange.exchange_type, message_id, payloads, is_initiator=True
            ).to_bytes()
        if restarts:
            self.tasks.restart(exchange, datagram, now)
        else:
            self.tasks.begin(exchange, datagram, now)
        context.outstanding = exchange
        self.transmit(datagram)

    def transmit(self, datagram: bytes) -> None:
        """Put ``datagram`` where the caller finds it."""
        self.count(Statistic.MESSAGES_OUT)
        self.count(Statistic.OCTETS_OUT, len(datagram))
        self.datagrams.append(datagram)

    def complete(self) -> None:
        """Note that the request under way is over."""
        self.tasks.complete()
        self.context.outstanding = None

    def doubt(self, event: Event, now: float) -> None:
        """Give the request under way a last chance; ``event`` tells how it ends otherwise."""
        self.tasks.doubt(event, now + self.context.settings.unauthenticated_error_grace)

    def give_up(self, now: float) -> None:
        """Draw the consequences of a request that was not answered, or not well."""
        request = self.tasks.outstanding
        if request is None:
            return
        self.complete()
        outcome = request.exchange.abandon(self.context, request.doubt, timed_out=True)
        if request.doubt is not None or outcome.closing is not None:
            self.commit(outcome, now)
            return
        # Silence counts for more than that we were closing: there may be keys that only one side has.
        silence = f"the peer answered none of {request.transmissions} transmissions of a request"
        self._closing = Closing(CloseReason.LIVENESS_FAILED, silence)
        self.events.append(LivenessFailed(request.transmissions))
        self.commit(outcome, now)
        self.end(self._closing, now)

    # -- changes -----------------------------------------------------------------------------------------------------

    def commit(self, outcome: Outcome, now: float, *, lingers: bool = False) -> None:
        """Make ``outcome`` true; ``lingers``: the peer may ask again for the response that it came with."""
        context = self.context
        if outcome.secrets is not None:
            context.secrets, context.remote_spi = outcome.secrets, outcome.secrets.remote_spi
            self.protection = MessageProtection(context)
            if context.is_initiator:
                self.move(IkeSaState.AUTH_SENT)
            else:
                self.move(IkeSaState.HALF_OPEN)
                self.half_open_until = now + context.settings.half_open_timeout
        if outcome.keys is not None:
            context.secrets = replace(context.negotiated, keys=outcome.keys)
        if outcome.identities is not None:
            context.local_identity, context.remote_identity = outcome.identities.local, outcome.identities.remote
            context.init_request = context.init_response = b""
            self.half_open_until = None
            self.move(IkeSaState.ESTABLISHED)
        self._change_children(outcome)
        self.events += outcome.events
        self.enqueue(outcome.follow_ups, first=True)
        if outcome.doubt is not None:
            self.doubt(outcome.doubt, now)
        if outcome.closing is not None:
            self.end(outcome.closing, now, lingers=lingers)
        elif outcome.complaint is not None:
            self.begin_closing(outcome.complaint)
        elif outcome.identities is not None and self.close_when_established is not None:
            self.begin_closing(Farewell.deleting(self.close_when_established))

    def begin_closing(self, farewell: Exchange) -> None:
        """Let ``farewell`` be the last request.

        What is under way still comes to its end, and the peer is told of keys that are gone; nothing else that waits
        is begun.
        """
        if self.state is IkeSaState.CLOSING:
            return
        self._closing = farewell.closing
        self.move(IkeSaState.CLOSING)
        for exchange in self.tasks.drop_queue():
            if exchange.deleted_send_ids:
                self.tasks.enqueue(exchange)
            else:
                self._abandon(exchange)
        self.tasks.enqueue(farewell)

    def end(self, closing: Closing, now: float, *, lingers: bool = False) -> None:
        """End the IKE SA and forget its keys; the reason with which we began to close it comes first."""
        if self.state is IkeSaState.CLOSED:
            return
        context = self.context
        if self.tasks.outstanding is not None:
            exchange = self.tasks.outstanding.exchange
            self.complete()
            self._abandon(exchange)
        for exchange in self.tasks.drop_queue():
            self._abandon(exchange)
        closing = self._closing or closing
        was_established = context.remote_identity is not None
        self.events.append(IkeSaClosed(closing.reason, closing.message, was_established))
        self.move(IkeSaState.CLOSED)
        self.half_open_until = None
        self.linger_until = now + context.settings.linger if lingers else None
        self.protection = None
        context.secrets = None
        context.init_request = context.init_response = b""
        context.children.clear()
        context.being_deleted.clear()

    def move(self, state: IkeSaState) -> None:
        """Go to another state, along the table of transitions."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"an IKE SA cannot go from {self.state.value} to {state.value}")
        self.state = state

    def count(self, statistic: Statistic, amount: int = 1) -> None:
        """Count what happened."""
        self.statistics[statistic] += amount

    def _abandon(self, exchange: Exchange) -> None:
        outcome = exchange.abandon(self.context, None, timed_out=False)
        self._change_children(outcome)
        self.events += outcome.events

    def _change_children(self, outcome: Outcome) -> None:
        context = self.context
        for send_id in outcome.removed:
            context.children.pop(send_id, None)
            context.being_deleted.discard(send_id)
            for child in tuple(context.children.values()):
                if child.replaced_by == send_id:
                    context.children[child.send_id] = child.without_successor()
        for child in outcome.children:
            context.children[child.send_id] = child
