"""What has to be remembered of a connection to check its segments: both ISNs and the sequence number extensions.

RFC 5925 5.2 and 6.2, RFC 9187. The ISNs are only ever seen in the handshake.
"""

from __future__ import annotations

from typing import final

from rkmp.capture.segments import Endpoint, Segment

_MODULUS = 1 << 32
_HALF = 1 << 31


@final
class Connection:
    """One connection, or those that use the same addresses and ports after one another."""

    __slots__ = ("_furthest", "_isns")

    def __init__(self) -> None:
        self._isns: dict[Endpoint, int] = {}
        self._furthest: dict[Endpoint, int] = {}

    def isns_of(self, segment: Segment) -> tuple[int, int] | None:
        """Return the ISNs of its source and of its destination; None while one of them has not been seen.

        The first SYN is protected with 0 in the place of the other one's (RFC 5925 5.2).
        """
        if segment.is_syn:
            return segment.sequence, (segment.acknowledgment - 1) % _MODULUS if segment.is_ack else 0
        source, destination = self._isns.get(segment.source), self._isns.get(segment.destination)
        return None if source is None or destination is None else (source, destination)

    def sne_of(self, segment: Segment) -> int:
        """Return the sequence number extension of a segment: how often its sequence numbers have come round."""
        return 0 if segment.is_syn else max(self._extended(segment), 0) >> 32

    def note(self, segment: Segment) -> None:
        """Learn from a segment that its receiver would not have dropped."""
        if segment.is_syn:
            self._note_handshake(segment)
        elif segment.source in self._isns:
            self._furthest[segment.source] = max(self._furthest[segment.source], self._extended(segment))

    def suppose(self, segment: Segment) -> None:
        """Take the word of a handshake whose MAC is wrong, as long as nothing better is known.

        So that what follows under the same wrong key is told to be wrong, and not to lack a handshake.
        """
        if segment.is_syn:
            if segment.source not in self._isns:
                self._begin(segment.source, segment.sequence)
            if segment.is_ack and segment.destination not in self._isns:
                self._begin(segment.destination, (segment.acknowledgment - 1) % _MODULUS)

    def _note_handshake(self, segment: Segment) -> None:
        if self._isns.get(segment.source, segment.sequence) != segment.sequence:
            # The same addresses and ports, and another connection.
            self._isns.clear()
        self._begin(segment.source, segment.sequence)
        if segment.is_ack:
            self._begin(segment.destination, (segment.acknowledgment - 1) % _MODULUS)

    def _begin(self, endpoint: Endpoint, isn: int) -> None:
        if self._isns.get(endpoint) != isn:
            self._isns[endpoint] = self._furthest[endpoint] = isn

    def _extended(self, segment: Segment) -> int:
        """Return the sequence number in 64 bits: of those that it can be, the one next to where its sender was."""
        furthest = self._furthest.get(segment.source, segment.sequence)
        return furthest + (segment.sequence - furthest + _HALF) % _MODULUS - _HALF
