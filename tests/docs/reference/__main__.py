"""Writes docs/reference anew: ``python -m tests.docs.reference``."""

from __future__ import annotations

from tests.docs.reference import FOLDER, PAGES

FOLDER.mkdir(exist_ok=True)
for name, make in PAGES.items():
    (FOLDER / name).write_text(make(), encoding="utf-8")
