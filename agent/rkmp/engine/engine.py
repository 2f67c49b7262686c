"""The engine: every peer, every IKE SA, one clock; datagrams, timers and commands in, datagrams and events out.

Sans-IO: it owns no socket and reads no clock. After any call its user takes, in this order, :meth:`Engine.events` and
:meth:`Engine.datagrams`, and arms one timer for :meth:`Engine.next_timer`; :mod:`rkmp.engine.driver` does so on
asyncio, the simulator of tests/engine under a virtual clock. What a message changed is durable before the call returns.

The cost of a datagram or a timer does not depend on how many peers there are: IKE SAs are found by SPI, peers by
address, deadlines in one heap. Keys are the key table's; which of them are ours is found there after a restart.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rkmp.engine.address_book import AddressBook, canonical
from rkmp.engine.certificate_watch import CertificateWatch
from rkmp.engine.configuration import EngineConfiguration, Listener, PeerConfiguration
from rkmp.engine.configuration_check import PreparedConfiguration, check, differences, listener_of
from rkmp.engine.containment import contained
from rkmp.engine.conversation import Conversation
from rkmp.engine.credentials import Trust
from rkmp.engine.datagrams import Address, OutgoingDatagram
from rkmp.engine.events import EngineEvent
from rkmp.engine.expiry import realign
from rkmp.engine.orphans import remove_orphans
from rkmp.engine.peer import Peer
from rkmp.engine.protocols import protocol_name
from rkmp.engine.reactions import react
from rkmp.engine.state import PeerSnapshot
from rkmp.engine.statistics import EngineStatistic
from rkmp.engine.strangers import Strangers
from rkmp.engine.switchboard import Switchboard
from rkmp.engine.timers import Timers
from rkmp.errors import EngineRefusal
from rkmp.ike import ChildRequest, CloseReason, IkeSaEstablished, Path
from rkmp.ike.observation import Observer
from rkmp.instant import Instant, Random
from rkmp.keytable import KeyTable

_log = logging.getLogger(__name__)

CLOCK_TOLERANCE = timedelta(seconds=1)
"""Civil time that has moved by more than this against the monotonic clock was set."""
LARGEST_JITTER = 0.25
MOST_TURNS = 100
"""How often, on average, an IKE SA or a peer may have something to say or to do because of one thing that happened."""
PATIENCE_AFTER_AN_ERROR = 10.0
"""Seconds until a peer whose affairs met a fault of ours is looked at again."""


class Engine:
    """Negotiates the keys of all configured peers and keeps them in ``key_table``.

    ``random`` is the source of everything that must not be guessed. ``default_listener`` is what peers are talked to
    through while the configuration has no listener; its name is the one that :meth:`receive` is called with. Not
    configured at first: nothing happens before :meth:`apply`. ``observer`` watches every IKE SA. ``find_source`` may be
    set to what tells which address of ours leads to another, for listeners on all addresses.
    """

    def __init__(
        self, key_table: KeyTable, random: Random, *, default_listener: Listener, observer: Observer | None = None
    ) -> None:
        self.key_table = key_table
        self.configuration = EngineConfiguration(enabled=False)
        self._random = random
        self._default_listener = default_listener
        self._switchboard = Switchboard(random, self._candidates, observer)
        self._strangers = Strangers(self.report)
        self._peers: dict[str, Peer] = {}
        self._addresses = AddressBook()
        self._timers: Timers[str | bytes] = Timers()
        self._events: list[EngineEvent] = []
        self._touched: dict[bytes, Conversation] = {}
        self._stirred: dict[int, Peer] = {}
        self._changed: set[str] = set()
        self._requests = itertools.count(1)
        self._clock_origin: datetime | None = None
        self._has_restored = False
        self.find_source: Callable[[Address], str | None] = lambda _remote: None
        self.trust = Trust()
        self.certificate_watch = CertificateWatch(self.report)
        self.now = float("-inf")
        self.wall = datetime.min.replace(tzinfo=UTC)

    # -- configuration -------------------------------------------------------------------------------------------

    def prepare(self, configuration: EngineConfiguration) -> PreparedConfiguration:
        """Return ``configuration`` ready for :meth:`apply`; nothing changes.

        Raises :class:`EngineRefusal` with a reason that an operator can act on.
        """
        before = self.configuration
        return PreparedConfiguration(
            configuration, before, check(before, configuration, self._default_listener, self.trust)
        )

    def apply(self, prepared: PreparedConfiguration, at: Instant) -> None:
        """Make a prepared configuration the one in force. Cannot fail; what follows from it follows in time."""
        self._enter(at)
        change = prepared.differences
        if prepared.before is not self.configuration:
            change = differences(self.configuration, prepared.configuration, self._default_listener)
        if self.configuration.trust_anchors != prepared.configuration.trust_anchors:
            self.trust.forget()
        is_revoking = self.configuration.revocation_lists != prepared.configuration.revocation_lists
        self.configuration = prepared.configuration
        self.certificate_watch.configure(self.configuration, at.wall)
        for name in change.removed:
            self._remove_peer(name, at)
        for name in change.added:
            self._add_peer(self.configuration.peers[name], at)
        for name, is_other in change.changed.items():
            self._change_peer(self.configuration.peers[name], at, is_other=is_other)
        affected = [self._peers[name] for name in (*change.added, *change.changed)]
        realign(self.key_table, itertools.chain.from_iterable(peer.associations.values() for peer in affected), at.wall)
        for peer in self._peers.values() if is_revoking or change.proposals else ():
            if is_revoking:
                peer.retire_revoked()
            peer.transforms_changed(change.proposals)
            self._stir(peer)
        if self.configuration.enabled and not self._has_restored:
            self._has_restored = True
            remove_orphans(self.key_table, self._peers, at.wall)
        self._settle(at)

    def _add_peer(self, configuration: PeerConfiguration, at: Instant) -> None:
        peer = Peer(configuration, self, at)
        self._peers[peer.name] = peer
        self._addresses.add(peer)
        self._stir(peer)

    def _change_peer(self, configuration: PeerConfiguration, at: Instant, *, is_other: bool) -> None:
        peer = self._peers[configuration.name]
        self._addresses.remove(peer)
        if is_other:
            self._abandon_half_open(peer, at)
        peer.reconfigure(configuration, at, is_other=is_other)
        self._addresses.add(peer)
        self._stir(peer)

    def _remove_peer(self, name: str, at: Instant) -> None:
        peer = self._peers.pop(name)
        self._addresses.remove(peer)
        self._timers.set(name, None)
        self._abandon_half_open(peer, at)
        if self.configuration.enabled:
            peer.depart("peer removed from the configuration or disabled", at, keep_keys=False)
        else:
            # An agent that is switched off is an agent that stops: what was agreed stays in force (G15).
            peer.depart("RKMP is disabled", at, keep_keys=True)
        self._stir(peer)

    def _abandon_half_open(self, peer: Peer, at: Instant) -> None:
        """End what strangers at the address of a peer have begun: who they may be has changed."""
        for conversation in self._switchboard.half_open():
            if peer in conversation.policy.candidates:
                conversation.ike_sa.abandon("the configuration has changed", at.monotonic, CloseReason.REPLACED)
                self.touch(conversation)

    # -- datagrams and time --------------------------------------------------------------------------------------

    def receive(self, data: bytes, listener: str, remote: Address, at: Instant, local: Address | None = None) -> None:
        """Take in a datagram that came to ``listener`` (its name) from an address and port. Never raises.

        ``local`` is the address and port of ours that it came to; None stands for those of the listener.
        """
        self._enter(at)
        if local is None:
            served = self.configuration.listeners.get(listener, self._default_listener)
            local = (served.address, served.port)
        conversation = self._switchboard.receive(data, listener, Path(local, remote), at.monotonic)
        if conversation is not None:
            self.touch(conversation)
        self._settle(at)

    def handle_timer(self, at: Instant) -> None:
        """Do what is due at ``at``; harmless when nothing is."""
        self._enter(at)
        self.certificate_watch.handle_time(at.wall)
        for key in self._timers.take_due(at.monotonic):
            if isinstance(key, str):
                self._peers[key].handle_timer(at)
                self._stir(self._peers[key])
            elif (conversation := self._switchboard.handle_timer(key, at.monotonic)) is not None:
                self.touch(conversation)
        self._settle(at)

    def next_timer(self) -> float | None:
        """Return the monotonic time at which :meth:`handle_timer` is to be called, or None."""
        timer, due = self._timers.next(), self.certificate_watch.next_change
        if due is None:
            return timer
        # By what the clocks showed last: a civil clock that is a little slow must not be waited for in circles.
        moment = self.now + (due - self.wall).total_seconds()
        return moment if timer is None else min(timer, moment)

    def changed(self) -> frozenset[str]:
        """Return the names of the peers that may not be what they were, since the last call."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def datagrams(self) -> list[OutgoingDatagram]:
        """Return what is to be sent since the last call, in this order."""
        return self._switchboard.datagrams()

    def events(self) -> list[EngineEvent]:
        """Return what happened since the last call, in this order."""
        events, self._events = self._events, []
        return events

    # -- commands ------------------------------------------------------------------------------------------------

    def rekey(self, peer: str, protocol: int, at: Instant) -> int:
        """Replace the key of an association now; return the number that RequestCompleted will carry.

        Raises :class:`EngineRefusal` when there is no such association, or it is not enabled.
        """
        self._enter(at)
        known = self._known(peer, protocol_name(protocol))
        request = next(self._requests)
        known.rekey(protocol, request)
        self._stir(known)
        self._settle(at)
        return request

    def initiate(self, peer: str, at: Instant) -> None:
        """Negotiate now whatever the associations of ``peer`` lack, whatever its ``initiate`` setting says.

        Raises :class:`EngineRefusal` when the peer is not configured and enabled.
        """
        self._enter(at)
        known = self._known(peer)
        known.initiate()
        self._stir(known)
        self._settle(at)

    def clear(self, peer: str, at: Instant) -> None:
        """Drop the IKE SAs and the negotiated keys of ``peer``, here and as far as possible there.

        Raises :class:`EngineRefusal` when the peer is not configured and enabled.
        """
        self._enter(at)
        known = self._known(peer)
        known.clear(at)
        self._stir(known)
        self._settle(at)

    def shut_down(self, at: Instant) -> None:
        """Delete every IKE SA, without waiting for answers; keys stay in force (the draft's section 3.2)."""
        self._enter(at)
        for conversation in self._switchboard.all():
            conversation.retired_because = "the agent stops"
            if conversation.is_open:
                conversation.ike_sa.close("the agent stops", at.monotonic)
            else:
                conversation.ike_sa.abandon("the agent stops", at.monotonic)
            self.touch(conversation)
        while self._touched:
            self._digest(self._touched.pop(next(iter(self._touched))), at)
        for peer in self._peers.values():
            for association in peer.associations.values():
                association.end("the agent stops")

    def _known(self, name: str, protocol: str | None = None) -> Peer:
        peer = self._peers.get(name)
        if peer is None:
            reason = "RKMP is disabled" if not self.configuration.enabled else f"there is no enabled peer {name}"
            raise EngineRefusal(reason, peer=name, protocol=protocol)
        return peer

    # -- state ---------------------------------------------------------------------------------------------------

    def peers(self, at: Instant) -> tuple[PeerSnapshot, ...]:
        """Return a snapshot of every enabled peer."""
        return tuple(peer.snapshot(at) for peer in self._peers.values())

    def peer(self, name: str, at: Instant) -> PeerSnapshot | None:
        """Return a snapshot of one enabled peer."""
        peer = self._peers.get(name)
        return None if peer is None else peer.snapshot(at)

    def note_network_error(self) -> None:
        """Count what the network or the host says of a datagram of ours: a hint, and no more (RFC 7296 2.4)."""
        self._switchboard.count(EngineStatistic.NETWORK_ERRORS)

    def statistics(self) -> Mapping[str, int]:
        """Return the counters of the engine and of all IKE SAs together, by name."""
        return self._switchboard.statistics()

    # -- what peers ask of the engine ----------------------------------------------------------------------------

    def report(self, event: EngineEvent) -> None:
        """Take an event for the layers above."""
        self._events.append(event)

    def jitter(self) -> float:
        """Return a random part of a delay to add to it, from 0 to a quarter."""
        return self._random(1)[0] / 256 * LARGEST_JITTER

    def open(self, peer: Peer, request: ChildRequest | None, at: Instant) -> Conversation:
        """Make an IKE SA with ``peer`` as its initiator; ``request`` of None makes one without a child."""
        remote = (canonical(peer.configuration.address), peer.configuration.port)
        listener = self.listener_of(peer.configuration)
        if listener.serves_all_addresses:
            listener = replace(listener, address=self.find_source(remote) or listener.address)
        conversation = self._switchboard.open(peer, request, listener, remote, at.monotonic)
        self.touch(conversation)
        return conversation

    def touch(self, conversation: Conversation) -> None:
        """Deal with what ``conversation`` has to say once what is being done is done."""
        self._touched[conversation.key] = conversation

    def listener_of(self, peer: PeerConfiguration) -> Listener:
        """Return the listener through which we talk to ``peer``."""
        return listener_of(self.configuration, peer, self._default_listener) or self._default_listener

    def _candidates(self, address: str, listener: str) -> Sequence[Peer]:
        peers = self._addresses.at(address)
        return [peer for peer in peers if self.listener_of(peer.configuration).name == listener]

    # -- one thing after another ---------------------------------------------------------------------------------

    def _enter(self, at: Instant) -> None:
        """Note the time; when civil time was set, every lifetime lies elsewhere on the monotonic clock."""
        self.now, self.wall = at.monotonic, at.wall
        origin = at.wall - timedelta(seconds=at.monotonic)
        if self._clock_origin is None or abs(origin - self._clock_origin) > CLOCK_TOLERANCE:
            if self._clock_origin is not None:
                self._switchboard.count(EngineStatistic.CLOCK_CHANGES)
                _log.warning("civil time was set by %+.1f s", (origin - self._clock_origin).total_seconds())
                for peer in self._peers.values():
                    peer.handle_timer(at)
                    self._stir(peer)
            self._clock_origin = origin

    def _stir(self, peer: Peer) -> None:
        self._stirred[id(peer)] = peer

    def _settle(self, at: Instant) -> None:
        """Deal with IKE SAs that have something to say and peers that have something to do, until none has."""
        allowance = MOST_TURNS * (1 + len(self._touched) + len(self._stirred))
        while self._touched or self._stirred:
            allowance -= 1
            if allowance < 0:
                self._break_circle(at)
            elif self._touched:
                self._digest(self._touched.pop(next(iter(self._touched))), at)
            else:
                self._pursue(self._stirred.pop(next(iter(self._stirred))), at)

    def _break_circle(self, at: Instant) -> None:
        """Leave those alone for a while who always find something to do: a fault of ours, but no reason to hang."""
        owners = [conversation.owner for conversation in self._touched.values() if conversation.owner is not None]
        self._stirred |= {id(owner): owner for owner in owners}
        names = ", ".join(sorted(peer.name for peer in self._stirred.values()))
        _log.error("internal error: peers %s do not come to rest; they are left alone for a while", names)
        self._switchboard.count(EngineStatistic.INTERNAL_ERRORS)
        for conversation in self._touched.values():
            self._switchboard.flush(conversation, at.monotonic)
        for peer in self._stirred.values():
            if not peer.is_departed:
                self._timers.set(peer.name, at.monotonic + PATIENCE_AFTER_AN_ERROR)
        self._touched.clear()
        self._stirred.clear()

    def _pursue(self, peer: Peer, at: Instant) -> None:
        self._changed.add(peer.name)
        if not contained(lambda: peer.pursue(at), f"peer {peer.name} is left alone for a while"):
            self._switchboard.count(EngineStatistic.INTERNAL_ERRORS)
            self._timers.set(peer.name, at.monotonic + PATIENCE_AFTER_AN_ERROR)
        elif not peer.is_departed:
            self._timers.set(peer.name, peer.next_timer(at))

    def _digest(self, conversation: Conversation, at: Instant) -> None:
        """Take the events of an IKE SA, then what it has to send: in this order (protocol.md G24)."""
        events = conversation.ike_sa.events()
        if conversation.owner is None and any(isinstance(event, IkeSaEstablished) for event in events):
            conversation.adopt()
        owner = conversation.owner
        if owner is not None:
            is_well = True
            if conversation.has_progressed() or events:
                is_well = self._switchboard.contain(
                    conversation, lambda: react(owner, conversation, events, at), at.monotonic
                )
            if not is_well:
                self.touch(conversation)
            self._stir(owner)
        else:
            for event in events:
                self._strangers.react(conversation, conversation.claimed_peer, event, at.monotonic)
        self._switchboard.flush(conversation, at.monotonic)
        is_known = self._switchboard.get(conversation.key) is not None
        self._timers.set(conversation.key, conversation.next_timer(conversation.ike_policy) if is_known else None)
