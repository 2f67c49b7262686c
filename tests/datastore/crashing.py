"""A process that edits, says so and goes on, until it is killed: ``python -m tests.datastore.crashing PATH LAST``."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from rkmp.storage import Database
from tests.datastore.servers import Server


def main(path: Path, last: int) -> None:
    server = Server(database=Database(path))
    done = [int(node[1][1]) for zoo in server.tree() for node in zoo[1:] if node[0] == "feeding"]
    for number in itertools.count(max(done, default=last - 1) + 1):
        entry = f"<feeding><id>{number}</id><hour>1</hour></feeding>"
        server.edit(f"<zoo><motto>{number}</motto>{entry}</zoo>")
        os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
