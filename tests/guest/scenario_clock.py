"""Inside the guest, whose clock is nobody else's: whoever goes by civil time is told when it is set."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from rkmp.daemon.clock_watch import ClockWatch
from rkmp.daemon.key_clock import KeyClock
from rkmp.keytable import KeyActivated, Lifetime
from tests.keytable.rows import memory_table, negotiated_row


def set_clock(to: datetime) -> None:
    time.clock_settime(time.CLOCK_REALTIME, to.timestamp())


@pytest.mark.parametrize("by", [timedelta(days=2), timedelta(days=-1), timedelta(seconds=1)])
async def test_a_clock_that_is_set_is_noticed_at_once_every_time(by: timedelta) -> None:
    noticed = asyncio.Event()
    watch = ClockWatch(noticed.set)
    for _ in range(2):
        await asyncio.sleep(3600)
        assert not noticed.is_set()
        set_clock(datetime.now(UTC) + by)
        await asyncio.wait_for(noticed.wait(), 1)
        noticed.clear()
    watch.close()


async def test_a_key_begins_when_the_clock_is_set_to_its_time() -> None:
    table = memory_table()
    key_clock = KeyClock(table, lambda: datetime.now(UTC))
    key_clock.longest_sleep = 10 * 86400.0
    watch = ClockWatch(key_clock.look)
    day = datetime.now(UTC) + timedelta(days=1)
    with table.transaction(datetime.now(UTC)) as change:
        change.install(negotiated_row(send_lifetime=Lifetime(day, None), accept_lifetime=Lifetime(day, None)))
    activated = asyncio.Event()
    table.subscribe(lambda event: activated.set() if isinstance(event, KeyActivated) else None)
    await asyncio.sleep(60)
    assert not activated.is_set()
    set_clock(day)
    await asyncio.wait_for(activated.wait(), 1)
    watch.close()
    key_clock.close()
