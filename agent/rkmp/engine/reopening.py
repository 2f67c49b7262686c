"""When another IKE SA with a peer may be opened: at once, or after a pause that grows with each failure."""

from __future__ import annotations

from collections.abc import Callable

from rkmp.engine.association import FIRST_RETRY, LAST_RETRY
from rkmp.engine.configuration import IkePolicy, Initiate

STABLE = 60.0
"""Seconds that an IKE SA has to last for another to be kept up at once when it ends."""


class Reopening:
    """The pauses of one peer; times are monotonic seconds, ``jitter`` is a random part to add to a pause."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._pause = FIRST_RETRY
        self._may_from = float("-inf")
        self._kept_up_from = float("-inf")
        self.is_asked = False
        """Whether an operator wants an IKE SA now, whatever the configuration says."""

    def now(self) -> None:
        """Forget the pause: somebody asked, or something has changed."""
        self._may_from = self._kept_up_from = float("-inf")
        self._pause = FIRST_RETRY

    def after_success(self) -> None:
        """Note that an IKE SA was established; whether it is worth anything will be seen when it ends."""
        self.is_asked = False
        self._may_from = float("-inf")

    def after_failure(self, now: float) -> None:
        """Pause, because no IKE SA came to be."""
        self.is_asked = False
        self._may_from = now + self._pause * (1 + self._jitter())
        self._pause = min(self._pause * 2, LAST_RETRY)

    def after_end(self, now: float, lasted: float, *, by_us: bool) -> None:
        """Pause before an IKE SA is kept up anew: one that the peer does not let last is not opened over and over."""
        if by_us or lasted >= STABLE:
            self._pause = FIRST_RETRY
            self._kept_up_from = now + FIRST_RETRY * self._jitter()
        else:
            self._kept_up_from = now + self._pause * (1 + self._jitter())
            self._pause = min(self._pause * 2, LAST_RETRY)

    def may_open(self, initiate: Initiate, now: float, *, is_asked: bool) -> bool:
        """Whether an IKE SA may be opened now for an association that needs one."""
        is_allowed = initiate is not Initiate.NEVER or is_asked or self.is_asked
        return is_allowed and now >= self._may_from

    def wanted_from(self, initiate: Initiate, policy: IkePolicy) -> float:
        """Return from when on there has to be an IKE SA although no association needs it; infinity for never."""
        if self.is_asked:
            return self._may_from
        if initiate is not Initiate.IMMEDIATELY or not policy.retain_ike_sa:
            return float("inf")
        return max(self._may_from, self._kept_up_from)

    def moments(self, initiate: Initiate, policy: IkePolicy) -> tuple[float, float]:
        """Return when something may be done that may not be done now."""
        return self._may_from, self.wanted_from(initiate, policy)
