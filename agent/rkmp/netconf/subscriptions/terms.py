"""What a subscriber has asked for: the terms of a subscription, as frozen values (RFC 8639 section 2.4, RFC 8641 4.2).

Reads them from the checked input of establish- and modify-subscription, and writes them into operational state and
notifications. It must not know what becomes of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import DATASTORES, SUBSCRIBED_NOTIFICATIONS, YANG_PUSH, base
from rkmp.netconf.notifications import date_and_time
from rkmp.netconf.subscriptions.changes import ChangeType
from rkmp.netconf.subscriptions.spelling import respelled


def sn(name: str) -> str:
    """Return ``name`` of ietf-subscribed-notifications in Clark notation."""
    return f"{{{SUBSCRIBED_NOTIFICATIONS}}}{name}"


def yp(name: str) -> str:
    """Return ``name`` of ietf-yang-push in Clark notation."""
    return f"{{{YANG_PUSH}}}{name}"


STREAM_FILTERS = (sn("stream-subtree-filter"), sn("stream-xpath-filter"))
SELECTION_FILTERS = (yp("datastore-subtree-filter"), yp("datastore-xpath-filter"))
_XPATH_FILTERS = (STREAM_FILTERS[1], SELECTION_FILTERS[1])
FILTER_LISTS = {
    sn("stream-filter-name"): (sn("stream-filter"), sn("name"), STREAM_FILTERS),
    yp("selection-filter-ref"): (yp("selection-filter"), yp("filter-id"), SELECTION_FILTERS),
}
"""By the leaf that refers to a filter: the list of filters, its key, and what can be in an entry."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterTerms:
    """A filter as it was asked for: the element that holds it, or the leaf that names one of the configured filters."""

    element: etree._Element

    @property
    def octets(self) -> int:
        """How large it is, as it is kept."""
        return len(etree.tostring(self.element, encoding="UTF-8"))

    @property
    def reference(self) -> str | None:
        """The name of the configured filter; None for a filter of the subscription's own."""
        return (self.element.text or "") if self.element.tag in FILTER_LISTS else None


@dataclass(frozen=True, slots=True)
class Periodic:
    """An update each ``period`` centiseconds, at multiples of it from ``anchor``."""

    period: int
    anchor: datetime | None = None


@dataclass(frozen=True, slots=True)
class OnChange:
    """An update when something has changed, ``dampening`` centiseconds after the one before at the soonest."""

    dampening: int = 0
    sync_on_start: bool = True
    excluded: frozenset[ChangeType] = frozenset()


Trigger: TypeAlias = "Periodic | OnChange"


@dataclass(frozen=True, slots=True, eq=False)
class StreamTerms:
    """A subscription to an event stream."""

    stream: str
    filter: FilterTerms | None = None
    stop: datetime | None = None
    replay_start: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DatastoreTerms:
    """A subscription to a datastore; ``datastore`` is the name of its identity."""

    datastore: str
    trigger: Trigger
    filter: FilterTerms | None = None
    stop: datetime | None = None


Terms: TypeAlias = "StreamTerms | DatastoreTerms"


# Reading


def read_terms(operation: etree._Element) -> Terms:
    """Return the terms that establish-subscription asks for. Raises RpcError where the schema does not say enough."""
    stop = read_time(operation, sn("stop-time"))
    datastore = operation.findtext(yp("datastore"))
    trigger = _trigger(operation, None)
    if datastore is None:
        if trigger is not None:
            raise _error("bad-element", "update-trigger", "an event stream has no update trigger")
        return StreamTerms(
            operation.findtext(sn("stream")) or "",
            _filter(operation, (*STREAM_FILTERS, sn("stream-filter-name"))),
            stop,
            read_time(operation, sn("replay-start-time")),
        )
    if trigger is None:
        raise _error("missing-element", "update-trigger", "neither periodic nor on-change is given")
    return DatastoreTerms(datastore.rpartition(":")[2], trigger, _selection_filter(operation), stop)


def changed_terms(terms: Terms, operation: etree._Element) -> Terms:
    """Return ``terms`` with what modify-subscription asks for; what it does not name stays as it is.

    Raises RpcError for what is of the other kind of subscription.
    """
    stop = read_time(operation, sn("stop-time")) or terms.stop
    if isinstance(terms, StreamTerms):
        for name in ("datastore", "periodic", "on-change"):
            if operation.find(yp(name)) is not None:
                raise _error("bad-element", name, "the subscription is to an event stream")
        found = _filter(operation, (*STREAM_FILTERS, sn("stream-filter-name")))
        _refuse(operation, SELECTION_FILTERS, "the subscription is to an event stream")
        return replace(terms, stop=stop, filter=found or terms.filter)
    _refuse(operation, (*STREAM_FILTERS, sn("stream-filter-name")), "the subscription is to a datastore")
    datastore = operation.findtext(yp("datastore"))
    return DatastoreTerms(
        terms.datastore if datastore is None else datastore.rpartition(":")[2],
        _trigger(operation, terms.trigger) or terms.trigger,
        _selection_filter(operation) or terms.filter,
        stop,
    )


