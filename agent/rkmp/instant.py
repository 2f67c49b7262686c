"""The two clocks of the agent, read once and passed down.

Timers (retransmission, liveness) run on a monotonic clock; lifetimes of keys are promises in civil time and run
on UTC. Nothing below the daemon and the engine's driver reads a clock: it is handed an :class:`Instant`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

Random = Callable[[int], bytes]
"""A source of randomness: called with a number of octets, returns that many (``os.urandom`` outside tests)."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    ``monotonic`` is in seconds from an arbitrary origin and never goes back; ``wall`` is an aware datetime in UTC.
    """

    monotonic: float
    wall: datetime
