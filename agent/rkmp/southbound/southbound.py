"""Everybody who gets keys, as configured: one feed for each consumer, neighbor and protocol, woken by the key table."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rkmp.keytable import KeyTable
from rkmp.log_context import about
from rkmp.southbound.bird import BirdConsumer
from rkmp.southbound.bird_control import ControlSocket
from rkmp.southbound.configuration import (
    BirdConfiguration,
    HookConfiguration,
    KeySocketConfiguration,
    NetconfServerConfiguration,
    SouthboundConfiguration,
)
from rkmp.southbound.feed import Consumer, ConsumerReport, FeedStatus, KeyFeed
from rkmp.southbound.feeds import Feeds
from rkmp.southbound.hook import MOST_AT_ONCE, HookConsumer
from rkmp.southbound.key_chain import KeyChainConsumer
from rkmp.southbound.key_session import KeySession
from rkmp.southbound.key_socket import KeySocket
from rkmp.southbound.netconf_link import RouterLink
from rkmp.southbound.permissions import KeyAccessRefused, Permitted, Refusals

_log = logging.getLogger(__name__)

FRESH_BIRD, FRESH_HOOK = 10.0, 60.0
"""Seconds for which usage is shown before it is asked for again: a command to a BIRD, a process or a request."""

Subscriber = Callable[[ConsumerReport | KeyAccessRefused, datetime], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """One consumer's share: ``made_from`` is its configuration with this neighbor alone, which makes another one when
    it changes; other neighbors may come and go.
    """

    kind: str
    neighbor: str
    protocol: str
    made_from: BirdConfiguration | HookConfiguration | NetconfServerConfiguration

    def __hash__(self) -> int:
        return hash((self.kind, self.made_from.name, self.neighbor, self.protocol))


class Southbound:
    """Gives keys to consumers; needs a running event loop.

    ``agent`` is how clients of the key API are told the agent's name; ``clock`` returns the time now, aware, in UTC.
    """

    def __init__(self, table: KeyTable, clock: Callable[[], datetime], agent: str) -> None:
        self._table = table
        self._clock = clock
        self._agent = agent
        self._feeds: dict[_Place, tuple[KeyFeed, asyncio.Task[None]]] = {}
        self._all_feeds = Feeds()
        self._controls: dict[str, ControlSocket] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._links: dict[str, RouterLink] = {}
        self._key_socket: KeySocket | None = None
        self._refusals = Refusals()
        self._closing: set[asyncio.Task[None]] = set()
        self._subscribers: list[Subscriber] = []
        self._unsubscribe = table.subscribe(self._all_feeds.wake)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call ``subscriber`` when a consumer stops doing what it is asked to, when it does so again, and when a
        program asks for keys that it may not read.
        """
        self._subscribers.append(subscriber)

    def configure(self, configuration: SouthboundConfiguration) -> None:
        """Serve those in ``configuration`` and no others; what did not change goes on undisturbed."""
        wanted = set(_places(configuration))
        for place in [place for place in self._feeds if place not in wanted]:
            self._end(place).cancel()
        self._connect(configuration.netconf_servers)
        for place in wanted - self._feeds.keys():
            self._start(place)
        self._listen(configuration.key_socket)

    def birds(self) -> list[tuple[str, FeedStatus]]:
        """Return the status of each feed of a BIRD, by the BIRD's name."""
        return self._statuses("bird")

    def hooks(self) -> list[tuple[str, FeedStatus]]:
        """Return the status of each feed of a hook, by the hook's name."""
        return self._statuses("hook")

    def key_chains(self) -> list[tuple[str, FeedStatus]]:
        """Return the status of each feed of a router's key chain, by the name of its NETCONF server."""
        return self._statuses("key-chain")

    def link(self, name: str) -> RouterLink | None:
        """Return the session with the NETCONF server of that name, None where it is not in use."""
        return self._links.get(name)

    def clients(self) -> list[tuple[str, FeedStatus]]:
        """Return the status of each subscription on the key API, by the program's own name."""
        sessions = self._key_socket.sessions if self._key_socket is not None else ()
        return [(status.consumer, status) for session in sessions for status in session.statuses()]

    def consumers(self) -> Iterator[tuple[str, str, FeedStatus]]:
        """Return whoever takes keys: its kind, its name and its status with one neighbor and protocol."""
        for place, (feed, _) in self._feeds.items():
            yield place.kind, place.made_from.name, feed.status
        for name, status in self.clients():
            yield "key-socket", name, status

    def key_socket(self) -> KeySocket | None:
        """Return the key API's socket, if there is to be one."""
        return self._key_socket

    def refusals(self) -> int:
        """Return how often programs asked for keys that they may not read."""
        return self._refusals.count

    def refresh(self) -> None:
        """Have those asked what their connections use who do not tell by themselves, where that is not fresh."""
        for feed, _ in self._feeds.values():
            feed.refresh()

    def look(self) -> None:
        """Look at the key table now: the clock has been set."""
        for feed in self._all_feeds:
            feed.wake()

    async def close(self) -> None:
        """Let go of every consumer; what each has it keeps."""
        self._unsubscribe()
        tasks = [self._end(place) for place in tuple(self._feeds)]
        for task in tasks:
            task.cancel()
        self._connect({})
        self._listen(None)
        await asyncio.gather(*tasks, *self._closing, return_exceptions=True)

    def _start(self, place: _Place) -> None:
        consumer = self._consumer(place)
        feed = KeyFeed(
            consumer=consumer,
            table=self._table,
            neighbor=place.neighbor,
            protocol=place.protocol,
            clock=self._clock,
            report=self._report,
        )
        if isinstance(consumer, KeyChainConsumer):
            feed.keep, feed.audit, feed.fresh = consumer.keep, consumer.audit, FRESH_HOOK
        elif isinstance(consumer, BirdConsumer):
            feed.keep, feed.fresh = consumer.keep, FRESH_BIRD
        else:
            feed.fresh = FRESH_HOOK
        self._all_feeds.add(feed)
        self._feeds[place] = feed, feed.start()

    def _end(self, place: _Place) -> asyncio.Task[None]:
        """Forget a feed; return its task, which is to be cancelled."""
        feed, task = self._feeds.pop(place)
        self._all_feeds.discard(feed)
        return task

    def _connect(self, servers: Mapping[str, NetconfServerConfiguration]) -> None:
        # With the neighbors left out: the session is one for all of them.
        wanted = {server.name: replace(server, neighbors=()) for server in servers.values() if server.enabled}
        for name in [name for name, link in self._links.items() if wanted.get(name) != link.configuration]:
            self._links.pop(name).close()
        for name in wanted.keys() - self._links.keys():
            self._links[name] = RouterLink(wanted[name], self._clock, functools.partial(self._doubt, name))

    def _doubt(self, name: str) -> None:
        """Look at the key chains of a router again: the session with it has ended, so that it may have begun anew."""
        for place, (feed, _) in self._feeds.items():
            if place.kind == "key-chain" and place.made_from.name == name:
                feed.doubt()

    def _consumer(self, place: _Place) -> Consumer:
        if isinstance(place.made_from, HookConfiguration):
            turns = self._turns.setdefault(place.made_from.name, asyncio.Semaphore(MOST_AT_ONCE))
            return HookConsumer(place.made_from, place.neighbor, place.protocol, self._table, turns)
        if isinstance(place.made_from, NetconfServerConfiguration):
            (neighbor,) = place.made_from.neighbors
            return KeyChainConsumer(neighbor, self._links[place.made_from.name], self._table, self._clock)
        bird = place.made_from
        return BirdConsumer(
            name=bird.name,
            protocol=bird.neighbors[place.neighbor],
            directory=Path(bird.include_directory),
            control=self._controls.setdefault(bird.control_socket, ControlSocket(Path(bird.control_socket))),
        )

    def _listen(self, wanted: KeySocketConfiguration | None) -> None:
        before = self._key_socket
        if before is not None and before.configuration == wanted:
            return
        self._refusals.forget()
        if before is not None and wanted is not None and before.configuration.path == wanted.path:
            before.permit(wanted)
            return
        if before is not None:
            task = asyncio.get_running_loop().create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._key_socket = KeySocket(wanted, self._session, self._refuse) if wanted is not None else None

    def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, permitted: Permitted) -> KeySession:
        return KeySession(
            reader=reader,
            writer=writer,
            agent=self._agent,
            table=self._table,
            clock=self._clock,
            report=self._report,
            permitted=permitted,
            refused=self._refuse,
            all_feeds=self._all_feeds,
        )

    def _refuse(self, refusal: KeyAccessRefused) -> None:
        if self._refusals.is_news(refusal):
            _log.warning("key socket: %s", refusal.reason)
            self._tell(refusal)

    def _statuses(self, kind: str) -> list[tuple[str, FeedStatus]]:
        return [(place.made_from.name, feed.status) for place, (feed, _) in self._feeds.items() if place.kind == kind]

    def _report(self, report: ConsumerReport) -> None:
        where = f"{report.consumer}, {report.protocol} with {report.neighbor}"
        extra = about(consumer=report.consumer, neighbor=report.neighbor, protocol=report.protocol)
        if report.reason is not None:
            _log.warning("consumer %s does not respond: %s", where, report.reason, extra=extra)
        else:
            _log.info("consumer %s responds", where, extra=extra)
        self._tell(report)

    def _tell(self, event: ConsumerReport | KeyAccessRefused) -> None:
        at = self._clock()
        for subscriber in self._subscribers:
            subscriber(event, at)


def _places(configuration: SouthboundConfiguration) -> Iterator[_Place]:
    for bird in configuration.birds.values():
        if bird.enabled:
            for neighbor, name in bird.neighbors.items():
                yield _Place("bird", neighbor, "bgp", replace(bird, neighbors={neighbor: name}))
    for hook in configuration.hooks.values():
        if hook.enabled:
            for neighbor, protocol in hook.neighbors:
                yield _Place("hook", neighbor, protocol, replace(hook, neighbors=((neighbor, protocol),)))
    for router in configuration.netconf_servers.values():
        if router.enabled:
            for each in router.neighbors:
                yield _Place("key-chain", each.address, each.protocol, replace(router, neighbors=(each,)))
