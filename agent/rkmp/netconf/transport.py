"""What a session asks of the secure transport below it, and what it learns from it about its peer.

SSH is the transport of now (`ssh`); TLS and call home meet the same protocol. It must not know messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Protocol

from rkmp.secret import Secret


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
