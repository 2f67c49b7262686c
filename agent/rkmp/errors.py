"""The one exception tree of the agent.

Each branch carries what its boundary needs to answer with: a wire error its offset, a protocol error its notify
type, a management error its NETCONF error-tag and path, a command error its exit status. Code that catches an
``RkmpError`` may show its message to an operator; it never holds key material.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class RkmpError(Exception):
    """Base of every error the agent raises on purpose."""


class WireError(RkmpError):
    """Octets that are not a well-formed IKE message (RFC 7296 section 3).

    ``offset`` counts octets from the start of what was parsed; ``reason`` says what was wrong there.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} (at octet {offset})")
        self.reason = reason
        self.offset = offset


class CryptoError(RkmpError):
    """A cryptographic input that must be refused: a bad point, a failed integrity check, an unknown algorithm."""


class IkeError(RkmpError):
    """A fault that is answered, or was reported, by an IKE notify of type ``notify_type`` (RFC 7296 3.10.1)."""

    def __init__(self, notify_type: int, reason: str, data: bytes = b"") -> None:
        super().__init__(reason)
        self.notify_type = notify_type
        self.reason = reason
        self.data = data


class StorageError(RkmpError):
    """The disk refused: full, read-only, locked by another agent or corrupt. Nothing was acknowledged."""


class CorruptStoreError(StorageError):
    """What is stored was damaged or altered: only a copy can take its place."""


class KeyTableError(RkmpError):
    """A key table row or operation that breaks RFC 7210 or the table's own uniqueness rules."""


class KeyNameClash(KeyTableError):
    """A row whose local or peer key name another one has, of a neighbor and a time that they share."""


class CaptureError(RkmpError):
    """A capture file that is none, is damaged, or holds packets of a kind that is not understood."""


class EngineRefusal(RkmpError):
    """The engine cannot carry out a configuration; ``peer`` and ``protocol`` say what for, where it is known."""

    def __init__(self, reason: str, *, peer: str | None = None, protocol: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.peer = peer
        self.protocol = protocol


class SouthboundError(RkmpError):
    """A consumer of keys did not take one, did not answer, or cannot be reached; the message says which and why."""


class KeyApiRefusal(SouthboundError):
    """The agent refuses a program on the key API, for the reason that ``code`` names (docs/key-api.md)."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(f"the agent refuses: {reason}")
        self.code = code


class TcpAoError(SouthboundError):
    """The kernel refused a TCP-AO operation on a socket with ``errno``."""

    def __init__(self, reason: str, errno: int) -> None:
        super().__init__(reason)
        self.errno = errno


class TcpAoUnavailable(TcpAoError):
    """This kernel has no TCP-AO, or not the algorithm: no socket of this host can be protected so."""


@dataclass(eq=False)
class RpcError(RkmpError):
    """One NETCONF rpc-error (RFC 6241 section 4.3, appendix A).

    ``path`` is an XPath instance path with keys, whose prefixes ``path_namespaces`` binds; ``info`` is a sequence
    of (element name in Clark notation, text) in the order of appendix A. ``structure`` is a container that stands in
    error-info as well, such as the yang-data of RFC 8639: its name, and its leaves as (element name, text).
    """

    tag: str
    message: str
    type: str = "application"
    app_tag: str | None = None
    path: str | None = None
    path_namespaces: Mapping[str, str] = field(default_factory=dict)
    info: Sequence[tuple[str, str]] = ()
    severity: str = "error"
    structure: tuple[str, Sequence[tuple[str, str]]] | None = None

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.tag}: {self.message}{where}"


class RpcErrors(RkmpError):
    """Several rpc-errors that answer one request, in the order in which they were found; never empty."""

    def __init__(self, errors: Sequence[RpcError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = tuple(errors)


class SchemaError(RkmpError):
    """YANG modules that cannot be compiled: missing, invalid, or using a construct that this agent does not handle.

    ``problems`` says where: each has the module's name, the line (0 when it is not one line's fault) and the reason.
    """

    def __init__(self, problems: Sequence[tuple[str, int, str]]) -> None:
        super().__init__("; ".join(f"{module}:{line}: {reason}" for module, line, reason in problems))
        self.problems = tuple(problems)


class InvalidValue(RkmpError):
    """A lexical value that is outside its YANG type; ``app_tag`` is the broken restriction's own, where it has one."""

    def __init__(self, reason: str, app_tag: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.app_tag = app_tag


class CommandError(RkmpError):
    """A command that cannot go on; the message says what to do next and ``exit_status`` tells scripts."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
