"""The page on telemetry says what works: its operations are sent to an agent, its commands to the collector."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.netconf.conversation import nc
from tests.northbound.test_netconf import Routers

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "how-to" / "telemetry.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


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


def test_the_options_of_the_page_are_those_of_the_collector() -> None:
    program = REPOSITORY / "examples" / "telemetry" / "collector.py"
    (command,) = blocks("sh")
    assert "examples/telemetry/collector.py" in command
    shown = subprocess.run([sys.executable, str(program), "--help"], capture_output=True, text=True, check=True).stdout
    used = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert {"--host", "--user", "--key", "--format"} <= used
    assert used <= set(re.findall(r"--[a-z][a-z-]+", shown))
