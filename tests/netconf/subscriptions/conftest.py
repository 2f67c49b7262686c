"""What the tests of subscriptions share: a schema with every kind of node, and a stage for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES
from tests.netconf.agents import Agent
from tests.netconf.subscriptions.stage import Stage

MODULES = Path(__file__).parent / "modules"


@pytest.fixture(scope="session")
def shop_schema() -> Schema:
    return load_schema({**NETCONF_MODULES, "example-shop": ()}, [MODULES])


@pytest.fixture
def stage(shop_schema: Schema) -> Stage:
    return Stage(shop_schema)


@pytest.fixture
async def agent(shop_schema: Schema) -> AsyncIterator[Agent]:
    """A whole server, on the clocks of the machine."""
    agent = Agent(shop_schema, clock=lambda: datetime.now(UTC))
    yield agent
    await agent.close()
