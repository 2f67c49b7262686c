"""Message framing of NETCONF over a stream (RFC 6242 sections 4.1 to 4.3), without I/O.

Both mechanisms: end-of-message (``]]>]]>``) for hello and base:1.0, chunked for base:1.1. The decoder holds at most
one message below its limit and what was received but not asked for yet; the rest of a larger message is skipped as
it comes in. It must not know XML, sessions or SSH.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from rkmp.errors import RkmpError

END_OF_MESSAGE = b"]]>]]>"
END_OF_CHUNKS = b"\n##\n"

MAXIMUM_CHUNK_SIZE = 4_294_967_295
"""RFC 6242 section 4.2, in octets."""

DEFAULT_MESSAGE_LIMIT = 64 * 1024 * 1024
"""Largest message that is accepted, in octets, unless told otherwise."""

KEPT_PREFIX = 4096
"""How much of a message over the limit is kept, in octets: enough to find the attributes of its ``<rpc>``."""

# A header is a line feed, a hash, up to ten digits and a line feed.
_LONGEST_HEADER = 13
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|#)\n")
_HEADER_BEGUN = re.compile(rb"\n?|\n#(?:#|[1-9][0-9]{0,9})?")


class FramingError(RkmpError):
    """Octets that are no chunk; the two sides are out of step and the session has to end (RFC 6242 section 4.2)."""


class Framing(Enum):
    """How messages are told apart on the stream."""

    END_OF_MESSAGE = "end-of-message"
    CHUNKED = "chunked"


@dataclass(frozen=True, slots=True)
class OversizedMessage:
    """A message over the limit, whose octets were skipped.

    ``prefix`` holds its first octets (at most ``KEPT_PREFIX``), ``length`` counts all of them.
    """

    prefix: bytes
    length: int


class FrameDecoder:
    """Turns received octets into messages, in whatever pieces the octets come.

    ``receive`` takes octets, ``next_message`` returns the next whole message or None; ``framing`` may be changed
    between two messages and holds for the octets that follow.
    """

    def __init__(self, message_limit: int = DEFAULT_MESSAGE_LIMIT) -> None:
        self.framing = Framing.END_OF_MESSAGE
        self._limit = message_limit
        self._input = bytearray()
        self._message = bytearray()
        self._skipped = 0
        self._chunks = 0
        self._left_of_chunk = 0

    @property
    def unread_octets(self) -> int:
        """Octets received that no message has been made of yet, the message in the making not counted."""
        return len(self._input)

    @property
    def within_message(self) -> bool:
        """Whether the octets so far end in the middle of a message."""
        if self.framing is Framing.CHUNKED:
            return self._chunks > 0 or bool(self._input)
        # Many clients end a message with the delimiter and a line feed; that line feed begins no message.
        return self._skipped > 0 or bool((self._message + self._input).strip())

    def receive(self, octets: bytes) -> None:
        """Take ``octets`` as they came from the peer."""
        self._input += octets

    def next_message(self) -> bytes | OversizedMessage | None:
        """Return the next message without its framing, or None until more octets have come.

        Raises FramingError for octets that are no chunk; the decoder is of no use afterwards.
        """
        if self.framing is Framing.CHUNKED:
            return self._next_chunked()
        return self._next_delimited()

    def _next_delimited(self) -> bytes | OversizedMessage | None:
        end = self._input.find(END_OF_MESSAGE)
        if end < 0:
            # The last octets may be the beginning of a delimiter; the others can no longer be.
            self._take(max(0, len(self._input) - len(END_OF_MESSAGE) + 1))
            return None
        self._take(end)
        del self._input[: len(END_OF_MESSAGE)]
        return self._finish()

    def _next_chunked(self) -> bytes | OversizedMessage | None:
        while True:
            if self._left_of_chunk:
                size = min(self._left_of_chunk, len(self._input))
                self._take(size)
                self._left_of_chunk -= size
                if self._left_of_chunk:
                    return None
            header = bytes(self._input[:_LONGEST_HEADER])
            match = _HEADER.match(header)
            if match is None:
                if _HEADER_BEGUN.fullmatch(header):
                    return None
                raise FramingError("octets that are not a chunk header")
            del self._input[: match.end()]
            if match[1] is None:
                if not self._chunks:
                    raise FramingError("end of chunks without a chunk")
                return self._finish()
            size = int(match[1])
            if size > MAXIMUM_CHUNK_SIZE:
                raise FramingError("chunk size over 4294967295")
            self._chunks += 1
            self._left_of_chunk = size

    def _take(self, size: int) -> None:
        """Move ``size`` octets of the input to the message, or drop them where the message is over the limit."""
        if not self._skipped and len(self._message) + size <= self._limit:
            self._message += self._input[:size]
        elif size:
            if not self._skipped:
                self._skipped = len(self._message)
                self._message += self._input[: min(size, KEPT_PREFIX)]
                del self._message[KEPT_PREFIX:]
            self._skipped += size
        del self._input[:size]

    def _finish(self) -> bytes | OversizedMessage:
        message: bytes | OversizedMessage = bytes(self._message)
        if self._skipped:
            message = OversizedMessage(bytes(self._message), self._skipped)
        self._message = bytearray()
        self._skipped = 0
        self._chunks = 0
        return message


def frame(message: bytes, framing: Framing) -> bytes:
    """Return ``message`` framed for the stream; in end-of-message framing it must not hold the delimiter.

    XML that was serialised never holds it: ``>`` leaves as ``&gt;`` in text and in attributes.
    """
    if framing is Framing.END_OF_MESSAGE:
        return message + END_OF_MESSAGE
    header = b"\n#%d\n"
    pieces: list[bytes] = []
    for start in range(0, len(message), MAXIMUM_CHUNK_SIZE):
        piece = message[start : start + MAXIMUM_CHUNK_SIZE]
        pieces += (header % len(piece), piece)
    return b"".join((*pieces, END_OF_CHUNKS))
