"""Two or more engines in one process: one virtual clock, a network that misbehaves by seed, and what must always hold.

A :class:`Router` is an engine with its key table and its disk, which survives :meth:`Router.restart`. A
:class:`Simulation` moves time from one deed to the next, carries datagrams, and checks after each step that whatever a
router sends with is accepted by its neighbor (RFC 5925 section 6.1). Everything follows from the seed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from rkmp.engine import (
    AssociationSnapshot,
    AssociationState,
    AtExpiry,
    Engine,
    EngineConfiguration,
    EngineEvent,
    EngineStatistic,
    IkePolicy,
    Initiate,
    Listener,
    OutgoingDatagram,
    PeerSnapshot,
)
from rkmp.instant import Instant
from rkmp.keytable import KeyRow, KeyTable, fingerprint
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer
from tests.engine.configurations import (
    AES,
    BASE,
    BGP,
    BOTH,
    HELLOS,
    LDP,
    LISTENER,
    MSDP,
    NAMES,
    SHA1,
    SHARED_SECRET,
    address_of,
    configuration,
    peer,
)
from tests.engine.network import Address, Network

__all__ = [
    "AES",
    "BASE",
    "BGP",
    "BOTH",
    "HELLOS",
    "LDP",
    "LISTENER",
    "MSDP",
    "NAMES",
    "SHA1",
    "SHARED_SECRET",
    "Router",
    "Simulation",
    "Violation",
    "address_of",
    "configuration",
    "peer",
    "two_routers",
]


END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Router:
    """One router: its engine, its key table, its disk. ``skew`` seconds is how far its civil clock is off."""

    def __init__(self, name: str, seed: int, *, skew: float = 0.0) -> None:
        self.name = name
        self.address = address_of(name)
        self.addresses = {self.address}
        self.skew = skew
        self.random = random.Random(f"{seed} {name}")
        self.configuration = EngineConfiguration(enabled=False)
        self.events: list[EngineEvent] = []
        self.requests: set[int] = set()
        self.is_up = True
        self._moment = Instant(float("-inf"), BASE)
        self._database = Database(":memory:")
        self._sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "keys")
        self._boot()

    def _boot(self) -> None:
        self.key_table = KeyTable(self._database, self._sealer, self.random.randbytes)
        self.engine = Engine(self.key_table, self.random.randbytes, default_listener=Listener(LISTENER, self.address))

    def at(self, now: float) -> Instant:
        """Return the moment as this router sees it."""
        if self._moment.monotonic != now:
            self._moment = Instant(now, BASE + timedelta(seconds=now + self.skew))
        return self._moment

    def configure(self, configuration: EngineConfiguration, now: float) -> None:
        """Prepare and apply a configuration, which also is what a restart comes up with."""
        prepared = self.engine.prepare(configuration)
        self.configuration = configuration
        self.engine.apply(prepared, self.at(now))

    def crash(self) -> None:
        """Lose everything but the disk; whoever waited for an answer waits no more."""
        self.is_up = False
        self.requests.clear()

    def start(self, now: float) -> None:
        """Come up again with what the disk holds."""
        self.is_up = True
        self._boot()
        self.engine.apply(self.engine.prepare(self.configuration), self.at(now))

    def restart(self, now: float) -> None:
        """Crash and come up at once."""
        self.crash()
        self.start(now)

    def rekey_ike_sas(self, now: float) -> None:
        """Rekey every IKE SA now, whatever its lifetime."""
        if self.is_up:
            for conversation in self.engine._switchboard.all():
                if conversation.is_open:
                    conversation.renew(now)
                    self.engine.touch(conversation)
            self.engine.handle_timer(self.at(now))

    # -- what a test looks at ------------------------------------------------------------------------------------

    def sending(self, neighbor: str, protocol: int, now: float) -> KeyRow | None:
        """Return the key that segments to ``neighbor`` are protected with."""
        return self.key_table.select_for_sending(address_of(neighbor), NAMES[protocol], self.at(now).wall)

    def sent_with(self, neighbor: str, protocol: int, now: float) -> list[KeyRow]:
        """Return every key whose time to be sent with it is now; lifetimes that meet do not overlap."""
        rows, wall = self.key_table.rows_for(address_of(neighbor), NAMES[protocol]), self.at(now).wall
        times = [(row, row.send_lifetime.start, row.send_lifetime.end) for row in rows if row.for_sending]
        return [row for row, start, end in times if start < wall and (end is None or wall < end)]

    def accepted(self, neighbor: str, protocol: int, key_id: str, now: float) -> KeyRow | None:
        """Return the key that a segment from ``neighbor`` with ``key_id`` is verified with."""
        return self.key_table.select_for_receiving(address_of(neighbor), NAMES[protocol], key_id, self.at(now).wall)

    def snapshot(self, peer: str, now: float) -> PeerSnapshot:
        """Return what is shown of a peer."""
        snapshot = self.engine.peer(peer, self.at(now))
        assert snapshot is not None
        return snapshot

    def association(self, peer: str, protocol: int, now: float) -> AssociationSnapshot:
        """Return what is shown of an association."""
        name = NAMES[protocol]
        return next(a for a in self.snapshot(peer, now).associations if a.protocol == name)

    def happened(self, kind: type[EngineEvent]) -> list[EngineEvent]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def fingerprints(self, neighbor: str, protocol: int) -> set[tuple[str, str, str]]:
        """Return (fingerprint, SendID, RecvID) of every key with ``neighbor``."""
        rows = self.key_table.rows_for(address_of(neighbor), NAMES[protocol])
        return {(fingerprint(row.key), row.peer_key_name, row.local_key_name) for row in rows}


class Violation(AssertionError):
    """A router sends with a key that its neighbor does not accept."""


class Simulation:
    """Routers ``r1``, ``r2``.. on one network; ``now`` is virtual monotonic time in seconds."""

    def __init__(
        self, seed: int, names: Iterable[str] = ("r1", "r2"), *, network: Network | None = None, skew: float = 0.0
    ) -> None:
        self.seed = seed
        self.now = 0.0
        self.network = network or Network()
        self.random = random.Random(seed)
        self.routers: dict[str, Router] = {
            name: Router(name, seed, skew=self.random.uniform(-skew, skew)) for name in names
        }
        self.sent = 0
        self._in_flight: list[tuple[float, int, Address, OutgoingDatagram]] = []
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._working: set[tuple[str, str, int]] = set()
        self.checks_continuity = True
        # A side that has let a key end, as its policy says, may drop what worked with it.
        self.lets_keys_end = False

    def __getitem__(self, name: str) -> Router:
        return self.routers[name]

    def plan(self, time: float, deed: Callable[[], None]) -> None:
        """Do something at ``time``."""
        heapq.heappush(self._planned, (time, next(self._order), deed))

    def configure(self, name: str, configuration: EngineConfiguration) -> None:
        """Configure a router now."""
        self.routers[name].configure(configuration, self.now)
        self.pump()

    def restart(self, name: str) -> None:
        """Crash a router and let it come up at once."""
        self.routers[name].restart(self.now)
        self.pump()

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until ``condition`` holds or ``seconds`` are over; return whether it holds."""
        end = self.now + seconds
        self.pump()
        while not condition():
            moment = min(self._moments(), default=float("inf"))
            if moment > end:
                self.now = end
                return condition()
            self.now = max(self.now, moment)
            self._step()
        return True

    def pump(self) -> None:
        """Take what the routers have to tell and to send, and check what must hold."""
        for router in self.routers.values():
            if not router.is_up:
                continue
            router.events += router.engine.events()
            for datagram in router.engine.datagrams():
                self._send(router, datagram)
            assert not router.engine._switchboard._count[EngineStatistic.INTERNAL_ERRORS], f"seed {self.seed}"
        if self.checks_continuity:
            self._check()

    def _moments(self) -> Iterable[float]:
        if self._in_flight:
            yield self._in_flight[0][0]
        if self._planned:
            yield self._planned[0][0]
        for router in self.routers.values():
            if not router.is_up:
                continue
            timer = router.engine.next_timer()
            if timer is not None:
                yield timer
            change = router.key_table.next_change(router.at(self.now).wall)
            if change is not None:
                yield (change - BASE) / timedelta(seconds=1) - router.skew + 1e-5

    def _step(self) -> None:
        while self._planned and self._planned[0][0] <= self.now:
            heapq.heappop(self._planned)[2]()
            self.pump()
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, source, datagram = heapq.heappop(self._in_flight)
            self._deliver(source, datagram)
            self.pump()
        for router in self.routers.values():
            if router.is_up:
                router.key_table.handle_time(router.at(self.now).wall)
                timer = router.engine.next_timer()
                if timer is not None and timer <= self.now:
                    router.engine.handle_timer(router.at(self.now))
                    self.pump()
        if self.checks_continuity:
            # The time that has passed may have changed what is sent with, too.
            self._check()

    def _send(self, router: Router, datagram: OutgoingDatagram) -> None:
        self.sent += 1
        network, chance = self.network, self.random
        copies = 1 + (chance.random() < network.duplication)
        for _ in range(copies):
            if chance.random() >= network.loss:
                arrives = self.now + chance.uniform(*network.delay)
                heapq.heappush(self._in_flight, (arrives, next(self._order), datagram.local, datagram))

    def _deliver(self, source: Address, datagram: OutgoingDatagram) -> None:
        if self.network.is_cut(self.now, source[0], datagram.data):
            return
        data = self.network.filter(source[0], datagram.remote[0], datagram.data)
        translator, to = self.network.translator, datagram.remote
        if translator is not None:
            there = translator.incoming(to)
            source = translator.outgoing(source, to, datagram.data)
            if there is None:
                return
            to = there
        destination = next((r for r in self.routers.values() if to[0] in r.addresses), None)
        if destination is not None and destination.is_up and data is not None:
            destination.engine.receive(data, LISTENER, source, destination.at(self.now), to)

    # -- what must hold ------------------------------------------------------------------------------------------

    def pairs(self) -> Iterable[tuple[Router, Router, int]]:
        """Return every (sender, receiver, protocol) that both are configured for."""
        for sender, receiver in itertools.permutations(self.routers.values(), 2):
            one = sender.configuration.peers.get(receiver.name)
            other = receiver.configuration.peers.get(sender.name)
            if one is not None and other is not None:
                for protocol in one.associations.keys() & other.associations.keys():
                    yield sender, receiver, protocol

    def _check(self) -> None:
        """What once was accepted must go on being accepted, whichever key it is protected with."""
        for sender, receiver, protocol in self.pairs():
            connection = (sender.name, receiver.name, protocol)
            if len(sender.sent_with(receiver.name, protocol, self.now)) > 1:
                raise Violation(self._explain(sender, receiver, protocol, "has two keys to send with to"))
            row = sender.sending(receiver.name, protocol, self.now)
            accepted = receiver.accepted(sender.name, protocol, row.peer_key_name, self.now) if row else None
            is_accepted = row is not None and accepted is not None and accepted.key == row.key
            if is_accepted:
                self._working.add(connection)
            elif connection in self._working and self.lets_keys_end and self._has_let_end(sender, receiver, protocol):
                self._working.discard(connection)
            elif connection in self._working:
                raise Violation(self._explain(sender, receiver, protocol, "sends with a key that is not accepted by"))

    def _has_let_end(self, sender: Router, receiver: Router, protocol: int) -> bool:
        """Whether one of the two let the key end that the other goes on with, as its own policy is."""
        sent_with = sender.sending(receiver.name, protocol, self.now)
        for router, neighbor in ((sender, receiver), (receiver, sender)):
            association = router.configuration.peers[neighbor.name].associations[protocol]
            rows, wall = router.key_table.rows_for(neighbor.address, NAMES[protocol]), router.at(self.now).wall
            if association.at_expiry is AtExpiry.EXTEND and association.longest_extension is None:
                continue
            live = [row for row in rows if row.for_sending and row.send_lifetime.end_or(END_OF_TIME) >= wall]
            if not live or (sent_with is not None and sent_with.key not in [row.key for row in live]):
                return True
        return False

    def _explain(self, sender: Router, receiver: Router, protocol: int, what: str) -> str:
        lines = [f"seed {self.seed}, t={self.now:.6f}: {sender.name} {what} {receiver.name}"]
        for router, neighbor in ((sender, receiver), (receiver, sender)):
            lines.append(f"{router.name} at {router.at(self.now).wall.time()}:")
            rows = router.key_table.rows_for(neighbor.address, NAMES[protocol])
            lines += [
                f"  {row.admin_key_name} {fingerprint(row.key)} {row.direction.value} "
                f"send {_times(row.send_lifetime)} accept {_times(row.accept_lifetime)}"
                for row in rows
            ]
        return "\n".join(lines)

    def forget_continuity(self) -> None:
        """Begin anew to watch which keys are accepted: something has just taken keys away on purpose."""
        self._working.clear()

    def agree(self, protocols: Mapping[tuple[str, str], Iterable[int]] | None = None) -> bool:
        """Whether each pair of routers holds the same keys, mirrored, and sends with the same one."""
        for sender, receiver, protocol in self.pairs():
            mine = sender.fingerprints(receiver.name, protocol)
            theirs = {(key, recv, send) for key, send, recv in receiver.fingerprints(sender.name, protocol)}
            if not mine or mine != theirs:
                return False
            one = sender.sending(receiver.name, protocol, self.now)
            other = receiver.sending(sender.name, protocol, self.now)
            if one is None or other is None or one.key != other.key:
                return False
        return True

    def established(self) -> bool:
        """Whether every association is established and nothing is rolling over."""
        return all(
            sender.association(receiver.name, protocol, self.now).state is AssociationState.ESTABLISHED
            for sender, receiver, protocol in self.pairs()
        )


def _times(lifetime: object) -> str:
    start, end = lifetime.start, lifetime.end  # type: ignore[attr-defined]
    return f"{start.time()}..{end.time() if end else ''}"


def two_routers(
    seed: int = 1,
    *,
    protocols: Iterable[int] = (BGP,),
    network: Network | None = None,
    skew: float = 0.0,
    policy: IkePolicy | None = None,
    initiate: tuple[Initiate, Initiate] = (Initiate.ON_DEMAND, Initiate.NEVER),
    **association: object,
) -> Simulation:
    """Return r1 and r2, configured for each other; r1 opens by default."""
    simulation = Simulation(seed, network=network, skew=skew)
    for name, other, mode in (("r2", "r1", initiate[1]), ("r1", "r2", initiate[0])):
        wanted = configuration(name, [peer(other, protocols, initiate=mode, **association)], policy=policy)
        simulation.configure(name, wanted)
    return simulation
