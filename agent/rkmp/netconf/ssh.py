"""NETCONF over SSH (RFC 6242): the listener, logins, and channels that carry the ``netconf`` subsystem and no more.

asyncssh speaks SSH; this module says what is allowed and joins its channels to `session`. It must not know messages.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from rkmp.errors import RkmpError
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.transport import Authenticator, Client, Transport
from rkmp.secret import Secret

_log = logging.getLogger(__name__)

SUBSYSTEM = "netconf"

# AES-GCM first: fastest with AES instructions, and untouched by prefix truncation where a client lacks strict key
# exchange (CVE-2023-48795), for which reason ChaCha20-Poly1305 is not offered at all.
CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)
# Of host keys and of users' keys; without SHA-1, which "ssh-rsa" stands for.
SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)

OpenSession = Callable[[Client, Transport], Session]
"""Makes the session of a new channel, not started yet. Raises SessionRefused."""


@dataclass(frozen=True, slots=True)
class SshLimits:
    """Bounds of SSH connections, in seconds and numbers."""

    login_timeout: float = 30.0
    """From the TCP connection to the end of authentication."""
    idle_timeout: float = 30.0
    """How long a connection may stay without a session, or take to read the rest of what its last one sent."""
    keepalive_interval: float = 60.0
    """Between questions to a silent client; three without an answer end its connection."""
    authentication_failures: int = 10
    """Of one connection, before it is ended."""
    pending_logins: int = 64
    """Connections that have not authenticated yet; for each one more, another is ended."""
    channels: int = 16
    """Of one connection."""
    channel_window: int = 128 * 1024
    """Octets that a client may send ahead on a channel while its session does not read."""


def generate_host_key() -> Secret:
    """Return a new Ed25519 host key, PEM in OpenSSH's format."""
    return Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key())


class SshEndpoint:
    """One listening address. ``start`` binds it, ``close`` ends it with every connection it accepted."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        host_keys: Sequence[Secret],
        authenticator: Authenticator,
        open_session: OpenSession,
        limits: SshLimits,
    ) -> None:
        """``host_keys`` are private keys, PEM in OpenSSH's or PKCS #8 format; port 0 stands for any free one."""
        self._host = host
        self._port = port
        self._host_keys = host_keys
        self.authenticator = authenticator
        self.open_session = open_session
        self.limits = limits
        self._logins: set[_Login] = set()
        # In the order in which they came; a dict, because a set keeps none.
        self._pending: dict[_Login, None] = {}
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; of a started endpoint only."""
        if self._acceptor is None:
            raise RuntimeError("the endpoint has not been started")
        host, port, *_ = self._acceptor.get_addresses()[0]
        return str(host), int(port)

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had, ValueError for a host key that is none."""
        try:
            keys = [asyncssh.import_private_key(key.reveal()) for key in self._host_keys]
        except asyncssh.KeyImportError as error:
            raise ValueError("an SSH host key cannot be read") from error
        self._acceptor = await asyncssh.listen(
            self._host,
            self._port,
            server_factory=lambda: _Login(self),
            error_handler=_connection_failed,
            server_host_keys=keys,
            server_version="rkmp",
            kex_algs=KEY_EXCHANGES,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            signature_algs=SIGNATURES,
            # Compression before and after login costs memory per connection that the client decides about.
            compression_algs=["none"],
            gss_host=None,
            host_based_auth=False,
            allow_pty=False,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
            encoding=None,
            window=self.limits.channel_window,
            login_timeout=self.limits.login_timeout,
            keepalive_interval=self.limits.keepalive_interval,
        )

    async def close(self) -> None:
        """Stop listening, end every connection, and return when all are gone."""
        if self._acceptor is None:
            return
        self._acceptor.close()
        logins = tuple(self._logins)
        for login in logins:
            login.close()
        for login in logins:
            await login.wait_closed()
        await self._acceptor.wait_closed()
        self._acceptor = None

    def add(self, login: _Login) -> None:
        """Keep track of an accepted connection that has yet to authenticate."""
        self._logins.add(login)
        self._pending[login] = None
        if len(self._pending) > self.limits.pending_logins:
            self._evict()

    def _evict(self) -> None:
        """End the oldest pending login of the host that has most of them.

        Whoever opens connections and says nothing thus stands in its own way first, and in nobody's for ever.
        """
        hosts = Counter(login.source_host for login in self._pending)
        most = max(hosts.values())
        login = next(login for login in self._pending if hosts[login.source_host] == most)
        _log.warning("ssh connection from %s ended: too many logins under way", login.source_host)
        del self._pending[login]
        login.abort()

    def authenticated(self, login: _Login) -> None:
        """Take note that a connection has authenticated."""
        self._pending.pop(login, None)

    def forget(self, login: _Login) -> None:
        """Forget a connection that is gone."""
        self._pending.pop(login, None)
        self._logins.discard(login)


def _connection_failed(connection: asyncssh.SSHServerConnection, error: Exception | None) -> None:
    # A scanner or a client that gives up is no fault of ours; keep it findable and quiet.
    _log.debug("ssh connection from %s: %s", connection.get_extra_info("peername"), error)


