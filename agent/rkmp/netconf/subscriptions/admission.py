"""Whether the terms of a subscription can be met, and with which filter (RFC 8641 sections 3.2, 3.3, 3.9 and 3.11.2).

It is far preferable to decline a request than to fail it later, so the data is looked at once: how much it is and how
long it takes decides about size and period, and the answer has hints. It must not know what subscriptions there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.errors import RpcError
from rkmp.netconf.access_control import Access
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.namespaces import base
from rkmp.netconf.notifications import STREAMS_OFFERED, NotificationHub
from rkmp.netconf.operational import OperationalState
from rkmp.netconf.subscriptions.capability import OnChangeNodes
from rkmp.netconf.subscriptions.datastore_subscription import require_size
from rkmp.netconf.subscriptions.filters import DataFilter, EventFilter, configured_filter, reaches, unsupported
from rkmp.netconf.subscriptions.messages import push_update
from rkmp.netconf.subscriptions.refusals import Refusal
from rkmp.netconf.subscriptions.subscription import Surroundings
from rkmp.netconf.subscriptions.terms import DatastoreTerms, FilterTerms, OnChange, Periodic, StreamTerms, Terms
from rkmp.netconf.subscriptions.views import ON_CHANGE, OPERATIONAL, SUBSCRIBABLE, Views

_CENTISECONDS = 100


@dataclass(frozen=True, slots=True)
class Sources:
    """Where records come from."""

    datastores: Datastores
    state: OperationalState
    hub: NotificationHub
    writer: DataWriter
    stopwatch: Callable[[], float]
    """Returns seconds that only differences are made of: how long it takes to look at data."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A filter, what it selects now, and how many octets that is as it is sent."""

    data_filter: DataFilter
    tree: etree._Element
    octets: int


class Admission:
    """Holds terms against what there is. Every method raises Refusal, or RpcError for what makes no sense at all."""

    def __init__(self, surroundings: Surroundings, sources: Sources, views: Views, capable: OnChangeNodes) -> None:
        self._surroundings = surroundings
        self._sources = sources
        self._views = views
        self._capable = capable

    def event_filter(self, access: Access, terms: StreamTerms) -> EventFilter:
        """Return the filter of a subscription to an event stream that can be served."""
        if terms.stream not in STREAMS_OFFERED:
            raise _invalid("stream", f"there is no stream {terms.stream}")
        if terms.replay_start is not None:
            if self._sources.hub.log is None:
                raise Refusal("replay-unsupported", "there is no log of events")
            if terms.replay_start >= self._surroundings.clock().wall:
                raise _invalid("replay-start-time", "replay-start-time is not in the past")
        self._require_stop(terms)
        return EventFilter(self._surroundings.schema, self._resolved(access, terms.filter))

    def selected(self, access: Access, terms: DatastoreTerms) -> Selected:
        """Return the filter of a subscription to a datastore that can be served, and what it selects now."""
        if terms.datastore not in SUBSCRIBABLE:
            raise Refusal("datastore-not-subscribable", f"there are no subscriptions to {terms.datastore}")
        self._require_stop(terms)
        is_on_change = isinstance(terms.trigger, OnChange)
        if is_on_change and terms.datastore not in ON_CHANGE:
            raise Refusal("on-change-unsupported", f"changes of {terms.datastore} are not told of")
        data_filter = DataFilter(self._surroundings.schema, self._resolved(access, terms.filter))
        self._require_reach(access, terms, data_filter)
        began = self._sources.stopwatch()
        try:
            first = self._views.look(terms.datastore, data_filter, access.reader, on_change=is_on_change)
        except RpcError as error:
            raise unsupported(error.message) from error
        size = len(push_update(self._sources.writer, self._surroundings.clock().wall, 0, first))
        seconds = self._sources.stopwatch() - began
        limits = self._surroundings.limits
        if isinstance(terms.trigger, Periodic):
            self._require_period(terms.trigger, seconds)
            require_size(size, limits.record_octets, "update-too-big")
        elif terms.trigger.sync_on_start:
            require_size(size, limits.record_octets, "sync-too-big")
        return Selected(data_filter, first, size)

    def configured(self, access: Access, terms: FilterTerms) -> FilterTerms | None:
        """Return the configured filter that ``terms`` refer to, if there is one that the user may read."""
        running = self._sources.datastores.tree("running")
        return configured_filter(self._surroundings.schema, running, access.reader, terms)

    def _resolved(self, access: Access, terms: FilterTerms | None) -> FilterTerms | None:
        if terms is None or terms.reference is None:
            if terms is not None and terms.octets > self._surroundings.limits.filter_octets:
                raise unsupported(f"the filter has {terms.octets} octets, more than are kept")
            return terms
        found = self.configured(access, terms)
        if found is None:
            # RFC 7950 15.5: a leafref to nowhere.
            name = etree.QName(terms.element).localname
            message = f"there is no filter {terms.reference}"
            raise RpcError("data-missing", message, app_tag="instance-required", info=[(base("bad-element"), name)])
        return found

    def _require_reach(self, access: Access, terms: DatastoreTerms, data_filter: DataFilter) -> None:
        selection = data_filter.selection(access.reader)
        tops = [
            node
            for node in self._surroundings.schema.top.values()
            if reaches(selection, node) and (node.config or terms.datastore == OPERATIONAL)
        ]
        if not tops:
            raise Refusal("unchanging-selection", "the filter selects nothing that there is, or that may be read")
        if isinstance(terms.trigger, OnChange) and not any(self._capable.includes(node) for node in tops):
            raise Refusal("on-change-unsupported", "nothing that the filter selects is on-change capable")

    def _require_period(self, trigger: Periodic, seconds: float) -> None:
        limits = self._surroundings.limits
        shortest = max(limits.shortest_period, math.ceil(seconds / limits.share * _CENTISECONDS))
        if trigger.period < shortest:
            raise Refusal("period-unsupported", "the period is too short", [("period-hint", str(shortest))])

    def _require_stop(self, terms: Terms) -> None:
        if terms.stop is None:
            return
        start = terms.replay_start if isinstance(terms, StreamTerms) else None
        if start is None and terms.stop <= self._surroundings.clock().wall:
            raise _invalid("stop-time", "stop-time is not in the future")
        if start is not None and terms.stop <= start:
            raise _invalid("stop-time", "stop-time is not later than replay-start-time")


def _invalid(name: str, message: str) -> RpcError:
    return RpcError("invalid-value", message, info=[(base("bad-element"), name)])
