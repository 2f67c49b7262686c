"""All dynamic subscriptions of one server (RFC 8639 section 2.4, RFC 8641): made, modified, ended, kept up with.

Commits, state that has changed, events and time come in; records and notifications about subscriptions come out of
each subscription's queue. One subscription at a time is served when several are due, so that others get their turn.
It must not know sessions, messages or the event loop.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rkmp.datastore.edits import Edit
from rkmp.netconf.access_control.policy import NACM
from rkmp.netconf.operational import EntryNames
from rkmp.netconf.subscriptions.admission import Admission, Selected, Sources
from rkmp.netconf.subscriptions.capability import OnChangeNodes
from rkmp.netconf.subscriptions.datastore_subscription import DatastoreSubscription
from rkmp.netconf.subscriptions.filters import FILTERS, DataFilter, EventFilter, are_equal
from rkmp.netconf.subscriptions.messages import subscription_modified
from rkmp.netconf.subscriptions.places import Place, places_of
from rkmp.netconf.subscriptions.refusals import Refusal
from rkmp.netconf.subscriptions.stream_subscription import StreamSubscription
from rkmp.netconf.subscriptions.subscription import Subscriber, Subscription, Surroundings
from rkmp.netconf.subscriptions.terms import DatastoreTerms, FilterTerms, OnChange, StreamTerms, Terms
from rkmp.netconf.subscriptions.views import ON_CHANGE, OPERATIONAL, Views

_log = logging.getLogger(__name__)

_LARGEST_ID = 2**32 - 1


class Publisher:
    """The subscriptions of one server."""

    def __init__(self, surroundings: Surroundings, sources: Sources) -> None:
        self.capable = OnChangeNodes(surroundings.schema)
        """Which state is on-change capable: providers declare it here."""
        self._surroundings = surroundings
        self._sources = sources
        self._views = Views(sources.datastores, sources.state, self.capable)
        self._admission = Admission(surroundings, sources, self._views, self.capable)
        self._subscriptions: dict[int, Subscription] = {}
        self._due: deque[Subscription] = deque()
        """Those that were due when it was last asked, and have not been served since."""
        self._last_id = 0

    def __iter__(self) -> Iterator[Subscription]:
        return iter(tuple(self._subscriptions.values()))

    # Operations

    def establish(self, subscriber: Subscriber, terms: Terms) -> Subscription:
        """Return a new subscription, which is to be started once its subscriber knows of it.

        Raises Refusal, and RpcError for parameters that make no sense.
        """
        limits = self._surroundings.limits
        if len(self._subscriptions) >= limits.subscriptions:
            raise Refusal("insufficient-resources", "there are as many subscriptions as are served")
        mine = sum(each.subscriber.session_id == subscriber.session_id for each in self)
        if mine >= limits.session_subscriptions:
            raise Refusal("insufficient-resources", "this session has as many subscriptions as it may have")
        if isinstance(terms, StreamTerms):
            subscription: Subscription = self._new_stream(subscriber, terms)
        else:
            subscription = self._new_datastore(subscriber, terms)
        self._subscriptions[subscription.number] = subscription
        return subscription

    def modify(self, session_id: int, number: int, change: Callable[[Terms], Terms]) -> None:
        """Put other terms in force; ``change`` makes them of those of now. Raises as ``establish`` does."""
        subscription = self.find(session_id, number)
        terms = change(subscription.terms)
        access = self._surroundings.access_of(subscription.subscriber.client)
        if isinstance(subscription, StreamSubscription) and isinstance(terms, StreamTerms):
            subscription.modify(terms, self._admission.event_filter(access, terms))
        elif isinstance(subscription, DatastoreSubscription) and isinstance(terms, DatastoreTerms):
            selected = self._admission.selected(access, terms)
            self._require_room(terms, selected, subscription)
            subscription.modify(terms, selected.data_filter, selected.tree, selected.octets)

    def delete(self, session_id: int, number: int) -> None:
        """End a subscription of this session. Raises Refusal."""
        self.find(session_id, number).discard()

    def kill(self, number: int) -> None:
        """End any subscription, and have its subscriber told. Raises Refusal."""
        subscription = self._subscriptions.get(number)
        if subscription is None:
            raise Refusal("no-such-subscription", f"there is no subscription {number}")
        subscription.terminate("no-such-subscription")

    def resynchronise(self, session_id: int, number: int) -> None:
        """Have a subscription of this session send everything that it selects. Raises Refusal."""
        subscription = self._subscriptions.get(number)
        if subscription is None or subscription.subscriber.session_id != session_id:
            raise Refusal("no-such-subscription-resync", f"this session has no subscription {number}")
        if not isinstance(subscription, DatastoreSubscription):
            raise Refusal("on-change-sync-unsupported", "the subscription is to an event stream")
        subscription.resynchronise()

    def find(self, session_id: int, number: int) -> Subscription:
        """Return a subscription of this session. Raises Refusal."""
        subscription = self._subscriptions.get(number)
        if subscription is None or subscription.subscriber.session_id != session_id:
            raise Refusal("no-such-subscription", f"this session has no subscription {number}")
        return subscription

    def has_any(self, session_id: int) -> bool:
        """Whether a session has a subscription."""
        return any(each.subscriber.session_id == session_id for each in self)

    # What happens

    def session_ended(self, session_id: int) -> None:
        """End the subscriptions of a session that is gone (RFC 8640 section 5)."""
        for subscription in self:
            if subscription.subscriber.session_id == session_id:
                subscription.discard()

    def running_changed(self, _session_id: int | None, edits: Sequence[Edit]) -> None:
        """Take note of a commit; a listener of the datastores."""
        if not self._subscriptions:
            return
        tags, places = {edit.top for edit in edits}, places_of(edits)
        is_policy = NACM in tags
        if is_policy or FILTERS in tags:
            self._filters_changed()
        for subscription in self:
            if isinstance(subscription, DatastoreSubscription) and (
                is_policy or subscription.is_affected(ON_CHANGE, tags)
            ):
                subscription.changed(None if is_policy else places)

    def state_changed(self, tag: str, entries: EntryNames | None = None) -> None:
        """Take note that state below the top-level node ``tag`` has changed: of some entries, or anywhere."""
        if not self._subscriptions:
            return
        places = None if entries is None else frozenset(Place(tag, *entry) for entry in entries)
        for subscription in self:
            if isinstance(subscription, DatastoreSubscription) and subscription.is_affected((OPERATIONAL,), (tag,)):
                subscription.changed(places)

    def delay(self) -> float | None:
        """Return after how many seconds ``handle_time`` is to be called; None: not before something happens."""
        delays = [delay for each in self._subscriptions.values() if (delay := each.delay()) is not None]
        return min(delays, default=None)

    def handle_time(self) -> bool:
        """Serve one of the subscriptions that are due, each in its turn; return whether there was one."""
        if not self._due:
            self._due.extend(each for each in self._subscriptions.values() if each.delay() == 0.0)
        while self._due:
            subscription = self._due.popleft()
            if subscription.number in self._subscriptions and subscription.delay() == 0.0:
                self._serve(subscription)
                return True
        return False

    # How

    def _serve(self, subscription: Subscription) -> None:
        try:
            subscription.handle_time()
        except Exception as error:  # noqa: BLE001 - a bug costs one subscription, and not all of them
            # Never the exception's own words, which may repeat a value out of the data.
            _log.error("subscription %d: internal error: %s", subscription.number, type(error).__qualname__)
            is_stream = isinstance(subscription, StreamSubscription)
            subscription.terminate("stream-unavailable" if is_stream else "datastore-not-subscribable")

    def _filters_changed(self) -> None:
        """Look at the configured filters that subscriptions refer to (RFC 8639 sections 2.7.2 and 2.7.3)."""
        for subscription in self:
            terms = subscription.terms
            if terms.filter is None or terms.filter.reference is None:
                continue
            found = self._admission.configured(
                self._surroundings.access_of(subscription.subscriber.client), terms.filter
            )
            if found is None:
                subscription.terminate("filter-unavailable")
            elif not are_equal(found, subscription.filter_terms):
                self._tell_modified(subscription, found)

    def _tell_modified(self, subscription: Subscription, found: FilterTerms) -> None:
        schema, now = self._surroundings.schema, self._surroundings.clock()
        message = subscription_modified(schema, now.wall, subscription.number, subscription.terms, found)
        try:
            if isinstance(subscription, StreamSubscription):
                subscription.tell_modified(message, EventFilter(schema, found))
            elif isinstance(subscription, DatastoreSubscription):
                subscription.tell_modified(message, DataFilter(schema, found))
        except Refusal:
            subscription.terminate("filter-unavailable")

    def _new_stream(self, subscriber: Subscriber, terms: StreamTerms) -> StreamSubscription:
        event_filter = self._admission.event_filter(self._surroundings.access_of(subscriber.client), terms)
        return StreamSubscription(
            self._next_id(),
            subscriber,
            self._surroundings,
            self._forget,
            terms=terms,
            event_filter=event_filter,
            hub=self._sources.hub,
        )

    def _new_datastore(self, subscriber: Subscriber, terms: DatastoreTerms) -> DatastoreSubscription:
        selected = self._admission.selected(self._surroundings.access_of(subscriber.client), terms)
        self._require_room(terms, selected)
        return DatastoreSubscription(
            self._next_id(),
            subscriber,
            self._surroundings,
            self._forget,
            terms=terms,
            data_filter=selected.data_filter,
            views=self._views,
            writer=self._sources.writer,
            stopwatch=self._sources.stopwatch,
            first=selected.tree,
            octets=selected.octets,
        )

    def _require_room(self, terms: DatastoreTerms, selected: Selected, besides: Subscription | None = None) -> None:
        """Refuse to hold more data for comparison than may be, besides that of a subscription that changes its own."""
        held = sum(each.held_octets for each in self if isinstance(each, DatastoreSubscription) and each is not besides)
        if isinstance(terms.trigger, OnChange) and held + selected.octets > self._surroundings.limits.held_octets:
            raise Refusal("insufficient-resources", "as much data is held for on-change subscriptions as may be")

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % _LARGEST_ID + 1
            if self._last_id not in self._subscriptions:
                return self._last_id

    def _forget(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription.number, None)
