"""The pages of docs/reference say what the sources say: ``python -m tests.docs.reference`` writes them anew."""

from __future__ import annotations

import pytest

from tests.docs.reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_sources_give(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.docs.reference"


def test_no_page_is_left_over() -> None:
    assert {page.name for page in FOLDER.iterdir()} == set(PAGES)


def test_the_pages_have_what_readers_come_for() -> None:
    # Whatever the sources become, a page that lost its tables is not a reference.
    for name, rows in (("rkmp.md", 300), ("errors.md", 100), ("metrics.md", 30), ("commands.md", 50)):
        assert PAGES[name]().count("\n| ") > rows
    assert "/rkmp/peer/association" in PAGES["rkmp.md"]()
    assert "`last-administrator`" in PAGES["errors.md"]()
