"""The IKE SA as the layer above holds it: commands, datagrams and timers in, events and datagrams out.

Each method hands on to where the work is done: :mod:`rkmp.ike.reception` reads messages, :mod:`rkmp.ike.core` changes
what changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, final

from rkmp.ike.addressing import new_spi
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.collisions import Nonces
from rkmp.ike.context import Context
from rkmp.ike.core import IkeSaCore
from rkmp.ike.events import ChildDeletion, CloseReason, Event, Role
from rkmp.ike.exchanges.create_child_sa import CreateChildSa
from rkmp.ike.exchanges.exchange import Closing, Exchange
from rkmp.ike.exchanges.ike_sa_init import IkeSaInit
from rkmp.ike.exchanges.informational import DeleteChildren, Farewell, Informational
from rkmp.ike.policy import ChildRequest, Policy
from rkmp.ike.reception import receive
from rkmp.ike.settings import IkeSettings
from rkmp.ike.states import ACTIONS, Action, IkeSaState, Input
from rkmp.ike.statistics import Statistic
from rkmp.ike.task_manager import Due
from rkmp.instant import Random


@final
class IkeSa:
    """One IKE SA, as its initiator or its responder; :mod:`rkmp.ike` tells how it is used.

    ``now`` is monotonic time in seconds, the same clock in every call. A datagram is an IKE message without a non-ESP
    marker.
    """

    __slots__ = ("_core",)

    def __init__(self, context: Context) -> None:
        """Not for callers: see :meth:`initiate` and :meth:`respond`."""
        self._core = IkeSaCore(context)

    @classmethod
    def initiate(
        cls, settings: IkeSettings, policy: Policy, random: Random, child_request: ChildRequest | None, now: float
    ) -> Self:
        """Return an IKE SA of which we are the initiator, its first request made.

        ``child_request`` is what IKE_AUTH asks for; None asks for no child (RFC 6023).
        """
        ike_sa = cls(Context(Role.INITIATOR, settings, policy, random, new_spi(random)))
        ike_sa._core.move(IkeSaState.INIT_SENT)
        ike_sa._core.enqueue((IkeSaInit(child_request),))
        ike_sa._core.advance(now)
        return ike_sa

    @classmethod
    def respond(cls, settings: IkeSettings, policy: Policy, random: Random) -> Self:
        """Return an IKE SA of which we are the responder; :meth:`receive` takes the message that opens it.

        One that is dropped or refused closes it at once.
        """
        return cls(Context(Role.RESPONDER, settings, policy, random, new_spi(random)))

    # -- what there is to know ---------------------------------------------------------------------------------------

    @property
    def state(self) -> IkeSaState:
        """Where it stands."""
        return self._core.state

    @property
    def role(self) -> Role:
        """Which side of it we are."""
        return self._core.context.role

    @property
    def local_spi(self) -> bytes:
        """Our SPI, 8 octets."""
        return self._core.context.local_spi

    @property
    def remote_spi(self) -> bytes:
        """The peer's SPI, 8 octets, all zero until it is known."""
        return self._core.context.remote_spi

    @property
    def statistics(self) -> Mapping[Statistic, int]:
        """What was counted so far."""
        return self._core.statistics

    @property
    def last_heard(self) -> float:
        """When the last protected message of the peer's came, minus infinity before the first."""
        return self._core.last_heard

    @property
    def requests_completed(self) -> int:
        """How many of our requests are over, answered or not."""
        tasks = self._core.tasks
        return tasks.next_message_id - (tasks.outstanding is not None)

    @property
    def requests_answered(self) -> int:
        """How many requests of the peer were answered. A new one shows that it has our answer to the one before."""
        return self._core.tasks.expected_message_id

    @property
    def children(self) -> tuple[ChildSa, ...]:
        """The live children, oldest first; none any more once it is closed."""
        return tuple(self._core.context.children.values())

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._core.state is IkeSaState.CLOSED

    @property
    def is_finished(self) -> bool:
        """Whether it is closed and has no response left to repeat to a peer that did not get it."""
        return self.is_closed and self._core.linger_until is None

    def events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self._core.events = self._core.events, []
        return events

    def datagrams(self) -> list[bytes]:
        """Return what has to be sent to the peer since the last call, in this order."""
        datagrams, self._core.datagrams = self._core.datagrams, []
        return datagrams

    # -- what comes in -----------------------------------------------------------------------------------------------

    def receive(self, datagram: bytes, now: float) -> None:
        """Process, answer or drop one datagram; whatever it holds, nothing is raised."""
        receive(self._core, datagram, now)

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do, or None."""
        core = self._core
        moments = (core.tasks.next_timer(), core.half_open_until, core.linger_until)
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Retransmit, give up or forget, whichever is due."""
        core = self._core
        if core.linger_until is not None and core.linger_until <= now:
            core.linger_until = None
        if core.half_open_until is not None and core.half_open_until <= now:
            core.end(Closing(CloseReason.HALF_OPEN_TIMEOUT, "the initiator fell silent after IKE_SA_INIT"), now)
        request = core.tasks.outstanding
        match core.tasks.handle_timer(now):
            case Due.RETRANSMIT if request is not None:
                core.count(Statistic.RETRANSMISSIONS)
                core.transmit(request.datagram)
            case Due.GIVE_UP:
                core.give_up(now)
        core.advance(now)

    # -- commands ----------------------------------------------------------------------------------------------------

    def create_child(self, request: ChildRequest, now: float) -> None:
        """Ask for a key for a further routing protocol; ends in ChildKeysEstablished or ChildRefused."""
        self._request(CreateChildSa(request, known=self._known_nonces), now)

    def rekey_child(self, send_id: int, request: ChildRequest, now: float) -> None:
        """Ask for a key that replaces the one for which we announced ``send_id``; ends as :meth:`create_child` does.

        The replaced key stays until :meth:`delete_child` (G25).
        """
        self._request(CreateChildSa(request, send_id, known=self._known_nonces), now)

    def delete_child(self, send_id: int, now: float) -> None:
        """Tell the peer that the key for which we announced ``send_id`` is gone; ends in ChildDeleted.

        Does nothing where there is no such child, or where that is under way.
        """
        context = self._core.context
        if send_id in context.children and send_id not in context.being_deleted:
            self._request(DeleteChildren((send_id,), ChildDeletion.LOCAL), now)

    def check_liveness(self, now: float) -> None:
        """Ask the peer whether it is there, unless something else is asking it already (RFC 7296 2.4)."""
        if self._core.state is IkeSaState.ESTABLISHED and self._core.tasks.outstanding is None:
            self._request(Informational(), now)

    def close(self, message: str, now: float, reason: CloseReason = CloseReason.CLOSED_LOCALLY) -> None:
        """Delete the IKE SA, but not its keys (G15); what waits is refused. ``message`` is one sentence saying why."""
        core, closing = self._core, Closing(reason, message)
        match ACTIONS[core.state][Input.CLOSE]:
            case Action.END:
                core.end(closing, now)
            case Action.QUEUE:
                core.close_when_established = closing
            case Action.DELETE:
                core.begin_closing(Farewell.deleting(closing))
                core.advance(now)

    def abandon(self, message: str, now: float, reason: CloseReason = CloseReason.CLOSED_LOCALLY) -> None:
        """End the IKE SA without a word to the peer, nor a change to its keys."""
        self._core.end(Closing(reason, message), now)

    @property
    def _known_nonces(self) -> frozenset[Nonces]:
        return frozenset(child.nonces for child in self._core.context.children.values())

    def _request(self, exchange: Exchange, now: float) -> None:
        core = self._core
        if ACTIONS[core.state][Input.REQUEST] is Action.REJECT:
            core.events += exchange.abandon(core.context, None, timed_out=False).events
        else:
            core.enqueue((exchange,))
            core.advance(now)
