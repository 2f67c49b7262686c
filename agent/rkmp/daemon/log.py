"""Log lines for people (``text``) or for collectors (``json``), one event a line, on standard error.

A record that has fields of its own, under :data:`EVENT`, has them as members of its JSON object.

Keys cannot reach a log line by formatting: they travel as :class:`rkmp.secret.Secret`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FORMATS = ("text", "json")
EVENT = "rkmp_event"
"""The attribute of a log record that holds an event's fields: a dictionary that JSON can write."""


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


def configure(log_format: str, level: int = logging.INFO) -> None:
    """Send the whole process's log to standard error in ``log_format``, a member of :data:`FORMATS`."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # asyncssh tells every channel request at INFO; our own session lines say what an operator wants.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
