"""NETCONF over SSH (RFC 6242), and call home over SSH (RFC 8071): listeners, logins, and what they are allowed.

asyncssh speaks SSH; this module says what is allowed, `ssh_channel` joins its channels to sessions. It must not know
messages.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import logging
from collections.abc import Sequence
from typing import Any

import asyncssh

from rkmp.errors import RkmpError
from rkmp.netconf.login_attempts import LoginAttempts
from rkmp.netconf.pending_logins import PendingLogins
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.ssh_channel import Channel
from rkmp.netconf.transport import Authenticator, CallFailed, Client, OpenSession, Transport, TransportLimits
from rkmp.secret import Secret

_log = logging.getLogger(__name__)

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


def generate_host_key() -> Secret:
    """Return a new Ed25519 host key, PEM in OpenSSH's format."""
    return Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key())


def public_key_line(algorithm: str, data: str) -> str:
    """Return a user's public key as a line in OpenSSH format.

    ``data`` is the key (RFC 4253 section 6.6) in base64, ``algorithm`` its own name, or that of a signature it makes.
    Raises ValueError, with words for the operator, for what is no key that can log in.
    """
    try:
        octets = base64.b64decode("".join(data.split()), validate=True)
        key = asyncssh.import_public_key(_line(octets))
    except (asyncssh.KeyImportError, ValueError):
        raise ValueError("this is no public key of SSH") from None
    names = {key.get_algorithm(), *(name.decode("ascii") for name in key.sig_algorithms)}
    if algorithm not in names:
        raise ValueError(f"this is a public key of {key.get_algorithm()}, which is not what algorithm says")
    if names.isdisjoint(SIGNATURES):
        raise ValueError(f"nobody can log in with a key of {key.get_algorithm()}")
    return _line(octets)


def _line(octets: bytes) -> str:
    # It begins with its own name, after the length of that.
    length = int.from_bytes(octets[:4], "big")
    return f"{octets[4 : 4 + length].decode('ascii')} {base64.b64encode(octets).decode('ascii')}"


