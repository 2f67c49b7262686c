"""Nothing in the modules is without effect: configuration is read, state is produced, events are told, actions done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest
from lxml import etree

from rkmp.datastore.schema import NodeKind, SchemaNode
from rkmp.engine.association_states import AssociationState
from rkmp.engine.events import EngineEvent
from rkmp.errors import RkmpError
from rkmp.keytable import KeyEvent
from rkmp.netconf.handlers import Handler
from rkmp.netconf.rpc_content import check_content
from rkmp.northbound.actions import Actions
from rkmp.northbound.key_export import KeyExport
from rkmp.northbound.names import KeyTableNames, Rkmp
from rkmp.northbound.notifications import ENGINE_NOTIFICATIONS, KEY_NOTIFICATIONS, Notifications
from rkmp.northbound.state import EngineState, KeyTableState
from rkmp.northbound.values import AUTH_ALGORITHMS, LDP_AUTH_ALGORITHMS, ROUTING_PROTOCOLS, TCP_AO_KDFS, key_table_text
from tests.keytable.rows import after, manual_row, negotiated_row, provenance
from tests.northbound.snapshots import ENGINE_COUNTERS, PEER
from tests.northbound.world import KEY_TABLE, NOON, RKMP, FakeEngine, Running, document, memory_table, schema


def of_ours(nodes: Iterable[SchemaNode]) -> Iterator[SchemaNode]:
    return (node for node in nodes if node.namespace in (RKMP, KEY_TABLE))


def path_of(node: SchemaNode) -> str:
    return "/".join(etree.QName(tag).localname for tag in node.data_path)


# Configuration

WITHOUT_EFFECT = {
    "rkmp/peer/description": "the operator's own; its description says so",
}
# Values for leaves that are at their default in the document, so that removing them would change nothing.
OTHERWISE = {
    "rkmp/enabled": "false",
    "rkmp/listen/port": "501",
    "rkmp/peer/enabled": "false",
    "rkmp/proposal/security-protocol": "ldp-discovery",
    "rkmp/peer/port": "501",
    "rkmp/peer/initiate": "never",
    "rkmp/peer/authentication/ppk/mandatory": "false",
    "rkmp/peer/association/enabled": "false",
    "rkmp/proposal/transform/kdf": "kdf-aes-128-cmac",
    "key-table/key/direction": "in",
}

CONFIGURATION = {
    path_of(node): node for node in of_ours(schema().data_nodes()) if node.config and node.has_text and not node.is_key
}


def outcome(root: etree._Element) -> object:
    """Return what a document amounts to: the engine's configuration and the rows, or a refusal."""
    running = Running()
    try:
        running.change(root)
    except (KeyError, ValueError, RkmpError) as refusal:
        return repr(refusal)
    return running.configuration, running.key_table.rows()


@pytest.mark.parametrize("path", sorted(CONFIGURATION.keys() - WITHOUT_EFFECT))
def test_every_configured_leaf_makes_a_difference(path: str) -> None:
    root = document("full")
    leaf = root.find("/".join(CONFIGURATION[path].data_path))
    assert leaf is not None, "the document has none"
    if path in OTHERWISE:
        leaf.text = OTHERWISE[path]
    else:
        parent = leaf.getparent()
        assert parent is not None
        parent.remove(leaf)
    assert outcome(root) != outcome(document("full"))


def test_every_presence_container_makes_a_difference() -> None:
    for node in of_ours(schema().data_nodes()):
        if node.config and node.kind is NodeKind.CONTAINER and node.presence:
            root = document("full")
            container = root.find("/".join(node.data_path))
            assert container is not None, path_of(node)
            container.getparent().remove(container)  # type: ignore[union-attr]
            assert outcome(root) != outcome(document("full")), path_of(node)


# State


def operational() -> etree._Element:
    """Return the configuration of the full document with everything that the providers can add."""
    running = Running(FakeEngine(snapshots=(PEER,), counters=dict.fromkeys(ENGINE_COUNTERS, 1)))
    running.change(document("full"))
    with running.key_table.transaction(NOON) as change:
        came_from = provenance(association="bgp")
        row = negotiated_row("r2-bgp-1", peers=("192.0.2.22",), provenance=came_from, extended_from=after(1800))
        change.install(row)
    root = running.tree.root
    EngineState(
        running.engine,
        lambda: running.configuration,
        "/lab/keys",
        why_not_in_force=lambda: "no such address",
        clock=lambda: NOON,
    ).provide(root)
    KeyTableState(running.key_table, lambda: NOON).provide(root)
    return root


