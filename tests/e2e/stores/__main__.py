"""Records the store of this release: ``python -m tests.e2e.stores``. One that is there already is left as it is."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import rkmp
from tests.e2e.stores import FOLDER, record

recorded = FOLDER / f"{rkmp.__version__}.sql"
if recorded.exists():
    sys.exit(f"{recorded} is there already: what a release has written never changes")
with tempfile.TemporaryDirectory() as folder:
    recorded.write_text(record(Path(folder, "state")), encoding="utf-8")
print(recorded)
