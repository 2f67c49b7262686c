"""A subscription to a datastore (RFC 8641): what is selected of it, periodically or on change.

Joins a view of the datastore, the making of records and the queue. It must not know sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lxml import etree

from rkmp.errors import RpcError
from rkmp.instant import Instant
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.subscriptions.changes import Change
from rkmp.netconf.subscriptions.filters import DataFilter
from rkmp.netconf.subscriptions.messages import push_change_update, push_update
from rkmp.netconf.subscriptions.places import Place, Places
from rkmp.netconf.subscriptions.refusals import Refusal
from rkmp.netconf.subscriptions.subscription import Subscriber, Subscription, Surroundings
from rkmp.netconf.subscriptions.terms import DatastoreTerms, FilterTerms, OnChange
from rkmp.netconf.subscriptions.updates import OnChangeUpdates, Outcome, PeriodicUpdates
from rkmp.netconf.subscriptions.views import Views


class DatastoreSubscription(Subscription):
    """One subscription to a datastore; ``first`` is what is selected when it starts, so many ``octets``.

    ``stopwatch`` returns seconds that only differences are made of.
    """

    def __init__(
        self,
        number: int,
        subscriber: Subscriber,
        surroundings: Surroundings,
        on_end: Callable[[Subscription], None],
        *,
        terms: DatastoreTerms,
        data_filter: DataFilter,
        views: Views,
        writer: DataWriter,
        stopwatch: Callable[[], float],
        first: etree._Element,
        octets: int,
    ) -> None:
        super().__init__(number, subscriber, surroundings, terms.stop, on_end)
        self._terms = terms
        self._filter = data_filter
        self._views = views
        self._writer = writer
        self._stopwatch = stopwatch
        self._octets_selected = octets
        self._first: etree._Element | None = first
        self._updates = self._new_updates(terms)

    @property
    def terms(self) -> DatastoreTerms:
        """The terms in effect; a periodic one has an anchor from its first record on."""
        terms = self._terms
        return DatastoreTerms(terms.datastore, self._updates.terms, terms.filter, terms.stop)

    @property
    def is_on_change(self) -> bool:
        """Whether it tells of changes."""
        return isinstance(self._updates, OnChangeUpdates)

    @property
    def filter_terms(self) -> FilterTerms | None:
        """The filter in effect, of the subscription's own or a configured one."""
        return self._filter.terms

    def start(self) -> None:
        """Begin with what was selected when it was asked for."""
        if self._first is not None and not self._ended:
            first, self._first = self._first, None
            self._updates.begin(self._surroundings.clock(), first)
            self._surroundings.when_due()

    @property
    def held_octets(self) -> int:
        """Octets of data, as it was sent or would have been, that are held for comparison."""
        return self._octets_selected if self.is_on_change else 0

    def modify(self, terms: DatastoreTerms, data_filter: DataFilter, selected: etree._Element, octets: int) -> None:
        """Go on under other terms; ``selected`` is what they select now, so many ``octets``."""
        before, now = self._updates, self._surroundings.clock()
        self._terms, self._filter, self._stop, self._octets_selected = terms, data_filter, terms.stop, octets
        self._updates = self._new_updates(terms)
        self._reactivate()
        if isinstance(self._updates, PeriodicUpdates):
            self._updates.go_on(now)
        elif isinstance(before, OnChangeUpdates):
            self._updates.go_on_from(before)
        else:
            self._updates.begin(now, selected)
        self._surroundings.when_due()

    def tell_modified(self, message: bytes, data_filter: DataFilter) -> None:
        """Go on with what the configured filter holds now, once the receiver has been told so."""
        self._tell_modified(message)
        self._filter = data_filter
        self.changed(None)

    def changed(self, places: Places) -> None:
        """Take note that something selected may have changed at ``places``."""
        self._updates.changed(places)
        self._surroundings.when_due()

    def is_affected(self, datastores: Collection[str], tags: Collection[str]) -> bool:
        """Whether a change of these datastores, at or below these top-level nodes, can be one of what it tells of."""
        if not self.is_on_change or self._terms.datastore not in datastores:
            return False
        reader = self._surroundings.access_of(self.subscriber.client).reader
        try:
            return self._views.is_affected(self._terms.datastore, self._filter, reader, tags)
        except Refusal:
            return True

    def resynchronise(self) -> None:
        """Send everything that is selected. Raises Refusal where that is not to be had of this subscription."""
        updates = self._updates
        if not isinstance(updates, OnChangeUpdates) or not updates.terms.sync_on_start:
            raise Refusal("on-change-sync-unsupported", "the subscription is not one that is synchronised")
        if self.is_suspended:
            raise Refusal("no-such-subscription-resync", "the subscription is suspended")
        tree = self.look()
        if tree is not None:
            size = len(push_update(self._writer, self._surroundings.clock().wall, self.number, tree))
            require_size(size, self._surroundings.limits.record_octets, "sync-too-big")
        updates.resynchronise()
        self._surroundings.when_due()

    # Records (rkmp.netconf.subscriptions.updates.Records)

    def look(self) -> etree._Element | None:
        """Return what is selected now; None where it cannot be had, which the receiver is told."""
        access = self._surroundings.access_of(self.subscriber.client)
        began = self._stopwatch()
        try:
            tree = self._views.look(self._terms.datastore, self._filter, access.reader, on_change=self.is_on_change)
        except (Refusal, RpcError):
            # Under what its user may see now the filter cannot be applied, or costs too much.
            self._suspend("insufficient-resources")
            return None
        if isinstance(self._updates, OnChangeUpdates):
            self._updates.looked(self._surroundings.clock(), self._stopwatch() - began)
        return tree

    def look_at(self, places: Collection[Place]) -> etree._Element | None:
        """Return what is selected at ``places``; None where only a whole look tells what has changed there."""
        reader = self._surroundings.access_of(self.subscriber.client).reader
        began = self._stopwatch()
        try:
            tree = self._views.look_at(self._terms.datastore, self._filter, reader, places, on_change=True)
        except (Refusal, RpcError):
            return None
        if isinstance(self._updates, OnChangeUpdates):
            self._updates.looked(self._surroundings.clock(), self._stopwatch() - began)
        return tree

    def push(self, tree: etree._Element) -> bool:
        """Queue a push-update."""
        too_big = "sync-too-big" if self.is_on_change else "update-too-big"
        return self._record(push_update(self._writer, self._surroundings.clock().wall, self.number, tree), too_big)

    def push_changes(self, patch: int, found: Sequence[Change], everything: etree._Element | None) -> Outcome:
        """Queue a push-change-update, or a push-update of ``everything`` where that is smaller than it may be."""
        wall = self._surroundings.clock().wall
        record, done = push_change_update(self._writer, wall, self.number, patch, found), Outcome.TOLD
        if everything is not None and self._is_too_big(record):
            # RFC 8641 3.11.1: effectively replacing the previous contents.
            record, done = push_update(self._writer, wall, self.number, everything), Outcome.SYNCHRONISED
        return done if self._record(record, "update-too-big") else Outcome.UNTOLD

    def _is_too_big(self, record: bytes) -> bool:
        return len(record) > self._surroundings.limits.record_octets

    def _record(self, record: bytes, too_big: str) -> bool:
        if self._is_too_big(record):
            self._suspend(too_big)
            return False
        if self.is_suspended and not self._waits_for_reader:
            # What stood in the way does no more.
            self._resume()
        return self._put(record)

    # The rest of a subscription

    def _new_updates(self, terms: DatastoreTerms) -> PeriodicUpdates | OnChangeUpdates:
        if isinstance(terms.trigger, OnChange):
            limits = self._surroundings.limits
            return OnChangeUpdates(self._surroundings.schema, self, terms.trigger, limits.share)
        return PeriodicUpdates(self, terms.trigger)

    def _own_delay(self, now: Instant) -> float | None:
        return self._updates.delay(now)

    def _do_own(self, now: Instant) -> None:
        self._updates.handle(now)

    def _stop_making(self) -> None:
        self._first = None

    def _resumed(self) -> None:
        self._updates.resumed(self._surroundings.clock())


def require_size(octets: int, limit: int, identity: str) -> None:
    """Raise Refusal (``identity``) with hints where a record of that many octets is larger than ``limit``."""
    if octets > limit:
        hints = [("kilobytes-estimate", str(-(-octets // 1024))), ("kilobytes-limit", str(limit // 1024))]
        raise Refusal(identity, f"the selected data has {octets} octets, more than are sent at once", hints)
