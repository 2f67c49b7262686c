"""What an IKE SA consists of and how it changes: outcomes are committed here, requests leave from here.

RFC 7296 2.1 to 2.3 and 2.21. Knows neither how a message is read (:mod:`rkmp.ike.reception`) nor what one means
(:mod:`rkmp.ike.exchanges`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

from rkmp.ike import succession, transmission
from rkmp.ike.context import NO_INTERMEDIATE, Context
from rkmp.ike.events import (
    CloseReason,
    Event,
    IkeSaClosed,
    IkeSaRekeyFailed,
    LivenessFailed,
    NegotiationFailed,
    NegotiationFailure,
    RekeyFailure,
)
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Withdrawn
from rkmp.ike.exchanges.informational import Farewell
from rkmp.ike.lineage import Lineage
from rkmp.ike.message_protection import MessageProtection
from rkmp.ike.reassembly import Collection
from rkmp.ike.rekeying import Successor
from rkmp.ike.states import TRANSITIONS, IkeSaState
from rkmp.ike.statistics import Statistic
from rkmp.ike.task_manager import LAST_MESSAGE_ID, Due, TaskManager

_SENDING_STATES = frozenset({IkeSaState.INIT_SENT, IkeSaState.AUTH_SENT, IkeSaState.ESTABLISHED, IkeSaState.CLOSING})


@final
class IkeSaCore:
    """The changing parts of one IKE SA.

    ``protection`` is there once there are keys. ``deadline`` is how long it stays as it is without the peer, which
    depends on its state: half open until then, replaced and waiting for its Delete, closed and repeating its last
    response, or established and holding its requests back, which ``is_held`` says. ``rival`` is what the peer has made
    to take its place while a request of ours to the same end is under way, ``heir`` what has taken it.
    ``rekeying_until`` is how long the peer has to go on with a rekeying that it has begun.
    ``collections`` are the fragments of a request (False) and of a response (True) so far.
    ``close_when_established`` is a close that came too early.
    """

    __slots__ = (
        "_closing",
        "close_when_established",
        "collections",
        "context",
        "deadline",
        "heir",
        "is_held",
        "lineage",
        "protection",
        "rekeying_until",
        "rival",
        "state",
        "tasks",
    )

    def __init__(self, context: Context, lineage: Lineage) -> None:
        self.context = context
        self.lineage = lineage
        self.state = IkeSaState.NEW
        self.tasks = TaskManager(context.settings.retransmission)
        self.protection: MessageProtection | None = None
        self.deadline: float | None = None
        self.is_held = False
        self.rekeying_until = float("inf")
        self.collections: dict[bool, Collection] = {}
        self.rival: IkeSaCore | None = None
        self.heir: IkeSaCore | None = None
        self.close_when_established: Closing | None = None
        self._closing: Closing | None = None

    @property
    def is_current(self) -> bool:
        """Whether it is the one in use; not so one that was replaced, or that is not sure to replace another."""
        return self.lineage.current is self

    @property
    def is_finished(self) -> bool:
        """Whether it is closed and has no response left to repeat to a peer that did not get it."""
        return self.state is IkeSaState.CLOSED and self.deadline is None

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do, or None."""
        discards = (collection.discard_at for collection in self.collections.values())
        rekeying_until = self.rekeying_until if self.context.rekeying is not None else None
        moments = (self.tasks.next_timer(), self.deadline, rekeying_until, *discards)
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Retransmit, give up or forget, whichever is due."""
        if self.deadline is not None and self.deadline <= now:
            self._expire(now)
        for is_response, collection in tuple(self.collections.items()):
            if collection.discard_at <= now:
                del self.collections[is_response]
        if self.context.rekeying is not None and self.rekeying_until <= now:
            self.context.rekeying = None
            message = "the peer does not go on with the rekeying that it has begun"
            self.lineage.events.append(IkeSaRekeyFailed(RekeyFailure.NO_RESPONSE, None, message, requester=False))
        request = self.tasks.outstanding
        match self.tasks.handle_timer(now):
            case Due.RETRANSMIT if request is not None:
                self.count(Statistic.RETRANSMISSIONS)
                transmission.repeat(self, request.datagrams)
            case Due.GIVE_UP:
                self.give_up(now)
        self.advance(now)

    def _expire(self, now: float) -> None:
        self.deadline = None
        match self.state:
            case IkeSaState.INTERMEDIATE | IkeSaState.HALF_OPEN:
                self.end(Closing(CloseReason.HALF_OPEN_TIMEOUT, "the initiator fell silent after IKE_SA_INIT"), now)
            case IkeSaState.REPLACED:
                self.end(Closing(CloseReason.REPLACED, "the peer did not delete what it had replaced"), now)
            case IkeSaState.ESTABLISHED:
                self.is_held = False

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
        while self._may_send and (exchange := self.tasks.next_exchange()) is not None:
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

    @property
    def _may_send(self) -> bool:
        is_requester = self.state is IkeSaState.INTERMEDIATE and self.context.is_initiator
        # RFC 7296 1.3.2: nothing new is begun over an IKE SA that the peer is replacing.
        is_waiting = self.is_held or self.context.rekeying is not None
        return not is_waiting and (self.state in _SENDING_STATES or is_requester)

    def send_request(self, exchange: Exchange, now: float, *, restarts: bool = False) -> None:
        """Send the request of ``exchange``; ``restarts``: in the place of the one under way, an IKE_SA_INIT."""
        context = self.context
        try:
            payloads = exchange.build_request(context)
        except Withdrawn as withdrawn:
            self.commit(withdrawn.outcome, now)
            return
        message_id = 0 if restarts else self.tasks.next_message_id
        datagrams = transmission.request(self, exchange.exchange_type, message_id, payloads)
        if restarts:
            self.tasks.restart(exchange, datagrams, now)
        else:
            self.tasks.begin(exchange, datagrams, now)
        context.outstanding = exchange
        transmission.transmit(self, datagrams)

    def complete(self) -> None:
        """Note that the request under way is over."""
        self.tasks.complete()
        self.collections.pop(True, None)
        self.context.outstanding = None
        self.context.made_meanwhile.clear()

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
        if request.doubt is not None or outcome.closing is not None or not self.is_current:
            self.commit(outcome, now)
            return
        # Silence counts for more than that we were closing: there may be keys that only one side has.
        silence = f"the peer answered none of {request.transmissions} transmissions of a request"
        self._closing = Closing(CloseReason.LIVENESS_FAILED, silence)
        self.lineage.events.append(LivenessFailed(request.transmissions))
        self.commit(outcome, now)
        self.end(self._closing, now)

    # -- changes -----------------------------------------------------------------------------------------------------

    def commit(self, outcome: Outcome, now: float, *, lingers: bool = False) -> None:
        """Make ``outcome`` true; ``lingers``: the peer may ask again for the response that it came with."""
        context = self.context
        if outcome.secrets is not None:
            context.secrets, context.remote_spi = outcome.secrets, outcome.secrets.remote_spi
            self.protection = MessageProtection(context)
            transmission.show_keys(self)
            if outcome.secrets.next_key_exchange is not None:
                self.move(IkeSaState.INTERMEDIATE)
            else:
                self.move(IkeSaState.AUTH_SENT if context.is_initiator else IkeSaState.HALF_OPEN)
            if not context.is_initiator:
                self.deadline = now + context.settings.half_open_timeout
        if outcome.keys is not None and outcome.keys is not context.negotiated.keys:
            context.secrets = replace(context.negotiated, keys=outcome.keys)
        if outcome.settings is not None:
            context.settings = outcome.settings
            self.tasks.adopt(outcome.settings.retransmission)
        if outcome.identities is not None:
            context.local_identity, context.remote_identity = outcome.identities.local, outcome.identities.remote
            context.init_request = context.init_response = b""
            context.intermediate = NO_INTERMEDIATE
            self.deadline = None
            self.move(IkeSaState.ESTABLISHED)
        self._change_children(outcome)
        self.lineage.events += outcome.events
        self.enqueue(outcome.follow_ups, first=True)
        if outcome.doubt is not None:
            self.doubt(outcome.doubt, now)
        if outcome.rekeying is not None:
            context.rekeying, self.rekeying_until = outcome.rekeying, now + context.settings.followup_timeout
            if context.is_rekeying:
                context.rival = outcome.rekeying.nonces
        if outcome.overrules:
            succession.overrule_rival(self, now)
        if outcome.successor is not None:
            succession.succeed(self, outcome.successor, now)
        elif context.rival is not None and self._rekeying_is_over(outcome):
            succession.yield_to_rival(self, now)
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
        if self._closing is not None:
            return
        self._closing = farewell.closing
        self.context.rekeying = None
        if self.state is not IkeSaState.CLOSING:
            self.move(IkeSaState.CLOSING)
        for exchange in self.tasks.drop_queue():
            if exchange.deleted_send_ids:
                self.tasks.enqueue(exchange)
            else:
                self._abandon(exchange)
        self.tasks.enqueue(farewell)

    def stop_closing(self) -> Closing | None:
        """Return why it is being closed, if it is, and let it end for another reason."""
        closing, self._closing = self._closing, None
        return closing

    def hold(self, until: float) -> None:
        """Send no request before the peer shows that it knows this IKE SA, or ``until``."""
        self.is_held, self.deadline = True, until

    def release(self) -> None:
        """Note that the peer knows this IKE SA."""
        if self.is_held:
            self.is_held, self.deadline = False, None

    def beget(self, successor: Successor) -> IkeSaCore:
        """Return the IKE SA that an exchange over this one has made; it knows what this one knows of the peer."""
        old = self.context
        core = IkeSaCore(
            Context(
                successor.role,
                old.settings,
                old.policy,
                old.random,
                successor.local_spi,
                successor.secrets.remote_spi,
                secrets=successor.secrets,
                local_identity=old.local_identity,
                remote_identity=old.remote_identity,
                children=old.children,
                being_deleted=old.being_deleted,
                path=old.path,
                observer=old.observer,
            ),
            self.lineage,
        )
        core.protection = MessageProtection(core.context)
        transmission.show_keys(core)
        self.lineage.cores += (core,)
        return core

    def drop_peer(self, message: str, now: float) -> None:
        """End an IKE SA whose peer is broken or means harm, and say so to one that is authenticated."""
        if self.context.remote_identity is None:
            self.lineage.events.append(NegotiationFailed(NegotiationFailure.INVALID_SYNTAX, None, message))
            self.end(Closing(CloseReason.NEGOTIATION_FAILED, message), now)
        elif self.is_current:
            self.begin_closing(Farewell.deleting(Closing(CloseReason.INVALID_SYNTAX, message)))
        else:
            self.end(Closing(CloseReason.REPLACED, message), now)

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
        self.move(IkeSaState.CLOSED)
        self.deadline = now + context.settings.linger if lingers else None
        self.protection = None
        self.collections.clear()
        context.secrets = context.rekeying = None
        context.init_request = context.init_response = b""
        for core in self.lineage.cores:
            if core.rival is self:
                core.context.children_outlive_it = False
        if self.is_current:
            self._end_lineage(self._closing or closing, now)
        elif self.heir is not None:
            # Whoever deletes the old one has the new one.
            self.heir.release()
            self.heir.advance(now)

    def _end_lineage(self, closing: Closing, now: float) -> None:
        context = self.context
        was_established = context.remote_identity is not None
        self.lineage.events.append(IkeSaClosed(closing.reason, closing.message, was_established))
        context.children.clear()
        context.being_deleted.clear()
        if self.rival is not None:
            self.rival.end(closing, now)

    def move(self, state: IkeSaState) -> None:
        """Go to another state, along the table of transitions."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"an IKE SA cannot go from {self.state.value} to {state.value}")
        self.state = state

    def count(self, statistic: Statistic, amount: int = 1) -> None:
        """Count what happened."""
        self.lineage.statistics[statistic] += amount

    def _rekeying_is_over(self, outcome: Outcome) -> bool:
        """Return whether a rekeying of ours has come to nothing, by ``outcome`` or because the peer deletes us."""
        if outcome.closing is not None:
            return outcome.closing.reason is CloseReason.CLOSED_BY_PEER
        goes_on = any(exchange.rekeys_ike_sa for exchange in outcome.follow_ups)
        return not self.context.is_rekeying and not goes_on

    def _abandon(self, exchange: Exchange) -> None:
        outcome = exchange.abandon(self.context, None, timed_out=False)
        self._change_children(outcome)
        self.lineage.events += outcome.events

    def _change_children(self, outcome: Outcome) -> None:
        context = self.context
        for send_id in outcome.removed:
            context.children.pop(send_id, None)
            context.being_deleted.discard(send_id)
            for child in tuple(context.children.values()):
                if child.replaced_by == send_id:
                    context.children[child.send_id] = child.without_successor()
        for child in outcome.children:
            if context.outstanding is not None and not child.requester and child.send_id not in context.children:
                context.made_meanwhile.append(child)
            context.children[child.send_id] = child
