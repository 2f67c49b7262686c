"""The TCP sockets of one neighbor, kept under its keys: for a routing daemon that owns sockets.

It takes the steps that the key API tells (:mod:`rkmp.southbound.client`) and carries them out on the listeners and
connections that it was given. A daemon calls :meth:`NeighborSockets.listening`, :meth:`~NeighborSockets.prepare`
before it connects, :meth:`~NeighborSockets.accepted` on what it accepts, and :meth:`~NeighborSockets.forget` before
it closes. Use from one thread only.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterable

from rkmp.errors import SouthboundError, TcpAoError, TcpAoUnavailable
from rkmp.secret import Secret
from rkmp.southbound.keys import ConsumerKey, MasterKeyTuple
from rkmp.southbound.socket_plan import (
    Close,
    Delete,
    Install,
    Operation,
    Request,
    plan_connecting,
    plan_connection,
    plan_listener,
)
from rkmp.southbound.steps import Holding, Usage
from rkmp.southbound.tcp_ao import (
    InstalledKey,
    Neighbor,
    SocketInfo,
    add_key,
    delete_key,
    installed_keys,
    request_key,
    socket_info,
)

_BARRIER_OCTETS = 20
_COUNTERS = 5


class NeighborSockets:
    """The sockets that speak with ``neighbor``; they have no keys, and let nobody in, until :meth:`hold` is called."""

    def __init__(self, neighbor: Neighbor) -> None:
        self.neighbor = neighbor
        self._holding = Holding()
        self._listeners: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self._past = (0,) * _COUNTERS
        # Nobody knows it, so nobody can sign with it.
        self._barrier = MasterKeyTuple(
            "barrier", 0, 0, "hmac-sha-1-96", Secret(secrets.token_bytes(_BARRIER_OCTETS)), ignore_tcp_options=False
        )

    @property
    def holding(self) -> Holding:
        """The keys that the sockets have."""
        return self._holding

    def hold(self, holding: Holding) -> list[socket.socket]:
        """Bring every socket to ``holding`` and return the connections that have no key left.

        Those, and any of which the kernel no longer takes a key, are the caller's to close. Raises
        :class:`~rkmp.errors.TcpAoError` when it takes none for a listener; then some sockets may have changed, and
        holding the same again goes on from there. A key that is not TCP-AO's is a :class:`SouthboundError`.
        """
        _keys(holding)
        stranded = []
        for listener in self._listeners:
            self._carry_out(listener, self._listener_plan(listener, holding))
        for connection in self._connections:
            try:
                if not self._bring_to(connection, holding):
                    stranded.append(connection)
            except TcpAoUnavailable:
                raise
            except TcpAoError:
                stranded.append(connection)
        self._holding = holding
        return stranded

    def listening(self, listener: socket.socket) -> None:
        """Take in a bound or listening socket; the same one may serve several neighbors."""
        self._carry_out(listener, self._listener_plan(listener, self._holding))
        self._listeners.append(listener)

    def prepare(self, unconnected: socket.socket) -> None:
        """Get a socket ready to connect to the neighbor, and take it in.

        Raises :class:`SouthboundError` when there is no key.
        """
        operations = plan_connecting(_keys(self._holding), _preferred(self._holding))
        if not self._carry_out(unconnected, operations):
            raise SouthboundError(f"there is no key for {self.neighbor.address} to connect with")
        self._connections.append(unconnected)

    def accepted(self, connection: socket.socket) -> None:
        """Bring an accepted connection to the present keys, and take it in.

        The kernel gave it what the listener had when the handshake ended, which may be a generation ago. Raises
        :class:`SouthboundError` when it shares no key with the present, or has none at all.
        """
        if not self._bring_to(connection, self._holding):
            raise SouthboundError(f"the connection from {self.neighbor.address} was made with a key that is gone")
        self._connections.append(connection)

    def forget(self, sock: socket.socket) -> None:
        """Let go of a listener or connection that is about to be closed."""
        if sock in self._connections:
            with contextlib.suppress(TcpAoError):
                self._past = _added(self._past, _counts(socket_info(sock)))
        for sockets in (self._listeners, self._connections):
            if sock in sockets:
                sockets.remove(sock)

    def usage(self) -> Usage:
        """Return which keys the connections send with, and the counters of all that there were, which never go back."""
        infos = list(self._infos())
        names = {held.key.send_id: held.key.name for held in self._holding.keys}
        return Usage(
            frozenset(names[info.current] for info in infos if info.current in names),
            len(infos),
            *_added(self._past, *map(_counts, infos)),
        )

    def _infos(self) -> Iterable[SocketInfo]:
        for connection in self._connections:
            # One that has just been closed by the peer uses nothing.
            with contextlib.suppress(TcpAoError):
                yield socket_info(connection)

    def _listener_plan(self, listener: socket.socket, holding: Holding) -> Iterable[Operation]:
        return plan_listener(self._own(listener), _keys(holding), self._barrier)

    def _bring_to(self, connection: socket.socket, holding: Holding) -> bool:
        """Return whether the connection still has a key."""
        operations = plan_connection(self._own(connection), _keys(holding), _preferred(holding))
        return self._carry_out(connection, operations)

    def _own(self, sock: socket.socket) -> list[InstalledKey]:
        """Return the keys of a socket that are for this neighbor."""
        return [key for key in installed_keys(sock) if _is_same(key.neighbor, self.neighbor)]

    def _carry_out(self, sock: socket.socket, operations: Iterable[Operation]) -> bool:
        for operation in operations:
            match operation:
                case Install(key, selected):
                    add_key(sock, self.neighbor, key, selected=selected)
                case Request(recv_id):
                    request_key(sock, recv_id)
                case Delete(send_id, recv_id, current, rnext):
                    delete_key(sock, self.neighbor, send_id, recv_id, current=current, rnext=rnext)
                case Close():
                    return False
        return True


def _counts(info: SocketInfo) -> tuple[int, ...]:
    """Return the counters of a connection in the order of :class:`Usage`."""
    return info.good, info.bad, info.key_not_found, info.unsigned, info.dropped_icmps


def _added(*counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*counts, strict=True)))


def _keys(holding: Holding) -> list[MasterKeyTuple]:
    return [_tcp_ao(held.key) for held in holding.keys]


def _preferred(holding: Holding) -> MasterKeyTuple | None:
    held = holding.get(holding.preferred)
    return None if held is None else _tcp_ao(held.key)


def _tcp_ao(key: ConsumerKey) -> MasterKeyTuple:
    if not isinstance(key, MasterKeyTuple):
        raise SouthboundError(f"key {key.name!r} is for LDP's Hellos, and no TCP socket takes it")
    return key


def _is_same(one: Neighbor, other: Neighbor) -> bool:
    return (one.address, one.prefix, one.interface_index) == (other.address, other.prefix, other.interface_index)
