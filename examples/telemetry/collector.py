#!/usr/bin/env python3
"""Collects the keys of a router as it pushes them (YANG push, RFC 8641), with nothing but ncclient and lxml.

    python collector.py --host 192.0.2.1 --user operator --key ~/.ssh/id_ed25519 [--format json] [--count N]

Subscribes to ``/key-table`` on change, keeps a copy of it up to date, and writes a line to standard output for each
key that is there or has changed: as line protocol, which Telegraf's execd input reads, or as a JSON object. A key that
is gone is written with the state ``removed``. Where the session ends, another is opened, after a wait that doubles up
to a minute; what has changed meanwhile is written then, as the copy is kept. Ends after ``--count`` lines; with status
1 where the router refuses the login or the subscription, and, with ``--once``, where the session ends.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from lxml import etree
from ncclient.manager import Manager
from ncclient.operations.errors import OperationError
from ncclient.operations.rpc import RPCError
from ncclient.transport.errors import AuthenticationError, SSHUnknownHostError, TransportError

from ncclient import manager

SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"
NAMES = {"yp": PUSH, "sn": SUBSCRIBED, "k": KEY_TABLE}

ESTABLISH = f"""
<establish-subscription xmlns="{SUBSCRIBED}" xmlns:yp="{PUSH}">
  <yp:datastore xmlns:ds="{DATASTORES}">ds:operational</yp:datastore>
  <yp:datastore-subtree-filter><key-table xmlns="{KEY_TABLE}"><key/></key-table></yp:datastore-subtree-filter>
  <yp:on-change><yp:dampening-period>{{dampening}}</yp:dampening-period></yp:on-change>
</establish-subscription>"""

LONGEST_WAIT = 60.0
"""Seconds until a router that does not answer is tried again, at most."""

TAGS = ("protocol", "direction", "alg-id", "peer")
"""What a key is told apart by, besides its name."""
FIELDS = ("state", "selected-for-sending", "fingerprint", "local-key-name", "peer-key-name")
"""What is collected of a key."""


class KeyTable:
    """The keys of one router, by name, as notifications tell them."""

    def __init__(self) -> None:
        self.keys: dict[str, etree._Element] = {}

    def receive(self, event: etree._Element) -> Iterator[tuple[str, etree._Element | None]]:
        """Take a push-update or push-change-update; yield the keys that are not what they were, None for gone."""
        before = {name: etree.tostring(key) for name, key in self.keys.items()}
        if event.tag == f"{{{PUSH}}}push-update":
            found = event.iterfind("yp:datastore-contents/k:key-table/k:key", NAMES)
            self.keys = {key.findtext("k:admin-key-name", "", NAMES): key for key in found}
        for edit in event.iterfind("yp:datastore-changes/yp:yang-patch/yp:edit", NAMES):
            self._apply(edit)
        for name in dict.fromkeys((*before, *self.keys)):
            key = self.keys.get(name)
            if key is None or etree.tostring(key) != before.get(name):
                yield name, key

    def _apply(self, edit: etree._Element) -> None:
        """Carry out one edit; its target is ``/crypto-key-table:key-table/key=NAME/LEAF``, or shorter (RFC 8072)."""
        steps = edit.findtext("yp:target", "", NAMES).split("/")[2:]
        value = edit.find("yp:value/*", NAMES)
        if not steps:
            # All of the key table is there at once, or gone.
            found = [] if value is None else value.findall("k:key", NAMES)
            self.keys = {key.findtext("k:admin-key-name", "", NAMES): key for key in found}
            return
        name = unquote(steps[0].partition("=")[2])
        if len(steps) > 1:
            self._apply_inside(self.keys[name], steps[1:], value)
        elif value is None:
            self.keys.pop(name, None)
        else:
            self.keys[name] = copy.deepcopy(value)

    def _apply_inside(self, element: etree._Element, steps: list[str], value: etree._Element | None) -> None:
        local, _, entry = steps[0].rpartition(":")[2].partition("=")
        there = [
            child
            for child in element
            if etree.QName(child).localname == local and (not entry or child.text == unquote(entry))
        ]
        if len(steps) > 1 and there:
            self._apply_inside(there[0], steps[1:], value)
            return
        for child in there:
            element.remove(child)
        if value is not None and len(steps) == 1:
            element.append(copy.deepcopy(value))


def values(key: etree._Element, names: tuple[str, ...]) -> dict[str, str]:
    """Return leaves of a key by name; prefixes of identities are left out, several values are joined."""
    found: dict[str, str] = {}
    for name in names:
        texts = [(leaf.text or "").rpartition(":")[2] for leaf in key.iterfind(f"k:{name}", NAMES)]
        if texts:
            found[name] = ",".join(texts)
    return found


def as_line(router: str, name: str, key: etree._Element | None, at: datetime) -> str:
    """Return a key in InfluxDB's line protocol, its time in nanoseconds."""
    tags = {"router": router, "key": name, **({} if key is None else values(key, TAGS))}
    fields = {"state": "removed"} if key is None else values(key, FIELDS)
    head = ",".join(["rkmp_key", *(f"{tag}={_escaped(text)}" for tag, text in tags.items())])
    body = ",".join(f"{field}={_field(text)}" for field, text in fields.items())
    return f"{head} {body} {int(at.timestamp() * 1_000_000) * 1000}"


