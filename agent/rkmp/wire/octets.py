"""Octets that come in: the one place that counts them.

A :class:`Reader` never looks past its own end; a structure with a length of its own is read through a narrower reader
that has to be used up exactly. It turns every misfit into a WireError with an offset, and knows nothing of IKE.
"""

from __future__ import annotations

import struct
from typing import Any, final

from rkmp.errors import WireError


@final
class Reader:
    """A bounded walk over immutable octets, from ``start`` to before ``end``."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._position = start
        self._end = end

    @property
    def offset(self) -> int:
        """Where the next octet is, counted from the start of ``data``."""
        return self._position

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return self._end - self._position

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Read one fixed layout; WireError when fewer octets are left."""
        start = self._position
        end = start + layout.size
        if end > self._end:
            raise WireError(f"{layout.size} octets expected, {self._end - start} left", self._position)
        self._position = end
        return layout.unpack_from(self._data, start)

    def take(self, length: int) -> bytes:
        """Read ``length`` octets; WireError when fewer are left."""
        start = self._position
        end = start + length
        if end > self._end:
            raise WireError(f"{length} octets expected, {self._end - start} left", self._position)
        self._position = end
        return self._data[start:end]

    def rest(self) -> bytes:
        """Read whatever is left, perhaps nothing."""
        start = self._position
        self._position = self._end
        return self._data[start : self._end]

    def nested(self, length: int) -> Reader:
        """Return a reader of the next ``length`` octets and step over them.

        WireError when fewer are left, or when ``length`` is negative: a length field smaller than its own header.
        """
        start = self._position
        end = start + length
        if not start <= end <= self._end:
            if length < 0:
                raise WireError("a length smaller than the header that it counts", self._position)
            raise WireError(f"{length} octets expected, {self._end - start} left", self._position)
        self._position = end
        return Reader(self._data, start, end)

    def structure(self, layout: struct.Struct) -> tuple[tuple[Any, ...], Reader]:
        """Read a header whose last field is the length of all, its own included; return it, and a reader of the rest.

        The two steps in one: nearly all that is read is read so. WireError as either would raise it.
        """
        start = self._position
        body = start + layout.size
        if body > self._end:
            raise WireError(f"{layout.size} octets expected, {self._end - start} left", start)
        header = layout.unpack_from(self._data, start)
        end = start + header[-1]
        if not body <= end <= self._end:
            self._position = body
            return header, self.nested(end - body)
        self._position = end
        return header, Reader(self._data, body, end)

    def finish(self) -> None:
        """WireError unless everything was read."""
        if self._position != self._end:
            raise WireError(f"{self._end - self._position} octets left over", self._position)
