"""The page on NETCONF clients works as it is written, with the agents of the tutorial."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.docs.shell import shell_in, with_two_agents

pytestmark = pytest.mark.slow


@pytest.mark.page("docs/how-to/netconf-clients.md", "sh known", "python", "sh console")
def test_the_page_on_clients_works_as_it_is_written(page: Page, tmp_path: Path) -> None:
    program = "\n".join(page.blocks("python"))
    with shell_in(tmp_path) as shell:
        with_two_agents(shell)
        shell.run(*page.blocks("sh known"))
        said = shell.run(f"python - <<'PROGRAM'\n{program}\nPROGRAM\n")
        console = shell.run(*page.blocks("sh console"))
    assert "<state>established</state>" in said
    assert "<protocol>bgp</protocol>" in said
    assert "invalid-value error /rkmp:rkmp/rkmp:peer[rkmp:name='r2']/rkmp:address" in said
    assert "keystring" not in said + console
    assert "urn:ietf:params:netconf:base:1.1" in console
    assert "r1.example.net" in console
