"""What a session asks of the secure transport below it, and what it learns from it about its peer.

`ssh` and `tls` are the transports there are. It must not know messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rkmp.errors import RkmpError
from rkmp.secret import Secret

if TYPE_CHECKING:
    from rkmp.netconf.session import Session


class Transport(Protocol):
    """An ordered stream of octets to one authenticated client.

    ``write`` never blocks and never raises; a transport that holds more than it likes says so by calling the
    session's ``pause_writing`` and later ``resume_writing``.
    """

    def write(self, octets: bytes) -> None:
        """Send ``octets``; dropped in silence once the stream is closed."""

    def close(self) -> None:
        """End the stream after everything written has been sent, or after a time of the transport's own."""

    def abort(self) -> None:
        """End the stream now; what was not sent yet is lost."""

    def pause_reading(self) -> None:
        """Ask the peer to wait."""

    def resume_reading(self) -> None:
        """Let octets come again."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of a transport."""

    username: str
    """The identity that the transport authenticated (RFC 6241 section 2.2)."""
    source_host: str
    """The address it connected from, or an empty string where the transport has none."""
    transport: str
    """Name of the identity of ietf-netconf-monitoring for the transport: ``netconf-ssh``, ``netconf-tls``."""
    groups: frozenset[str] = frozenset()
    """The groups that the transport reports (RFC 8341 section 3.4.2); SSH reports none."""
    is_recovery: bool = False
    """Whether its sessions are recovery sessions (RFC 8341 section 3.3.3); the server sets it when it opens one."""


class Authenticator(Protocol):
    """Says who may log in. Each method may be a plain function or a coroutine function.

    An unknown user is one with no keys and no right password; the answer must take no notably different time.
    """

    def authorized_keys(self, user: str) -> Iterable[str] | Awaitable[Iterable[str]]:
        """Return the public keys of ``user``, each a line in OpenSSH format (``ssh-ed25519 AAAA... comment``)."""

    def check_password(self, user: str, password: Secret) -> bool | Awaitable[bool]:
        """Return whether ``password`` (UTF-8 octets) is that of ``user``."""


OpenSession: TypeAlias = "Callable[[Client, Transport], Session]"
"""Makes the session of a new transport, not started yet. Raises SessionRefused."""


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Bounds of the connections of one server, in seconds and numbers."""

    login_timeout: float = 30.0
    """From the TCP connection to the end of authentication."""
    idle_timeout: float = 30.0
    """How long a connection may stay without a session, or take to read the rest of what its last one sent."""
    keepalive_interval: float = 60.0
    """Between questions to a silent client; three without an answer end its connection."""
    authentication_failures: int = 10
    """Of one connection, before it is ended."""
    failed_logins: int = 10
    """Failed logins of one address within ``failed_login_interval``, before none is tried from there."""
    failed_login_interval: float = 60.0
    """How long a failed login counts."""
    pending_logins: int = 64
    """Connections that have not authenticated yet; for each one more, another is ended."""
    channels: int = 16
    """Of one connection."""
    channel_window: int = 128 * 1024
    """Octets that a client may send ahead on a channel while its session does not read."""


class CallFailed(RkmpError):
    """A client that waits for calls could not be reached, or did not log in."""


class Connection(Protocol):
    """A connection whose client has proved who it is."""

    async def wait_closed(self) -> None:
        """Return when it is gone."""


class TransportServer(Protocol):
    """A server of one transport with one set of credentials: `rkmp.netconf.ssh`, `rkmp.netconf.tls`."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; only while they are."""

    @property
    def is_idle(self) -> bool:
        """Whether it neither listens nor has a connection."""

    async def listen(self, host: str, port: int) -> None:
        """Listen. Raises OSError for an address that cannot be had, ValueError for credentials that are none."""

    async def call(self, host: str, port: int) -> Connection:
        """Connect to a waiting client. Raises CallFailed, and ValueError for credentials that are none."""

    def limit(self, limits: TransportLimits) -> None:
        """Have other limits for the connections that come."""

    def stop_listening(self) -> None:
        """Accept no more connections; those that are there go on."""

    async def close(self) -> None:
        """Stop listening, end every connection, and return when all are gone."""
