"""Drawings in the language of Mermaid are of the small part of it that every renderer understands, and hold together.

Whoever reads a page sees an error in the place of a drawing that its renderer does not understand, and no build of the
site notices: it is drawn by the browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks_of, name_of

_TEXT = r"[^;#%{}]+"
"""A semicolon would end the line, and the others begin something else."""


def sequence(lines: list[str]) -> None:
    """Arrows between, and notes over, participants, who are all announced where one is."""
    announced: set[str] = set()
    spoken_of: set[str] = set()
    for line in lines:
        if found := re.fullmatch(rf"participant (\w+) as {_TEXT}", line):
            announced.add(found[1])
        elif found := re.fullmatch(rf"(\w+)--?>>(\w+): {_TEXT}", line):
            spoken_of |= {found[1], found[2]}
        else:
            found = re.fullmatch(rf"Note over (\w+)(?:,(\w+))?: {_TEXT}", line)
            assert found, line
            spoken_of |= {name for name in found.groups() if name}
    assert len(spoken_of) > 1
    assert not announced or announced == spoken_of


def states(lines: list[str]) -> None:
    """Arrows between states, of which every one is reached from the first."""
    arrows = []
    renamed: set[str] = set()
    for line in lines:
        if name := re.fullmatch(r'state "[a-z -]+" as (\w+)', line):
            renamed.add(name[1])
            continue
        found = re.fullmatch(rf"(\[\*\]|\w+) --> (\w+)(: {_TEXT})?", line)
        assert found, line
        arrows.append((found[1], found[2]))
    reached = {"[*]"}
    while more := {after for before, after in arrows if before in reached} - reached:
        reached |= more
    assert {name for arrow in arrows for name in arrow} | renamed == reached


def flowchart(lines: list[str]) -> None:
    """Boxes, and arrows between boxes that are there."""
    boxes: set[str] = set()
    for line in lines:
        if found := re.fullmatch(r'(\w+)\["[^"\[\]#;]+"\]', line):
            boxes.add(found[1])
        else:
            ends = re.split(r" --> | -\. [^.]+ \.-> ", line)
            assert len(ends) > 1, line
            assert {name for end in ends for name in end.split(" & ")} <= boxes, line


KINDS: Mapping[str, Callable[[list[str]], None]] = {
    "sequenceDiagram": sequence,
    "stateDiagram-v2": states,
    "flowchart TB": flowchart,
}
DRAWINGS = [(page, block) for page in PAGES for block in blocks_of(page) if block.language == "mermaid"]


@pytest.mark.parametrize(
    ("page", "content"),
    [(page, block.content) for page, block in DRAWINGS],
    ids=[f"{name_of(page)}-{block.line}" for page, block in DRAWINGS],
)
def test_a_drawing_can_be_drawn(page: Path, content: str) -> None:
    first, *rest = content.splitlines()
    KINDS[first]([line.strip() for line in rest if line.strip()])


@pytest.mark.parametrize(
    "broken",
    [
        "sequenceDiagram\n  a->>b: one; two",
        "sequenceDiagram\n  participant a as A\n  a->>b: one",
        "sequenceDiagram\n  a->b: one",
        "stateDiagram-v2\n  [*] --> one\n  two --> three",
        "stateDiagram-v2\n  [*] --> in-force",
        'flowchart TB\n  a["A"]\n  a --> b',
    ],
)
def test_a_broken_drawing_is_seen(broken: str) -> None:
    first, *rest = broken.splitlines()
    with pytest.raises(AssertionError):
        KINDS[first]([line.strip() for line in rest])
