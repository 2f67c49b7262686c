"""The part of an agent that gives keys to routers without rkmp, for tests of it against one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

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
from rkmp.southbound.chain_documents import RemoteChain
from tests.keytable.rows import PEER, SECRET_OCTETS, memory_table, negotiated_row
from tests.southbound.router import USER, Router, until

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
    ahead: float = 0
    _is_stopped: bool = False

    def __post_init__(self) -> None:
        self.southbound = Southbound(self.table, self.clock, "rkmpd of a test")
        self.southbound.subscribe(lambda event, _: self._take(event))

    def clock(self) -> datetime:
        return now() + timedelta(seconds=self.ahead)

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass for the agent, and none for the router; its ``clock_tolerance`` should allow that."""
        self.ahead += seconds
        self.southbound.look()

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
    again = Agent(agent.router, agent.chain, agent.table, agent.changes, ahead=agent.ahead)
    again.configure()
    try:
        yield again
    finally:
        await again.stop()
