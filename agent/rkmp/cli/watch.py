"""``rkmp watch``: the agent's notifications, one a line, as they happen."""

from __future__ import annotations

import json
from typing import Any

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import Session

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"


def watch(session: Session, *, as_json: bool) -> None:
    """Print notifications until interrupted or until the agent ends the session."""
    session.subscribe()
    while True:
        notification = session.next_notification(timeout=1.0)
        if notification is not None:
            print(render(notification, as_json=as_json), flush=True)


def render(notification: etree._Element, *, as_json: bool) -> str:
    """Return one notification as a line of text, or as one line of JSON."""
    moment = notification.findtext(f"{{{NOTIFICATION}}}eventTime") or ""
    content = next(child for child in notification if child.tag != f"{{{NOTIFICATION}}}eventTime")
    name = etree.QName(content).localname
    body: dict[str, Any] = to_dictionary(content)
    if as_json:
        return json.dumps({"event-time": moment, "event": name, **body})
    details = " ".join(f"{key}={value}" for key, value in body.items())
    return f"{moment} {name} {details}".rstrip()
