"""What applying a file changes, as a diff of two configurations that says which list entries it is in."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree
from rich.console import Console
from rich.text import Text

from rkmp.cli.documents import LISTS
from rkmp.cli.show import document

CONTEXT = 2
"""Lines that are shown before and behind what differs."""

STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying a file changes: lines of a diff, and whether the file holds secrets, which no diff can show."""

    lines: list[str]
    with_secrets: bool

    @property
    def may_be_some(self) -> bool:
        """Whether there is something to commit, as far as can be seen."""
        return bool(self.lines) or self.with_secrets

    def print_data(self, **more: object) -> None:
        """Print them, and ``more``, for programs."""
        data = {"changed": bool(self.lines), "diff": self.lines, "with-secrets": self.with_secrets, **more}
        print(json.dumps(data, indent=2))

    def print(self, console: Console) -> None:
        """Print them for people."""
        for line in self.lines:
            # As it is: what is configured is no markup.
            console.print(Text(line, STYLES.get(line[0], "")), soft_wrap=True)
        if not self.lines:
            print("nothing to change that is shown; secrets are not" if self.with_secrets else "nothing to change")
        elif self.with_secrets:
            print("and secrets, which are not shown")


def compared(before: etree._Element, after: etree._Element, *, with_secrets: bool) -> Changes:
    """Return what differs between two answers to ``get-config``."""
    old, new = _lines(before), _lines(after)
    return Changes(list(_unified(old, new)), with_secrets)


def _unified(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a unified diff of lines, each of which knows where it is; every hunk says where it begins."""
    # Configurations are long and changes small: what is the same at both ends need not be looked at closely.
    same = _common(old, new)
    first = max(same - CONTEXT, 0)
    last = max(_common(old[same:][::-1], new[same:][::-1]) - CONTEXT, 0)
    old, new = old[first : len(old) - last], new[first : len(new) - last]
    # Lines that look alike in two entries of a list are not the same.
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT):
        changed = next(code for code in group if code[0] != "equal")
        _, where = new[changed[3]] if changed[0] == "insert" else old[changed[1]]
        yield f"@@ {where} @@"
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (f" {text}" for text, _ in old[start:end])
            else:
                yield from (f"-{text}" for text, _ in old[start:end])
                yield from (f"+{text}" for text, _ in new[new_start:new_end])


def _common(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> int:
    """Return how many lines are the same from the beginning."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(one), len(other)))


def _lines(data: etree._Element) -> list[tuple[str, str]]:
    """Return a configuration as lines of XML, each with the path of what it is in."""
    text = document(data, "config")
    config = etree.fromstring(text)
    return list(zip(text.splitlines(), _places(config, (), "configuration"), strict=True))


def _places(element: etree._Element, path: tuple[str, ...], place: str) -> Iterator[str]:
    """Yield of each line of an element where it is: the names on the way there, with the keys of list entries."""
    if not len(element):
        yield from [place] * ((element.text or "").count("\n") + 1)
        return
    inner = place
    if element.getparent() is not None:
        path = (*path, etree.QName(element).localname)
        # Keys come first (RFC 7950 7.8.5).
        key = f" {element[0].text}" if "/".join(path) in LISTS and element[0].text else ""
        inner = f"{'' if len(path) == 1 else f'{place} '}{path[-1]}{key}"
    yield inner
    for child in element.iterchildren("*"):
        yield from _places(child, path, inner)
    yield inner
