"""What an IKE SA lets somebody watch: whole messages as they are understood, and, on purpose only, its keys.

An :class:`Observer` is handed in like the source of randomness. It is told and cannot change anything; without one
nothing is done here. It must not raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rkmp.crypto.ike_keys import IkeKeys
from rkmp.crypto.suites import IkeSuite
from rkmp.ike.path import Path
from rkmp.ike.statistics import Statistic
from rkmp.wire import Payload


@dataclass(frozen=True, slots=True)
class ObservedMessage:
    """One message, once: when it is made, or when it is complete.

    ``path`` is where it travels, as far as anybody has said. ``payloads`` are those inside of a protected message.
    ``datagrams`` is how many it travels in. ``fault`` says why the payloads cannot be read; there are none then.
    """

    path: Path | None
    is_outgoing: bool
    initiator_spi: bytes
    responder_spi: bytes
    exchange_type: int
    message_id: int
    is_response: bool
    is_protected: bool
    datagrams: int
    payloads: tuple[Payload, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedKeys:
    """The keys under which an IKE SA goes on from here; whoever has them reads all of it and can pose as both sides."""

    initiator_spi: bytes
    responder_spi: bytes
    suite: IkeSuite
    keys: IkeKeys


class Observer(Protocol):
    """Somebody who watches IKE SAs."""

    def message(self, message: ObservedMessage) -> None:
        """Hear of a message that was sent, or received and, where it is protected, found genuine."""

    def repeated(self, datagrams: tuple[bytes, ...], path: Path | None) -> None:
        """Hear that a message of ours is sent again as it was: a request that got no response, or a response."""

    def dropped(self, datagram: bytes, reason: Statistic, path: Path | None) -> None:
        """Hear of a datagram that is not acted upon."""

    def keys(self, keys: ObservedKeys) -> None:
        """Hear of new keys."""
