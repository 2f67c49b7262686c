"""Schemas, trees and engines for the tests of this room: changes of configuration without datastores behind them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.layout import Layouts
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.schema import Schema, load_schema
from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.events import EngineEvent
from rkmp.engine.state import PeerSnapshot
from rkmp.errors import EngineRefusal
from rkmp.keytable import KeyTable
from rkmp.netconf import NETCONF_MODULES
from rkmp.northbound import MODULES, NorthboundConfiguration
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = REPOSITORY / "tests" / "yang" / "documents"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"
NAMESPACES = {"r": RKMP, "k": KEY_TABLE}


@functools.cache
def schema() -> Schema:
    return load_schema({**NETCONF_MODULES, **MODULES}, [REPOSITORY / "yang"])


def document(name: str) -> etree._Element:
    """Return the ``config`` of one of the documents that yangson and libyang accept."""
    parser = etree.XMLParser(remove_blank_text=True)
    return config(*etree.parse(DOCUMENTS / f"{name}.xml", parser).getroot())


def config(*tops: etree._Element) -> etree._Element:
    root = etree.Element(f"{{{NETCONF}}}config", nsmap={"nc": NETCONF})
    root.extend(tops)
    return root


def rkmp(content: str) -> etree._Element:
    """Return a ``config`` that edits below ``/rkmp``; ``nc`` is bound for operations."""
    return config(etree.fromstring(f'<rkmp xmlns="{RKMP}" xmlns:nc="{NETCONF}">{content}</rkmp>'))


def key_table(content: str) -> etree._Element:
    """Return a ``config`` that edits below ``/key-table``."""
    return config(etree.fromstring(f'<key-table xmlns="{KEY_TABLE}" xmlns:nc="{NETCONF}">{content}</key-table>'))


def memory_table() -> KeyTable:
    sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "key-table")
    return KeyTable(Database(IN_MEMORY), sealer, os.urandom)


@dataclass
class PreparedFake:
    apply: Callable[[], None]
    abort: Callable[[], None]


@dataclass
class FakeEngine:
    """Notes what it is told and answers what it was told to answer."""

    refusal: EngineRefusal | None = None
    snapshots: tuple[PeerSnapshot, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    listening: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    configuration: EngineConfiguration = field(default_factory=EngineConfiguration)
    subscribers: list[Callable[[EngineEvent, datetime], None]] = field(default_factory=list)

    def prepare(self, configuration: EngineConfiguration) -> PreparedFake:
        self._note("prepare")

        def apply() -> None:
            self.configuration = configuration
            self.calls.append(("apply",))

        return PreparedFake(apply, lambda: self.calls.append(("abort",)))

    async def rekey(self, peer: str, protocol: int) -> str:
        self._note("rekey", peer, protocol)
        return "the-new-key"

    def initiate(self, peer: str) -> None:
        self._note("initiate", peer)

    def clear(self, peer: str) -> None:
        self._note("clear", peer)

    def addresses(self) -> Mapping[str, tuple[str, int]]:
        return self.listening

    def peers(self) -> tuple[PeerSnapshot, ...]:
        return self.snapshots

    def statistics(self) -> Mapping[str, int]:
        return self.counters

    def subscribe(self, subscriber: Callable[[EngineEvent, datetime], None]) -> None:
        self.subscribers.append(subscriber)

    def peer(self, name: str) -> PeerSnapshot | None:
        return next((snapshot for snapshot in self.snapshots if snapshot.name == name), None)

    def watch(self, watcher: Callable[[frozenset[str]], None]) -> None:
        """Nothing happens in it by itself."""

    def _note(self, *call: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(call)


class Running:
    """A running configuration whose changes go to one :class:`NorthboundConfiguration`; nothing is validated."""

    def __init__(self, engine: FakeEngine | None = None, table: KeyTable | None = None) -> None:
        self.engine = engine or FakeEngine()
        self.key_table = table or memory_table()
        self.northbound = NorthboundConfiguration(schema(), self.engine, self.key_table, lambda: NOON)
        self.tree = DataTree(Layouts(schema()))

    def prepare(self, edit: etree._Element, *, operation: Operation = Operation.MERGE) -> PreparedChange:
        """Make ``edit`` in the tree and prepare it; undo it where it is refused."""
        journal = self.tree.open_journal()
        try:
            Editor(self.tree, parse_payload(self.tree.layouts, edit, operation)).carry_out(operation)
            change = Change(schema(), self.tree.root, journal.edits(), self._no_before)
            return self.northbound.prepare(change)
        except BaseException:
            self.tree.roll_back()
            raise

    def change(self, edit: etree._Element, *, operation: Operation = Operation.MERGE) -> None:
        """Carry out ``edit`` as a whole transaction."""
        prepared = self.prepare(edit, operation=operation)
        self.tree.close_journal()
        prepared.apply()

    @property
    def configuration(self) -> EngineConfiguration:
        return self.engine.configuration

    @staticmethod
    def _no_before() -> etree._Element:
        raise AssertionError("a change needs no look at the whole of what was before")
