"""Failed logins by where they come from: whoever guesses is soon not listened to, and others do not notice.

One address of IPv4, or one network of 64 bits of IPv6, which is what one host has. Remembers no more addresses than
can fail within the interval, and of each no more moments than the limit.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from rkmp.netconf.transport import TransportLimits

MOST_SOURCES = 10_000
"""Addresses that are remembered; the ones that failed longest ago are forgotten first."""


class LoginAttempts:
    """Counts failed logins; ``clock`` returns seconds, monotonic."""

    def __init__(self, limits: TransportLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, source_host: str) -> None:
        """Take note of a failed login from an address."""
        source = _source(source_host)
        moments = self._failures.pop(source, None) or deque()
        moments.append(self._clock())
        while len(moments) > self.limits.failed_logins:
            moments.popleft()
        self._failures[source] = moments
        while len(self._failures) > MOST_SOURCES:
            self._failures.popitem(last=False)

    def are_too_many(self, source_host: str) -> bool:
        """Return whether no login is to be tried from an address for now."""
        source = _source(source_host)
        moments = self._failures.get(source)
        if moments is None:
            return False
        since = self._clock() - self.limits.failed_login_interval
        while moments and moments[0] <= since:
            moments.popleft()
        if not moments:
            del self._failures[source]
        return len(moments) >= self.limits.failed_logins

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._failures)


def _source(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
