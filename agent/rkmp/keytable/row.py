"""One row of the table of cryptographic keys (RFC 7210 section 2), and what it says at an instant (section 3).

A :class:`KeyRow` that exists is valid: constructing one that breaks a rule of the RFC raises
:class:`~rkmp.errors.KeyTableError`. The rules that span rows are the table's. Nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from rkmp.errors import KeyTableError
from rkmp.keytable.rules import (
    ALL_INTERFACES,
    require_algorithms,
    require_interfaces,
    require_names,
    require_peers,
    require_protocol,
)
from rkmp.secret import Secret

_FINGERPRINT_LABEL = b"rkmp-key-fingerprint"
_FINGERPRINT_OCTETS = 8


class Direction(Enum):
    """What a key may be used for (RFC 7210 section 2, Direction)."""

    IN = "in"
    OUT = "out"
    BOTH = "both"
    DISABLED = "disabled"


class KeyState(Enum):
    """What a key may be used for at an instant."""

    PENDING = "pending"
    """Not yet: a lifetime is still to come, and none runs."""
    ACTIVE = "active"
    """Sent with; accepted too if its accept lifetime runs."""
    ACCEPT_ONLY = "accept-only"
    """Accepted from others, but not sent with."""
    EXPIRED = "expired"
    """Never again."""
    DISABLED = "disabled"
    """Its Direction is "disabled"."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The time from ``start`` to ``end``, both included (RFC 7210 section 3); ``end`` of None is never.

    Both are aware and kept in UTC. Raises :class:`KeyTableError` when one is naive or they are out of order.
    """

    start: datetime
    end: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _in_utc(self.start))
        if self.end is not None:
            object.__setattr__(self, "end", _in_utc(self.end))
            if self.end < self.start:
                raise KeyTableError(f"a lifetime ends at {self.end}, before it starts at {self.start}")

    def contains(self, at: datetime) -> bool:
        """Whether the lifetime runs at ``at``."""
        return self.start <= at and (self.end is None or at <= self.end)

    def overlaps(self, other: Lifetime) -> bool:
        """Whether there is an instant that both contain."""
        return (other.end is None or self.start <= other.end) and (self.end is None or other.start <= self.end)

    def end_or(self, default: datetime) -> datetime:
        """Return the end, or ``default`` when there is none."""
        return default if self.end is None else self.end


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a negotiated key came from.

    ``peer`` and ``association`` are names of the configuration, the SPIs those of the IKE SA (8 octets each),
    ``role`` is ours in the exchange that made the key: "initiator" or "responder".
    """

    peer: str
    association: str
    ike_spi_local: bytes
    ike_spi_remote: bytes
    negotiated_at: datetime
    role: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One long-lived key, with the names and the use that RFC 7210 section 2 gives it.

    ``ignore_tcp_options`` is TCP-AO's ProtocolSpecificInfo: True leaves TCP options out of the MAC. ``provenance`` is
    None for a manual key, which belongs to the configuration. ``extended_from`` is when the life of the key proper
    ends, where policy lets it be used for longer while nothing takes its place; the lifetimes include the extension.
    None is without one. Raises :class:`KeyTableError` for an invalid row.
    """

    admin_key_name: str
    local_key_name: str
    """The key's name in what we receive: TCP-AO's RecvID, two lowercase hexadecimal digits."""
    peer_key_name: str
    """The key's name in what we send: TCP-AO's SendID; empty for a group key."""
    peers: tuple[str, ...]
    protocol: str
    ignore_tcp_options: bool
    kdf: str
    alg_id: str
    key: Secret = field(hash=False)
    direction: Direction
    send_lifetime: Lifetime
    accept_lifetime: Lifetime
    interfaces: tuple[str, ...] = (ALL_INTERFACES,)
    provenance: Provenance | None = None
    extended_from: datetime | None = None

    def __post_init__(self) -> None:
        try:
            require_protocol(self.protocol)
            require_algorithms(self.protocol, self.kdf, self.alg_id, len(self.key))
            require_names(self.protocol, self.admin_key_name, self.local_key_name, self.peer_key_name)
            require_peers(self.peers)
            require_interfaces(self.interfaces)
            if self.extended_from is not None:
                object.__setattr__(self, "extended_from", _in_utc(self.extended_from))
        except KeyTableError as error:
            raise KeyTableError(f"key {self.admin_key_name!r}: {error}") from None

    @property
    def for_sending(self) -> bool:
        """Whether the Direction lets the key be sent with."""
        return self.direction in (Direction.OUT, Direction.BOTH)

    @property
    def for_receiving(self) -> bool:
        """Whether the Direction lets the key be accepted."""
        return self.direction in (Direction.IN, Direction.BOTH)

    def usable_on(self, interface: str | None) -> bool:
        """Whether the key may be used on ``interface``; None stands for a protocol that does not say."""
        return interface is None or ALL_INTERFACES in self.interfaces or interface in self.interfaces

    def is_extended(self, at: datetime) -> bool:
        """Whether the key is only sent with at ``at`` because its lifetime was extended."""
        return (
            self.extended_from is not None
            and self.for_sending
            and self.extended_from < at
            and self.send_lifetime.contains(at)
        )

    def lifetimes(self) -> tuple[Lifetime, ...]:
        """Return the lifetimes that count, by the Direction: of sending, of accepting, both or none."""
        sending = (self.send_lifetime,) if self.for_sending else ()
        return (*sending, self.accept_lifetime) if self.for_receiving else sending


def key_state(row: KeyRow, at: datetime) -> KeyState:
    """Return what ``row`` may be used for at ``at``."""
    if row.direction is Direction.DISABLED:
        return KeyState.DISABLED
    if row.for_sending and row.send_lifetime.contains(at):
        return KeyState.ACTIVE
    if row.for_receiving and row.accept_lifetime.contains(at):
        return KeyState.ACCEPT_ONLY
    if any(at < lifetime.start for lifetime in row.lifetimes()):
        return KeyState.PENDING
    return KeyState.EXPIRED


def fingerprint(key: Secret) -> str:
    """Return 16 hexadecimal digits by which two routers can compare ``key`` without showing it."""
    return hmac.digest(key.reveal(), _FINGERPRINT_LABEL, hashlib.sha256)[:_FINGERPRINT_OCTETS].hex()


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise KeyTableError("a lifetime is given without its time zone")
    return moment.astimezone(UTC)
