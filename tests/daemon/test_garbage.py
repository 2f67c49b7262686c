"""Garbage in cycles is still found, only later."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from rkmp.daemon import garbage


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_cycle_is_freed_in_time() -> None:
    garbage.look_rarely()
    gone = weakref.ref(Cycle())
    kept: list[list[None]] = [[] for _ in range(garbage.NEW_OBJECTS // 2)]
    assert gone() is not None
    kept += [[] for _ in range(garbage.NEW_OBJECTS)]
    assert gone() is None
    assert len(kept) > garbage.NEW_OBJECTS
