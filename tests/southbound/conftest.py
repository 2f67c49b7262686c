"""Routers without rkmp for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ncclient.transport import session as ncclient_session

from rkmp.southbound import feed as feed_module
from tests.southbound.router import Router


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """A router that nobody does any harm to; each test has a chain of its own."""
    made = Router(tmp_path_factory.mktemp("router"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def own_router(tmp_path: Path) -> Iterator[Router]:
    """A router for a test that breaks it; not started yet."""
    made = Router(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "FIRST_RETRY", 0.2)
    monkeypatch.setattr(feed_module, "LAST_RETRY", 0.5)
    # How often ncclient looks whether there is something to send.
    monkeypatch.setattr(ncclient_session, "TICK", 0.01)
