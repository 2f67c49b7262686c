"""What the tests of this room share: a schema that is compiled once, and a whole server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES
from tests.netconf.agents import Agent

MODULES = Path(__file__).parent / "modules"


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema({**NETCONF_MODULES, "example-network": ()}, [MODULES])


@pytest.fixture
async def agent(schema: Schema) -> AsyncIterator[Agent]:
    agent = Agent(schema)
    yield agent
    await agent.close()