class SshServer:
    """A NETCONF server over SSH with one set of host keys: listens, or calls clients; keeps track of its connections.

    ``attempts`` counts failed logins by address; several servers may share it.
    """

    def __init__(
        self,
        *,
        host_keys: Sequence[Secret],
        authenticator: Authenticator,
        open_session: OpenSession,
        limits: TransportLimits,
        attempts: LoginAttempts | None = None,
    ) -> None:
        """``host_keys`` are private keys, PEM in OpenSSH's or PKCS #8 format."""
        self._host_keys = host_keys
        self.authenticator = authenticator
        self.open_session = open_session
        self.limits = limits
        self.attempts = attempts or LoginAttempts(limits)
        self._logins: set[_Login] = set()
        self.pending: PendingLogins[_Login] = PendingLogins(limits.pending_logins)
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; only while they are."""
        if self._acceptor is None:
            raise RuntimeError("the server does not listen")
        host, port, *_ = self._acceptor.get_addresses()[0]
        return str(host), int(port)

    @property
    def is_idle(self) -> bool:
        """Whether it neither listens nor has a connection."""
        return self._acceptor is None and not self._logins

    async def listen(self, host: str, port: int) -> None:
        """Listen; port 0 stands for any free one.

        Raises OSError where the address cannot be had, ValueError for a host key that is none.
        """
        self._acceptor = await asyncssh.listen(host, port, error_handler=_connection_failed, **self._options())

    async def call(self, host: str, port: int) -> asyncssh.SSHServerConnection:
        """Connect to a waiting client, and return the connection when it has logged in (RFC 8071 section 3).

        Raises CallFailed, and ValueError for a host key that is none.
        """
        try:
            return await asyncssh.connect_reverse(host, port, **self._options())
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise CallFailed(str(error) or type(error).__name__) from error

    def _options(self) -> dict[str, Any]:
        try:
            keys = [asyncssh.import_private_key(key.reveal()) for key in self._host_keys]
        except asyncssh.KeyImportError as error:
            raise ValueError("an SSH host key cannot be read") from error
        return {
            "server_factory": lambda: _Login(self),
            "server_host_keys": keys,
            "server_version": "rkmp",
            "kex_algs": KEY_EXCHANGES,
            "encryption_algs": CIPHERS,
            "mac_algs": MACS,
            "signature_algs": SIGNATURES,
            # Compression before and after login costs memory per connection that the client decides about.
            "compression_algs": ["none"],
            "gss_host": None,
            "host_based_auth": False,
            "allow_pty": False,
            "allow_scp": False,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "line_editor": False,
            "encoding": None,
            "window": self.limits.channel_window,
            "login_timeout": self.limits.login_timeout,
            "keepalive_interval": self.limits.keepalive_interval,
        }

    def limit(self, limits: TransportLimits) -> None:
        """Have other limits for the connections that come."""
        self.limits = limits
        self.pending.limit = limits.pending_logins
        if self._acceptor is not None:
            self._acceptor.update(login_timeout=limits.login_timeout, keepalive_interval=limits.keepalive_interval)

    def stop_listening(self) -> None:
        """Accept no more connections; those that are there go on."""
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None

    async def close(self) -> None:
        """Stop listening, end every connection, and return when all are gone."""
        self.stop_listening()
        logins = tuple(self._logins)
        for login in logins:
            login.close()
        for login in logins:
            await login.wait_closed()

    def add(self, login: _Login) -> bool:
        """Keep track of a connection that has yet to authenticate; return whether it may try to."""
        self._logins.add(login)
        if self.attempts.are_too_many(login.source_host):
            _log.warning("ssh connection from %s ended: too many failed logins", login.source_host)
            return False
        self.pending.add(login)
        return True

    def authenticated(self, login: _Login) -> None:
        """Take note that a connection has authenticated."""
        self.pending.remove(login)

    def forget(self, login: _Login) -> None:
        """Forget a connection that is gone."""
        self.pending.remove(login)
        self._logins.discard(login)


def _connection_failed(connection: asyncssh.SSHServerConnection, error: Exception | None) -> None:
    # A scanner or a client that gives up is no fault of ours; keep it findable and quiet.
    _log.debug("ssh connection from %s: %s", connection.get_extra_info("peername"), error)


class _Login(asyncssh.SSHServer):
    """One SSH connection: who logs in, and which channels it may have."""

    def __init__(self, server: SshServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self._failures = 0
        self._offered_keys = False
        self._is_authenticated = False
        self._channels: set[Channel] = set()
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
        if not self._server.add(self):
            self.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connection = None
        if self._offered_keys and not self._is_authenticated:
            # Once, however many keys it offered: a client offers all that it has.
            self._server.attempts.failed(self.source_host)
        self._stop_idle_timer()
        self._server.forget(self)

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
            limit = self._server.limits.idle_timeout
            self._idle_timer = asyncio.get_running_loop().call_later(limit, self.close)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    # Authentication (RFC 4252), by whatever the daemon injected.

    def begin_auth(self, _username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._is_authenticated = True
        self._server.authenticated(self)
        self._arm_idle_timer()

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            lines = self._server.authenticator.authorized_keys(username)
            if inspect.isawaitable(lines):
                lines = await lines
        except RkmpError as error:
            # Our fault, which is not counted as the client's.
            _log.error("cannot look up the keys of a user: %s", error)
            return self._judged(username, good=False)
        self._offered_keys = True
        offered = key.public_data
        return self._judged(username, good=any(_public_data(line) == offered for line in lines))

    async def validate_password(self, username: str, password: str) -> bool:
        try:
            good = self._server.authenticator.check_password(username, Secret(password.encode()))
            if inspect.isawaitable(good):
                good = await good
        except RkmpError as error:
            _log.error("cannot check a password: %s", error)
            return self._judged(username, good=False)
        if not good:
            self._server.attempts.failed(self.source_host)
        return self._judged(username, good=good)

    def _judged(self, username: str, *, good: bool) -> bool:
        if not good:
            self._failures += 1
            _log.info("ssh authentication of %r from %s failed", username, self.source_host)
            too_many = self._server.attempts.are_too_many(self.source_host)
            if too_many or self._failures >= self._server.limits.authentication_failures:
                raise asyncssh.PermissionDenied("too many authentication failures")
        return good

    # Channels.

    def session_requested(self) -> Channel:
        if len(self._channels) >= self._server.limits.channels:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many channels")
        channel = Channel(self)
        self._channels.add(channel)
        return channel

    def open_session(self, transport: Transport) -> Session:
        """Return the session of a new channel. Raises SessionRefused."""
        if self._connection is None:
            raise SessionRefused("the connection is gone")
        username = str(self._connection.get_extra_info("username"))
        session = self._server.open_session(Client(username, self.source_host, "netconf-ssh"), transport)
        self._stop_idle_timer()
        return session

    def channel_closed(self, channel: Channel) -> None:
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
