"""From a change of the running configuration to the engine and the key table, as one transaction.

Works by list entry, never by leaf: an entry that an edit touches is read whole into a frozen object, all others are
the objects of the last change. Both sides are prepared, where they may refuse; then both are applied, or aborted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from lxml import etree

from rkmp.datastore.defaults import Instance
from rkmp.datastore.edits import Edit
from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.datastore.xpath.syntax import quoted
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.revised import Revised
from rkmp.errors import EngineRefusal, KeyTableError, RpcError
from rkmp.keytable import KeyTable, PreparedManualRows
from rkmp.northbound.certificates import expiry_warnings
from rkmp.northbound.engine_access import EngineAccess, PreparedEngine
from rkmp.northbound.engine_configuration import EntryReaders, private_algorithms
from rkmp.northbound.manual_keys import read_key
from rkmp.northbound.names import KeyTableNames, Rkmp
from rkmp.northbound.reading import boolean, container, instance_of, value
from rkmp.northbound.touched import Touched

ENTRIES: Mapping[tuple[str, ...], str] = {
    (Rkmp.RKMP, Rkmp.LISTEN): "listeners",
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.PRE_SHARED_KEY): "pre_shared_keys",
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.CERTIFICATE): "certificates",
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.TRUST_ANCHOR): "trust_anchors",
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.REVOCATION_LIST): "revocation_lists",
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.PPK): "ppks",
    (Rkmp.RKMP, Rkmp.IKE_POLICY): "ike_policies",
    (Rkmp.RKMP, Rkmp.PROPOSAL): "proposals",
    (Rkmp.RKMP, Rkmp.PEER): "peers",
}
"""Which mapping of :class:`EngineConfiguration` holds the entries of the list at a path."""

KEYS = (KeyTableNames.KEY_TABLE, KeyTableNames.KEY)


class NorthboundConfiguration:
    """The :class:`~rkmp.datastore.subscribers.ConfigurationSubscriber` for ``/rkmp`` and ``/key-table``.

    ``clock`` returns the time now, aware, in UTC.
    """

    def __init__(
        self, schema: Schema, engine: EngineAccess, key_table: KeyTable, clock: Callable[[], datetime]
    ) -> None:
        self._schema = schema
        self._engine = engine
        self._key_table = key_table
        self._clock = clock
        readers = EntryReaders(schema)
        by_field: Mapping[str, Callable[[Instance], object]] = {
            "listeners": readers.listener,
            "pre_shared_keys": readers.pre_shared_key,
            "certificates": readers.certificate,
            "trust_anchors": readers.trust_anchor,
            "revocation_lists": readers.revocation_list,
            "ppks": readers.ppk,
            "ike_policies": readers.ike_policy,
            "proposals": readers.proposal,
            "peers": readers.peer,
        }
        self._readers = readers
        self._lists = {_node_at(schema, path): (path, field, by_field[field]) for path, field in ENTRIES.items()}
        self._root = _node_at(schema, (Rkmp.RKMP,))
        self._key_list = _node_at(schema, KEYS)
        self.current = EngineConfiguration()
        """What the engine was last configured with."""
        self._has_started = False

    def prepare(self, change: Change) -> PreparedChange:
        """Get the engine and the key table ready for ``change``.

        Raises RpcError, with a path, for what either refuses and for values that cannot be meant.
        """
        rows = self._prepare_keys(change) if change.touches(KeyTableNames.KEY_TABLE) else None
        configuration = self._configuration(change) if change.touches(Rkmp.RKMP) else self.current
        is_news = configuration is not self.current or not self._has_started
        return _Prepared(self, configuration, self._prepare_engine(configuration) if is_news else None, rows)

    def prepare_keys(self, change: Change) -> PreparedChange:
        """Get the key table alone ready for ``change``; raises RpcError as :meth:`prepare` does."""
        rows = self._prepare_keys(change) if change.touches(KeyTableNames.KEY_TABLE) else None
        return _Prepared(self, self.current, None, rows)

    def start(self) -> None:
        """Configure the engine where no configuration has done so: it listens and tidies up with none, too.

        Raises RpcError where it cannot.
        """
        if not self._has_started:
            _Prepared(self, self.current, self._prepare_engine(self.current), None).apply()

    def took(self, configuration: EngineConfiguration) -> None:
        """Note what the engine is configured with now."""
        self.current = configuration
        self._has_started = True

    def apply_keys(self, rows: PreparedManualRows) -> None:
        """Make a prepared change of the manual keys."""
        self._key_table.apply_manual(rows, self._clock())

    # The engine

    def _prepare_engine(self, configuration: EngineConfiguration) -> PreparedEngine:
        try:
            return self._engine.prepare(configuration)
        except EngineRefusal as refusal:
            raise self._refusal(refusal) from refusal

    def _configuration(self, change: Change) -> EngineConfiguration:
        """Return the configuration after ``change``; the very object of the last one where nothing is different."""
        touched = Touched.by(_edits_of(change, Rkmp.RKMP), self._lists)
        fields: dict[str, object] = {}
        if touched.others:
            fields |= self._read_globals(change.after)
        for node, (path, field, read) in self._lists.items():
            before: Mapping[str, object] = getattr(self.current, field)
            if node in touched.whole:
                entries = {value(entry, node.keys[0]): entry for entry in _entries(self._schema, change.after, path)}
                kept = Revised({}, {name: _kept(before, name, read(entry)) for name, entry in entries.items()})
                fields[field] = before if kept == before else kept
            elif node in touched.entries:
                changed = {
                    name: None
                    if element is None
                    else _kept(before, name, read(instance_of(self._schema, change.after, node, element)))
                    for name, element in touched.entries[node].items()
                }
                fields[field] = _updated(before, changed)
        different = {field: value for field, value in fields.items() if _differs(value, getattr(self.current, field))}
        return replace(self.current, **different) if different else self.current  # type: ignore[arg-type]

    def _read_globals(self, after: etree._Element) -> dict[str, object]:
        root = container(Instance.root(self._schema, after), Rkmp.RKMP)
        code_points = container(root, Rkmp.CODE_POINTS)
        return {
            "enabled": boolean(root, Rkmp.ENABLED),
            "code_points": self._readers.code_points(code_points),
            "require_vendor_id": boolean(code_points, Rkmp.REQUIRE_VENDOR_ID),
            "private_algorithms": private_algorithms(code_points),
            "expiry_warnings": expiry_warnings(container(root, Rkmp.CREDENTIALS), Rkmp.EXPIRY_WARNING),
            "local_identity": self._readers.identity(root.container(Rkmp.LOCAL_IDENTITY)),
        }

    def _refusal(self, refusal: EngineRefusal) -> RpcError:
        prefix = self._schema.prefix_of(self._root.namespace)
        steps = ["rkmp"]
        if refusal.peer is not None:
            steps.append(f"peer[{prefix}:name={quoted(refusal.peer)}]")
            if refusal.protocol is not None:
                steps.append(f"association[{prefix}:protocol={quoted(refusal.protocol)}]")
        path = "".join(f"/{prefix}:{step}" for step in steps)
        return RpcError("operation-failed", refusal.reason, path=path, path_namespaces={prefix: self._root.namespace})

    # The key table

    def _prepare_keys(self, change: Change) -> PreparedManualRows:
        touched = Touched.by(_edits_of(change, KeyTableNames.KEY_TABLE), (self._key_list,))
        try:
            if self._key_list in touched.whole:
                entries = _entries(self._schema, change.after, KEYS)
                return self._key_table.prepare_manual([read_key(self._schema, entry) for entry in entries])
            keys = touched.entries.get(self._key_list, {})
            rows = [
                read_key(self._schema, instance_of(self._schema, change.after, self._key_list, element))
                for element in keys.values()
                if element is not None
            ]
            removed = [name for name, element in keys.items() if element is None]
            return self._key_table.prepare_manual_changes(rows, removed)
        except KeyTableError as error:
            prefix = self._schema.prefix_of(self._key_list.namespace)
            raise RpcError(
                "operation-failed",
                str(error),
                path=f"/{prefix}:key-table",
                path_namespaces={prefix: self._key_list.namespace},
            ) from error


class _Prepared:
    """What was prepared for one change."""

    def __init__(
        self,
        owner: NorthboundConfiguration,
        configuration: EngineConfiguration,
        engine: PreparedEngine | None,
        rows: PreparedManualRows | None,
    ) -> None:
        self._owner = owner
        self._configuration = configuration
        self._engine = engine
        self._rows = rows

    def apply(self) -> None:
        """Carry the change out: keys first, so that the engine finds their KeyIDs taken."""
        if self._rows is not None:
            self._owner.apply_keys(self._rows)
        if self._engine is not None:
            self._owner.took(self._configuration)
            self._engine.apply()

    def abort(self) -> None:
        """Forget the change."""
        if self._engine is not None:
            self._engine.abort()


def _node_at(schema: Schema, path: tuple[str, ...]) -> SchemaNode:
    node = schema.node_at(path)
    if node is None:
        raise ValueError(f"the schema has no {'/'.join(path)}")
    return node


def _edits_of(change: Change, top: str) -> Iterable[Edit]:
    return (edit for edit in change.edits if edit.top == top)


def _entries(schema: Schema, after: etree._Element, path: tuple[str, ...]) -> Iterable[Instance]:
    instance = Instance.root(schema, after)
    for tag in path[:-1]:
        instance = container(instance, tag)
    return instance.entries(path[-1])


def _updated(before: Mapping[str, object], changed: Mapping[str, object | None]) -> Mapping[str, object]:
    """Return ``before`` with the entries in ``changed``, of which None are gone; itself where nothing is different."""
    if all(before.get(name) is entry for name, entry in changed.items()):
        return before
    return Revised(before, changed)


def _differs(value: object, before: object) -> bool:
    # Entries of which none is different are the same object.
    return value is not before and (isinstance(value, Revised) or value != before)


def _kept(before: Mapping[str, object], name: str, value: object) -> object:
    """Return the entry as it was where it reads the same, so that whoever compares can do so by identity."""
    known = before.get(name)
    return known if known == value else value
