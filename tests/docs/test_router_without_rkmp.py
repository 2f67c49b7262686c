"""The page on routers that cannot run rkmp: its commands give one that is there the keys of the tutorial's agent."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.docs.shell import shell_in, with_two_agents
from tests.e2e.agents import wait_for
from tests.real_parts import program
from tests.southbound.router import Router

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.page("docs/how-to/keys-for-a-router-without-rkmp.md", "sh key", "sh configure", "sh look")
def test_a_router_gets_the_keys_of_the_agent_beside_it(page: Page, tmp_path: Path) -> None:
    program("ssh-keyscan", "openssh-client")
    for name in ("shell", "router"):
        (tmp_path / name).mkdir()
    router = Router(tmp_path / "router")
    with shell_in(tmp_path / "shell") as shell:
        with_two_agents(shell)
        shell.run(*page.blocks("sh key"))
        shutil.copy(shell.directory / "lab" / "router-key.pub", router.folder / "user_key.pub")
        router.start()
        try:
            shell.run(*(re.sub(r"\b830\b", str(router.port), block) for block in page.blocks("sh configure")))
            wait_for("the key is with the router", lambda: bool(keys(router)))
            before = keys(router)
            assert "core" in shell.run(*page.blocks("sh look"))
            wait_for("the next key, too", lambda: bool(keys(router) - before))
        finally:
            router.kill()


def keys(router: Router) -> frozenset[int]:
    """Return the key-ids that the router has of the agent."""
    chain = router.chain("to-r2")
    return frozenset() if chain is None else chain.owned & chain.keys.keys()
