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

from rkmp.netconf.cert_to_name import name_of
from rkmp.netconf.login_attempts import LoginAttempts
from rkmp.netconf.pending_logins import PendingLogins
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.tls_context import TlsIdentity, server_context, verified_chain
from rkmp.netconf.transport import CallFailed, Client, OpenSession, TransportLimits

_log = logging.getLogger(__name__)

_BACKLOG = 100
_LAST_WORDS = 2.0
"""Seconds in which clients may take what they are still owed when the server ends."""

_PAUSE = 1.0
"""Seconds after which accepting is tried again that has failed."""


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
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._logins: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; only while they are."""
        if self._listener is None:
            raise RuntimeError("the server does not listen")
        host, port, *_ = self._listener.getsockname()
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
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._listener), name="tls listener")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listener)
            except OSError as error:
                # No descriptors left, for one: that passes, and a loop without a pause would not help it.
                _log.error("tls connections cannot be accepted: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            connection = TlsConnection(self, str(peer[0]), accepted)
            if self.attempts.are_too_many(connection.source_host):
                _log.warning("tls connection from %s ended: too many failed logins", connection.source_host)
                accepted.close()
                continue
            self.pending.add(connection)
            login = asyncio.create_task(self._log_in(connection), name="tls login")
            self._logins.add(login)
            login.add_done_callback(self._logins.discard)

    async def call(self, host: str, port: int) -> TlsConnection:
        """Connect to a waiting client, and return the connection when it has logged in (RFC 8071 section 3).

        Raises CallFailed, and ValueError for credentials that are none.
        """
        _ = self.context
        try:
            async with asyncio.timeout(self.limits.login_timeout):
                connected, address = await _connected(host, port)
        except (OSError, TimeoutError) as error:
            raise CallFailed(str(error) or "nobody answers") from error
        connection = TlsConnection(self, address, connected)
        await self._log_in(connection)
        if not connection.is_logged_in:
            raise CallFailed(connection.failure)
        return connection

    async def _log_in(self, connection: TlsConnection) -> None:
        """Do the handshake on a TCP connection, which is closed where that fails."""
        stream = connection.stream
        _keep_alive(stream, self.limits.keepalive_interval)
        self._connections.add(connection)
        is_secured = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                stream,
                ssl=self.context,
                ssl_handshake_timeout=self.limits.login_timeout,
                ssl_shutdown_timeout=self.limits.idle_timeout,
            )
            is_secured = True
        except (OSError, ssl.SSLError) as error:
            # A scanner, or a client without a certificate that we believe.
            self.attempts.failed(connection.source_host)
            connection.failed(str(getattr(error, "reason", None) or error or type(error).__name__))
        finally:
            if not is_secured:
                stream.close()
                self.forget(connection)

    def limit(self, limits: TransportLimits) -> None:
        """Have other limits for the connections that come."""
        self.limits = limits
        self.pending.limit = limits.pending_logins

    def stop_listening(self) -> None:
        """Accept no more connections; those that are there go on."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            self._listener.close()
            self._accepting = self._listener = None

    async def close(self) -> None:
        """Stop listening, end every connection, and return when all are gone."""
        self.stop_listening()
        connections = tuple(self._connections)
        for connection in connections:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                for connection in connections:
                    await connection.wait_closed()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        while self._logins:
            await asyncio.wait(self._logins)

    def forget(self, connection: TlsConnection) -> None:
        """Forget a connection that is gone."""
        self.pending.remove(connection)
        self._connections.discard(connection)


class TlsConnection(asyncio.Protocol):
    """One connection: who the client is, and its one session, of which it is the transport."""

    def __init__(self, server: TlsServer, source_host: str, stream: socket.socket) -> None:
        self._server = server
        self.source_host = source_host
        self.stream = stream
        self.failure = "the connection was lost"
        """Why the client could not log in, for the operator."""
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._is_lost = asyncio.Event()
        self._closing: asyncio.TimerHandle | None = None

    @property
    def is_logged_in(self) -> bool:
        """Whether the client has proved who it is and has a session."""
        return self._session is not None

    def failed(self, reason: str) -> None:
        """Take note that the client could not log in."""
        self.failure = reason
        _log.info("tls connection from %s: %s", self.source_host, reason)
        self._is_lost.set()

    def _open_session(self, transport: asyncio.Transport) -> None:
        """Find out who the client is, and start its session. Raises SessionRefused."""
        try:
            chain = verified_chain(transport.get_extra_info("ssl_object"))
            name = name_of(self._server.identity.cert_to_name, chain)
        except ValueError as error:
            raise SessionRefused(f"the client's certificate cannot be read: {error}") from None
        if name is None:
            # RFC 7589 section 7: a client that has no name is not let in.
            self._server.attempts.failed(self.source_host)
            raise SessionRefused("no name follows from the client's certificate")
        self._session = self._server.open_session(Client(name, self.source_host, "netconf-tls"), self)
        self._session.start()

    # From asyncio, once TLS stands.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.pending.remove(self)
        self._transport = transport  # type: ignore[assignment]
        try:
            self._open_session(transport)  # type: ignore[arg-type]
        except SessionRefused as refusal:
            self.failure = str(refusal)
            _log.warning("tls connection from %s ended: %s", self.source_host, refusal)
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
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
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def close(self) -> None:
        if self._transport is None:
            self.abort()
        elif not self._is_lost.is_set() and self._closing is None:
            self._transport.close()
            # The client need not take what it is still owed.
            limit = self._server.limits.idle_timeout
            self._closing = asyncio.get_running_loop().call_later(limit, self._transport.abort)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        else:
            # The handshake fails at once, and tidies up.
            with contextlib.suppress(OSError):
                self.stream.shutdown(socket.SHUT_RDWR)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._is_lost.wait()


async def _connected(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a TCP connection to the first address of a host that answers, and that address. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        stream = socket.socket(family, kind, protocol)
        stream.setblocking(False)
        try:
            await loop.sock_connect(stream, address)
        except OSError as error:
            stream.close()
            failure = error
        except asyncio.CancelledError:
            stream.close()
            raise
        else:
            return stream, str(address[0])
    raise failure or OSError("the name has no address")


def _keep_alive(stream: socket.socket, interval: float) -> None:
    """Have the kernel ask a silent client whether it is there (RFC 8071 section 4.1)."""
    seconds = max(1, int(interval))
    with contextlib.suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
