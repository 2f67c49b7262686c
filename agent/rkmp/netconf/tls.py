"""NETCONF over TLS with certificates on both sides (RFC 7589), and call home over TLS (RFC 8071).

Python's ssl speaks TLS; this module accepts or makes connections, asks `cert_to_name` who the client is, and joins
each connection to a session. It must not know messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import Any

from rkmp.netconf.cert_to_name import name_of
from rkmp.netconf.login_attempts import LoginAttempts
from rkmp.netconf.pending_logins import PendingLogins
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.tls_context import TlsIdentity, server_context, verified_chain
from rkmp.netconf.transport import CallFailed, Client, OpenSession, TransportLimits

_log = logging.getLogger(__name__)


class TlsServer:
    """A NETCONF server over TLS with one identity: listens, or calls clients; keeps track of its connections.

    ``attempts`` counts failed logins by address; several servers may share it.
    """

    def __init__(
        self,
        identity: TlsIdentity,
        *,
        open_session: OpenSession,
        limits: TransportLimits,
        attempts: LoginAttempts | None = None,
    ) -> None:
        self.identity = identity
        self.open_session = open_session
        self.limits = limits
        self.attempts = attempts or LoginAttempts(limits)
        self.pending: PendingLogins[TlsConnection] = PendingLogins(limits.pending_logins)
        self._connections: set[TlsConnection] = set()
        self._context: ssl.SSLContext | None = None
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; only while they are."""
        if self._listener is None:
            raise RuntimeError("the server does not listen")
        host, port, *_ = self._listener.sockets[0].getsockname()
        return str(host), int(port)

    @property
    def is_idle(self) -> bool:
        """Whether it neither listens nor has a connection."""
        return self._listener is None and not self._connections

    @property
    def context(self) -> ssl.SSLContext:
        """What it shows and whom it believes. Raises ValueError for credentials that are none."""
        if self._context is None:
            self._context = server_context(self.identity)
        return self._context

    async def listen(self, host: str, port: int) -> None:
        """Listen; port 0 stands for any free one.

        Raises OSError where the address cannot be had, ValueError for credentials that are none.
        """
        _ = self.context
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Accepted(self), host, port)

    async def call(self, host: str, port: int) -> TlsConnection:
        """Connect to a waiting client, and return the connection when it has logged in (RFC 8071 section 3).

        Raises CallFailed, and ValueError for credentials that are none.
        """
        _ = self.context
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.login_timeout):
                transport, _ = await loop.create_connection(_Paused, host, port)
        except (OSError, TimeoutError) as error:
            raise CallFailed(str(error) or "nobody answers") from error
        connection = TlsConnection(self, transport)
        self._connections.add(connection)
        await connection.log_in()
        if not connection.is_logged_in:
            raise CallFailed(connection.failure)
        return connection

    def accept(self, transport: asyncio.Transport) -> asyncio.Task[None] | None:
        """Take a connection that a client has made; return what logs it in, or None where that is not tried."""
        connection = TlsConnection(self, transport)
        if self.attempts.are_too_many(connection.source_host):
            _log.warning("tls connection from %s ended: too many failed logins", connection.source_host)
            connection.abort()
            return None
        self._connections.add(connection)
        self.pending.add(connection)
        return asyncio.create_task(connection.log_in(), name="tls login")

    def limit(self, limits: TransportLimits) -> None:
        """Have other limits for the connections that come."""
        self.limits = limits
        self.pending.limit = limits.pending_logins

    def stop_listening(self) -> None:
        """Accept no more connections; those that are there go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """Stop listening, end every connection, and return when all are gone."""
        self.stop_listening()
        connections = tuple(self._connections)
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.wait_closed()

    def forget(self, connection: TlsConnection) -> None:
        """Forget a connection that is gone."""
        self.pending.remove(connection)
        self._connections.discard(connection)


class _Paused(asyncio.Protocol):
    """What a TCP connection has until TLS reads from it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()


