"""Certificates of NETCONF are told of when their time has come, and when the clock is set to after that."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

from lxml import etree

from rkmp.daemon.certificate_clock import CertificateClock
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.certificates import NetconfCertificates
from tests.netconf.certificates import SERVER

END = SERVER.certificate.not_valid_after_utc
HOUR = timedelta(hours=1)
ENTRY = AgentNames.CERTIFICATE, "own"


class Clock:
    """A clock that goes, and can be set."""

    def __init__(self, shows: datetime) -> None:
        self.set(shows)

    def set(self, shows: datetime) -> None:
        self._shows, self._since = shows, time.monotonic()

    def __call__(self) -> datetime:
        return self._shows + timedelta(seconds=time.monotonic() - self._since)


async def test_it_wakes_up_when_the_time_has_come_and_looks_when_the_clock_is_set() -> None:
    told: list[str | None] = []
    tells = asyncio.Event()

    def publish(_at: datetime, element: etree._Element) -> None:
        told.append(element.findtext(AgentNames.SECONDS_LEFT))
        tells.set()

    clock = Clock(END - HOUR - timedelta(seconds=1))
    alarm = CertificateClock(NetconfCertificates(publish), clock)
    try:
        alarm.watch({ENTRY: SERVER.certificate}, (HOUR,))
        assert told == []
        async with asyncio.timeout(30):
            await tells.wait()
        assert [3590 <= int(left or 0) <= 3600 for left in told] == [True], "not before, and soon"
        clock.set(END + HOUR)
        alarm.look()
        assert told[1:] == ["0"]
        alarm.watch({}, (HOUR,))
        alarm.look()
        assert len(told) == 2
    finally:
        alarm.close()
