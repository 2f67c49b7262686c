"""The page on telemetry says what works: its operations are sent to an agent. Its collector is run by the e2e tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.docs.pages import Page
from tests.netconf.conversation import nc
from tests.northbound.test_netconf import Routers


@pytest.fixture
async def routers() -> AsyncIterator[Routers]:
    routers = Routers()
    yield routers
    await routers.close()


@pytest.mark.page("docs/how-to/telemetry.md", "xml")
async def test_every_operation_of_the_page_is_carried_out(page: Page, routers: Routers) -> None:
    client, _ = await routers.configure()
    for operation in page.blocks("xml"):
        # What was pushed meanwhile is not of interest here.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                while True:
                    await client.message()
        reply = await client.call(operation)
        assert not [child for child in reply if child.tag == nc("rpc-error")], operation
