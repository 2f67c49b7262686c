"""A process that makes confirmed commits, one after the other and none confirmed, until it is killed."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from rkmp.datastore.confirmed_commit import Confirm
from rkmp.storage import Database
from tests.datastore.servers import Server


def main(path: Path) -> None:
    server = Server(database=Database(path))
    for number in itertools.count():
        server.edit(f"<zoo><motto>{number}</motto><species><name>n{number}</name></species></zoo>", "candidate")
        server.datastores.commit(session_id=1, confirm=Confirm())
        os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
