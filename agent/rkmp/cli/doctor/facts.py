"""What an agent is asked, once, before conclusions are drawn: its state, what has happened, and its clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import REFUSED
from rkmp.cli.session import Session
from rkmp.cli.views import KEY_TABLE, RKMP
from rkmp.cli.watch import logged, told
from rkmp.errors import CommandError

AGENT = "urn:rkmp:yang:rkmp-agent"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


@dataclass(frozen=True, slots=True)
class Event:
    """A notification: when it was sent, its name, and what it says."""

    at: datetime
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """``name`` is how the agent is called in findings; ``data`` is its configuration and state, by names of YANG.

    ``asked`` is from when to when it was asked, by our clock, ``clock`` what its own said then, None where it did not
    tell. ``has_tcp_ao`` tells of its kernel, None where that cannot be asked.
    """

    name: str
    data: Mapping[str, Any]
    events: Sequence[Event]
    asked: tuple[datetime, datetime]
    clock: datetime | None
    has_tcp_ao: bool | None = None


def ask(session: Session, name: str, since: timedelta, started: datetime, has_tcp_ao: bool | None) -> Facts:
    """Ask an agent; ``started`` is when the session was begun."""
    data = to_dictionary(
        session.get(
            etree.Element(f"{{{RKMP}}}rkmp", nsmap={None: RKMP}),
            etree.Element(f"{{{KEY_TABLE}}}key-table", nsmap={None: KEY_TABLE}),
            etree.Element(f"{{{AGENT}}}agent", nsmap={None: AGENT}),
        )
    )
    clock = _login_time(session)
    answered = datetime.now(UTC)
    return Facts(name, data, _events(session, since), (started, answered), clock, has_tcp_ao)


def _events(session: Session, since: timedelta) -> list[Event]:
    try:
        notifications = [told(notification) for notification in logged(session, since)]
    except CommandError as error:
        if error.exit_status != REFUSED:
            raise
        # Whoever may not subscribe is diagnosed by state alone.
        return []
    return [Event(datetime.fromisoformat(moment).astimezone(UTC), name, body) for moment, name, body in notifications]


def _login_time(session: Session) -> datetime | None:
    """Return when the agent says that our session began, which was just now."""
    state = etree.Element(f"{{{MONITORING}}}netconf-state", nsmap={None: MONITORING})
    listed = etree.SubElement(etree.SubElement(state, f"{{{MONITORING}}}sessions"), f"{{{MONITORING}}}session")
    etree.SubElement(listed, f"{{{MONITORING}}}session-id").text = session.id
    etree.SubElement(listed, f"{{{MONITORING}}}login-time")
    found = session.get(state).find(f".//{{{MONITORING}}}login-time")
    return None if found is None or not found.text else datetime.fromisoformat(found.text).astimezone(UTC)
