"""The engine's edge: UDP sockets, the clocks and the one timer, on asyncio.

It pumps datagrams in and out, re-arms a single timer after each event, and hands on what the engine reports. All
decisions are the engine's; nothing here knows a protocol. One socket a listener serves every peer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime

from rkmp.engine.configuration import EngineConfiguration, Listener
from rkmp.engine.configuration_check import PreparedConfiguration
from rkmp.engine.datagrams import OutgoingDatagram
from rkmp.engine.engine import Engine
from rkmp.engine.events import EngineEvent, RequestCompleted
from rkmp.engine.state import PeerSnapshot
from rkmp.errors import EngineRefusal
from rkmp.instant import Instant

_log = logging.getLogger(__name__)

DATAGRAM_OCTETS = 65535
DATAGRAMS_A_WAKE = 64
"""How many datagrams one socket may take in before others get their turn."""
LONGEST_SLEEP = 30.0
"""Seconds after which the civil clock is looked at again: it may have been set."""

Address = tuple[str, int]
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
        self._default_listener = default_listener
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: dict[Binding, socket.socket] = {}
        self._by_name: dict[str, socket.socket] = {}
        self._subscribers: list[Subscriber] = []
        self._watchers: list[Callable[[], None]] = []
        self._requests: dict[int, asyncio.Future[str]] = {}
        self._closed = False

    def addresses(self) -> dict[str, Address]:
        """Return the address and port that each listener is bound to, by listener name."""
        return {name: bound.getsockname()[:2] for name, bound in self._by_name.items()}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call ``subscriber`` with every event of the engine and the time at which it was reported."""
        self._subscribers.append(subscriber)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` whenever the engine has done something, so that its state may not be what it was."""
        self._watchers.append(watcher)

    def prepare(self, configuration: EngineConfiguration) -> PreparedChange:
        """Check ``configuration`` and bind what it listens on; nothing changes before ``apply`` is called.

        Raises :class:`EngineRefusal` with a reason for the operator.
        """
        wanted = self._listeners(configuration)
        prepared = self._engine.prepare(configuration)
        with ExitStack() as undo:
            opened: dict[Binding, socket.socket] = {}
            for listener in wanted:
                if _binding(listener) not in self._sockets:
                    opened[_binding(listener)] = undo.enter_context(_bound_socket(listener))
            unused = undo.pop_all()

        def apply() -> None:
            unused.pop_all()
            self._switch_sockets(wanted, opened)
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

    def close(self) -> None:
        """Say good-bye to the peers, hand on the last events and let go of sockets and timer."""
        if self._closed:
            return
        self._engine.shut_down(self._clock())
        self._pump()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for bound in self._sockets.values():
            self._loop.remove_reader(bound)
            bound.close()
        for outcome in self._requests.values():
            if not outcome.done():
                outcome.set_exception(EngineRefusal("the agent is stopping"))

    def _listeners(self, configuration: EngineConfiguration) -> tuple[Listener, ...]:
        if not configuration.enabled:
            return ()
        return tuple(configuration.listeners.values()) or (self._default_listener,)

    def _switch_sockets(self, wanted: Iterable[Listener], opened: Mapping[Binding, socket.socket]) -> None:
        before, self._sockets, self._by_name = self._sockets, {}, {}
        available = {**before, **opened}
        for listener in wanted:
            binding = _binding(listener)
            bound = self._sockets[binding] = self._by_name[listener.name] = available[binding]
            # Also for a socket that stays: its listener may have another name.
            self._loop.add_reader(bound, self._readable, listener.name, bound)
        for binding, bound in before.items():
            if binding not in self._sockets:
                self._loop.remove_reader(bound)
                bound.close()

    def _apply(self, prepared: PreparedConfiguration) -> None:
        self._engine.apply(prepared, self._clock())
        self._pump()

    def _readable(self, listener: str, bound: socket.socket) -> None:
        for _ in range(DATAGRAMS_A_WAKE):
            try:
                data, remote = bound.recvfrom(DATAGRAM_OCTETS)
            except BlockingIOError:
                break
            except OSError as error:
                # An ICMP error of an earlier datagram: a hint only (RFC 7296 2.4), retransmission decides.
                _log.debug("listener %s: %s", listener, error)
                continue
            self._engine.receive(data, listener, (remote[0], remote[1]), self._clock())
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
        for watcher in self._watchers:
            watcher()
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
        bound = self._by_name.get(datagram.listener)
        if bound is None:
            return
        try:
            bound.sendto(datagram.data, datagram.remote)
        except OSError as error:
            # UDP may lose anything, so this is a lost datagram; retransmission or its end tells the operator.
            _log.debug("to %s port %d: %s", *datagram.remote, error)

    def _arm(self, now: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        deadline = self._engine.next_timer()
        delay = LONGEST_SLEEP if deadline is None else min(max(0.0, deadline - now.monotonic), LONGEST_SLEEP)
        self._timer = self._loop.call_later(delay, self._wake)


def _binding(listener: Listener) -> Binding:
    """Return what makes two listeners share a socket; one that takes any free port shares with none but itself."""
    return listener.address, listener.port, "" if listener.port else listener.name


def _bound_socket(listener: Listener) -> socket.socket:
    """Return a non-blocking UDP socket bound to ``listener``; raise :class:`EngineRefusal` when it can't be."""
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((listener.address, listener.port))
    except OSError as error:
        bound.close()
        raise EngineRefusal(
            f"cannot listen on {listener.address} port {listener.port}: {os.strerror(error.errno or 0)}"
        ) from error
    return bound
