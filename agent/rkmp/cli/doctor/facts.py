"""What an agent is asked, once, before conclusions are drawn: its state, what has happened, and its clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import REFUSED
from rkmp.cli.progress import Tell
from rkmp.cli.session import Session
from rkmp.cli.views import KEY_TABLE, RKMP
from rkmp.cli.watch import logged, told
from rkmp.errors import CommandError

AGENT = "urn:rkmp:yang:rkmp-agent"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
_MONITORING = f"{{{MONITORING}}}"


@dataclass(frozen=True, slots=True)
class Event:
    """A notification: when it was sent, its name, and what it says."""

    at: datetime
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a ``datastore``, or of a part of it, with the session that holds it, and since when (RFC 6022 2.1.3).

    ``user`` and ``source`` (an address) are None where the agent lists no such session, as for a lock by other means.
    """

    datastore: str
    is_partial: bool
    session: str
    since: datetime
    user: str | None
    source: str | None


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
    locks: Sequence[Lock] = ()


def ask(session: Session, name: str, since: timedelta, started: datetime, has_tcp_ao: bool | None, tell: Tell) -> Facts:
    """Ask an agent, and ``tell`` for what; ``started`` is when the session was begun."""
    tell(f"{name}: looking at its configuration and state")
    data = to_dictionary(
        session.get(
            etree.Element(f"{{{RKMP}}}rkmp", nsmap={None: RKMP}),
            etree.Element(f"{{{KEY_TABLE}}}key-table", nsmap={None: KEY_TABLE}),
            etree.Element(f"{{{AGENT}}}agent", nsmap={None: AGENT}),
        )
    )
    tell(f"{name}: looking at its clock, its sessions and its locks")
    monitoring = _monitoring(session)
    clock = _login_time(monitoring, session.id)
    answered = datetime.now(UTC)
    tell(f"{name}: reading what has happened")
    return Facts(name, data, _events(session, since), (started, answered), clock, has_tcp_ao, tuple(_locks(monitoring)))


def _events(session: Session, since: timedelta) -> list[Event]:
    try:
        notifications = [told(notification) for notification in logged(session, since)]
    except CommandError as error:
        if error.exit_status != REFUSED:
            raise
        # Whoever may not subscribe is diagnosed by state alone.
        return []
    return [Event(_moment(moment), name, body) for moment, name, body in notifications]


def _monitoring(session: Session) -> etree._Element:
    """Return what the agent says of its datastores and sessions (RFC 6022)."""
    state = etree.Element(_MONITORING + "netconf-state", nsmap={None: MONITORING})
    for part in ("datastores", "sessions"):
        etree.SubElement(state, _MONITORING + part)
    return session.get(state)


def _login_time(monitoring: etree._Element, session_id: str) -> datetime | None:
    """Return when the agent says that our session began, which was just now."""
    found = _session(monitoring, session_id).get("login-time")
    return None if found is None else _moment(found)


def _locks(monitoring: etree._Element) -> Iterator[Lock]:
    for datastore in monitoring.iter(_MONITORING + "datastore"):
        name = datastore.findtext(_MONITORING + "name") or ""
        for lock in datastore.iterfind(f"{_MONITORING}locks/*"):
            holder = lock.findtext(_MONITORING + "locked-by-session")
            since = lock.findtext(_MONITORING + "locked-time")
            if holder and since:
                session = _session(monitoring, holder)
                is_partial = lock.tag == _MONITORING + "partial-lock"
                user, source = session.get("username"), session.get("source-host")
                yield Lock(name, is_partial, holder, _moment(since), user, source)


def _session(monitoring: etree._Element, session_id: str) -> Mapping[str, str]:
    for session in monitoring.iter(_MONITORING + "session"):
        if session.findtext(_MONITORING + "session-id") == session_id:
            return {str(etree.QName(leaf).localname): leaf.text for leaf in session if leaf.text}
    return {}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