def test_every_state_node_is_produced() -> None:
    root = operational()
    missing = [
        path_of(node)
        for node in of_ours(schema().data_nodes())
        if not node.config and root.find("/".join(node.data_path)) is None
    ]
    assert not missing


def test_every_state_element_is_of_the_model_and_its_value_of_its_type() -> None:
    def check(element: etree._Element, node: SchemaNode) -> None:
        seen: set[str] = set()
        for child in element:
            below = node.data_children[str(child.tag)]
            assert below.is_entry or child.tag not in seen, below
            seen.add(str(child.tag))
            if below.type is not None:
                below.type.check(child.text or "", child.nsmap)
            else:
                check(child, below)

    check(operational(), schema().root)


def test_a_negotiated_key_shows_what_a_configured_one_does_but_for_the_key() -> None:
    root = operational()
    keys = root.findall(f"{{{KEY_TABLE}}}key-table/{{{KEY_TABLE}}}key")
    shown = {tag for key in keys for tag in names_below(key) if key[0].text == "r2-bgp-1"}
    key_list = schema().node_at((KeyTableNames.KEY_TABLE, KeyTableNames.KEY))
    assert key_list is not None
    expected = {node.tag for node in key_list.descendants() if not node.default_deny_all}
    assert shown == expected


def names_below(element: etree._Element) -> Iterator[str]:
    return (str(below.tag) for below in element.iterdescendants())


# Notifications

VALUES: dict[str, Any] = {
    "at": NOON,
    "peer": "r2",
    "protocol": "bgp",
    "peers": ("192.0.2.2", "2001:db8::2"),
    "former_protocol": "bgp",
    "former_peers": ("192.0.2.3",),
    "admin_key_name": "r2-bgp-1",
    "key_name": "r2-bgp-2",
    "replaced_key_name": "r2-bgp-1",
    "local_key_name": "0a",
    "peer_key_name": "0b",
    "seconds_left": 600,
    "since": NOON,
    "old_local_spi": bytes(range(16, 24)),
    "local_spi": bytes(range(8)),
    "remote_spi": bytes(range(8, 16)),
    "role": "responder",
    "nat_local": True,
    "nat_remote": False,
    "refused": True,
    "remote_identity": "r2.example.net",
    "identity": "fqdn:r9.example.net",
    "address": "192.0.2.9",
    "before": AssociationState.IDLE,
    "after": AssociationState.NEGOTIATING,
    "notify_type": 14,
    "reason": "peer",
    "certificate": "own",
    "trust_anchor": "root",
    "subject": "CN=r1.example.net",
    "expires_at": NOON,
    "revocation_list": "root",
    "issuer": "CN=root",
    "next_update": NOON,
    "replaces": True,
    "seconds": 0.25,
    "request": 1,
    "error": None,
}


def subclasses(base: type[Any]) -> set[str]:
    """Return the names of the events under ``base``; slotted dataclasses leave a nameless twin of each behind."""
    return {name for direct in base.__subclasses__() for name in (direct.__name__, *subclasses(direct))}


def event_of(kind: type[Any]) -> Any:
    return kind(**{field.name: VALUES[field.name] for field in fields(kind)})


def told() -> dict[str, etree._Element]:
    """Return the notification of every kind of event, by its tag."""
    published: list[etree._Element] = []

    def publish(at: datetime, element: etree._Element) -> None:
        assert at == NOON
        published.append(element)

    notifications = Notifications(publish)
    for engine_kind in ENGINE_NOTIFICATIONS:
        notifications.tell_engine_event(event_of(engine_kind), NOON)
    for key_kind in KEY_NOTIFICATIONS:
        notifications.tell_key_event(event_of(key_kind))
    return {str(element.tag): element for element in published}


def test_every_event_is_told_or_said_to_be_silent() -> None:
    assert {kind.__name__ for kind in ENGINE_NOTIFICATIONS} == subclasses(EngineEvent)
    assert {kind.__name__ for kind in KEY_NOTIFICATIONS} == subclasses(KeyEvent)


