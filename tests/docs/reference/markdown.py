"""Markdown out of words and tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 120


def document(title: str, *blocks: str) -> str:
    """Return a page: its title and its blocks, with an empty line between each."""
    return "\n\n".join([f"# {title}", *(block for block in blocks if block)]) + "\n"


def paragraphs(text: str) -> str:
    """Return a description's paragraphs, filled anew."""
    parts = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(textwrap.fill(plain(part), WIDTH, break_on_hyphens=False) for part in parts)


def plain(text: str) -> str:
    """Return text as one line that Markdown takes for nothing else: no emphasis, no tags."""
    joined = " ".join(text.split())
    return re.sub(r"([*_<>\[\]])", r"\\\1", joined)


def cell(text: str) -> str:
    """Return what stands in a cell; a code span keeps what is in it."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return a code span, or nothing for nothing."""
    return f"`{text}`" if text else ""


def codes(texts: Iterable[str]) -> str:
    """Return code spans, with commas."""
    return ", ".join(map(code, texts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing where there are no rows."""
    lines = [" | ".join(map(cell, row)) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(head), " | ".join("---" for _ in head), *lines))