def read_time(operation: etree._Element, tag: str) -> datetime | None:
    """Return the value of a leaf of type date-and-time, if it is there; raises RpcError for what is in no calendar."""
    text = operation.findtext(tag)
    if text is None:
        return None
    try:
        # RFC 3339 knows leap seconds, datetime does not.
        found = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if text[17:19] == "60" else text).astimezone(UTC)
    except (ValueError, OverflowError):
        name = etree.QName(tag).localname
        raise _error("invalid-value", name, f"{name} is in no calendar") from None
    return found


def _trigger(operation: etree._Element, before: Trigger | None) -> Trigger | None:
    """Return the update trigger that is asked for, with what it leaves open as it was before."""
    periodic, on_change = operation.find(yp("periodic")), operation.find(yp("on-change"))
    if periodic is not None:
        anchor = read_time(periodic, yp("anchor-time"))
        if anchor is None and isinstance(before, Periodic):
            anchor = before.anchor
        return Periodic(int(periodic.findtext(yp("period")) or 0), anchor)
    if on_change is None:
        return None
    known = before if isinstance(before, OnChange) else OnChange()
    dampening = on_change.findtext(yp("dampening-period"))
    sync = on_change.findtext(yp("sync-on-start"))
    excluded = [ChangeType(leaf.text) for leaf in on_change.iterchildren(yp("excluded-change"))]
    return OnChange(
        known.dampening if dampening is None else int(dampening),
        known.sync_on_start if sync is None else sync == "true",
        frozenset(excluded) or known.excluded,
    )


def _selection_filter(operation: etree._Element) -> FilterTerms | None:
    return _filter(operation, (*SELECTION_FILTERS, yp("selection-filter-ref")))


def _filter(operation: etree._Element, tags: Iterable[str]) -> FilterTerms | None:
    for element in operation.iterchildren(*tags):
        return FilterTerms(copy_with_bindings(element))
    return None


def copy_with_bindings(element: etree._Element) -> etree._Element:
    """Return a copy that binds every prefix that is in scope on ``element``: values may use them."""
    copied = etree.Element(element.tag, nsmap=element.nsmap)
    copied.text = element.text
    copied.extend([copy.deepcopy(child) for child in element.iterchildren(tag=etree.Element)])
    return copied


def _refuse(operation: etree._Element, tags: Iterable[str], message: str) -> None:
    for element in operation.iterchildren(*tags):
        raise _error("bad-element", etree.QName(element).localname, message)


def _error(tag: str, element: str, message: str) -> RpcError:
    return RpcError(tag, message, info=[(base("bad-element"), element)])


# Writing


def write_terms(schema: Schema, parent: etree._Element, terms: Terms, referred: FilterTerms | None = None) -> None:
    """Append ``terms`` to the element of a subscription or of a notification about one.

    ``referred`` is what the configured filter holds that the terms refer to, for a notification, which shows it in
    place of its name (RFC 8639 section 2.7.1).
    """
    if terms.filter is not None:
        shown = copy_with_bindings((referred or terms.filter).element)
        if shown.tag in _XPATH_FILTERS:
            bound = {prefix: name for prefix, name in shown.nsmap.items() if prefix is not None}
            names = {module.name: module.namespace for module in schema.modules.values()}
            own = {namespace: prefix for prefix, namespace in schema.nsmap.items()}
            shown.text = respelled(shown.text or "", {**names, **bound}, own)
        parent.append(shown)
    if isinstance(terms, StreamTerms):
        _leaf(parent, sn("stream"), terms.stream)
        if terms.replay_start is not None:
            _leaf(parent, sn("replay-start-time"), date_and_time(terms.replay_start))
    if terms.stop is not None:
        _leaf(parent, sn("stop-time"), date_and_time(terms.stop))
    _leaf(parent, sn("encoding"), f"{schema.prefix_of(SUBSCRIBED_NOTIFICATIONS)}:encode-xml")
    if isinstance(terms, DatastoreTerms):
        _leaf(parent, yp("datastore"), f"{schema.prefix_of(DATASTORES)}:{terms.datastore}")
        _write_trigger(parent, terms.trigger)


def _write_trigger(parent: etree._Element, trigger: Trigger) -> None:
    if isinstance(trigger, Periodic):
        periodic = etree.SubElement(parent, yp("periodic"))
        _leaf(periodic, yp("period"), str(trigger.period))
        if trigger.anchor is not None:
            _leaf(periodic, yp("anchor-time"), date_and_time(trigger.anchor))
        return
    on_change = etree.SubElement(parent, yp("on-change"))
    _leaf(on_change, yp("dampening-period"), str(trigger.dampening))
    _leaf(on_change, yp("sync-on-start"), "true" if trigger.sync_on_start else "false")
    for kind in sorted(trigger.excluded, key=lambda each: each.value):
        _leaf(on_change, yp("excluded-change"), kind.value)


def _leaf(parent: etree._Element, tag: str, text: str) -> None:
    etree.SubElement(parent, tag).text = text
