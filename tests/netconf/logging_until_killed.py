"""A process that logs events, says so and goes on, until it is killed."""

from __future__ import annotations

import itertools
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from rkmp.netconf import EventLog, EventLogLimits
from rkmp.storage import Database

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def main(path: Path) -> None:
    log = EventLog(Database(path), lambda: NOON, EventLogLimits(events=5000))
    log.when_unsynced = lambda: None
    for number in itertools.count(log.last + 1):
        log.append(NOON, b"<e>%d</e>" % number)
        os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
