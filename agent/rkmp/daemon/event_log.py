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

from rkmp.daemon.log import EVENT
from rkmp.engine.events import (
    AuthenticationFailure,
    CertificateExpiring,
    EngineEvent,
    NegotiationFailure,
    RequestCompleted,
    RevocationListOverdue,
)
from rkmp.keytable import KeyEvent, KeyExtended

_log = logging.getLogger(__name__)

Value = str | int | float | bool | list[str]

_WARNINGS = (AuthenticationFailure, CertificateExpiring, NegotiationFailure, RevocationListOverdue)
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


def log_engine_event(event: EngineEvent, _at: datetime) -> None:
    """Log ``event``, a failure or one to come as a warning; an operator's own request is answered and not logged."""
    if not isinstance(event, RequestCompleted):
        _write(logging.WARNING if isinstance(event, _WARNINGS) else logging.INFO, event)


def log_key_event(event: KeyEvent) -> None:
    """Log ``event``; that a key is used past its lifetime is an alarm."""
    _write(logging.WARNING if isinstance(event, KeyExtended) else logging.INFO, event)


def _write(level: int, event: EngineEvent | KeyEvent) -> None:
    if _log.isEnabledFor(level):
        _log.log(level, "%s", describe(event), extra={EVENT: fields_of(event)})


def describe(event: EngineEvent | KeyEvent) -> str:
    """Return ``event`` as one line: its name, then what it says as ``field=value``, leaving out what it does not."""
    name, *fields = fields_of(event).items()
    return " ".join((str(name[1]), *(f"{field}={_quoted(value)}" for field, value in fields)))


def fields_of(event: EngineEvent | KeyEvent) -> dict[str, Value]:
    """Return what ``event`` says, by name, its own name under ``event`` first; what it does not say is left out."""
    fields: dict[str, Value] = {"event": _WORDS.sub("-", type(event).__name__).lower()}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        # When it happened is what the line of the log begins with.
        if value is not None and field.name != "at":
            fields[field.name.replace("_", "-")] = _value(value)
    return fields


def _value(value: object) -> Value:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case tuple():
            return [str(each) for each in value]
        case bool() | int():
            return value
        case float():
            return round(value, 3)
        case _:
            return str(value)


def _quoted(value: Value) -> str:
    text = ",".join(value) if isinstance(value, list) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
