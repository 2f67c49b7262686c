"""Log lines for people (``text``, on standard error) or collectors (``json``, on standard output), one event a line.

A record that has fields of its own, under :data:`rkmp.log_context.EVENT`, has them as members of its JSON object. Lines
that somebody outside could cause without end are thinned (:mod:`rkmp.daemon.flood`).

Where they go to systemd's journal, a line begins with its priority, which the journal takes off, and text leaves out
the time, which the journal has of its own.

Keys cannot reach a log line by formatting: they travel as :class:`rkmp.secret.Secret`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from rkmp.daemon.flood import FloodFilter
from rkmp.log_context import EVENT

FORMATS = ("text", "json")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, EVENT, {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class JournalFormatter(logging.Formatter):
    """What ``inner`` makes of a record, for systemd's journal: each line after its ``<priority>`` (sd-daemon(3))."""

    _PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, every line of it with its priority: the journal makes an entry of each."""
        priority = next((number for level, number in self._PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).splitlines())


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether ``descriptor`` is the stream to the journal that systemd names in JOURNAL_STREAM (systemd.exec(5))."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def tell_why(reason: object) -> None:
    """Print on standard error why this process cannot do what it was started for; to the journal as an error."""
    prefix = "<3>" if is_journal(2, os.environ) else ""
    print("\n".join(f"{prefix}{line}" for line in f"rkmpd: {reason}".splitlines()), file=sys.stderr)


class _Handler(logging.StreamHandler[TextIO]):
    """Leaves out what its stream does not take: a collector has gone, or a disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name there
        """Show a fault of ours; of the stream's, a traceback a line would be the next flood."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def configure(log_format: str, level: int = logging.INFO) -> None:
    """Send the whole process's log where ``log_format`` goes, a member of :data:`FORMATS`."""
    is_json = log_format == "json"
    handler = _Handler(sys.stdout if is_json else sys.stderr)
    handler.addFilter(FloodFilter())
    formatter: logging.Formatter
    if is_journal(1 if is_json else 2, os.environ):
        formatter = JournalFormatter(JsonFormatter() if is_json else logging.Formatter("%(name)s: %(message)s"))
    elif is_json:
        formatter = JsonFormatter()
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # asyncssh tells every channel request at INFO; our own session lines say what an operator wants.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
