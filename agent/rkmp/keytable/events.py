"""What happens to keys, told to subscribers after it has become durable. No event holds key material."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from rkmp.keytable.row import KeyRow


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """Something that happened to the key named ``admin_key_name`` at ``at`` (UTC).

    ``peer`` is the name of the peer that it was agreed with, None for a key of the configuration.
    """

    at: datetime
    admin_key_name: str
    protocol: str
    peers: tuple[str, ...]
    local_key_name: str
    peer_key_name: str
    peer: str | None

    @property
    def is_negotiated(self) -> bool:
        """Whether the key was agreed with a peer."""
        return self.peer is not None

    @classmethod
    def of(cls, row: KeyRow, at: datetime, **details: Any) -> Self:
        """Return the event that concerns ``row``; ``details`` are the fields that only this kind of event has."""
        return cls(
            at=at,
            admin_key_name=row.admin_key_name,
            protocol=row.protocol,
            peers=row.peers,
            local_key_name=row.local_key_name,
            peer_key_name=row.peer_key_name,
            peer=None if row.provenance is None else row.provenance.peer,
            **details,
        )


@dataclass(frozen=True, slots=True)
class KeyInstalled(KeyEvent):
    """A row was added."""


@dataclass(frozen=True, slots=True)
class KeyUpdated(KeyEvent):
    """A row was changed: read it again. A replaced key, for one, has its lifetimes shortened.

    It was a key of ``former_protocol`` with ``former_peers``, who may be others than now: a manual key can move.
    """

    former_protocol: str
    former_peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyActivated(KeyEvent):
    """The key may now be sent with."""


@dataclass(frozen=True, slots=True)
class KeyExpiring(KeyEvent):
    """The key's life will end in ``seconds_left``; told once, a tenth of its life (7 days at most) before.

    That is the end of its last lifetime, or where the extension of its life begins if it may be extended.
    """

    seconds_left: int


@dataclass(frozen=True, slots=True)
class KeyExtended(KeyEvent):
    """The key is sent with past the end of its life proper, ``since``: told then, and again at intervals."""

    since: datetime


@dataclass(frozen=True, slots=True)
class KeyExtensionEnded(KeyEvent):
    """The key, which was sent with past the end of its life proper, is not any more."""


@dataclass(frozen=True, slots=True)
class KeyExpired(KeyEvent):
    """The key's last lifetime has ended; the row is still there."""


@dataclass(frozen=True, slots=True)
class KeyRemoved(KeyEvent):
    """The row is gone; ``reason`` says why."""

    reason: str