class _Login(asyncssh.SSHServer):
    """One SSH connection: who logs in, and which channels it may have."""

    def __init__(self, endpoint: SshEndpoint) -> None:
        self._endpoint = endpoint
        self._connection: asyncssh.SSHServerConnection | None = None
        self._failures = 0
        self._channels: set[_Channel] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self.source_host = ""
        self.stream_full = False

    # The life of the connection.

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        peer = conn.get_extra_info("peername")
        self.source_host = str(peer[0]) if peer else ""
        # asyncssh ignores asyncio's word that the TCP buffer is full: it trusts the channels' windows, which the
        # client chooses. Without this a client with a large window that stops reading would fill our memory.
        conn.pause_writing = self._stream_paused  # type: ignore[method-assign]
        conn.resume_writing = self._stream_resumed  # type: ignore[method-assign]
        self._endpoint.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connection = None
        self._stop_idle_timer()
        self._endpoint.forget(self)

    def close(self) -> None:
        """End the connection with a disconnect message, whether or not the client takes it."""
        if self._connection is not None:
            self._connection.close()

    def abort(self) -> None:
        """End the connection without a word."""
        if self._connection is not None:
            self._connection.abort()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        if self._connection is not None:
            await self._connection.wait_closed()

    def _stream_paused(self) -> None:
        self.stream_full = True
        for channel in self._channels:
            channel.writability_changed()

    def _stream_resumed(self) -> None:
        self.stream_full = False
        for channel in self._channels:
            channel.writability_changed()

    def _arm_idle_timer(self) -> None:
        self._stop_idle_timer()
        if self._connection is not None:
            limit = self._endpoint.limits.idle_timeout
            self._idle_timer = asyncio.get_running_loop().call_later(limit, self.close)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    # Authentication (RFC 4252), by whatever the daemon injected.

    def begin_auth(self, _username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._endpoint.authenticated(self)
        self._arm_idle_timer()

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            lines = self._endpoint.authenticator.authorized_keys(username)
            if inspect.isawaitable(lines):
                lines = await lines
        except RkmpError as error:
            _log.error("cannot look up the keys of a user: %s", error)
            return self._judged(username, good=False)
        offered = key.public_data
        return self._judged(username, good=any(_public_data(line) == offered for line in lines))

    async def validate_password(self, username: str, password: str) -> bool:
        try:
            good = self._endpoint.authenticator.check_password(username, Secret(password.encode()))
            if inspect.isawaitable(good):
                good = await good
        except RkmpError as error:
            _log.error("cannot check a password: %s", error)
            good = False
        return self._judged(username, good=good)

    def _judged(self, username: str, *, good: bool) -> bool:
        if not good:
            self._failures += 1
            _log.info("ssh authentication of %r from %s failed", username, self.source_host)
            if self._failures >= self._endpoint.limits.authentication_failures:
                raise asyncssh.PermissionDenied("too many authentication failures")
        return good

    # Channels.

    def session_requested(self) -> _Channel:
        if len(self._channels) >= self._endpoint.limits.channels:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many channels")
        channel = _Channel(self)
        self._channels.add(channel)
        return channel

    def open_session(self, transport: Transport) -> Session:
        """Return the session of a new channel. Raises SessionRefused."""
        if self._connection is None:
            raise SessionRefused("the connection is gone")
        username = str(self._connection.get_extra_info("username"))
        session = self._endpoint.open_session(Client(username, self.source_host, "netconf-ssh"), transport)
        self._stop_idle_timer()
        return session

    def channel_closed(self, channel: _Channel) -> None:
        """Forget ``channel``; a connection that has no session left does not stay for ever."""
        self._channels.discard(channel)
        self.session_ended()

    def session_ended(self) -> None:
        """Take note that a session ended, whether or not its channel is closed yet."""
        if not any(channel.has_session for channel in self._channels):
            self._arm_idle_timer()


def _public_data(line: str) -> bytes | None:
    try:
        return asyncssh.import_public_key(line).public_data
    except asyncssh.KeyImportError:
        _log.warning("an authorized key cannot be read and is passed over")
        return None


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One channel of a connection: asyncssh's events on one side, a session's transport on the other."""

    def __init__(self, login: _Login) -> None:
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: Session | None = None
        self._window_full = False
        self._paused = False

    @property
    def has_session(self) -> bool:
        """Whether a session lives on the channel."""
        return self._session is not None and self._session.ended is None

    # From asyncssh.

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def connection_lost(self, _exc: Exception | None) -> None:
        self._channel = None
        if self._session is not None:
            self._session.connection_lost()
        self._login.channel_closed(self)

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != SUBSYSTEM or self._session is not None:
            return False
        try:
            self._session = self._login.open_session(self)
        except SessionRefused as refusal:
            _log.warning("netconf session refused: %s", refusal)
            return False
        return True

    def session_started(self) -> None:
        if self._session is not None:
            self._session.start()

    def data_received(self, data: bytes, _datatype: Any) -> None:
        if self._session is not None:
            self._session.data_received(data)

    def eof_received(self) -> bool:
        if self._session is not None:
            self._session.eof_received()
        # The channel stays half open: what the client asked before it closed its side is still answered.
        return True

    def pause_writing(self) -> None:
        self._window_full = True
        self.writability_changed()

    def resume_writing(self) -> None:
        self._window_full = False
        self.writability_changed()

    def writability_changed(self) -> None:
        """Tell the session when the channel or the connection below it fills up, and when both have room again."""
        full = self._window_full or self._login.stream_full
        if self._session is None or full == self._paused:
            return
        self._paused = full
        if full:
            self._session.pause_writing()
        else:
            self._session.resume_writing()

    # For the session: its transport.

    def write(self, octets: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(octets)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._login.session_ended()

    def abort(self) -> None:
        if self._channel is not None:
            self._channel.abort()
        self._login.session_ended()

    def pause_reading(self) -> None:
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        if self._channel is not None:
            self._channel.resume_reading()
