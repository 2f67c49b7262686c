"""A feed of keys goes on whatever its consumer does: keys that are not rolled over end the sessions of a router."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rkmp.southbound import ConsumerReport, FeedState
from rkmp.southbound.feed import KeyFeed
from rkmp.southbound.steps import Holding, Step, Usage
from tests.keytable.rows import NOON, PEER, memory_table
from tests.southbound.test_key_api import row, until


class Faulty:
    """A consumer whose first answers are a fault of its own code."""

    name = "faulty"
    timeout = None

    def __init__(self, faults: int) -> None:
        self.faults = faults

    async def holding(self) -> Holding:
        self._stumble()
        return Holding()

    async def apply(self, step: Step, result: Holding) -> None:
        self._stumble()

    async def usage(self, _: Holding, /) -> Usage | None:
        return None

    def _stumble(self) -> None:
        if self.faults:
            self.faults -= 1
            raise ValueError("nobody has thought of that")


async def test_a_fault_of_the_agent_is_told_of_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = memory_table()
    with table.transaction(NOON) as change:
        change.install(row(1))
    reports: list[ConsumerReport] = []
    feed = KeyFeed(Faulty(2), table, PEER, "bgp", lambda: NOON, reports.append, _retry=0.01)
    task = feed.start()
    await until(lambda: feed.status.state is FeedState.SYNCHRONISED)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    reason = "a fault of the agent, which its log has: ValueError"
    assert reports == [ConsumerReport("faulty", PEER, "bgp", reason), ConsumerReport("faulty", PEER, "bgp", None)]
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.CRITICAL] * 2