def test_every_notification_has_an_emitter() -> None:
    assert set(told()) == {node.tag for node in of_ours(schema().notifications.values())}


@pytest.mark.parametrize("tag", [node.tag for node in of_ours(schema().notifications.values())])
def test_every_leaf_of_a_notification_is_told_and_is_of_its_type(tag: str) -> None:
    element, node = told()[tag], schema().notifications[tag]
    assert {str(child.tag) for child in element} == set(node.data_children)
    check_content(schema(), node, element, canonicalise=False)


def test_every_field_of_an_event_is_told() -> None:
    untold = {"peer", "at"}
    for kind, told_as in ENGINE_NOTIFICATIONS.items():
        if told_as is not None:
            assert set(told_as[1].values()) == {field.name for field in fields(kind)}
    common = {field.name for field in fields(KeyEvent)} - untold
    for key_kind, told_as in KEY_NOTIFICATIONS.items():
        if told_as is not None:
            assert common | set(told_as[1].values()) == {field.name for field in fields(key_kind)} - untold


# Actions


def test_every_action_has_a_handler() -> None:
    handlers: dict[tuple[str, ...], Handler] = {
        **Actions(FakeEngine()).handlers,
        **KeyExport(memory_table()).handlers,
    }
    actions = {action.data_path for node in of_ours(schema().data_nodes()) for action in node.actions.values()} | {
        rpc.data_path for rpc in of_ours(schema().rpcs.values())
    }
    assert {tuple(map(str, path)) for path in handlers} == actions


# Names and values


def every_node() -> Iterator[SchemaNode]:
    tops: Sequence[SchemaNode] = [*schema().top.values(), *schema().notifications.values(), *schema().rpcs.values()]
    for top in tops:
        pending = [top]
        while pending:
            node = pending.pop()
            yield node
            pending += [*node.data_children.values(), *node.actions.values()]
            pending += [side for side in (node.input, node.output) if side is not None]


def test_the_table_of_names_and_the_modules_have_the_same_names() -> None:
    for table, namespace in ((Rkmp, RKMP), (KeyTableNames, KEY_TABLE)):
        modelled = {
            node.tag
            for node in every_node()
            if node.namespace == namespace
            and node.kind not in (NodeKind.INPUT, NodeKind.OUTPUT)
            and not _is_counter(node)
        }
        assert {str(member) for member in table} == modelled


def _is_counter(node: SchemaNode) -> bool:
    parent = node.data_parent
    return parent is not None and parent.name in ("statistics", "count") and not node.is_entry


def test_the_tables_of_values_have_the_numbers_of_the_model() -> None:
    def values_at(*path: str) -> dict[str, int]:
        node = schema().node_at(path)
        assert node is not None
        return values_of(node.type)

    def values_of(type_: Any) -> dict[str, int]:
        if hasattr(type_, "values"):
            return dict(type_.values)
        return {name: value for member in getattr(type_, "members", ()) for name, value in values_of(member).items()}

    transform = (Rkmp.RKMP, Rkmp.PROPOSAL, Rkmp.TRANSFORM)
    assert values_at(*transform, Rkmp.AUTH_ALG) == {**AUTH_ALGORITHMS, **LDP_AUTH_ALGORITHMS}
    assert values_at(*transform, Rkmp.KDF) == TCP_AO_KDFS
    assert values_at(Rkmp.RKMP, Rkmp.PEER, Rkmp.ASSOCIATION, Rkmp.PROTOCOL) == ROUTING_PROTOCOLS


def test_every_identity_of_the_key_table_is_known() -> None:
    leaves = [
        schema().node_at((KeyTableNames.KEY_TABLE, KeyTableNames.KEY, leaf))
        for leaf in (KeyTableNames.PROTOCOL, KeyTableNames.KDF, KeyTableNames.ALG_ID)
    ]
    for (module, name), identity in schema().identities.items():
        if module == "crypto-key-table" and identity.ancestors:
            text = key_table_text(name)
            assert text == f"ckt:{name}"
            assert any(_accepts(leaf, text) for leaf in leaves)
    assert manual_row(protocol="241").protocol == key_table_text("241") == "241"


def _accepts(leaf: SchemaNode | None, text: str) -> bool:
    assert leaf is not None
    assert leaf.type is not None
    try:
        leaf.type.check(text, {"ckt": KEY_TABLE})
    except RkmpError:
        return False
    return True
