"""A publisher with everything that it works on, under clocks that tests move: no sessions, no event loop."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema import Schema
from rkmp.instant import Instant
from rkmp.netconf import EventLog
from rkmp.netconf.access_control import AccessControl
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.documents import parse_document
from rkmp.netconf.notifications import NotificationHub
from rkmp.netconf.operational import EntryNames, OperationalState
from rkmp.netconf.rpc_content import check_content
from rkmp.netconf.subscriptions import Publisher, Sources, Subscriber, Subscription, SubscriptionLimits, Surroundings
from rkmp.netconf.subscriptions.configuration import ConfiguredFilters
from rkmp.netconf.subscriptions.subscription import Backlog
from rkmp.netconf.subscriptions.terms import changed_terms, read_terms
from rkmp.netconf.transport import Client
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.netconf.subscriptions.receiver import Content, content_of
from tests.netconf.subscriptions.requests import SHOP, modify, shop

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Stage:
    """One publisher and the world around it."""

    schema: Schema
    limits: SubscriptionLimits = field(default_factory=SubscriptionLimits)
    recovery: frozenset[str] = frozenset({"alice"})

    def __post_init__(self) -> None:
        self.elapsed = 0.0
        self.shift = timedelta()
        self.look_seconds = 0.0
        self._stopwatch = 0.0
        self.footfall: dict[str, int] = {}
        self.visits: list[int] = []
        self.stock: dict[tuple[str, ...], int] = {}
        self.looks = 0
        """How often a datastore was looked at as a whole, or as a whole was asked for its state."""
        self.raining = False
        self.woken = 0
        self.backlog = Backlog()
        database = Database(IN_MEMORY)
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
        self.datastores = Datastores(self.schema, database, sealer, os.urandom, lambda: self.now.wall)
        self.access_control = AccessControl(self.schema)
        self.datastores.subscribe(self.access_control)
        self.datastores.subscribe(ConfiguredFilters(self.schema))
        self.log = EventLog(database, lambda: self.now.wall)
        self.hub = NotificationHub(self.schema, Redactor(self.schema), self.log)
        self.state = OperationalState()
        self.state.register(shop("shop"), self._provide_shop, of_entries=self._provide_shelves)
        self.state.register(shop("weather"), self._provide_weather)
        self.publisher = Publisher(
            Surroundings(
                schema=self.schema,
                limits=self.limits,
                clock=lambda: self.now,
                access_of=self.access_control.access_of,
                when_due=lambda: None,
                backlog=self.backlog,
            ),
            Sources(self.datastores, self.state, self.hub, DataWriter(self.schema), self._read_stopwatch),
        )
        self.publisher.capable.declare(shop("shop"), [(shop("shop"), shop("footfall"), shop("ever"))])
        self.datastores.on_commit(self.publisher.running_changed)

    @property
    def now(self) -> Instant:
        return Instant(self.elapsed, START + timedelta(seconds=self.elapsed) + self.shift)

    # What happens

    def edit(self, content: str, operation: str = "merge") -> None:
        """Change running as the recovery user."""
        config = etree.fromstring(
            f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" '
            f'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">{content}</config>'
        )
        self.datastores.edit("running", config, session_id=9, default_operation=operation)

    def edit_shop(self, content: str) -> None:
        """Change the shop; the prefix ``shop`` is bound for values."""
        self.edit(f'<shop xmlns="{SHOP}" xmlns:shop="{SHOP}">{content}</shop>')

    def visit(self, **counts: int) -> None:
        """Change state, and tell of it."""
        self.footfall.update(counts)
        self.publisher.state_changed(shop("shop"))

    def deliver(self, aisle: str, kind: str, number: int) -> None:
        """Change the state of one shelf, which may not be configured, and tell that it is this one."""
        keys = (aisle, kind)
        self.stock[keys] = number
        if not number:
            del self.stock[keys]
        self.publisher.state_changed(shop("shop"), [(shop("shelf"), keys)])

    def publish(self, text: str) -> None:
        """Have an event happen."""
        self.hub.publish(self.now.wall, etree.fromstring(f'<closing xmlns="{SHOP}"><reason>{text}</reason></closing>'))

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and have done what is due on the way."""
        end = self.elapsed + seconds
        for _ in range(10_000):
            delay = self.publisher.delay()
            if delay is None or self.elapsed + delay > end + 1e-9:
                break
            self.elapsed += delay
            self.publisher.handle_time()
        else:
            raise AssertionError("something is always due")
        self.elapsed = end

    # What a subscriber does

    def establish(self, operation: str, *, user: str = "alice", session: int = 1, start: bool = True) -> Subscription:
        subscriber = Subscriber(session, Client(user, "192.0.2.7", "netconf-ssh"), self._wake)
        subscription = self.publisher.establish(subscriber, read_terms(self._checked(operation)))
        if start:
            subscription.start()
        return subscription

    def modify(self, subscription: Subscription, parameters: str) -> None:
        element = self._checked(modify(subscription.number, parameters), ("target", "datastore"))
        session_id = subscription.subscriber.session_id
        self.publisher.modify(session_id, subscription.number, lambda terms: changed_terms(terms, element))

    def content(self, datastore: str = "operational", only: str | None = None) -> Content:
        """Return what a user who may see everything gets of the shop, but for what is not on-change capable.

        ``only`` is the tag of the children of the shop that are wanted.
        """
        running = self.datastores.tree("running")
        tree = copy.deepcopy(running) if datastore == "running" else self.state.in_use(self.schema, running)
        for other in list(tree):
            if other.tag != shop("shop"):
                tree.remove(other)
        etree.strip_attributes(tree, "{urn:ietf:params:xml:ns:yang:ietf-origin}origin")
        Redactor(self.schema).remove_secrets(tree)
        for footfall in tree.iterfind(f"{shop('shop')}/{shop('footfall')}"):
            for ever in footfall.findall(shop("ever")):
                footfall.remove(ever)
        for top in tree.iterchildren(shop("shop")) if only else ():
            for child in list(top):
                if child.tag != only:
                    top.remove(child)
        return content_of(self.schema, tree)

    def _checked(self, operation: str, optional: tuple[str, ...] = ()) -> etree._Element:
        element = etree.fromstring(operation)
        node = self.schema.rpcs[str(element.tag)].input
        assert node is not None
        check_content(self.schema, node, element, canonicalise=True, optional=optional)
        return element

    def _wake(self) -> None:
        self.woken += 1

    def _provide_shop(self, root: etree._Element) -> None:
        self.looks += 1
        self._provide_shelves(root, [(shop("shelf"), keys) for keys in self.stock])

    def _provide_shelves(self, root: etree._Element, entries: EntryNames) -> None:
        top = root.find(shop("shop"))
        if top is None:
            top = etree.SubElement(root, shop("shop"))
        found = {
            tuple(shelf.findtext(shop(key)) or "" for key in ("aisle", "kind")): shelf
            for shelf in top.iterchildren(shop("shelf"))
        }
        for _, keys in entries:
            if keys in self.stock:
                shelf = found.get(keys)
                if shelf is None:
                    shelf = etree.SubElement(top, shop("shelf"))
                    for key, value in zip(("aisle", "kind"), keys, strict=True):
                        etree.SubElement(shelf, shop(key)).text = value
                etree.SubElement(shelf, shop("stock")).text = str(self.stock[keys])
        etree.SubElement(top, shop("stock")).text = str(sum(self.stock.values()))
        footfall = etree.SubElement(top, shop("footfall"))
        for name, count in self.footfall.items():
            etree.SubElement(footfall, shop(name)).text = str(count)
        for minutes in self.visits:
            etree.SubElement(etree.SubElement(footfall, shop("visit")), shop("minutes")).text = str(minutes)

    def _provide_weather(self, root: etree._Element) -> None:
        weather = etree.SubElement(root, shop("weather"))
        etree.SubElement(weather, shop("rain")).text = "true" if self.raining else "false"

    def _read_stopwatch(self) -> float:
        self._stopwatch += self.look_seconds
        return self._stopwatch


def events(subscription: Subscription) -> list[etree._Element]:
    """Return what the subscriber is sent now, the elements inside of the notifications."""
    found = []
    schema = subscription._surroundings.schema
    while (message := subscription.take()) is not None:
        if message:
            notification = parse_document(message)
            assert [etree.QName(child).localname for child in notification][:1] == ["eventTime"]
            assert len(notification) == 2
            event = notification[1]
            check_content(schema, schema.notifications[str(event.tag)], copy.deepcopy(event), canonicalise=False)
            found.append(event)
    return found


def names(subscription: Subscription) -> list[str]:
    """Return the names of what the subscriber is sent now."""
    return [etree.QName(event).localname for event in events(subscription)]
