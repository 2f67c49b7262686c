"""The pages of docs/reference say what the sources say: ``python -m tests.docs.reference`` writes them anew."""

from __future__ import annotations

import pytest

from tests.docs.reference import DOCS, FOLDER, PAGES
from tests.docs.reference.exchanges import DRAWINGS, names_in


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_sources_give(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.docs.reference"


def test_no_page_is_left_over() -> None:
    assert {f"reference/{page.name}" for page in FOLDER.iterdir()} == {name for name in PAGES if "reference/" in name}


def test_every_drawing_is_shown() -> None:
    assert names_in("how-rkmp-works.md") == list(DRAWINGS)


def test_the_pages_have_what_readers_come_for() -> None:
    # Whatever the sources become, a page that lost its tables is not a reference.
    for name, rows in (("rkmp", 300), ("errors", 100), ("metrics", 30), ("commands", 50)):
        assert PAGES[f"reference/{name}.md"]().count("\n| ") > rows
    assert "/rkmp/peer/association" in PAGES["reference/rkmp.md"]()
    assert "`last-administrator`" in PAGES["reference/errors.md"]()
