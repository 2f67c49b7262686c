"""The engine's edge: UDP sockets, the clocks and the one timer, on asyncio.

It pumps datagrams in and out, re-arms a single timer after each event, and hands on what the engine reports. All
decisions are the engine's; nothing here knows a protocol. One socket for each port of a listener serves every peer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from rkmp.engine.certificate_watch import CertificateWatch
from rkmp.engine.configuration import EngineConfiguration, Listener
from rkmp.engine.configuration_check import PreparedConfiguration
from rkmp.engine.datagrams import Address, OutgoingDatagram
from rkmp.engine.engine import Engine
from rkmp.engine.events import EngineEvent, RequestCompleted
from rkmp.engine.sockets import UdpEndpoint, bound_socket, source_towards
from rkmp.engine.state import PeerSnapshot
from rkmp.errors import EngineRefusal
from rkmp.instant import Instant

_log = logging.getLogger(__name__)

DATAGRAMS_A_WAKE = 64
"""How many datagrams one socket may take in before others get their turn."""
LONGEST_SLEEP = 30.0
"""Seconds after which the civil clock is looked at again: it may have been set, and nobody else may tell."""

Binding = tuple[str, int, str]
Subscriber = Callable[[EngineEvent, datetime], None]


def system_clock() -> Instant:
    """Read both clocks of the machine."""
    return Instant(time.monotonic(), datetime.now(UTC))


class PreparedChange:
    """A configuration that the engine and the sockets have agreed to; exactly one of its methods is called."""

    def __init__(self, apply: Callable[[], None], abort: Callable[[], None]) -> None:
        self.apply = apply
        self.abort = abort


class EngineDriver:
    """Runs an :class:`Engine` on the running event loop until :meth:`close`.

    ``default_listener`` serves while the configuration names no listener of its own.
    """

    def __init__(self, engine: Engine, default_listener: Listener, clock: Callable[[], Instant] = system_clock) -> None:
        self._engine = engine
        engine.find_source = source_towards
        self._default_listener = default_listener
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.longest_sleep = LONGEST_SLEEP
        self._endpoints: dict[Binding, UdpEndpoint] = {}
        self._by_port: dict[tuple[str, int], UdpEndpoint] = {}
        self._listening: dict[str, Address] = {}
        self._subscribers: list[Subscriber] = []
        self._watchers: list[Callable[[frozenset[str]], None]] = []
        self._requests: dict[int, asyncio.Future[str]] = {}
        self._closed = False

    def addresses(self) -> dict[str, Address]:
        """Return the address and port that each listener is bound to, by listener name."""
        return dict(self._listening)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call ``subscriber`` with every event of the engine and the time at which it was reported."""
        self._subscribers.append(subscriber)

    def watch(self, watcher: Callable[[frozenset[str]], None]) -> None:
        """Call ``watcher`` with the names of peers whenever their state may not be what it was."""
        self._watchers.append(watcher)

    def prepare(self, configuration: EngineConfiguration) -> PreparedChange:
        """Check ``configuration`` and bind what it listens on; nothing changes before ``apply`` is called.

        Raises :class:`EngineRefusal` with a reason for the operator.
        """
        wanted = self._listeners(configuration)
        known_ports = _with_chosen_ports(configuration, wanted, self._endpoints)
        prepared = self._engine.prepare(known_ports)
        with ExitStack() as undo:
            endpoints: dict[Binding, UdpEndpoint] = {}
            for binding in itertools.chain.from_iterable(map(_bindings, wanted)):
                known = self._endpoints.get(binding)
                endpoints[binding] = known or undo.enter_context(UdpEndpoint(bound_socket(*binding[:2])))
            chosen = _with_chosen_ports(configuration, wanted, endpoints)
            if chosen != known_ports:
                prepared = self._engine.prepare(chosen)
            unused = undo.pop_all()

        def apply() -> None:
            unused.pop_all()
            self._switch(wanted, endpoints)
            self._apply(prepared)

        return PreparedChange(apply, unused.close)

    async def rekey(self, peer: str, protocol: int) -> str:
        """Replace the key of an association now and return the new key's AdminKeyName.

        Raises :class:`EngineRefusal` when there is nothing to rekey or the negotiation fails.
        """
        request = self._engine.rekey(peer, protocol, self._clock())
        outcome: asyncio.Future[str] = self._loop.create_future()
        self._requests[request] = outcome
        self._pump()
        return await outcome

    def initiate(self, peer: str) -> None:
        """Negotiate now whatever the associations of ``peer`` lack; raises :class:`EngineRefusal`."""
        self._engine.initiate(peer, self._clock())
        self._pump()

    def clear(self, peer: str) -> None:
        """Drop the IKE SAs and negotiated keys of ``peer``; raises :class:`EngineRefusal`."""
        self._engine.clear(peer, self._clock())
        self._pump()

    def peers(self) -> tuple[PeerSnapshot, ...]:
        """Return a snapshot of every configured peer."""
        return self._engine.peers(self._clock())

    def peer(self, name: str) -> PeerSnapshot | None:
        """Return a snapshot of one configured peer."""
        return self._engine.peer(name, self._clock())

    def statistics(self) -> dict[str, int]:
        """Return the engine's own counters."""
        return dict(self._engine.statistics())

    @property
    def certificate_watch(self) -> CertificateWatch:
        """When certificates expire and revocation lists are due; to look at only."""
        return self._engine.certificate_watch

    def look_at_clock(self) -> None:
        """Look at the civil clock now: it has been set."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed:
            self._wake()

    def close(self) -> None:
        """Say good-bye to the peers, hand on the last events and let go of sockets and timer."""
        if self._closed:
            return
        self._engine.shut_down(self._clock())
        self._pump()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for endpoint in self._endpoints.values():
            self._loop.remove_reader(endpoint)
            endpoint.close()
        for outcome in self._requests.values():
            if not outcome.done():
                outcome.set_exception(EngineRefusal("the agent is stopping"))

    def _listeners(self, configuration: EngineConfiguration) -> tuple[Listener, ...]:
        if not configuration.enabled:
            return ()
        return tuple(configuration.listeners.values()) or (self._default_listener,)

    def _switch(self, wanted: Iterable[Listener], endpoints: Mapping[Binding, UdpEndpoint]) -> None:
        before, self._endpoints = self._endpoints, dict(endpoints)
        self._by_port.clear()
        self._listening.clear()
        for listener in wanted:
            for binding in _bindings(listener):
                endpoint = endpoints[binding]
                self._by_port[listener.name, endpoint.address[1]] = endpoint
                self._listening.setdefault(listener.name, endpoint.address)
                # Also for a socket that stays: its listener may have another name.
                self._loop.add_reader(endpoint, self._readable, listener.name, endpoint)
        for binding, endpoint in before.items():
            if binding not in endpoints:
                self._loop.remove_reader(endpoint)
                endpoint.close()

    def _apply(self, prepared: PreparedConfiguration) -> None:
        self._engine.apply(prepared, self._clock())
        self._pump()

    def _readable(self, listener: str, endpoint: UdpEndpoint) -> None:
        for _ in range(DATAGRAMS_A_WAKE):
            try:
                data, local, remote = endpoint.receive()
            except BlockingIOError:
                break
            except OSError as error:
                # An ICMP error of an earlier datagram: a hint only (RFC 7296 2.4), retransmission decides.
                _log.debug("listener %s: %s", listener, error)
                self._engine.note_network_error()
                continue
            self._engine.receive(data, listener, remote, self._clock(), local)
        self._pump()

    def _wake(self) -> None:
        self._timer = None
        self._engine.handle_timer(self._clock())
        self._pump()

    def _pump(self) -> None:
        # Events first: what they tell is installed before a peer may learn that it is (protocol.md G24).
        now = self._clock()
        for event in self._engine.events():
            self._tell(event, now.wall)
        for datagram in self._engine.datagrams():
            self._send(datagram)
        if changed := self._engine.changed():
            for watcher in self._watchers:
                watcher(changed)
        self._arm(now)

    def _tell(self, event: EngineEvent, wall: datetime) -> None:
        if isinstance(event, RequestCompleted):
            outcome = self._requests.pop(event.request, None)
            if outcome is None or outcome.done():
                return
            if event.key_name is not None:
                outcome.set_result(event.key_name)
            else:
                outcome.set_exception(EngineRefusal(event.error or "the negotiation failed"))
            return
        for subscriber in self._subscribers:
            subscriber(event, wall)

    def _send(self, datagram: OutgoingDatagram) -> None:
        endpoint = self._by_port.get((datagram.listener, datagram.local[1]))
        if endpoint is None:
            return
        try:
            endpoint.send(datagram.data, datagram.local[0], datagram.remote)
        except OSError as error:
            # UDP may lose anything, so this is a lost datagram; retransmission or its end tells the operator.
            _log.debug("to %s port %d: %s", *datagram.remote, error)
            self._engine.note_network_error()

    def _arm(self, now: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        deadline = self._engine.next_timer()
        longest = self.longest_sleep
        delay = longest if deadline is None else min(max(0.0, deadline - now.monotonic), longest)
        self._timer = self._loop.call_later(delay, self._wake)


def _with_chosen_ports(
    configuration: EngineConfiguration, wanted: Iterable[Listener], endpoints: Mapping[Binding, UdpEndpoint]
) -> EngineConfiguration:
    """Return ``configuration`` with the ports that were chosen for the listeners that leave it to the kernel, if known.

    Peers are told which port it is (RFC 7296 2.23), so the engine has to know.
    """
    listeners: dict[str, Listener] = {}
    for listener in wanted:
        endpoint = None if listener.port else endpoints.get(_bindings(listener)[0])
        listeners[listener.name] = listener if endpoint is None else replace(listener, port=endpoint.address[1])
    if all(listeners[listener.name] is listener for listener in wanted):
        return configuration
    return replace(configuration, listeners=listeners)


def _bindings(listener: Listener) -> tuple[Binding, ...]:
    """Return what makes listeners share sockets; one that takes any free port shares it with none but itself."""
    return tuple((listener.address, port, "" if port else listener.name) for port in listener.ports)
