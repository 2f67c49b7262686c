"""Writes the pages of docs/reference from the sources, so that they say what the code does.

``python -m tests.docs.reference`` writes them anew; a test holds that the pages are what this gives. Each module
makes one page, or a page for each YANG module; none of them knows a path or keeps anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.reference import algorithms, commands, errors, metrics, modules, notifications, states
from tests.yang.modules import NAMES

FOLDER = Path(__file__).parents[3] / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    **{f"{name}.md": modules.page_of(name) for name in NAMES},
    "notifications.md": notifications.page,
    "commands.md": commands.page,
    "errors.md": errors.page,
    "metrics.md": metrics.page,
    "algorithms.md": algorithms.page,
    "states.md": states.page,
}
"""Every page of the folder, by its file name, and what makes its text."""