class _Accepted(_Paused):
    """A TCP connection that a client has made; a new one for each."""

    def __init__(self, server: TlsServer) -> None:
        self._server = server
        self._login: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._login = self._server.accept(transport)  # type: ignore[arg-type]


class TlsConnection(asyncio.Protocol):
    """One connection: who the client is, and its one session, of which it is the transport."""

    def __init__(self, server: TlsServer, transport: asyncio.Transport) -> None:
        self._server = server
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.source_host = str(peer[0]) if peer else ""
        self.failure = "the connection was lost"
        """Why the client could not log in, for the operator."""
        self._session: Session | None = None
        # A client may send its hello before we know who it is.
        self._early = bytearray()
        self._is_lost = asyncio.Event()
        self._closing: asyncio.TimerHandle | None = None

    @property
    def is_logged_in(self) -> bool:
        """Whether the client has proved who it is and has a session."""
        return self._session is not None

    async def log_in(self) -> None:
        """Do the handshake, find the user and start the session; ends the connection where any of it fails."""
        raw = self._transport
        _keep_alive(raw.get_extra_info("socket"), self._server.limits.keepalive_interval)
        try:
            secured = await asyncio.get_running_loop().start_tls(
                raw,
                self,
                self._server.context,
                server_side=True,
                ssl_handshake_timeout=self._server.limits.login_timeout,
                ssl_shutdown_timeout=self._server.limits.idle_timeout,
            )
        except (OSError, ssl.SSLError) as error:
            # A scanner, or a client without a certificate that we believe.
            self._server.attempts.failed(self.source_host)
            self._fail(raw, getattr(error, "reason", None) or str(error) or type(error).__name__)
            return
        except asyncio.CancelledError:
            raw.abort()
            self.connection_lost(None)
            raise
        if secured is None or self._is_lost.is_set():
            self._fail(raw, self.failure)
            return
        self._transport = secured
        self._server.pending.remove(self)
        self._open_session(secured)

    def _open_session(self, transport: asyncio.Transport) -> None:
        try:
            name = name_of(self._server.identity.cert_to_name, verified_chain(transport.get_extra_info("ssl_object")))
        except ValueError as error:
            name, self.failure = None, str(error)
        if name is None:
            # RFC 7589 section 7: a client that has no name is not let in.
            self._server.attempts.failed(self.source_host)
            self._fail(transport, "no name follows from the client's certificate")
            return
        try:
            session = self._server.open_session(Client(name, self.source_host, "netconf-tls"), self)
        except SessionRefused as refusal:
            _log.warning("netconf session refused: %s", refusal)
            self._fail(transport, str(refusal))
            return
        self._session = session
        session.start()
        if self._early:
            session.data_received(bytes(self._early))
            self._early.clear()

    def _fail(self, transport: asyncio.Transport, reason: str) -> None:
        self.failure = reason
        _log.info("tls connection from %s: %s", self.source_host, reason)
        transport.abort()
        self.connection_lost(None)

    # From asyncio, once TLS stands.

    def data_received(self, data: bytes) -> None:
        if self._session is None:
            self._early += data
        else:
            self._session.data_received(data)

    def eof_received(self) -> bool:
        # TLS has no half: what is answered now would not be read.
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        if self._session is not None:
            self._session.connection_lost()
        self._server.forget(self)
        self._is_lost.set()

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume_writing()

    # For the session: its transport.

    def write(self, octets: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(octets)

    def close(self) -> None:
        if not self._is_lost.is_set() and self._closing is None:
            self._transport.close()
            # The client need not take what it is still owed.
            limit = self._server.limits.idle_timeout
            self._closing = asyncio.get_running_loop().call_later(limit, self._transport.abort)

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._is_lost.wait()


def _keep_alive(connection: Any, interval: float) -> None:
    """Have the kernel ask a silent client whether it is there (RFC 8071 section 4.1)."""
    if connection is None:
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(interval)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(interval)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
