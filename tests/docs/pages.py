"""The pages, and the blocks of code in them: which there are, and which a test has taken.

A test says by the mark ``page`` which page it is about and which kinds of its blocks it executes, and has them from the
fixture of that name. Where a kind is to be told apart from others of its language, a comment before the block names it:
the block after ``<!-- install -->`` that is ``sh`` is of the kind ``sh install``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).parents[2]
SITE = sorted(REPOSITORY.glob("docs/**/*.md"))
PAGES = [*sorted(REPOSITORY.glob("*.md")), *SITE, *sorted(REPOSITORY.glob("examples/**/*.md"))]

_LABEL = re.compile(r"<!-- ([a-z0-9: -]+) -->\s*\Z")


def name_of(page: Path) -> str:
    """Return how tables and failures name a page: its place in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its kind, the number of its first line in the page, and what is in it."""

    kind: str
    line: int
    content: str

    @property
    def language(self) -> str:
        return self.kind.partition(" ")[0]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order; one that is only indented has no language."""
    found: list[Block] = []
    label = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            kind = f"{token.info.strip()} {label}".strip()
            found.append(Block(kind, token.map[0] + 1, token.content))
        named = _LABEL.search(token.content) if token.type == "html_block" else None
        label = named[1] if named else ""
    return found


class Page:
    """A page as a test sees it. Whatever kinds the test has declared have to be taken by its end."""

    def __init__(self, name: str, kinds: tuple[str, ...]) -> None:
        self.path = REPOSITORY / name
        self.text = self.path.read_text(encoding="utf-8")
        self._kinds = kinds
        self._taken: set[str] = set()

    def blocks(self, kind: str) -> list[str]:
        """Return what is in the blocks of a kind, of which there is one at least."""
        found = [block.content for block in blocks_of(self.path) if block.kind == kind]
        assert found, f"{self.path.name} has no block of the kind {kind!r}"
        self._taken.add(kind)
        return found

    def left(self) -> set[str]:
        """Return the kinds that were declared and not taken."""
        return set(self._kinds) - self._taken


@pytest.fixture(name="page")
def page_of(request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a test the page that its mark names, and see that it has taken what the mark says it executes."""
    mark = request.node.get_closest_marker("page")
    assert mark is not None, "the mark `page` names the page and the kinds of blocks that the test executes"
    page = Page(mark.args[0], mark.args[1:])
    yield page
    assert not page.left(), "declared to be executed, and not taken"
