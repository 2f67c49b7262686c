"""Who gets state for a first datagram: limits on half-open IKE SAs, cookies, and rates for answers without state.

RFC 7296 2.6 and 2.21.4. Anybody can send a first datagram with any source address, so what it may cost is bounded: in
all, and for each address. From the thresholds on an initiator has to show first that it is where it says; so nobody who
pretends to be at the address of a peer uses up what there is for that peer, or makes us send it more than a little.
"""

from __future__ import annotations

from collections import Counter

from rkmp.engine.allowance import Allowance
from rkmp.engine.statistics import EngineStatistic
from rkmp.ike import CookieKeeper
from rkmp.instant import Random

COOKIE_THRESHOLD = 100
"""Half-open IKE SAs from which on a cookie is asked for."""
COOKIE_THRESHOLD_OF_ADDRESS = 3
"""Half-open IKE SAs of one address from which on a cookie is asked for there."""
HALF_OPEN_LIMIT = 10_000
HALF_OPEN_LIMIT_OF_ADDRESS = 20
ANSWERS_A_SECOND = 500.0
"""How often an error is sent to somebody for whom there is no IKE SA."""
ANSWERS_AT_ONCE = 1000.0
ANSWERS_A_SECOND_TO_ADDRESS = 2.0
ANSWERS_AT_ONCE_TO_ADDRESS = 20.0
MOST_ADDRESSES = 10_000
"""Addresses whose answers are counted one by one; then all of them begin anew, within the limit for all together."""


class Admission:
    """Counts half-open IKE SAs, by the address that they come from, and decides on the next one."""

    def __init__(self, random: Random) -> None:
        self._cookies = CookieKeeper(random)
        self._half_open: dict[bytes, str] = {}
        self._of_address: Counter[str] = Counter()
        self._answers = Allowance(ANSWERS_A_SECOND, ANSWERS_AT_ONCE)
        self._answers_to: dict[str, Allowance] = {}

    @property
    def half_open(self) -> int:
        """How many IKE SAs are half open."""
        return len(self._half_open)

    def spis(self) -> list[bytes]:
        """Return the local SPIs of the half-open IKE SAs."""
        return list(self._half_open)

    def begin(self, spi: bytes, address: str) -> None:
        """Count the IKE SA with the local SPI ``spi`` as half open."""
        self._half_open[spi] = address
        self._of_address[address] += 1

    def end(self, spi: bytes) -> None:
        """Note that the IKE SA is established, or gone."""
        address = self._half_open.pop(spi, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def refusal(self, address: str) -> EngineStatistic | None:
        """Return what to count a first datagram from ``address`` as when it must be dropped, or None."""
        if len(self._half_open) >= HALF_OPEN_LIMIT or self._of_address[address] >= HALF_OPEN_LIMIT_OF_ADDRESS:
            return EngineStatistic.DROPPED_HALF_OPEN_LIMIT
        return None

    def challenge(self, datagram: bytes, remote: tuple[str, int], now: float) -> bytes | None:
        """Return the answer that asks for a cookie, or None when none is needed or the right one was brought."""
        is_calm = len(self._half_open) < COOKIE_THRESHOLD
        if is_calm and self._of_address[remote[0]] < COOKIE_THRESHOLD_OF_ADDRESS:
            return None
        return self._cookies.challenge(datagram, remote, now)

    def may_answer(self, address: str, now: float) -> bool:
        """Whether an error may be sent now to somebody at ``address`` we have no state for (RFC 7296 2.21.4)."""
        if len(self._answers_to) >= MOST_ADDRESSES:
            self._answers_to.clear()
        allowance = self._answers_to.get(address)
        if allowance is None:
            allowance = Allowance(ANSWERS_A_SECOND_TO_ADDRESS, ANSWERS_AT_ONCE_TO_ADDRESS)
            self._answers_to[address] = allowance
        return allowance.take(now) and self._answers.take(now)
