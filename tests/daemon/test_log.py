"""Lines of the log for the journal and for collectors, one event each."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rkmp.daemon.log import JournalFormatter, JsonFormatter, is_journal
from rkmp.log_context import EVENT


def record(level: int, message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("rkmp.engine", level, __file__, 1, message, None, None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_every_line_for_the_journal_has_its_priority(level: int, priority: int) -> None:
    text = JournalFormatter(logging.Formatter("%(name)s: %(message)s")).format(record(level, "one\ntwo"))
    assert text.splitlines() == [f"<{priority}>rkmp.engine: one", f"<{priority}>two"]
    line = JournalFormatter(JsonFormatter()).format(record(level, "one\ntwo"))
    assert line.startswith(f"<{priority}>")
    assert json.loads(line[3:])["message"] == "one\ntwo"


def test_the_journal_is_known_by_what_systemd_says_of_the_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal(stream.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal(stream.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not is_journal(stream.fileno(), {})
        descriptor = stream.fileno()
    assert not is_journal(descriptor, {"JOURNAL_STREAM": "0:0"})


def test_a_line_of_json_has_the_fields_of_its_event() -> None:
    line = JsonFormatter().format(record(logging.INFO, "ike-sa-up peer=r2", **{EVENT: {"peer": "r2"}}))
    assert json.loads(line).items() >= {"level": "info", "message": "ike-sa-up peer=r2", "peer": "r2"}.items()


def test_a_collector_that_has_gone_makes_no_flood_of_tracebacks() -> None:
    script = """
import logging, os
from rkmp.daemon import log
log.configure("json")
os.close(1)
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
for number in range(10):
    logging.error("line %d", number)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
