"""How often something may be done: at a steady rate, and for a moment more (a token bucket)."""

from __future__ import annotations


class Allowance:
    """``rate`` a second, and ``burst`` at once after a pause; times are monotonic seconds."""

    __slots__ = ("_burst", "_counted_at", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._counted_at = float("-inf")

    def take(self, now: float) -> bool:
        """Return whether it may be done now; then it counts as done."""
        if self._counted_at < now:
            # The pause may be infinite; what is left is not.
            passed = min(now - self._counted_at, self._burst / self._rate)
            self._left = min(self._left + passed * self._rate, self._burst)
            self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
