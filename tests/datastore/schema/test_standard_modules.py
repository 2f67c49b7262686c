"""Standard modules as they come with pyang compile, and chosen facts of them are right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from yangson import schemanode
from yangson.datamodel import DataModel

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode, load_schema, standard_modules
from rkmp.datastore.schema.types import InstanceIdentifierType, LeafrefType, StringType, ValueType
from rkmp.errors import InvalidValue
from tests.datastore.modules import at

IMPLEMENTED = {
    "iana-crypt-hash": ["crypt-hash-md5", "crypt-hash-sha-256", "crypt-hash-sha-512"],
    "iana-if-type": [],
    "ietf-interfaces": ["if-mib", "arbitrary-names"],
    "ietf-ip": ["ipv4-non-contiguous-netmasks"],
    "ietf-ipv4-unicast-routing": [],
    "ietf-ipv6-unicast-routing": [],
    "ietf-key-chain": ["hex-key-string", "accept-tolerance"],
    "ietf-netconf": ["writable-running", "candidate", "rollback-on-error", "validate", "startup", "xpath"],
    "ietf-netconf-acm": [],
    "ietf-netconf-monitoring": [],
    "ietf-netconf-notifications": [],
    "ietf-routing": [],
    "ietf-system": ["authentication", "local-users", "ntp"],
    "ietf-yang-library": [],
    "ietf-yang-types": [],
}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(IMPLEMENTED, [])


def test_the_standard_modules_are_those_of_the_installed_pyang() -> None:
    found = {file.stem.partition("@")[0] for folder in standard_modules() for file in folder.glob("*.yang")}
    assert set(IMPLEMENTED) <= found


def test_a_list_of_interfaces_is_keyed_by_name_and_holds_typed_leaves(schema: Schema) -> None:
    interface = at(schema, "/if:interfaces/interface")
    assert interface.kind is NodeKind.LIST
    assert interface.keys == ("{urn:ietf:params:xml:ns:yang:ietf-interfaces}name",)
    assert at(schema, "/if:interfaces/interface/type").mandatory
    assert at(schema, "/if:interfaces/interface/enabled").defaults == ("true",)
    assert not at(schema, "/if:interfaces/interface/oper-status").config


def test_augmented_nodes_have_the_namespace_of_the_augmenting_module(schema: Schema) -> None:
    address = at(schema, "/if:interfaces/interface/ip:ipv4/address")
    assert address.namespace == "urn:ietf:params:xml:ns:yang:ietf-ip"
    assert at(schema, "/if:interfaces/interface/ip:ipv4").presence


def test_identities_of_implemented_modules_are_values(schema: Schema) -> None:
    interface_type = at(schema, "/if:interfaces/interface/type").type
    assert interface_type is not None
    namespaces = {"x": "urn:ietf:params:xml:ns:yang:iana-if-type", None: "urn:ietf:params:xml:ns:yang:ietf-interfaces"}
    assert interface_type.check("x:ethernetCsmacd", namespaces) == "ianaift:ethernetCsmacd"
    with pytest.raises(InvalidValue):
        interface_type.check("ethernetCsmacd", namespaces)


def test_a_leafref_takes_the_type_of_its_target(schema: Schema) -> None:
    keys = at(schema, "/if:interfaces/interface/higher-layer-if")
    assert isinstance(keys.type, LeafrefType)
    assert keys.type.target is at(schema, "/if:interfaces/interface/name")


def test_key_strings_are_denied_to_all(schema: Schema) -> None:
    keystring = at(schema, "/key-chain:key-chains/key-chain/key/key-string/keystring")
    assert keystring.default_deny_all
    assert keystring.case is not None
    assert keystring.case.name == "keystring"


def test_operations_have_input_and_output(schema: Schema) -> None:
    edit = schema.rpcs["{urn:ietf:params:xml:ns:netconf:base:1.0}edit-config"]
    assert edit.input is not None
    assert any(tag.endswith("}target") for tag in edit.input.data_children)


def test_conditions_of_standard_modules_can_be_followed(schema: Schema) -> None:
    router = at(schema, "/rt:routing/ribs/rib/routes/route/v4ur:destination-prefix")
    (when,) = router.whens
    assert when.on_parent
    assert when.expression.reads == {at(schema, "/rt:routing/ribs/rib/address-family")}
    for node in schema.data_nodes():
        for expression in (*(must.expression for must in node.musts), *(when.expression for when in node.whens)):
            assert expression.exact, (node, expression)


def test_restrictions_and_units_of_standard_types(schema: Schema) -> None:
    timeout = at(schema, "/sys:system/dns-resolver/options/timeout")
    assert (timeout.defaults, timeout.units) == (("5",), "seconds")
    assert timeout.type is not None
    for refused in ("0", "256"):
        with pytest.raises(InvalidValue):
            timeout.type.check(refused, {})
    address = at(schema, "/if:interfaces/interface/ip:ipv4/address/ip").type
    assert isinstance(address, StringType)
    assert address.check("192.0.2.1", {}) == "192.0.2.1"
    for refused in ("192.0.2.256", "192.0.2.1%eth0", "2001:db8::1"):
        with pytest.raises(InvalidValue):
            address.check(refused, {})
    assert at(schema, "/if:interfaces-state/interface/speed").units == "bits/second"


def test_nacm_guards_what_it_says(schema: Schema) -> None:
    assert at(schema, "/nacm:nacm").default_deny_all
    assert at(schema, "/nacm:nacm/rule-list/rule/name").default_deny_all
    assert at(schema, "/sys:set-current-datetime").default_deny_all
    assert at(schema, "/sys:system/authentication").default_deny_write
    assert at(schema, "/nacm:nacm/rule-list").ordered_by_user


def test_musts_of_standard_modules_read_what_they_compare(schema: Schema) -> None:
    interval = "/if:interfaces/interface/ip:ipv6/v6ur:ipv6-router-advertisements"
    (must,) = at(schema, f"{interval}/min-rtr-adv-interval").musts
    assert must.expression.reads == {at(schema, f"{interval}/{name}-rtr-adv-interval") for name in ("min", "max")}
    order = at(schema, "/sys:system/authentication/user-authentication-order")
    (must,) = order.musts
    assert must.message == "When 'radius' is used, a RADIUS server must be configured."
    # Without the feature radius there is nothing else to read.
    assert must.expression.reads == {order}


# Against yangson, which compiles the same texts on its own


def library(schema: Schema) -> str:
    """The modules as yangson takes them: as in the module list of RFC 7895."""
    entries = [
        {
            "name": module.name,
            "revision": module.revision or "",
            "namespace": module.namespace,
            "feature": list(module.features),
            "conformance-type": "implement" if module.implemented else "import",
            "submodule": [{"name": each.name, "revision": each.revision or ""} for each in module.submodules],
        }
        for module in schema.modules.values()
    ]
    return json.dumps({"ietf-yang-library:modules-state": {"module-set-id": "", "module": entries}})


def their_children(node: Any) -> Iterator[Any]:
    """Schema nodes with a name; yangson keeps what an augment with a condition adds in a group without one."""
    for child in getattr(node, "children", ()):
        if type(child) is schemanode.GroupNode:
            yield from their_children(child)
        # It leaves an empty case where a feature takes away the node that the case is short for.
        elif not isinstance(child, schemanode.CaseNode) or child.children:
            yield child


def our_children(node: SchemaNode) -> Iterable[SchemaNode]:
    sides = [side for side in (node.input, node.output) if side is not None]
    return [*sides, *node.children, *node.actions.values(), *node.notifications.values()]


THEIR_KINDS = {
    schemanode.ContainerNode: "container",
    schemanode.ListNode: "list",
    schemanode.LeafNode: "leaf",
    schemanode.LeafListNode: "leaf-list",
    schemanode.ChoiceNode: "choice",
    schemanode.CaseNode: "case",
    schemanode.AnydataNode: "anydata",
    schemanode.AnyxmlNode: "anyxml",
    schemanode.RpcActionNode: "rpc",
    schemanode.InputNode: "input",
    schemanode.OutputNode: "output",
    schemanode.NotificationNode: "notification",
}


def their_facts(node: Any) -> dict[str, Any]:
    value_type = getattr(node, "type", None)
    default = getattr(node, "default", None)
    return {
        "kind": THEIR_KINDS[type(node)],
        "config": node.config,
        "musts": len(node.must),
        "keys": [name for name, _ in getattr(node, "keys", ())],
        "ordered by user": getattr(node, "user_ordered", False),
        "elements": (getattr(node, "min_elements", 0), getattr(node, "max_elements", None)),
        "presence": getattr(node, "presence", False),
        "mandatory": getattr(node, "_mandatory", False),
        "units": getattr(node, "units", None),
        "type": type(value_type).__name__.removesuffix("Type").lower(),
        "default": None if value_type is None or default is None else value_type.canonical_string(default),
    }


def our_facts(node: SchemaNode) -> dict[str, Any]:
    kind = NodeKind.RPC if node.kind is NodeKind.ACTION else node.kind
    return {
        "kind": kind.value,
        "config": node.config,
        "musts": len(node.musts),
        "keys": [key.rpartition("}")[2] for key in node.keys],
        "ordered by user": node.ordered_by_user,
        "elements": (node.min_elements, node.max_elements),
        "presence": node.presence,
        # It counts keys among the mandatory nodes.
        "mandatory": node.mandatory or node.is_key,
        "units": node.units,
        "type": "none" if node.type is None else our_type(node.type),
        "default": node.defaults[0] if node.defaults else None,
    }


def our_type(value_type: ValueType) -> str:
    if isinstance(value_type, InstanceIdentifierType) and value_type.names_many:
        # A string to whoever does not know what node-instance-identifier means.
        return "string"
    return value_type.name.replace("-", "")


def differences(ours: Iterable[SchemaNode], theirs: Iterable[Any], path: str) -> Iterator[tuple[str, str, Any, Any]]:
    mine = {(node.module, node.name): node for node in ours}
    other = {(node.ns, node.name): node for node in theirs}
    if set(mine) != set(other):
        yield path, "children", set(mine) - set(other), set(other) - set(mine)
    for name in set(mine) & set(other):
        below = f"{path}/{name[1]}"
        one, two = our_facts(mine[name]), their_facts(other[name])
        for fact, value in one.items():
            if value != two[fact]:
                yield below, fact, value, two[fact]
        yield from differences(our_children(mine[name]), their_children(other[name]), below)


def test_yangson_compiles_the_same_nodes(schema: Schema) -> None:
    model = DataModel(library(schema), [str(folder) for folder in standard_modules()])
    top = [*schema.top.values(), *schema.rpcs.values(), *schema.notifications.values()]
    assert list(differences(top, their_children(model.schema), "")) == []
