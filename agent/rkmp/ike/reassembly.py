"""Messages that come in pieces, put together again in bounded memory (RFC 7383 2.6).

Every piece is authentic before it is kept, so what is here comes from the peer; but the peer of a half-open IKE SA may
be anybody. What a whole message means, and whether it is wanted, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

from rkmp.value import value
from rkmp.wire import EncryptedFragment, Header, Message

COST_OF_PIECE = 64
"""What is counted for a piece besides its octets, so that many small ones are bounded like few large ones."""


@value
class Inside:
    """What an Encrypted payload holds, or all fragments of one message: the first payload's type, and all octets.

    ``head`` are the octets before that: from the IKE header to the generic header of the Encrypted payload, or of the
    first fragment's. ``datagram`` is what it came in, or the first fragment did; ``datagrams`` is how many there were.
    """

    first_payload: int
    octets: bytes
    head: bytes
    datagram: bytes
    datagrams: int = 1


class TooMuch(Exception):
    """The pieces of a message exceed what may be kept of it."""


@final
class Collection:
    """The pieces of one message so far."""

    __slots__ = ("_cost", "_first", "_limit", "_pieces", "_total", "discard_at", "exchange_type", "message_id")

    def __init__(self, header: Header, limit: int, discard_at: float) -> None:
        self.exchange_type = header.exchange_type
        self.message_id = header.message_id
        self.discard_at = discard_at
        self._limit = limit
        self._total = 0
        self._cost = 0
        self._pieces: dict[int, bytes] = {}
        self._first: Inside | None = None

    def belongs(self, header: Header) -> bool:
        """Return whether a fragment with ``header`` is of this message."""
        return (header.exchange_type, header.message_id) == (self.exchange_type, self.message_id)

    def wants(self, fragment: EncryptedFragment) -> bool:
        """Return whether ``fragment`` is a piece that is missing, before anybody looks whether it is authentic."""
        if fragment.total_fragments == self._total:
            return fragment.fragment_number not in self._pieces
        return fragment.total_fragments > self._total

    def add(self, fragment: EncryptedFragment, piece: Inside) -> Inside | None:
        """Keep an authentic piece; return the message where it was the last one missing.

        A larger number of pieces than before means that the sender has cut the message anew, in smaller ones. Raises
        TooMuch.
        """
        if fragment.total_fragments > self._total:
            self._pieces.clear()
            self._total, self._cost = fragment.total_fragments, 0
        if fragment.fragment_number == 1:
            self._first = piece
        self._pieces[fragment.fragment_number] = piece.octets
        self._cost += len(piece.octets) + COST_OF_PIECE
        if self._cost > self._limit:
            raise TooMuch
        if len(self._pieces) < self._total or self._first is None:
            return None
        octets = b"".join(self._pieces[number] for number in range(1, self._total + 1))
        return replace(self._first, octets=octets, datagrams=self._total)


def fragment_of(message: Message) -> EncryptedFragment | None:
    """Return the fragment that ``message`` consists of, or None where it is whole."""
    if len(message.payloads) == 1 and isinstance(message.payloads[0], EncryptedFragment):
        return message.payloads[0]
    return None
