"""The tutorial's commands work, in their order, typed by somebody who has only the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.docs.shell import shell_in


@pytest.mark.page("docs/tutorial.md", "sh")
def test_the_tutorial_works_as_it_is_written(page: Page, tmp_path: Path) -> None:
    with shell_in(tmp_path) as shell:
        out = shell.run(*page.blocks("sh"))
    assert "established" in out or "rolling-over" in out
    assert "new key" in out
    # The first key as r1 and as r2 show it, then both keys during the rollover.
    first, same, *both = re.findall(r"\b[0-9a-f]{16}$", out, re.MULTILINE)
    assert first == same
    assert len(set(both)) == 2
    assert first in both


@pytest.mark.page("docs/tutorial.md", "sh install")
def test_the_tutorial_installs_as_the_readme_does(page: Page) -> None:
    # What CI executes word for word in a clean clone.
    readme = Page("README.md", ()).blocks("sh command: demo")[0]
    make, install, _ = (line.split(" && ") for line in page.blocks("sh install")[0].splitlines())
    assert readme.startswith(" && ".join([*make, *install]))