def as_json(router: str, name: str, key: etree._Element | None, at: datetime) -> str:
    """Return a key as a JSON object."""
    told = {"state": "removed"} if key is None else {**values(key, TAGS), **values(key, FIELDS)}
    return json.dumps({"time": at.isoformat(), "router": router, "key": name, **told})


FORMATS = {"line": as_line, "json": as_json}


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in ",= \\" else letter for letter in text)


def _field(text: str) -> str:
    if text in ("true", "false"):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def connect(options: argparse.Namespace) -> Any:
    """Log in; raises what ncclient does where that fails."""
    return manager.connect(  # type: ignore[no-untyped-call]
        host=options.host,
        port=options.port,
        username=options.user,
        key_filename=options.key,
        hostkey_verify=not options.any_host_key,
        allow_agent=options.key is None,
        look_for_keys=False,
    )


def subscribe(session: Manager, dampening: int) -> None:
    """Ask for the changes; where the router refuses, say what it hints at, and end."""
    try:
        session.dispatch(etree.fromstring(ESTABLISH.format(dampening=dampening)))
    except RPCError as error:
        sys.exit(f"{error.app_tag or error.tag}: {error.message} {error.info or ''}".strip())


class Collector:
    """Writes lines of one router's keys, over as many sessions as it takes."""

    def __init__(self, router: str, form: str, count: int | None) -> None:
        self._router, self._form, self._count = router, form, count
        self._table, self._written = KeyTable(), 0

    @property
    def is_done(self) -> bool:
        return self._count is not None and self._written >= self._count

    def collect(self, session: Manager) -> str:
        """Write lines until there were enough or the session ends; return why it has."""
        while not self.is_done:
            notification = session.take_notification(timeout=1)  # type: ignore[no-untyped-call]
            if notification is None:
                if not session.connected:
                    return "the session has ended"
                continue
            at, event = notification.notification_ele
            if event.tag == f"{{{SUBSCRIBED}}}subscription-terminated":
                return f"the subscription has ended: {event.findtext('sn:reason', '', NAMES)}"
            for name, key in self._table.receive(event):
                print(FORMATS[self._form](self._router, name, key, datetime.fromisoformat(at.text)), flush=True)
                self._written += 1
        return ""


def run(collector: Collector, options: argparse.Namespace) -> int:
    """Collect over one session after the other; return the exit status."""
    wait = 1.0
    while True:
        try:
            with connect(options) as session:
                subscribe(session, options.dampening)
                wait = 1.0
                why = collector.collect(session)
        except (AuthenticationError, SSHUnknownHostError) as error:
            print(f"{options.host}: {error}", file=sys.stderr)
            return 1
        except (TransportError, OperationError, OSError) as error:
            why = f"there is no session: {error}"
        if collector.is_done:
            return 0
        # Telegraf logs what comes on standard error.
        print(why if options.once else f"{why}; trying again in {wait:.0f} s", file=sys.stderr, flush=True)
        if options.once:
            return 1
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def main() -> int:
    """Parse the command line, connect and collect."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=830)
    parser.add_argument("--user", required=True)
    parser.add_argument("--key", help="private key file; without one, those of the SSH agent are tried")
    parser.add_argument("--any-host-key", action="store_true", help="do not look for the host key in known_hosts")
    parser.add_argument("--router", help="name to write in each line; the host, if not given")
    parser.add_argument("--format", choices=FORMATS, default="line")
    parser.add_argument("--dampening", type=int, default=0, help="centiseconds between two updates at least")
    parser.add_argument("--count", type=int, help="end after so many lines")
    parser.add_argument("--once", action="store_true", help="end when the session does; do not open another")
    options = parser.parse_args()
    return run(Collector(options.router or options.host, options.format, options.count), options)


if __name__ == "__main__":
    sys.exit(main())
