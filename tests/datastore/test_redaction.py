"""What is under nacm:default-deny-all stays out of copies for others."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from rkmp.datastore.redaction import Redactor
from tests.datastore.modules import compiled, module
from tests.datastore.servers import ZOO, Server, plain

SAFE = "<safe><pin>tiger</pin><code>4711</code><box><id>b</id><content>gold</content></box></safe>"


def server() -> Server:
    server = Server()
    server.edit(f"<zoo><motto>m</motto>{SAFE}<species><name>a</name></species></zoo>")
    return server


def test_a_copy_has_no_secrets_and_the_datastore_keeps_them() -> None:
    subject = server()
    tree = subject.datastores.tree("running")
    before = etree.tostring(tree)
    redacted = Redactor(subject.schema).without_secrets(tree)
    assert plain(redacted)[1:] == (("zoo", ("motto", "m"), ("species", ("name", "a"))),)
    assert etree.tostring(tree) == before


def test_parts_of_a_tree_are_redacted_as_well() -> None:
    subject = server()
    redactor = Redactor(subject.schema)
    assert plain(redactor.without_secrets(subject.datastores.tree("running")[0]))[0] == "zoo"
    assert b"tiger" not in etree.tostring(redactor.without_secrets(subject.datastores.tree("running")[0]))
    zoo = etree.fromstring(f"<zoo xmlns='{ZOO}'><motto>m</motto>{SAFE}</zoo>")
    redactor.remove_secrets(zoo, subject.schema.top[f"{{{ZOO}}}zoo"])
    assert plain(zoo) == ("zoo", ("motto", "m"))


def test_secrets_in_lists_state_and_notifications_are_found(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "import ietf-netconf-acm { prefix nacm; }"
            "leaf top-secret { nacm:default-deny-all; type string; }"
            "list l { key k; leaf k { type string; } list m { key k; leaf k { type string; }"
            "  container s { config false; leaf x { nacm:default-deny-all; type string; } leaf y { type string; } } } }"
            "notification n { leaf a { type string; } leaf b { nacm:default-deny-all; type string; } }"
        ),
    )
    redactor = Redactor(schema)
    tree = schema.new_root()
    content = (
        "<c xmlns='urn:m'><top-secret>x</top-secret>"
        "<l><k>1</k><m><k>2</k><s><x>secret</x><y>open</y></s></m></l><l><k>2</k></l></c>"
    )
    tree.extend(list(etree.fromstring(content)))
    assert plain(redactor.without_secrets(tree))[1:] == (
        ("l", ("k", "1"), ("m", ("k", "2"), ("s", ("y", "open")))),
        ("l", ("k", "2")),
    )
    event = etree.fromstring("<n xmlns='urn:m'><a>1</a><b>2</b></n>")
    assert plain(redactor.without_secrets(event)) == ("n", ("a", "1"))


def test_without_secrets_in_the_schema_everything_is_copied(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("leaf a { type string; }"))
    tree = schema.new_root()
    etree.SubElement(tree, "{urn:m}a").text = "x"
    copied = Redactor(schema).without_secrets(tree)
    assert copied is not tree
    assert plain(copied) == plain(tree)
