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
from rkmp.ike.exchanges.rekey_ike_sa import RekeyIkeSa
from rkmp.ike.lineage import Lineage
from rkmp.ike.nat_detection import Nat
from rkmp.ike.observation import Observer
from rkmp.ike.path import Path
from rkmp.ike.policy import ChildRequest, Policy
from rkmp.ike.reception import receive
from rkmp.ike.settings import IkeSettings
from rkmp.ike.states import ACTIONS, Action, IkeSaState, Input
from rkmp.ike.statistics import Statistic
from rkmp.instant import Random


@final
class IkeSa:
    """One IKE SA, as its initiator or its responder, with those that replace it; :mod:`rkmp.ike` tells how it is used.

    ``now`` is monotonic time in seconds, the same clock in every call. A datagram is an IKE message without a non-ESP
    marker.
    """

    __slots__ = ("_lineage",)

    def __init__(self, context: Context) -> None:
        """Not for callers: see :meth:`initiate` and :meth:`respond`."""
        self._lineage = Lineage()
        self._lineage.found(IkeSaCore(context, self._lineage))

    @classmethod
    def initiate(
        cls,
        settings: IkeSettings,
        policy: Policy,
        random: Random,
        child_request: ChildRequest | None,
        now: float,
        path: Path | None = None,
        observer: Observer | None = None,
    ) -> Self:
        """Return an IKE SA of which we are the initiator, its first request made.

        ``child_request`` is what IKE_AUTH asks for; None asks for no child (RFC 6023). ``path`` is where its datagrams
        will travel. ``observer`` watches.
        """
        spi = new_spi(random)
        ike_sa = cls(Context(Role.INITIATOR, settings, policy, random, spi, path=path, observer=observer))
        ike_sa._core.move(IkeSaState.INIT_SENT)
        ike_sa._core.enqueue((IkeSaInit(child_request),))
        ike_sa._core.advance(now)
        return ike_sa

    @classmethod
    def respond(
        cls,
        settings: IkeSettings,
        policy: Policy,
        random: Random,
        path: Path | None = None,
        observer: Observer | None = None,
    ) -> Self:
        """Return an IKE SA of which we are the responder; :meth:`receive` takes the message that opens it.

        One that is dropped or refused closes it at once. ``path`` is where that message came along.
        ``observer`` watches.
        """
        spi = new_spi(random)
        return cls(Context(Role.RESPONDER, settings, policy, random, spi, path=path, observer=observer))

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
        """Our SPI, 8 octets; another one after :class:`~rkmp.ike.events.IkeSaRekeyed`."""
        return self._core.context.local_spi

    @property
    def local_spis(self) -> tuple[bytes, ...]:
        """Every SPI of ours by which a message can be for it; more than one around a rekeying."""
        return tuple(core.context.local_spi for core in self._lineage.cores)

    @property
    def remote_spi(self) -> bytes:
        """The peer's SPI, 8 octets, all zero until it is known; another one after a rekeying."""
        return self._core.context.remote_spi

    @property
    def nat(self) -> Nat | None:
        """Whose addresses are translated on the way; None until IKE_SA_INIT is done, and where it has not told."""
        secrets = self._core.context.secrets
        return None if secrets is None else secrets.nat

    @property
    def statistics(self) -> Mapping[Statistic, int]:
        """What was counted so far."""
        return self._lineage.statistics

    @property
    def last_heard(self) -> float:
        """When the last protected message of the peer's came, minus infinity before the first."""
        return self._lineage.last_heard

    @property
    def requests_completed(self) -> int:
        """How many of our requests are over, answered or not."""
        return self._lineage.completed + self._core.tasks.requests_completed

    @property
    def requests_answered(self) -> int:
        """How many requests of the peer were answered. A new one shows that it has our answer to the one before."""
        return self._lineage.answered + self._core.tasks.expected_message_id

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
        return all(core.is_finished for core in self._lineage.cores)

    def events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self._lineage.events = self._lineage.events, []
        return events

    def datagrams(self) -> list[bytes]:
        """Return what has to be sent to the peer since the last call, in this order."""
        datagrams, self._lineage.datagrams = self._lineage.datagrams, []
        return datagrams

    # -- what comes in -----------------------------------------------------------------------------------------------

    def receive(self, datagram: bytes, now: float) -> None:
        """Process, answer or drop one datagram; whatever it holds, nothing is raised."""
        receive(self._lineage.addressee(datagram), datagram, now)
        self._lineage.tidy()

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do, or None."""
        moments = [core.next_timer() for core in self._lineage.cores]
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Retransmit, give up or forget, whichever is due."""
        for core in self._lineage.cores:
            core.handle_timer(now)
        self._lineage.tidy()

    # -- commands ----------------------------------------------------------------------------------------------------

    def create_child(self, request: ChildRequest, now: float) -> None:
        """Ask for a key for a further routing protocol; ends in ChildKeysEstablished or ChildRefused."""
        self._request(CreateChildSa(request, known=self._known_nonces), now)

    def rekey_child(self, send_id: int, request: ChildRequest, now: float) -> None:
        """Ask for a key that replaces the one for which we announced ``send_id``; ends as :meth:`create_child` does.

        The replaced key stays until :meth:`delete_child` (G25).
        """
        self._request(CreateChildSa(request, send_id, known=self._known_nonces), now)

    def rekey(self, now: float) -> None:
        """Replace the IKE SA by one with new keys, over which its children go on.

        Ends in IkeSaRekeyed, whoever asked for it, or IkeSaRekeyFailed. Does nothing where it is under way.
        """
        tasks = self._core.tasks
        if not self._core.context.is_rekeying and not any(exchange.rekeys_ike_sa for exchange in tasks.queued):
            self._request(RekeyIkeSa(), now)

    def delete_child(self, send_id: int, now: float) -> None:
        """Tell the peer that the key for which we announced ``send_id`` is gone; ends in ChildDeleted.

        Does nothing where there is no such child, or where that is under way.
        """
        context = self._core.context
        if send_id in context.children and send_id not in context.being_deleted:
            self._request(DeleteChildren((send_id,), ChildDeletion.LOCAL), now)

    def check_liveness(self, now: float) -> None:
        """Ask the peer whether it is there, unless something else is asking it already (RFC 7296 2.4)."""
        tasks = self._core.tasks
        if self._core.state is IkeSaState.ESTABLISHED and tasks.outstanding is None and not tasks.queued:
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
        for core in self._lineage.cores:
            core.end(Closing(reason, message), now)

    @property
    def _core(self) -> IkeSaCore:
        return self._lineage.current

    @property
    def _known_nonces(self) -> frozenset[Nonces]:
        return frozenset(child.nonces for child in self._core.context.children.values())

    def _request(self, exchange: Exchange, now: float) -> None:
        core = self._core
        if ACTIONS[core.state][Input.REQUEST] is Action.REJECT:
            core.lineage.events += exchange.abandon(core.context, None, timed_out=False).events
        else:
            core.enqueue((exchange,))
            core.advance(now)
