"""Writes the pages that are made from the sources anew: ``python -m tests.docs.reference``."""

from __future__ import annotations

from tests.docs.reference import DOCS, FOLDER, PAGES

FOLDER.mkdir(exist_ok=True)
for name, make in PAGES.items():
    (DOCS / name).write_text(make(), encoding="utf-8")
