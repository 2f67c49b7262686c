"""The notifications of subscriptions, as octets of ``<notification>`` messages (RFC 8639 2.7, RFC 8641 4.3).

Values in, octets out. It must not know when or why one is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.namespaces import SUBSCRIBED_NOTIFICATIONS, YANG_PUSH
from rkmp.netconf.notifications import notification_of
from rkmp.netconf.subscriptions.changes import Change, ChangeType
from rkmp.netconf.subscriptions.terms import FilterTerms, Terms, sn, write_terms

_PUSH_REASONS = frozenset({"datastore-not-subscribable", "unchanging-selection", "update-too-big", "sync-too-big"})
_ORDERED = (ChangeType.INSERT, ChangeType.MOVE)


def state_change(at: datetime, name: str, number: int, reason: str | None = None) -> bytes:
    """Return the notification ``name`` of ietf-subscribed-notifications about the subscription ``number``.

    ``reason`` is the name of an identity of that module or of ietf-yang-push.
    """
    event = etree.Element(sn(name), nsmap={None: SUBSCRIBED_NOTIFICATIONS})
    etree.SubElement(event, sn("id")).text = str(number)
    if reason in _PUSH_REASONS:
        etree.SubElement(event, sn("reason"), nsmap={"yp": YANG_PUSH}).text = f"yp:{reason}"
    elif reason is not None:
        etree.SubElement(event, sn("reason")).text = reason
    return notification_of(at, etree.tostring(event, encoding="UTF-8"))


def subscription_modified(
    schema: Schema, at: datetime, number: int, terms: Terms, referred: FilterTerms | None
) -> bytes:
    """Return subscription-modified with all the terms; ``referred`` is what their configured filter holds now."""
    bindings: dict[str | None, str] = {None: SUBSCRIBED_NOTIFICATIONS}
    bindings.update(schema.nsmap.items())
    event = etree.Element(sn("subscription-modified"), nsmap=bindings)
    etree.SubElement(event, sn("id")).text = str(number)
    write_terms(schema, event, terms, referred)
    return notification_of(at, etree.tostring(event, encoding="UTF-8"))


def push_update(writer: DataWriter, at: datetime, number: int, tree: etree._Element) -> bytes:
    """Return push-update with everything below ``tree``, a ``config`` element."""
    content = writer.elements(tree.iterchildren(tag=etree.Element))
    return _push(writer, at, b"push-update", number, b"<datastore-contents>" + content + b"</datastore-contents>")


def push_change_update(writer: DataWriter, at: datetime, number: int, patch: int, changes: Sequence[Change]) -> bytes:
    """Return push-change-update with ``changes``; ``patch`` counts those since the last push-update (RFC 8641 3.7)."""
    edits = b"".join(_edit(writer, place, change) for place, change in enumerate(changes))
    content = b"<datastore-changes><yang-patch><patch-id>%d</patch-id>%b</yang-patch></datastore-changes>"
    return _push(writer, at, b"push-change-update", number, content % (patch, edits))


def _edit(writer: DataWriter, place: int, change: Change) -> bytes:
    operation, target = change.type.value, escape(change.target)
    pieces = [f"<edit><edit-id>{place}</edit-id><operation>{operation}</operation><target>{target}</target>"]
    if change.type in _ORDERED:
        if change.after is None:
            pieces.append("<where>first</where>")
        else:
            pieces.append(f"<point>{escape(change.after)}</point><where>after</where>")
    value = b""
    if change.value is not None and change.type is not ChangeType.MOVE:
        value = b"<value>" + writer.elements([change.value]) + b"</value>"
    return "".join(pieces).encode() + value + b"</edit>"


def _push(writer: DataWriter, at: datetime, name: bytes, number: int, content: bytes) -> bytes:
    namespace = YANG_PUSH.encode()
    start = b'<%b xmlns="%b"%b><id>%d</id>' % (name, namespace, writer.bindings(content), number)
    return notification_of(at, start + content + b"</" + name + b">")
