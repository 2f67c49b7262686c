"""What every payload is: a frozen value that can write its own body (RFC 7296 3.2)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING


class Payload:
    """A payload of an IKE message without its generic header; the chain that it hangs in is the message's business.

    Not an ``abc.ABC``: payloads are told apart by ``isinstance`` all over, which ABCs make several times slower.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        # Of the class for most payloads, of the instance for an unknown one; at run time a property here would pass
        # for the default value of a field.

        @property
        def payload_type(self) -> int:
            """The number by which the payload before it, or the header, announces it."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the payload without its generic header; ValueError or struct.error when a value does not fit."""
