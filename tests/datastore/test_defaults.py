"""Values in use, read without putting anything into the tree (RFC 7950 7.5.1, 7.6.1, 7.7.2, 7.9.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.datastore.defaults import Instance
from tests.datastore.modules import compiled, module
from tests.datastore.servers import ZOO, Server


def root(server: Server, name: str = "running") -> Instance:
    return Instance.root(server.schema, server.datastores.tree(name))


def zoo(server: Server) -> Instance:
    found = root(server).container(f"{{{ZOO}}}zoo")
    assert found is not None
    return found


def test_a_default_is_in_use_until_there_is_a_value() -> None:
    server = Server()
    assert zoo(server).value("open") == "true"
    assert zoo(server).element is None
    server.edit("<zoo><open>false</open></zoo>")
    assert zoo(server).value("open") == "false"
    assert zoo(server).value("motto") is None


def test_leaf_lists_have_all_their_defaults_or_their_own_values() -> None:
    server = Server()
    assert zoo(server).values("colour") == ("green", "white")
    server.edit("<zoo><colour>red</colour></zoo>")
    assert zoo(server).values("colour") == ("red",)
    assert zoo(server).values("guest") == ()


def test_the_default_case_is_in_use_while_no_case_is_chosen() -> None:
    server = Server()
    assert zoo(server).value("dog") == "rex"
    assert zoo(server).container("alarm") is None
    server.edit("<zoo><alarm><silent/></alarm></zoo>")
    assert zoo(server).value("dog") is None
    alarm = zoo(server).container("alarm")
    assert alarm is not None
    assert (alarm.value("code"), alarm.value("silent")) == ("1234", "")


def test_a_default_in_a_case_is_in_use_once_the_case_is() -> None:
    server = Server()
    server.edit(
        "<zoo><feeding><id>1</id><hour>3</hour></feeding><feeding><id>2</id><on-demand>x</on-demand></feeding></zoo>"
    )
    first, second = zoo(server).entries("feeding")
    assert first.value("minute") == "0"
    assert second.value("minute") is None
    assert second.container("every") is None


def test_a_default_under_a_false_condition_is_not_in_use() -> None:
    server = Server()
    assert zoo(server).value("night") is None
    assert server.tree() == (), "nothing is left in the tree"
    server.edit("<zoo><open>false</open></zoo>")
    assert zoo(server).value("night") == "quiet"
    assert server.tree() == (("zoo", ("open", "false")),)


def test_a_condition_may_hang_on_a_default(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c { container mode { leaf on { type boolean; default true; } } "
            "container d { leaf x { when '../../mode/on = \"true\"'; type uint8; default 7; } } }"
        ),
    )
    server = Server(schema=schema)
    outer = root(server).container("{urn:m}c")
    assert outer is not None
    inner = outer.container("d")
    assert inner is not None
    assert inner.value("x") == "7"
    assert server.tree() == ()
    server.edit("<c><mode><on>false</on></mode></c>")
    outer = root(server).container("{urn:m}c")
    assert outer is not None
    inner = outer.container("d")
    assert inner is not None
    assert inner.value("x") is None


def test_a_presence_container_is_there_only_when_it_is() -> None:
    server = Server()
    assert zoo(server).container("keeper") is None
    server.edit("<zoo><keeper><name>k</name></keeper></zoo>")
    keeper = zoo(server).container("keeper")
    assert keeper is not None
    assert keeper.value("name") == "k"


def test_a_container_under_a_false_condition_is_not_there() -> None:
    server = Server()
    assert root(server).container(f"{{{ZOO}}}quota") is None
    server.edit("<name>big</name><quota><limit>1</limit></quota>")
    assert root(server).container(f"{{{ZOO}}}quota") is not None


def test_entries_come_in_their_order() -> None:
    server = Server()
    assert list(zoo(server).entries("species")) == []
    server.edit("<zoo>" + "".join(f"<species><name>{name}</name></species>" for name in "bca") + "</zoo>")
    assert [entry.value("name") for entry in zoo(server).entries("species")] == ["b", "c", "a"]
    assert [entry.value("weight") for entry in zoo(server).entries("species")] == ["10"] * 3


def test_state_has_no_defaults_here_and_unknown_names_are_errors(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("container c { leaf s { config false; type uint8; default 3; } }"))
    server = Server(schema=schema)
    container = root(server).container("{urn:m}c")
    assert container is not None
    assert container.value("s") is None
    with pytest.raises(KeyError):
        container.value("bogus")
