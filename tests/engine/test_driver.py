"""The driver on real sockets: two engines on loopback, one socket for many peers, listeners that come and go."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from rkmp.engine import (
    AssociationState,
    Engine,
    EngineConfiguration,
    EngineDriver,
    EngineEvent,
    EngineStatistic,
    IkeSaUp,
    Initiate,
    Listener,
    PeerConfiguration,
    system_clock,
)
from rkmp.engine.driver import LONGEST_SLEEP
from rkmp.engine.sockets import source_towards
from rkmp.errors import EngineRefusal
from rkmp.ike import Identity
from rkmp.instant import Instant
from rkmp.keytable import KeyTable, fingerprint
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer
from tests.engine.simulation import BGP, LDP, configuration, peer

LOOPBACK = "127.0.0.1"
DEFAULT = Listener("default", LOOPBACK, 0)


@dataclass
class Agent:
    """An engine on a driver, with a free port of loopback."""

    name: str
    key_table: KeyTable
    driver: EngineDriver
    events: list[tuple[EngineEvent, datetime]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.driver.addresses()["default"][1]

    def configure(self, wanted: EngineConfiguration) -> None:
        self.driver.prepare(wanted).apply()

    def association(self, other: str, protocol: str = "bgp") -> AssociationState | None:
        shown = self.driver.peer(other)
        return None if shown is None else next(a.state for a in shown.associations if a.protocol == protocol)


@pytest.fixture
async def make() -> AsyncIterator[Callable[[str], Agent]]:
    agents: list[Agent] = []

    def make_agent(name: str, clock: Callable[[], Instant] = system_clock) -> Agent:
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "keys")
        key_table = KeyTable(Database(":memory:"), sealer, os.urandom)
        driver = EngineDriver(Engine(key_table, os.urandom, default_listener=DEFAULT), DEFAULT, clock)
        agent = Agent(name, key_table, driver)
        driver.subscribe(lambda event, wall: agent.events.append((event, wall)))
        agents.append(agent)
        agent.configure(settings(name))
        return agent

    yield make_agent
    for agent in agents:
        agent.driver.close()
        agent.driver.close()


def settings(name: str, *peers: PeerConfiguration, **changes: object) -> EngineConfiguration:
    return replace(configuration(name, peers), **{"listeners": {}, **changes})  # type: ignore[arg-type]


def neighbor(name: str, port: int, **changes: object) -> PeerConfiguration:
    return peer(name, **{"address": LOOPBACK, "neighbor": LOOPBACK, "port": port, **changes})  # type: ignore[arg-type]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in two agents, neither of which knows us
            await asyncio.sleep(0.005)


async def keyed(make: Callable[[str], Agent], **changes: object) -> tuple[Agent, Agent]:
    r1, r2 = make("r1"), make("r2")
    r2.configure(settings("r2", neighbor("r1", r1.port, initiate=Initiate.NEVER, **changes)))
    r1.configure(settings("r1", neighbor("r2", r2.port, **changes)))
    await until(lambda: r1.association("r2") is r2.association("r1") is AssociationState.ESTABLISHED)
    return r1, r2


async def test_two_agents_on_loopback_hold_the_same_key(make: Callable[[str], Agent]) -> None:
    r1, r2 = await keyed(make)
    (one,), (other,) = r1.key_table.rows(), r2.key_table.rows()
    assert fingerprint(one.key) == fingerprint(other.key)
    assert (one.peer_key_name, one.local_key_name) == (other.local_key_name, other.peer_key_name)
    told = [(event, wall) for event, wall in r1.events if isinstance(event, IkeSaUp)]
    assert len(told) == 1
    assert abs((told[0][1] - datetime.now(UTC)).total_seconds()) < 20
    assert r1.driver.statistics()["ike-sas"] == 1
    assert [shown.name for shown in r1.driver.peers()] == ["r2"]
    assert r1.driver.peer("nobody") is None


async def test_rekey_answers_with_the_new_key(make: Callable[[str], Agent]) -> None:
    r1, r2 = await keyed(make)
    name = await asyncio.wait_for(r1.driver.rekey("r2", BGP), 5)
    row = r1.key_table.get(name)
    assert row is not None
    assert fingerprint(row.key) in {fingerprint(other.key) for other in r2.key_table.rows()}
    with pytest.raises(EngineRefusal, match="no enabled peer r9"):
        await r1.driver.rekey("r9", BGP)
    with pytest.raises(EngineRefusal, match="no enabled association"):
        await r1.driver.rekey("r2", LDP)


async def test_a_rekey_that_cannot_be_says_why(make: Callable[[str], Agent]) -> None:
    r1, r2 = await keyed(make)
    waiting = asyncio.ensure_future(r1.driver.rekey("r2", BGP))
    r2.driver.close()
    await asyncio.sleep(0)
    r1.configure(settings("r1"))
    with pytest.raises(EngineRefusal, match="removed from the configuration"):
        await waiting


async def test_who_waits_when_the_agent_stops_is_told(make: Callable[[str], Agent]) -> None:
    r1 = make("r1")
    r1.configure(settings("r1", neighbor("r2", 9)))
    waiting = asyncio.ensure_future(r1.driver.rekey("r2", BGP))
    await asyncio.sleep(0)
    r1.driver.close()
    with pytest.raises(EngineRefusal, match="stop"):
        await waiting


async def test_a_caller_that_gave_up_waiting_harms_nobody(make: Callable[[str], Agent]) -> None:
    r1, _ = await keyed(make)
    waiting = asyncio.ensure_future(r1.driver.rekey("r2", BGP))
    await asyncio.sleep(0)
    waiting.cancel()
    await until(lambda: len(r1.key_table.rows()) == 2)


async def test_one_socket_serves_many_peers(make: Callable[[str], Agent]) -> None:
    hub = make("r1")
    spokes = [make(f"r{number}") for number in range(2, 12)]
    for spoke in spokes:
        spoke.configure(settings(spoke.name, neighbor("r1", hub.port, initiate=Initiate.NEVER)))
    peers = [neighbor(spoke.name, spoke.port, neighbor=f"198.51.100.{n}") for n, spoke in enumerate(spokes)]
    hub.configure(settings("r1", *peers))
    await until(lambda: len(hub.key_table.rows()) == 10)
    await until(lambda: all(spoke.key_table.rows() for spoke in spokes))
    assert len(hub.driver.addresses()) == 1
    mine = {fingerprint(row.key) for row in hub.key_table.rows()}
    assert mine == {fingerprint(spoke.key_table.rows()[0].key) for spoke in spokes}


async def test_initiate_and_clear(make: Callable[[str], Agent]) -> None:
    r1, r2 = make("r1"), make("r2")
    r2.configure(settings("r2", neighbor("r1", r1.port, initiate=Initiate.NEVER)))
    r1.configure(settings("r1", neighbor("r2", r2.port, initiate=Initiate.NEVER)))
    r1.driver.initiate("r2")
    await until(lambda: bool(r1.key_table.rows()) and bool(r2.key_table.rows()))
    r1.driver.clear("r2")
    assert r1.key_table.rows() == ()
    await until(lambda: r2.key_table.rows() == ())
    with pytest.raises(EngineRefusal):
        r1.driver.clear("nobody")
    with pytest.raises(EngineRefusal):
        r1.driver.initiate("nobody")


async def test_a_port_that_is_taken_is_refused_and_nothing_is_bound(make: Callable[[str], Agent]) -> None:
    agent = make("r1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        listeners = {"free": Listener("free", "127.0.0.2", 0), "taken": Listener("taken", *taken.getsockname())}
        with pytest.raises(EngineRefusal, match=r"cannot listen on 127\.0\.0\.1 port .*: Address already in use"):
            agent.driver.prepare(settings("r1", listeners=listeners))
    assert set(agent.driver.addresses()) == {"default"}
    with pytest.raises(EngineRefusal, match=r"cannot listen on 203\.0\.113\.1"):
        agent.driver.prepare(settings("r1", listeners={"x": Listener("x", "203.0.113.1", 0)}))
    agent.driver.prepare(settings("r1", listeners={"x": Listener("x", "127.0.0.3", 0)})).abort()
    assert set(agent.driver.addresses()) == {"default"}


async def test_listeners_come_go_and_change_their_names(make: Callable[[str], Agent]) -> None:
    agent = make("r1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    agent.configure(settings("r1", listeners={"a": Listener("a", LOOPBACK, port), "b": Listener("b", "127.0.0.2", 0)}))
    assert agent.driver.addresses()["a"] == (LOOPBACK, port)
    assert set(agent.driver.addresses()) == {"a", "b"}
    # The same socket under another name: it is not bound twice.
    agent.configure(settings("r1", listeners={"c": Listener("c", LOOPBACK, port)}))
    assert agent.driver.addresses() == {"c": (LOOPBACK, port)}
    other = make("r2")
    other.configure(settings("r2", neighbor("r1", port, initiate=Initiate.ON_DEMAND)))
    agent.configure(
        settings(
            "r1", neighbor("r2", other.port, initiate=Initiate.NEVER), listeners={"c": Listener("c", LOOPBACK, port)}
        )
    )
    await until(lambda: bool(agent.key_table.rows()))
    agent.configure(settings("r1", enabled=False))
    assert agent.driver.addresses() == {}


@pytest.mark.skipif(not socket.has_ipv6, reason="the machine has no IPv6")
async def test_ipv6(make: Callable[[str], Agent]) -> None:
    r1, r2 = make("r1"), make("r2")
    listeners = {"six": Listener("six", "::1", 0)}
    try:
        for agent in (r1, r2):
            agent.configure(settings(agent.name, listeners=listeners))
    except EngineRefusal:
        pytest.skip("the machine has no IPv6 on loopback")
    ports = {agent.name: agent.driver.addresses()["six"][1] for agent in (r1, r2)}
    six = {"address": "::1", "neighbor": "2001:db8::1"}
    r2.configure(settings("r2", neighbor("r1", ports["r1"], initiate=Initiate.NEVER, **six), listeners=listeners))
    r1.configure(settings("r1", neighbor("r2", ports["r2"], **six), listeners=listeners))
    await until(lambda: bool(r1.key_table.rows()) and bool(r2.key_table.rows()))
    assert r1.key_table.rows()[0].peers == ("2001:db8::1",)


async def test_loss_on_the_way_is_made_good_by_timers(
    make: Callable[[str], Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    real = EngineDriver._send

    def lossy(self: EngineDriver, datagram: object) -> None:
        if chance.random() >= 0.3:
            real(self, datagram)  # type: ignore[arg-type]

    monkeypatch.setattr(EngineDriver, "_send", lossy)
    r1, r2 = make("r1"), make("r2")
    quick = replace(configuration("r1", []).ike_policies["p"])
    quick = replace(quick, retransmission=replace(quick.retransmission, initial_timeout=0.02))
    for agent, other, mode in ((r2, r1, Initiate.NEVER), (r1, r2, Initiate.ON_DEMAND)):
        wanted = settings(agent.name, neighbor(other.name, other.port, initiate=mode), ike_policies={"p": quick})
        agent.configure(wanted)
    await until(lambda: bool(r1.key_table.rows()) and bool(r2.key_table.rows()))
    assert fingerprint(r1.key_table.rows()[-1].key) in {fingerprint(row.key) for row in r2.key_table.rows()}


async def test_an_unreachable_port_is_a_hint_only(make: Callable[[str], Agent]) -> None:
    agent = make("r1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        closed = probe.getsockname()[1]
    agent.configure(settings("r1", neighbor("r2", closed), neighbor("r3", 0x7FFF, address="240.0.0.1")))
    await asyncio.sleep(0.05)
    assert agent.association("r2") is agent.association("r3") is AssociationState.NEGOTIATING
    # The host has no way to the second one, and says so at once.
    assert agent.driver.statistics()[EngineStatistic.NETWORK_ERRORS] >= 1


async def test_identities_other_than_names_work(make: Callable[[str], Agent]) -> None:
    r1, r2 = make("r1"), make("r2")
    key_id, mail = Identity.parse("key-id", "c0ffee"), Identity.parse("rfc822", "noc@example.net")
    r2.configure(
        settings("r2", neighbor("r1", r1.port, initiate=Initiate.NEVER, remote_identity=mail), local_identity=key_id)
    )
    r1.configure(settings("r1", neighbor("r2", r2.port, remote_identity=key_id), local_identity=mail))
    await until(lambda: bool(r1.key_table.rows()))


async def test_the_civil_clock_is_looked_at_again_and_again(make: Callable[[str], Agent]) -> None:
    agent = make("r1")
    timer = agent.driver._timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() <= LONGEST_SLEEP


async def test_an_error_on_a_socket_is_a_hint_only(make: Callable[[str], Agent]) -> None:
    r1, r2 = await keyed(make)

    class Complaining:
        """A socket that first reports an ICMP error, then has nothing."""

        calls = 0

        def receive(self) -> tuple[bytes, tuple[str, int], tuple[str, int]]:
            self.calls += 1
            if self.calls == 1:
                raise ConnectionRefusedError
            raise BlockingIOError

    complaining = Complaining()
    r1.driver._readable("default", complaining)  # type: ignore[arg-type]
    assert complaining.calls == 2
    assert r1.driver.statistics()[EngineStatistic.NETWORK_ERRORS] == 1
    assert r1.driver.statistics()["ike-sas"] == 1
    assert r2.driver.statistics()["ike-sas"] == 1


@pytest.mark.parametrize(("anywhere", "ours", "theirs"), [("0.0.0.0", "127.0.0.8", "127.0.0.9"), ("::", "::1", "::1")])  # noqa: S104
async def test_a_listener_on_all_addresses_answers_from_the_one_that_was_asked(
    make: Callable[[str], Agent], anywhere: str, ours: str, theirs: str
) -> None:
    r1, r2 = make("r1"), make("r2")
    six = {"neighbor": "2001:db8::1"} if ":" in ours else {}
    try:
        r2.configure(settings("r2", listeners={"any": Listener("any", anywhere, 0)}))
        r1.configure(settings("r1", listeners={"one": Listener("one", theirs, 0)}))
    except EngineRefusal:
        pytest.skip("the machine has no IPv6 on loopback")
    to, back = r2.driver.addresses()["any"][1], r1.driver.addresses()["one"][1]
    answering = neighbor("r1", back, address=theirs, initiate=Initiate.NEVER, **six)
    r2.configure(settings("r2", answering, listeners={"any": Listener("any", anywhere, 0)}))
    r1.configure(settings("r1", neighbor("r2", to, address=ours, **six), listeners={"one": Listener("one", theirs, 0)}))
    await until(lambda: bool(r1.key_table.rows()) and bool(r2.key_table.rows()))
    # It knows where it was asked, and so that nothing was translated on the way.
    (shown,) = (ike_sa for peer in r2.driver.peers() for ike_sa in peer.ike_sas)
    assert (shown.nat_local, shown.nat_remote) == (False, False)
    await r2.driver.rekey("r1", BGP)


@pytest.mark.parametrize(("anywhere", "loopback"), [("0.0.0.0", LOOPBACK), ("::", "::1")])  # noqa: S104
async def test_a_listener_on_all_addresses_opens_from_the_one_that_leads_there(
    make: Callable[[str], Agent], anywhere: str, loopback: str
) -> None:
    r1, r2 = make("r1"), make("r2")
    six = {"neighbor": "2001:db8::1"} if ":" in loopback else {}
    one, everywhere = {"one": Listener("one", loopback, 0)}, {"any": Listener("any", anywhere, 0)}
    try:
        r1.configure(settings("r1", listeners=one))
        r2.configure(settings("r2", listeners=everywhere))
    except EngineRefusal:
        pytest.skip("the machine has no IPv6 on loopback")
    to, back = r1.driver.addresses()["one"][1], r2.driver.addresses()["any"][1]
    r1.configure(settings("r1", neighbor("r2", back, address=loopback, initiate=Initiate.NEVER, **six), listeners=one))
    r2.configure(settings("r2", neighbor("r1", to, address=loopback, **six), listeners=everywhere))
    await until(lambda: bool(r1.key_table.rows()) and bool(r2.key_table.rows()))
    for agent in (r1, r2):
        (shown,) = (ike_sa for peer in agent.driver.peers() for ike_sa in peer.ike_sas)
        assert (shown.nat_local, shown.nat_remote) == (False, False)


def test_the_address_that_leads_somewhere_is_told_without_a_word() -> None:
    assert source_towards((LOOPBACK, 500)) == LOOPBACK
    assert source_towards(("not an address", 500)) is None


async def test_a_second_port_serves_peers_behind_translators(make: Callable[[str], Agent]) -> None:
    free: list[int] = []
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            free.append(probe.getsockname()[1])
    agent, other = make("r1"), make("r2")
    listeners = {"a": Listener("a", LOOPBACK, *free)}
    agent.configure(settings("r1", neighbor("r2", other.port, initiate=Initiate.NEVER), listeners=listeners))
    assert agent.driver.addresses() == {"a": (LOOPBACK, free[0])}
    other.configure(settings("r2", neighbor("r1", free[1])))
    await until(lambda: bool(agent.key_table.rows()) and bool(other.key_table.rows()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError, match="in use"):
        taken.bind((LOOPBACK, free[1]))
