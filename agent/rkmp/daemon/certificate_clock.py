"""The alarm of the certificates of NETCONF, which expire by civil time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from rkmp.daemon.key_clock import LONGEST_SLEEP
from rkmp.northbound.certificates import Certificates, NetconfCertificates


class CertificateClock:
    """Has certificates told of in time; ``close`` ends it.

    ``clock`` returns the time now, aware, in UTC. Needs a running event loop.
    """

    def __init__(self, certificates: NetconfCertificates, clock: Callable[[], datetime]) -> None:
        self._certificates = certificates
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.longest_sleep = LONGEST_SLEEP

    def watch(self, certificates: Certificates, warnings: tuple[timedelta, ...]) -> None:
        """Watch these certificates, and no others."""
        self._certificates.watch(certificates, warnings, self._clock())
        self._arm()

    def look(self) -> None:
        """Look at the clock now: it has been set, or the time has come."""
        self._certificates.handle_time(self._clock())
        self._arm()

    def close(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self.close()
        moment = self._certificates.next_change
        if moment is not None:
            delay = max((moment - self._clock()).total_seconds(), 0.0)
            # The clock may be set meanwhile, and nobody else may tell.
            self._timer = self._loop.call_later(min(delay, self.longest_sleep), self.look)
