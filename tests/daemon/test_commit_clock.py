"""The timer of confirmed commits follows every deadline, and is not put off by a clock that is set back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rkmp.daemon.commit_clock import CommitClock

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class Deadlines:
    """What the clock needs of the datastores."""

    def __init__(self) -> None:
        self.deadline: datetime | None = None
        self.handled: list[datetime] = []
        self.again: datetime | None = None
        self._told: list[Callable[[], None]] = []

    def on_deadline_change(self, listener: Callable[[], None]) -> None:
        self._told.append(listener)

    def next_deadline(self) -> datetime | None:
        return self.deadline

    def handle_time(self, now: datetime) -> None:
        self.handled.append(now)
        self.deadline, self.again = self.again, None

    def set(self, deadline: datetime | None) -> None:
        self.deadline = deadline
        for told in self._told:
            told()


def a_clock(deadlines: Any, clock: Callable[[], datetime] = lambda: NOON) -> CommitClock:
    return CommitClock(deadlines, clock)


async def passing(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def test_it_wakes_at_the_deadline_that_was_there_at_the_start() -> None:
    deadlines = Deadlines()
    deadlines.deadline = NOON + timedelta(seconds=0.05)
    clock = a_clock(deadlines)
    await passing(0.01)
    assert not deadlines.handled
    await passing(0.2)
    assert deadlines.handled == [NOON + timedelta(seconds=0.05)]
    clock.close()


async def test_it_follows_deadlines_as_they_change() -> None:
    deadlines = Deadlines()
    clock = a_clock(deadlines)
    deadlines.set(NOON + timedelta(seconds=0.02))
    deadlines.set(NOON + timedelta(hours=1))
    await passing(0.1)
    assert not deadlines.handled
    deadlines.set(None)
    deadlines.set(NOON)
    await passing(0.05)
    assert deadlines.handled == [NOON]
    clock.close()


async def test_a_deadline_in_the_past_is_handled_at_once() -> None:
    deadlines = Deadlines()
    deadlines.deadline = NOON - timedelta(days=1)
    clock = a_clock(deadlines)
    await passing(0.05)
    assert deadlines.handled == [NOON]
    clock.close()


async def test_what_could_not_be_done_is_done_at_the_next_deadline() -> None:
    deadlines = Deadlines()
    deadlines.again = NOON + timedelta(seconds=0.02)
    clock = a_clock(deadlines)
    deadlines.set(NOON)
    await passing(0.1)
    assert deadlines.handled == [NOON, NOON + timedelta(seconds=0.02)]
    clock.close()


async def test_a_clock_that_is_set_back_does_not_put_it_off() -> None:
    deadlines = Deadlines()
    wall = [NOON]
    clock = a_clock(deadlines, lambda: wall[0])
    deadline = NOON + timedelta(seconds=0.05)
    deadlines.set(deadline)
    wall[0] = NOON - timedelta(days=1)
    await passing(0.2)
    assert deadlines.handled == [deadline]
    clock.close()


async def test_a_closed_clock_wakes_nobody() -> None:
    deadlines = Deadlines()
    clock = a_clock(deadlines)
    deadlines.set(NOON + timedelta(seconds=0.01))
    clock.close()
    deadlines.set(NOON)
    await passing(0.05)
    assert not deadlines.handled
