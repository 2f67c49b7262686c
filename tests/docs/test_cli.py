"""The page on the client has every status, verdict and cause, and its documents are what it says they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rkmp.capture import Verdict
from rkmp.cli.commands import COMMANDS
from rkmp.cli.doctor.causes import Cause
from rkmp.cli.exit_status import MEANINGS
from rkmp.cli.profiles import profile_names
from tests.docs.pages import Page

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "cli.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """Return the table below a heading: the second column by the first, without the head."""
    section = REFERENCE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `?([^|`]+?)`? \| (.+) \|$", section, re.MULTILINE)
    return dict(found[2:])


def test_the_reference_has_every_status_verdict_and_cause() -> None:
    assert rows("Exit status") == {str(status): meaning for status, meaning in MEANINGS.items()}
    assert set(rows("What verify finds")) == {verdict.value for verdict in Verdict}
    assert rows("What doctor finds") == {cause.label: cause.advice for cause in Cause}


def test_the_reference_has_every_command() -> None:
    commands = REFERENCE.split("## Exit status")[0]
    assert {word for word in COMMANDS if not re.search(rf"`{word}\b", commands)} == set()


@pytest.mark.page("docs/cli.md", "toml")
def test_the_profile_of_the_reference_is_one(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = page.blocks("toml")
    (tmp_path / "rkmp").mkdir()
    (tmp_path / "rkmp" / "config.toml").write_text(example)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profile_names() == ["r1"]
