"""The schema of the box, compiled once, and a server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES
from tests.netconf.access_control.servers import Guarded


@pytest.fixture(scope="session")
def box_schema() -> Schema:
    return load_schema({**NETCONF_MODULES, "guarded": ()}, [Path(__file__).parent / "modules"])


@pytest.fixture
async def server(box_schema: Schema) -> AsyncIterator[Guarded]:
    server = Guarded(box_schema)
    yield server
    await server.close()
