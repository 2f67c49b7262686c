"""Whole agents without input or output: datastores, engine, key table and northbound on one virtual clock and network.

An :class:`Agent` is what the daemon builds, but for sockets and SSH: its engine is run by :class:`VirtualDriver`, and
:class:`Desk` stands for the NETCONF server, made of its very parts.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema
from rkmp.engine import (
    Engine,
    EngineConfiguration,
    EngineEvent,
    Listener,
    PeerSnapshot,
    RequestCompleted,
)
from rkmp.errors import EngineRefusal
from rkmp.instant import Instant
from rkmp.keytable import KeyTable
from rkmp.netconf import Client, NetconfServer
from rkmp.netconf.access_control import AccessControl
from rkmp.netconf.handlers import Handler, HandlerRegistry, Invocation, PathStep
from rkmp.netconf.operational import EntryNames, EntryProvider, OperationalState, StateProvider
from rkmp.northbound import Northbound
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.northbound.world import NAMESPACES, PreparedFake, schema

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
DELAY = 0.01
"""Seconds that a datagram travels."""
SESSION = 7


class World:
    """The clock, the network and the agents on it."""

    def __init__(self, seed: int = 1, *, has_netconf: bool = False) -> None:
        """``has_netconf``: agents have a NETCONF server in the place of a desk."""
        self.now = 0.0
        self.has_netconf = has_netconf
        self.random = random.Random(seed)
        self.ruled: set[str] = set()
        """The users to whom access control applies."""
        self.agents: dict[str, Agent] = {}
        self.is_cut = False
        self._in_flight: list[tuple[float, int, tuple[str, int], tuple[str, int], bytes]] = []
        self._order = itertools.count()

    def agent(self, name: str, address: str) -> Agent:
        """Start a router."""
        agent = self.agents[address] = Agent(self, name, address, Database(IN_MEMORY))
        return agent

    def restart(self, agent: Agent) -> Agent:
        """Lose everything of ``agent`` but its disk, and start it again."""
        again = self.agents[agent.address] = Agent(self, agent.name, agent.address, agent.database)
        return again

    def instant(self) -> Instant:
        return Instant(self.now, self.wall())

    def wall(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.now)

    def send(self, source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
        if not self.is_cut:
            heapq.heappush(self._in_flight, (self.now + DELAY, next(self._order), source, destination, data))

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        end = self.now + seconds
        while (moment := self._next()) is not None and moment <= end:
            self.now = max(self.now, moment)
            while self._in_flight and self._in_flight[0][0] <= self.now:
                _, _, source, destination, data = heapq.heappop(self._in_flight)
                if destination[0] in self.agents:
                    self.agents[destination[0]].driver.receive(data, destination, source)
            for agent in self.agents.values():
                agent.wake()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit: float = 60.0) -> None:
        """Let time pass until ``condition`` holds."""
        end = self.now + limit
        while not condition():
            assert self.now < end, "it did not come to that"
            self.run(0.1)

    def _next(self) -> float | None:
        moments = [self._in_flight[0][0]] if self._in_flight else []
        moments += [moment for agent in self.agents.values() if (moment := agent.next_moment()) is not None]
        return min(moments, default=None)


class VirtualDriver:
    """Runs an engine as :class:`rkmp.engine.EngineDriver` does, on a :class:`World`."""

    def __init__(self, world: World, engine: Engine, default: Listener) -> None:
        self.engine = engine
        self._world = world
        self._default = default
        self._listeners: dict[str, Listener] = {}
        self._subscribers: list[Callable[[EngineEvent, datetime], None]] = []
        self._watchers: list[Callable[[frozenset[str]], None]] = []
        self._requests: dict[int, asyncio.Future[str]] = {}

    def prepare(self, configuration: EngineConfiguration) -> PreparedFake:
        prepared = self.engine.prepare(configuration)
        listeners = list(configuration.listeners.values()) or [self._default]

        def apply() -> None:
            wanted = {listener.name: listener for listener in listeners} if configuration.enabled else {}
            self._listeners |= wanted
            self.engine.apply(prepared, self._world.instant())
            # What it says to peers that it leaves is said from where they know it.
            self.pump()
            self._listeners = wanted

        return PreparedFake(apply, lambda: None)

    async def rekey(self, peer: str, protocol: int) -> str:
        request = self.engine.rekey(peer, protocol, self._world.instant())
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._requests[request] = outcome
        self.pump()
        return await outcome

    def initiate(self, peer: str) -> None:
        self.engine.initiate(peer, self._world.instant())
        self.pump()

    def clear(self, peer: str) -> None:
        self.engine.clear(peer, self._world.instant())
        self.pump()

    def addresses(self) -> Mapping[str, tuple[str, int]]:
        return {name: (listener.address, listener.port) for name, listener in self._listeners.items()}

    def peers(self) -> tuple[PeerSnapshot, ...]:
        return self.engine.peers(self._world.instant())

    def statistics(self) -> Mapping[str, int]:
        return self.engine.statistics()

    def subscribe(self, subscriber: Callable[[EngineEvent, datetime], None]) -> None:
        self._subscribers.append(subscriber)

    def peer(self, name: str) -> PeerSnapshot | None:
        return self.engine.peer(name, self._world.instant())

    def watch(self, watcher: Callable[[frozenset[str]], None]) -> None:
        self._watchers.append(watcher)

    def receive(self, data: bytes, destination: tuple[str, int], source: tuple[str, int]) -> None:
        for listener in self._listeners.values():
            if listener.address == destination[0] and destination[1] in (listener.port, listener.marked_port):
                self.engine.receive(data, listener.name, source, self._world.instant(), destination)
                self.pump()
                return

    def pump(self) -> None:
        for event in self.engine.events():
            self._tell(event)
        for datagram in self.engine.datagrams():
            address = self._listeners[datagram.listener].address
            self._world.send((address, datagram.local[1]), datagram.remote, datagram.data)
        if changed := self.engine.changed():
            for watcher in self._watchers:
                watcher(changed)

    def _tell(self, event: EngineEvent) -> None:
        if not isinstance(event, RequestCompleted):
            for subscriber in self._subscribers:
                subscriber(event, self._world.wall())
            return
        outcome = self._requests.pop(event.request)
        if event.key_name is not None:
            outcome.set_result(event.key_name)
        else:
            outcome.set_exception(EngineRefusal(event.error or ""))


@dataclass
class Desk:
    """What the northbound plugs into, in the place of the NETCONF server; one operator sits at it."""

    state: OperationalState
    handlers: HandlerRegistry
    heard: list[tuple[datetime, etree._Element]] = field(default_factory=list)

    def provide_state(self, tag: str, provider: StateProvider, *, of_entries: EntryProvider | None = None) -> None:
        self.state.register(tag, provider, of_entries=of_entries)

    def handle(self, path: Sequence[str], handler: Handler) -> None:
        self.handlers.register(path, handler)

    def publish(self, event_time: datetime, event: etree._Element) -> None:
        self.heard.append((event_time, event))

    def tell_state_changes(self, tag: str, excepted: Collection[tuple[str, ...]] = ()) -> None:
        assert all(path[0] == tag for path in excepted)

    def state_changed(self, tag: str, entries: EntryNames | None = None) -> None:
        assert tag


class Agent:
    """One router."""

    def __init__(self, world: World, name: str, address: str, database: Database) -> None:
        self.name = name
        self.address = address
        self.database = database
        self.world = world
        draw = random.Random(world.random.random()).randbytes
        sealer = functools.partial(Sealer, KeyEncryptionKey(Secret(bytes(32))))
        self.key_table = KeyTable(database, sealer("key-table"), draw)
        default = Listener("default", address)
        self.engine = Engine(self.key_table, draw, default_listener=default)
        self.driver = VirtualDriver(world, self.engine, default)
        self.desk = Desk(OperationalState(), HandlerRegistry(self.schema))
        self.datastores = Datastores(self.schema, database, sealer("datastores"), draw, world.wall)
        self.server = None
        if world.has_netconf:
            self.server = NetconfServer(
                self.datastores, clock=world.wall, is_recovery=lambda user: user not in world.ruled
            )
        door = self.server or self.desk
        self.northbound = Northbound(self.datastores, self.driver, self.key_table, door, world.wall)
        self.northbound.start()

    @property
    def schema(self) -> Schema:
        return schema()

    def next_moment(self) -> float | None:
        change = self.key_table.next_change(self.world.wall())
        moments = [self.engine.next_timer()]
        if change is not None:
            moments.append((change - BEGINNING) / timedelta(seconds=1))
        return min((moment for moment in moments if moment is not None), default=None)

    def wake(self) -> None:
        self.key_table.handle_time(self.world.wall())
        self.engine.handle_timer(self.world.instant())
        self.driver.pump()

    # What the operator does and sees.

    def edit(self, config: etree._Element, **options: Any) -> None:
        """edit-config of running."""
        self.datastores.edit("running", config, session_id=SESSION, **options)

    def get(self) -> etree._Element:
        """Return configuration and state together."""
        return self.desk.state.build(self.datastores.tree("running"), lambda _: True)

    def text(self, path: str) -> str | None:
        """Return the text of the one leaf at ``path`` below configuration and state."""
        found = self.get().xpath(path, namespaces=NAMESPACES)
        assert len(found) <= 1, f"{path} is there {len(found)} times"
        return found[0].text if found else None

    def association(self, peer: str, leaf: str, protocol: str = "bgp") -> str | None:
        """Return a leaf of the state of an association."""
        return self.text(f"r:rkmp/r:peer[r:name='{peer}']/r:association[r:protocol='{protocol}']/r:{leaf}")

    def key_rows(self) -> list[dict[str, str]]:
        """Return the entries of the key table, as texts by name."""
        entries = self.get().xpath("k:key-table/k:key", namespaces=NAMESPACES)
        return [{etree.QName(leaf).localname: leaf.text or "" for leaf in entry.iterdescendants()} for entry in entries]

    def heard(self, name: str) -> list[dict[str, str]]:
        """Return the notifications of one name so far, as texts by name."""
        return [
            {etree.QName(leaf).localname: leaf.text or "" for leaf in event}
            for _, event in self.desk.heard
            if etree.QName(event).localname == name
        ]

    async def act(self, *steps: PathStep, action: str) -> Sequence[etree._Element] | None:
        """Carry out an action on the instance that ``steps`` name."""
        path = (*(step.tag for step in steps), action)
        node = self.schema.node_at(path)
        assert node is not None
        handler = self.desk.handlers.get(node)
        assert handler is not None
        reader = AccessControl(self.schema).access_of(Client("admin", "192.0.2.99", "netconf-ssh")).reader
        return await handler(
            Invocation(node, etree.Element(action), steps, username="admin", session_id=SESSION, reader=reader)
        )
