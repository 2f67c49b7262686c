"""When an IKE SA is rekeyed, so that it goes on beyond its lifetime, and what follows when that fails.

RFC 7296 2.8: lifetimes are not negotiated, each side keeps to its own and rekeys in time. The initiator of an IKE SA
does so when a tenth of the lifetime is left, the responder, who only has to if the initiator did not, when half of that
is left; both add something random, so that not all IKE SAs of a router are rekeyed at once. What is asked for at the
same time all the same is sorted out by nonces (2.8.2). An attempt that fails is repeated until the lifetime ends; then
the IKE SA ends, too, and another is opened when there is need of one.
"""

from __future__ import annotations

from typing import final

from rkmp.engine.configuration import IkePolicy
from rkmp.ike import Role

REKEY_LEAD = {Role.INITIATOR: 0.1, Role.RESPONDER: 0.05}
"""The part of the lifetime that is left when a side rekeys."""
RETRY_PART = 1 / 80
"""The part of the lifetime after which a failed attempt is repeated: the initiator has time for eight."""


@final
class Renewal:
    """The attempts to rekey one IKE SA, and the next one after it has taken its place.

    ``is_under_way``: an attempt of ours has begun and not ended. ``last_failure`` is why the last one failed, None when
    none has since the IKE SA was made. Times are monotonic seconds, ``jitter`` is random from 0 to a quarter.
    """

    __slots__ = ("_jitter", "_retry_at", "is_under_way", "last_failure")

    def __init__(self) -> None:
        self._jitter = 0.0
        self._retry_at = float("-inf")
        self.is_under_way = False
        self.last_failure: str | None = None

    def begin(self, jitter: float) -> None:
        """Note that the IKE SA was made, or another has taken its place."""
        self._jitter = jitter
        self._retry_at = float("-inf")
        self.is_under_way = False
        self.last_failure = None

    def failed(self, reason: str, policy: IkePolicy, jitter: float, now: float) -> None:
        """Note that an attempt has failed, which is to be repeated after a while."""
        self.is_under_way = False
        self.last_failure = reason
        self._retry_at = now + policy.lifetime * RETRY_PART * (1 + jitter)

    def due_at(self, policy: IkePolicy, role: Role, opened_at: float) -> float:
        """Return when to rekey what was opened at ``opened_at``, infinity for never.

        An IKE SA that is not to be retained has no future.
        """
        if self.is_under_way or not policy.retain_ike_sa:
            return float("inf")
        return max(opened_at + self.planned_after(policy, role), self._retry_at)

    def planned_after(self, policy: IkePolicy, role: Role) -> float:
        """Return how many seconds after the IKE SA was made the first attempt is to begin."""
        return policy.lifetime * (1 - REKEY_LEAD[role] * (1 + self._jitter))
