"""Secret octets that refuse to show themselves.

Every key, pre-shared key and private key travels through the agent as a :class:`Secret`, so that no log line,
exception, repr or formatted dataclass can print one by accident. Reading the octets takes an explicit call.
"""

from __future__ import annotations

import hmac
from typing import final


@final
class Secret:
    """Immutable octets with a redacted repr, compared in constant time.

    Not hashable and not picklable: both would let the octets travel unseen.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = bytes(octets)

    def reveal(self) -> bytes:
        """Return the octets themselves; the caller takes over the duty not to show them."""
        return self._octets

    def __len__(self) -> int:
        return len(self._octets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Secret(<{len(self._octets)} octets>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled or copied out of the process")
