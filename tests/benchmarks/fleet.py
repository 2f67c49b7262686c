"""Many peers: what one that is established holds in memory, and how long an agent takes for a thousand of them.

Memory is what a process has more of it with its peers than without them, divided by their number: ours when they are
configured and when they are established, beside charon's, whose peers have no key and share one configuration. Then
two agents, each a process on a processor of its own, with keys on the disk, bring up an association with each of a
thousand peers; and two engines in one process do, without sockets and disk.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from pathlib import Path

from rkmp.engine import Engine, EngineConfiguration, Listener, OutgoingDatagram
from rkmp.instant import Instant
from rkmp.keytable import KeyTable
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.benchmarks.agent_process import initiator_configuration, responder_configuration
from tests.benchmarks.agents import INITIATOR, RESPONDER, peer_policy, resident, send_as, started_agent
from tests.benchmarks.handshake import CHARON_SETTINGS, process_cpu_time
from tests.benchmarks.handshakes import CHILD, SUITE, Address, Opener, open_each
from tests.benchmarks.parties import Authentication, policy
from tests.benchmarks.table import Table
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, Charon, Connection
from tests.interop.strongswan.namespace import NetworkNamespace

ASSOCIATIONS = 1_000
PEERS = (1_000, 10_000)
ROUNDS = 3
MEMORY_DISK = Path("/dev/shm")
"""Where memory is measured, nobody waits for a disk; what is on this one is not resident memory of a process."""
RESPONDING: Address = ("127.0.0.4", 15500)


def run(peers: tuple[int, ...] = PEERS, associations: int = ASSOCIATIONS, rounds: int = ROUNDS) -> Table:
    """Measure and return the table; raise Unavailable where charon cannot be started."""
    rows = []
    for number in peers:
        charon, (configured, established) = _memory_of_charon(number), _memory_of_agent(number)
        rows += [
            (f"memory of a peer, {number:,} of them: charon, established", _kilobytes(charon), "1.00"),
            (f"memory of a peer, {number:,} of them: agent, configured", _kilobytes(configured), "-"),
            (
                f"memory of a peer, {number:,} of them: agent, established with a key",
                _kilobytes(established),
                f"{established / charon:.2f}",
            ),
        ]
    brought_up = [_bring_up_agents(associations) for _ in range(rounds)]
    what = f"{associations:,} associations"
    for name, seconds in (
        ("until both have all keys", [one.wall for one in brought_up]),
        ("CPU of the initiating agent", [one.initiator for one in brought_up]),
        ("CPU of the responding agent", [one.responder for one in brought_up]),
    ):
        rows.append((f"{what}, two agents: {name}", f"{statistics.median(seconds):.2f} s", "-"))
    in_one_process = statistics.median([_bring_up_engines(associations) for _ in range(rounds)])
    rows.append((f"{what}, two engines in one process: CPU of both", f"{in_one_process:.2f} s", "-"))
    return Table(
        "Many peers, pre-shared keys",
        ("", "", "to charon"),
        tuple(rows),
        (
            "Memory is resident memory, without what there was before: configuration for charon, all peers for us.",
            f"Times are medians of {rounds} rounds. All IKE SAs are begun at once: cookies and repetitions are in it.",
        ),
    )


def _kilobytes(octets: float) -> str:
    return f"{octets / 1024:.1f} KiB"


# -- memory ----------------------------------------------------------------------------------------------------------


def _memory_of_charon(peers: int) -> float:
    with (
        NetworkNamespace() as network,
        Charon(network, settings=CHARON_SETTINGS, log_level=-1) as charon,
        network.udp_socket("127.0.0.1") as bound,
    ):
        charon.start()
        charon.load(Connection(SUITE, childless="force"))
        us = policy(Authentication.PRE_SHARED_KEYS, ROUTER_NAME, CHARON_NAME, Path())
        opener = Opener(us, lambda datagram: bound.sendto(datagram, charon.address))
        open_each(bound, repeat(opener, 10), None)
        before = resident(charon.pid)
        open_each(bound, repeat(opener, peers), None)
        return (resident(charon.pid) - before) / peers


def _memory_of_agent(peers: int) -> tuple[float, float]:
    """Return the octets of a peer that is configured, and of one that is established, both from nothing."""
    with NetworkNamespace() as network:
        with started_agent(network, RESPONDER, RESPONDING, 1, MEMORY_DISK) as agent:
            empty = resident(agent.pid)
        with (
            started_agent(network, RESPONDER, RESPONDING, peers, MEMORY_DISK) as agent,
            network.udp_socket("0.0.0.0") as bound,  # noqa: S104 - to come from many addresses
        ):
            configured = resident(agent.pid)
            openers = (
                Opener(peer_policy(number), partial(send_as, bound, number, RESPONDING)) for number in range(peers)
            )
            open_each(bound, openers, CHILD)
            agent.expect("all")
            return (configured - empty) / peers, (resident(agent.pid) - empty) / peers


# -- time ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _BroughtUp:
    """Seconds: as a clock has it, and of the processor for either agent."""

    wall: float
    initiator: float
    responder: float


def _bring_up_agents(associations: int) -> _BroughtUp:
    with (
        NetworkNamespace() as network,
        started_agent(network, RESPONDER, RESPONDING, associations) as responder,
        started_agent(network, INITIATOR, RESPONDING, associations) as initiator,
    ):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(initiator.pid, {processors[0]})
        os.sched_setaffinity(responder.pid, {processors[-1]})
        cpu = [process_cpu_time(agent.pid) for agent in (initiator, responder)]
        begun = time.monotonic()
        initiator.begin()
        initiator.expect("all")
        responder.expect("all")
        wall = time.monotonic() - begun
        spent = [
            process_cpu_time(agent.pid) - before for agent, before in zip((initiator, responder), cpu, strict=True)
        ]
        return _BroughtUp(wall, *spent)


class _Router:
    """An engine, configured for the network of the other one and without a disk."""

    def __init__(self, configuration: EngineConfiguration) -> None:
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "keys")
        self.key_table = KeyTable(Database(IN_MEMORY), sealer, os.urandom)
        self.engine = Engine(self.key_table, os.urandom, default_listener=Listener("none", "127.0.0.5", RESPONDING[1]))
        self.prepared = self.engine.prepare(configuration)
        self._listeners = {(one.address, one.port): one.name for one in configuration.listeners.values()}

    def take(self, datagrams: Iterable[OutgoingDatagram], at: Instant) -> None:
        """Receive what the other one has sent."""
        for datagram in datagrams:
            self.engine.receive(datagram.data, self._listeners[datagram.remote], datagram.local, at)


def _bring_up_engines(associations: int) -> float:
    """Return the seconds of CPU time that two engines take, with a network that loses nothing and takes no time."""
    responder = _Router(responder_configuration(Listener("ike", *RESPONDING), associations))
    initiator = _Router(initiator_configuration(RESPONDING, associations))
    at = Instant(0.0, datetime(2026, 1, 1, tzinfo=UTC))
    responder.engine.apply(responder.prepared, at)
    begun = time.process_time()
    initiator.engine.apply(initiator.prepared, at)
    while len(initiator.key_table.rows()) < associations:
        moved = False
        for sender, receiver in ((initiator, responder), (responder, initiator)):
            datagrams = sender.engine.datagrams()
            receiver.take(datagrams, at)
            moved = moved or bool(datagrams)
        if not moved:
            at = _later(at, initiator, responder)
    return time.process_time() - begun


def _later(at: Instant, *routers: _Router) -> Instant:
    """Go to the time at which there is something to do next, and have it done."""
    timers = [timer for router in routers if (timer := router.engine.next_timer()) is not None]
    if not timers:
        raise RuntimeError("not every association has a key, and nobody does anything about it")
    passed = max(0.0, min(timers) - at.monotonic)
    later = Instant(at.monotonic + passed, at.wall + timedelta(seconds=passed))
    for router in routers:
        router.engine.handle_timer(later)
    return later
