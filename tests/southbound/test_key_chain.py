"""Key chains of a router without rkmp, kept through a NETCONF server that is there: rollovers, faults, restarts."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ncclient.operations.edit import Commit
from ncclient.transport import session as ncclient_session

from rkmp.keytable import KeyRow, KeyTable, Lifetime
from rkmp.secret import Secret
from rkmp.southbound import (
    ConsumerReport,
    FeedStatus,
    KeyIds,
    NetconfNeighbor,
    NetconfServerConfiguration,
    Southbound,
    SouthboundConfiguration,
)
from rkmp.southbound import feed as feed_module
from rkmp.southbound.chain_documents import RemoteChain
from tests.keytable.rows import PEER, SECRET_OCTETS, memory_table, negotiated_row
from tests.southbound.router import ALL_FEATURES, KEY_CHAIN, PASSWORD, USER, Kind, Router, until

OTHER_PEER = "192.0.2.3"


def now() -> datetime:
    return datetime.now(UTC)


def row(number: int, start: float = 0, end: float = 3600, peer: str = PEER, **changes: object) -> KeyRow:
    """Return a key that is sent with between two instants in seconds from now, and accepted already."""
    base, accepted = now(), min(start, 0) - 1
    fields: dict[str, object] = {
        "peers": (peer,),
        "local_key_name": f"{number:02x}",
        "peer_key_name": f"{number + 16:02x}",
        "send_lifetime": Lifetime(base + timedelta(seconds=start), base + timedelta(seconds=end)),
        "accept_lifetime": Lifetime(base + timedelta(seconds=accepted), base + timedelta(seconds=end + 60)),
        "key": Secret(SECRET_OCTETS + bytes([number])),
    }
    return negotiated_row(f"key-{number}", **(fields | changes))


def key_id(number: int) -> int:
    return (number + 16) * 256 + number


@dataclass
class Agent:
    """The part of an agent that gives keys away, with a key table; a crash of it is another one with the same table."""

    router: Router
    chain: str
    table: KeyTable = field(default_factory=memory_table)
    changes: dict[str, object] = field(default_factory=dict)
    reports: list[ConsumerReport] = field(default_factory=list)
    _is_stopped: bool = False

    def __post_init__(self) -> None:
        self.southbound = Southbound(self.table, now, "rkmpd of a test")
        self.southbound.subscribe(lambda event, _: self._take(event))

    def _take(self, event: object) -> None:
        assert isinstance(event, ConsumerReport)
        self.reports.append(event)

    async def stop(self) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            await self.southbound.close()

    def configure(self, **changes: object) -> None:
        server = NetconfServerConfiguration(
            name="core",
            host="127.0.0.1",
            port=self.router.port,
            user=USER,
            private_key=Secret(self.router.private_key),
            password=None,
            host_keys=(self.router.host_key,),
            trusts_any_host_key=False,
            timeout=10,
            reconcile_interval=300,
            clock_tolerance=30,
            key_ids=KeyIds.BOTH,
            neighbors=(NetconfNeighbor(PEER, "bgp", self.chain),),
        )
        self.changes |= changes
        server = replace(server, **self.changes)  # type: ignore[arg-type]
        self.southbound.configure(SouthboundConfiguration(netconf_servers={"core": server}))

    def install(self, *rows: KeyRow) -> None:
        with self.table.transaction(now()) as change:
            for each in rows:
                (change.install if self.table.get(each.admin_key_name) is None else change.update)(each)

    @property
    def status(self) -> FeedStatus:
        return self.southbound.key_chains()[0][1]

    @property
    def error(self) -> str:
        """Why the feed is not responding; nothing while it is."""
        return self.status.last_error or ""

    async def settled(self, *numbers: int) -> None:
        """Wait until the router has these keys, of which the last is preferred, and there is nothing left to do."""
        names = [f"key-{number}" for number in numbers]

        def done() -> bool:
            holding = self.status.holding
            is_done = sorted(held.key.name for held in holding.keys) == sorted(names)
            return is_done and holding.preferred == names[-1] and self.status.state.value == "synchronised"

        await until(done)

    def shown(self) -> RemoteChain:
        found = self.router.chain(self.chain)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """A router that nobody does any harm to; each test has a chain of its own."""
    made = Router(tmp_path_factory.mktemp("router"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def own_router(tmp_path: Path) -> Iterator[Router]:
    """A router for a test that breaks it; not started yet."""
    made = Router(tmp_path)
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "FIRST_RETRY", 0.2)
    monkeypatch.setattr(feed_module, "LAST_RETRY", 0.5)
    # How often ncclient looks whether there is something to send.
    monkeypatch.setattr(ncclient_session, "TICK", 0.01)


@asynccontextmanager
async def serving(router: Router, chain: str, **changes: object) -> AsyncIterator[Agent]:
    agent = Agent(router, chain)
    agent.configure(**changes)
    try:
        yield agent
    finally:
        await agent.stop()


@asynccontextmanager
async def restarted(agent: Agent) -> AsyncIterator[Agent]:
    """End an agent as a crash does, and start it again with what is on its disk."""
    await agent.stop()
    again = Agent(agent.router, agent.chain, agent.table, agent.changes)
    again.configure()
    try:
        yield again
    finally:
        await again.stop()


# What it does


async def test_a_rollover_goes_in_steps_and_foreign_keys_stay(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    router.edit(
        "<key-chain><name>rolls</name><description>to the peer</description><key><key-id>7</key-id>"
        "<lifetime><send-lifetime><start-date-time>2020-01-01T00:00:00Z</start-date-time></send-lifetime>"
        "</lifetime><crypto-algorithm>md5</crypto-algorithm></key></key-chain>"
    )
    with caplog.at_level(logging.DEBUG):
        async with serving(router, "rolls") as agent:
            agent.install(row(1))
            await agent.settled(1)
            assert agent.status.usage is not None
            assert agent.status.usage.sending == {"key-1"}
            agent.install(row(2, 1.5, 7200))
            await until(lambda: len(agent.status.holding.keys) == 2)
            assert agent.status.holding.preferred == "key-1"
            await agent.settled(1, 2)
            shown = agent.shown()
            assert shown.description == f"to the peer [rkmpd: {key_id(1)} {key_id(2)}]"
            assert shown.keys.keys() == {7, key_id(1), key_id(2)}
            # The older is sent with for a while beside the newer one, for a clock that is behind.
            assert shown.sending is not None
            assert shown.sending == {7, key_id(1), key_id(2)}
            agent.table.remove("key-1", now(), "replaced")
            await agent.settled(2)
            assert agent.shown().keys.keys() == {7, key_id(2)}
            assert agent.reports == []
            link = agent.southbound.link("core")
            assert link is not None
            assert link.last_pushed is not None
    assert SECRET_OCTETS.hex() not in caplog.text.replace(":", "")
    assert "consumer core: prefer key-2" in caplog.text


async def test_lifetimes_follow_those_of_the_key_table(router: Router) -> None:
    async with serving(router, "follows") as agent:
        agent.install(row(1))
        await agent.settled(1)
        steps, longer = agent.status.steps, row(1, 0, 9000)
        agent.install(longer)
        end = longer.send_lifetime.end
        assert end is not None
        await until(lambda: agent.shown().keys[key_id(1)].send_lifetime.end_or(now()) >= end)
        assert agent.status.steps == steps


async def test_the_last_key_leaves_an_empty_chain_and_disabling_leaves_everything(router: Router) -> None:
    async with serving(router, "ends") as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.configure(enabled=False)
        assert agent.southbound.key_chains() == []
        assert agent.southbound.link("core") is None
        agent.table.remove("key-1", now(), "replaced")
        assert agent.shown().keys.keys() == {key_id(1)}
        agent.configure(enabled=True)
        # What is ours there by the chain's own words, and in no key table any more.
        await until(lambda: agent.status.state.value == "without-keys")
        assert (agent.shown().keys, agent.shown().description) == ({}, "[rkmpd:]")


async def test_neighbors_share_a_session_and_not_a_chain(router: Router) -> None:
    neighbors = (NetconfNeighbor(PEER, "bgp", "shared-a"), NetconfNeighbor(OTHER_PEER, "bgp", "shared-b"))
    async with serving(router, "shared-a", neighbors=neighbors) as agent:
        agent.install(row(1), row(2, peer=OTHER_PEER))
        await until(lambda: all(feed.state.value == "synchronised" for _, feed in agent.southbound.key_chains()))
        assert agent.shown().keys.keys() == {key_id(1)}
        other = router.chain("shared-b")
        assert other is not None
        assert other.keys.keys() == {key_id(2)}


@pytest.mark.parametrize("skew", [-25, 25])
async def test_a_clock_that_is_off_changes_nothing(own_router: Router, skew: float) -> None:
    own_router.kind = Kind(skew=skew, has_tcp=True)
    own_router.start()
    async with serving(own_router, "skewed", key_ids=KeyIds.SEND_ID) as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.install(row(2, 1.5, 7200))
        await until(lambda: len(agent.status.holding.keys) == 2)
        # Early: nobody sends with the new one yet. Late: it is sent with as soon as it is to be.
        assert (18 in (agent.shown().sending or ())) is False
        await agent.settled(1, 2)
        assert 18 in (agent.shown().sending or ())


# What goes wrong


async def test_a_server_that_comes_later_is_waited_for(own_router: Router) -> None:
    own_router.start()
    own_router.kill()
    async with serving(own_router, "late") as agent:
        agent.install(row(1))
        await until(lambda: "nobody answers there" in agent.error)
        await until(lambda: agent.status.state.value == "not-responding")
        own_router.start()
        await agent.settled(1)
    assert [report.reason is None for report in agent.reports] == [False, True]


@pytest.mark.parametrize("which", [1, 2])
async def test_a_server_that_dies_in_the_middle_of_a_change_has_the_keys_of_before_and_then_all(
    own_router: Router, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """Before the commit, and before it is confirmed."""
    own_router.start()
    real: Callable[..., object] = Commit.request
    deaths: list[int] = []
    async with serving(own_router, "dies", timeout=3) as agent:
        agent.install(row(1))
        await agent.settled(1)

        def dying(self: Commit, *arguments: object, **options: object) -> object:
            deaths.append(1)
            if len(deaths) == which:
                own_router.kill()
            return real(self, *arguments, **options)

        monkeypatch.setattr(Commit, "request", dying)
        agent.install(row(2))
        await until(lambda: agent.error != "")
        own_router.start()
        await agent.settled(1, 2)
        assert agent.shown().keys.keys() == {key_id(1), key_id(2)}
    assert [report.reason is None for report in agent.reports] == [False, True]


async def test_a_server_that_restarts_between_changes_is_looked_at_again(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "restarts") as agent:
        agent.install(row(1))
        await agent.settled(1)
        own_router.kill()
        (own_router.folder / "router.db").unlink()
        own_router.start()
        await until(lambda: own_router.chain("restarts") is not None and bool(agent.shown().keys))
        await agent.settled(1)


async def test_a_server_that_hangs_is_given_up_in_time_and_stops_nobody(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "hangs", timeout=1) as agent:
        agent.install(row(1))
        await agent.settled(1)
        os.kill(own_router.pid, signal.SIGSTOP)
        agent.install(row(2))
        longest, loop = 0.0, asyncio.get_running_loop()
        while "does not answer within 1 s" not in agent.error:
            before = loop.time()
            await asyncio.sleep(0.02)
            longest = max(longest, loop.time() - before)
        assert longest < 0.5
        os.kill(own_router.pid, signal.SIGCONT)
        await agent.settled(1, 2)


async def test_another_host_key_gets_no_credentials(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "changed", private_key=None, password=Secret(PASSWORD.encode())) as agent:
        agent.install(row(1))
        await agent.settled(1)
        known = own_router.host_key
        own_router.kill()
        (own_router.folder / "host_key").unlink()
        own_router.start()
        await until(lambda: "does not show a host key that is configured" in agent.error)
        agent.configure(host_keys=(known, own_router.host_key))
        await agent.settled(1)
        agent.configure(host_keys=(), trusts_any_host_key=True)
        await agent.settled(1)


async def test_whom_the_server_does_not_know_is_told_so(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(router, "nobody", user="mallory", password=Secret(b"hunter2hunter2")) as agent:
            await until(lambda: "does not accept user 'mallory'" in agent.error)
            agent.configure(user=USER)
            await until(lambda: agent.status.state.value == "without-keys")
    assert "hunter2" not in caplog.text


async def test_a_lock_of_somebody_else_is_waited_for(router: Router) -> None:
    async with serving(router, "locked") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        with router.connect() as operator:
            operator.lock("running")
            agent.install(row(1))
            await until(lambda: "lock-denied: " in agent.error)
            assert f"by session {operator.session_id}" in agent.error
            operator.unlock("running")
        await agent.settled(1)


async def test_what_somebody_has_not_committed_is_left_alone(router: Router) -> None:
    async with serving(router, "theirs") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        with router.connect() as operator:
            operator.edit_config(
                target="candidate",
                config=f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><key-chains xmlns="{KEY_CHAIN}">'
                "<key-chain><name>half done</name></key-chain></key-chains></config>",
            )
            agent.install(row(1))
            await until(lambda: "lock-denied" in agent.error)
            assert "half done" in operator.get_config("candidate").data_xml
            assert router.chain("half done") is None
            operator.discard_changes()
        await agent.settled(1)


async def test_a_refusal_is_told_with_its_path_and_without_the_key(own_router: Router) -> None:
    own_router.kind = Kind(may_write=False)
    own_router.start()
    async with serving(own_router, "refused") as agent:
        agent.install(row(1))
        await until(lambda: "access-denied" in agent.error)
        assert "key-chain[key-chain:name='refused']" in agent.error
        assert SECRET_OCTETS.hex() not in agent.error.replace(":", "")


async def test_what_is_changed_by_hand_is_put_right_and_what_is_not_ours_is_not(router: Router) -> None:
    async with serving(router, "by-hand", reconcile_interval=1) as agent:
        agent.install(row(1), row(2))
        await agent.settled(1, 2)
        before = agent.shown()
        router.edit(
            f"<key-chain><name>by-hand</name><description>mine [rkmpd: {key_id(1)} {key_id(2)} 99]</description>"
            f'<key nc:operation="delete"><key-id>{key_id(1)}</key-id></key>'
            f"<key><key-id>{key_id(2)}</key-id><crypto-algorithm>md5</crypto-algorithm></key>"
            "<key><key-id>98</key-id><crypto-algorithm>md5</crypto-algorithm></key>"
            "<key><key-id>99</key-id><crypto-algorithm>md5</crypto-algorithm></key></key-chain>"
        )
        await until(lambda: agent.shown().keys.keys() == {98, key_id(1), key_id(2)})
        after = agent.shown()
        assert after.keys[key_id(1)] == before.keys[key_id(1)]
        assert after.keys[key_id(2)] == before.keys[key_id(2)]
        assert after.description == f"mine [rkmpd: {key_id(1)} {key_id(2)}]"
        assert agent.reports == []


@pytest.mark.parametrize("shows_strings", [True, False])
async def test_an_agent_that_was_killed_goes_on_from_what_the_router_has(
    own_router: Router, shows_strings: bool
) -> None:
    own_router.kind = Kind(shows_strings=shows_strings)
    own_router.start()
    async with serving(own_router, "survives") as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.install(row(2, 2, 7200))
        await until(lambda: len(agent.status.holding.keys) == 2)
        before = agent.shown()
        async with restarted(agent) as again:
            await until(lambda: len(again.status.holding.keys) == 2)
            assert again.status.holding.preferred == "key-1"
            assert again.shown().keys == before.keys
            await again.settled(1, 2)
            assert again.status.steps == 1
            assert again.reports == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind(has_key_chains=False), "the server does not have ietf-key-chain (RFC 8177)"),
        (Kind(features=ALL_FEATURES[1:]), "takes the feature hex-key-string; the server lacks it"),
    ],
)
async def test_what_a_server_does_not_support_is_said(own_router: Router, kind: Kind, words: str) -> None:
    own_router.kind = kind
    own_router.start()
    async with serving(own_router, "lacks") as agent:
        agent.install(row(1))
        await until(lambda: words in agent.error)


async def test_a_server_with_one_lifetime_and_text_alone_gets_what_it_can_have(own_router: Router) -> None:
    own_router.kind = Kind(features=("crypto-hmac-sha-1-12",))
    own_router.start()
    async with serving(own_router, "plain") as agent:
        agent.install(row(1, key=Secret(b"a key that is text")))
        await agent.settled(1)
        (shown,) = agent.shown().keys.values()
        assert shown.send_lifetime == shown.accept_lifetime
