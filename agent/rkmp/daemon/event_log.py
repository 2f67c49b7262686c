"""What happens to IKE SAs, associations and keys, as lines of the log: for whoever was not subscribed at the time.

Words of peers, such as the identity that one claims, are quoted, so that nobody outside can write lines of the log.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from lxml import etree

from rkmp.datastore.edits import Edit
from rkmp.engine.association_states import AssociationState
from rkmp.engine.events import (
    AssociationStateChange,
    AuthenticationFailure,
    CertificateExpiring,
    EngineEvent,
    NegotiationFailure,
    RequestCompleted,
    RevocationListOverdue,
)
from rkmp.keytable import KeyEvent, KeyExtended, KeyUpdated
from rkmp.log_context import EVENT, about
from rkmp.netconf import NetconfServer

_log = logging.getLogger(__name__)

Value = str | int | float | bool | list[str]

_ABOUT = ("peer", "protocol")
_TRYING = {AssociationState.NEGOTIATING, AssociationState.FAILED}
_WARNINGS = (AuthenticationFailure, CertificateExpiring, NegotiationFailure, RevocationListOverdue)
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


def log_engine_event(event: EngineEvent, _at: datetime) -> None:
    """Log ``event``, a failure or one to come as a warning; an operator's own request is answered and not logged."""
    if not isinstance(event, RequestCompleted):
        _write(_level(event), event)


def log_key_event(event: KeyEvent) -> None:
    """Log ``event``; that lifetimes have changed is nothing that an operator has to read."""
    if isinstance(event, KeyExtended):
        _write(logging.WARNING, event)
    else:
        _write(logging.DEBUG if isinstance(event, KeyUpdated) else logging.INFO, event)


def log_running_change(server: NetconfServer, session_id: int | None, edits: Sequence[Edit]) -> None:
    """Log who has changed which part of the running configuration."""
    session = next((each for each in server.sessions if each.id == session_id), None)
    user = session.client.username if session is not None else None
    tops = ", ".join(sorted({etree.QName(edit.top).localname for edit in edits}))
    author = "the agent" if user is None else f"session {session_id} of {user}"
    extra = about(event="running-changed", session=session_id, user=user, changed=tops)
    _log.info("%s has changed the running configuration: %s", author, tops or "nothing", extra=extra)


def _level(event: EngineEvent) -> int:
    if isinstance(event, _WARNINGS):
        return logging.WARNING
    if isinstance(event, AssociationStateChange) and {event.before, event.after} == _TRYING:
        # Each try that fails is told of by its failure.
        return logging.DEBUG
    return logging.INFO


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
    # Whom it is about comes first.
    for field in sorted(dataclasses.fields(event), key=lambda field: field.name not in _ABOUT):
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
