"""What happens to IKE SAs, associations and keys, as lines of the log: for whoever was not subscribed at the time.

Words of peers, such as the identity that one claims, are quoted, so that nobody outside can write lines of the log.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from datetime import datetime
from enum import Enum

from rkmp.engine.events import (
    AuthenticationFailure,
    CertificateExpiring,
    EngineEvent,
    NegotiationFailure,
    RequestCompleted,
)
from rkmp.keytable import KeyEvent

_log = logging.getLogger(__name__)

_WARNINGS = (AuthenticationFailure, CertificateExpiring, NegotiationFailure)
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


def log_engine_event(event: EngineEvent, _at: datetime) -> None:
    """Log ``event``, a failure or one to come as a warning; an operator's own request is answered and not logged."""
    if not isinstance(event, RequestCompleted):
        _log.log(logging.WARNING if isinstance(event, _WARNINGS) else logging.INFO, "%s", describe(event))


def log_key_event(event: KeyEvent) -> None:
    """Log ``event``."""
    _log.info("%s", describe(event))


def describe(event: EngineEvent | KeyEvent) -> str:
    """Return ``event`` as one line: its name, then what it says as ``field=value``, leaving out what it does not."""
    words = [_WORDS.sub("-", type(event).__name__).lower()]
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        # When it happened is what the line of the log begins with.
        if value is not None and field.name != "at":
            words.append(f"{field.name.replace('_', '-')}={_written(value)}")
    return " ".join(words)


def _written(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value.value)
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
