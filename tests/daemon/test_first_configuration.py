"""The stored configuration is tried until it can be carried out, and the log says once what stands in the way."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rkmp.daemon.first_configuration import FirstConfiguration
from rkmp.errors import EngineRefusal


class Start:
    """Refuses with each of ``reasons`` in turn, then succeeds."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.calls = 0
        self.succeeded = asyncio.Event()

    def __call__(self) -> None:
        self.calls += 1
        if self.reasons:
            raise EngineRefusal(self.reasons.pop(0))
        self.succeeded.set()


async def test_what_can_be_carried_out_is_tried_once() -> None:
    start = Start()
    first = FirstConfiguration(start, retry_seconds=0.01)
    assert first.refusal is None
    first.running_changed(1, ())
    await asyncio.sleep(0.05)
    assert start.calls == 1


async def test_it_is_tried_again_until_it_succeeds_and_each_reason_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    start = Start("no address", "no address", "no port")
    first = FirstConfiguration(start, retry_seconds=0.01)
    async with asyncio.timeout(5):
        await start.succeeded.wait()
    assert first.refusal is None
    assert start.calls == 4
    assert [record.getMessage() for record in caplog.records] == [
        "the stored configuration is not in force: no address; trying again",
        "the stored configuration is not in force: no port; trying again",
        "the stored configuration is in force now",
    ]


async def test_a_change_of_running_is_tried_at_once() -> None:
    first = FirstConfiguration(Start("no address"), retry_seconds=3600)
    first.running_changed(1, ())
    assert first.refusal is None


async def test_after_close_nothing_is_tried() -> None:
    start = Start("no address")
    first = FirstConfiguration(start, retry_seconds=0.01)
    first.close()
    first.running_changed(1, ())
    await asyncio.sleep(0.05)
    assert start.calls == 1
