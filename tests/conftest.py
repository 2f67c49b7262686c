"""What holds for every test."""

from __future__ import annotations

import os

from tests.docs.pages import page_of

__all__ = ["page_of"]

# pytest imports readline, which tells the processes that it starts the size of a terminal that is not there.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
