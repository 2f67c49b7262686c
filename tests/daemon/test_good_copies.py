"""A copy soon after a change that comes alone, one a minute while changes go on, and none where there are none."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from rkmp.daemon import good_copies
from rkmp.daemon.good_copies import GoodCopies
from rkmp.errors import StorageError


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(good_copies, "SOON_SECONDS", 0.01)
    monkeypatch.setattr(good_copies, "APART_SECONDS", 0.2)


def test_changes_are_copied_soon_and_then_apart() -> None:
    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        made: list[float] = []
        copies = GoodCopies(lambda: made.append(loop.time()))
        for _ in range(30):
            copies.changed(1, ())
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.25)
        copies.close()
        return made

    made = asyncio.run(run())
    assert 2 <= len(made) <= 4
    assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(made))


def test_closing_makes_the_copy_that_is_due_and_no_other() -> None:
    async def run(*, is_changed: bool) -> int:
        made: list[None] = []
        copies = GoodCopies(lambda: made.append(None))
        if is_changed:
            copies.changed()
        copies.close()
        copies.changed()
        await asyncio.sleep(0.03)
        return len(made)

    assert asyncio.run(run(is_changed=True)) == 1
    assert asyncio.run(run(is_changed=False)) == 0


def test_a_disk_that_refuses_is_a_warning_and_the_next_change_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[None] = []

    def refuse() -> None:
        tries.append(None)
        raise StorageError("the disk is full")

    async def run() -> None:
        copies = GoodCopies(refuse)
        for _ in range(2):
            copies.changed()
            await asyncio.sleep(0.3)
        copies.close()

    asyncio.run(run())
    assert len(tries) == 2
    assert "no new copy of the database to start from: the disk is full" in caplog.text
