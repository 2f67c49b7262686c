"""Standard modules as they come with pyang compile, and chosen facts of them are right."""

from __future__ import annotations

import pytest

from rkmp.datastore.schema import NodeKind, Schema, load_schema, standard_modules
from rkmp.datastore.schema.types import LeafrefType
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
