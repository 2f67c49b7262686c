"""Writes the pages of docs/reference from the sources, so that they say what the code does.

``python -m tests.docs.reference`` writes them anew; a test holds that the pages are what this gives. Each module
makes one page, or a page for each YANG module; none of them keeps anything. ``exchanges`` makes the drawings in pages
that are written by hand, ``pictures`` what is shown in others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.reference import (
    algorithms,
    commands,
    errors,
    exchanges,
    metrics,
    modules,
    notifications,
    pictures,
    states,
)
from tests.yang.modules import NAMES

DOCS = Path(__file__).parents[3] / "docs"
FOLDER = DOCS / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    **{f"reference/{name}.md": modules.page_of(name) for name in NAMES},
    "reference/notifications.md": notifications.page,
    "reference/commands.md": commands.page,
    "reference/errors.md": errors.page,
    "reference/metrics.md": metrics.page,
    "reference/algorithms.md": algorithms.page,
    "reference/states.md": states.page,
    "pictures/timeline.svg": pictures.timeline,
    "explanation/how-rkmp-works.md": exchanges.page_of("how-rkmp-works.md"),
}
"""Every page that is made from the sources, by its place in docs, and what makes its text."""
