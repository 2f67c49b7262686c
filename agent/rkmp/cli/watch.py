"""``rkmp watch`` and ``rkmp show events``: the agent's notifications, one a line, as they happen or from its log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import INTERLEAVE, Session
from rkmp.cli.show import subtree
from rkmp.cli.views import RKMP
from rkmp.errors import CommandError

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
_EVENTS = "urn:ietf:params:xml:ns:netmod:notification"
# RFC 5277 section 3.3: what ends a replay, and the whole of a subscription with a stop time.
NOTIFICATION_COMPLETE = f"{{{_EVENTS}}}notificationComplete"
_ENDS_OF_REPLAY = (f"{{{_EVENTS}}}replayComplete", NOTIFICATION_COMPLETE)

_NEEDS_QUOTES = r'[\s"=]|^$'

ANSWER_SECONDS = 8.0
"""How long an agent that is watched may take to answer."""
QUIET_SECONDS = 5.0
"""How long it may say nothing until it is asked whether it is there."""
REPLAY_TIMEOUT = 30.0
"""Seconds to wait for the next logged notification."""


def watch(session: Session, *, as_json: bool) -> None:
    """Print notifications until interrupted, until the agent ends the session, or until it does not answer any more."""
    session.answer_within(ANSWER_SECONDS)
    session.subscribe()
    heard = time.monotonic()
    while True:
        notification = session.next_notification(timeout=1.0)
        if notification is not None:
            print(render(notification, as_json=as_json), flush=True)
            heard = time.monotonic()
        elif time.monotonic() - heard > QUIET_SECONDS and session.supports(INTERLEAVE):
            # A link that is cut says nothing of it.
            session.get(subtree((f"{{{RKMP}}}rkmp", f"{{{RKMP}}}enabled")))
            heard = time.monotonic()


def show_events(session: Session, since: timedelta, *, as_json: bool, as_xml: bool) -> None:
    """Print what the agent has logged in the time ``since`` until now."""
    for notification in logged(session, since):
        if as_xml:
            print(etree.tostring(notification, encoding="unicode"))
        else:
            print(render(notification, as_json=as_json))


def logged(session: Session, since: timedelta) -> Iterator[etree._Element]:
    """Yield the notifications that the agent has logged in the time ``since`` until now."""
    now = datetime.now(UTC)
    session.replay(now - since, now)
    while True:
        notification = session.next_notification(timeout=REPLAY_TIMEOUT)
        if notification is None:
            raise CommandError("the agent's log did not come to its end")
        event = _content(notification)
        if event.tag not in _ENDS_OF_REPLAY:
            yield notification
        elif event.tag == NOTIFICATION_COMPLETE:
            return


def told(notification: etree._Element) -> tuple[str, str, dict[str, Any]]:
    """Return the time of a notification (yang:date-and-time), its name, and what it says."""
    moment = notification.findtext(f"{{{NOTIFICATION}}}eventTime") or ""
    content = _content(notification)
    return moment, str(etree.QName(content).localname), to_dictionary(content)


def render(notification: etree._Element, *, as_json: bool) -> str:
    """Return one notification as a line of text, or as one line of JSON."""
    moment, name, body = told(notification)
    if as_json:
        return json.dumps({"event-time": moment, "event": name, **body})
    return f"{moment} {name} {' '.join(_words(body))}".rstrip()


def _words(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a notification says, leaf by leaf: ``name=value``, in quotes where a value has blanks."""
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                yield from _words(each)
            else:
                text = str(each or "")
                yield f"{name}={json.dumps(text, ensure_ascii=False) if re.search(_NEEDS_QUOTES, text) else text}"


def _content(notification: etree._Element) -> etree._Element:
    return next(child for child in notification if child.tag != f"{{{NOTIFICATION}}}eventTime")
