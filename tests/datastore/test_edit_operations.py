"""The operations of edit-config on each kind of node (RFC 6241 7.2, RFC 7950 7.5.8, 7.6.7, 7.7.9, 7.8.6, 7.10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from rkmp.datastore.schema.nodes import NETCONF_BASE
from tests.datastore.servers import Server, briefly

NODES = {
    "leaf": ("<motto{}>m</motto>", "/z:motto"),
    "presence container": ("<keeper{}><name>k</name></keeper>", "/z:keeper"),
    "list entry": ("<species{}><name>a</name><weight>3</weight></species>", "/z:species[z:name='a']"),
    "leaf-list entry": ("<guest{}>max</guest>", "/z:guest[.='max']"),
    "container": ("<alarm{}><code>7</code></alarm>", "/z:alarm"),
    "anydata": ("<note{}><x xmlns='urn:x'/></note>", "/z:note"),
}
every_node = pytest.mark.parametrize(("form", "path"), NODES.values(), ids=NODES)


@pytest.fixture
def server() -> Server:
    """A server with something in the zoo, so that it is there whatever happens to the node of the test."""
    server = Server()
    server.edit("<zoo><open>true</open></zoo>")
    return server


def node(form: str, operation: str = "") -> str:
    return f"<zoo>{form.format(f' nc:operation={operation!r}' if operation else '')}</zoo>"


def content(form: str) -> object:
    alone = Server()
    alone.edit(f"<zoo><open>true</open>{form.format('')}</zoo>")
    return alone.tree()


@every_node
@pytest.mark.parametrize("operation", ["", "merge", "replace", "create"])
def test_what_is_not_there_is_created(server: Server, form: str, path: str, operation: str) -> None:
    server.edit(node(form, operation))
    assert server.tree() == content(form)


@every_node
@pytest.mark.parametrize("operation", ["", "merge", "replace"])
def test_what_is_there_already_stays(server: Server, form: str, path: str, operation: str) -> None:
    server.edit(node(form))
    server.edit(node(form, operation))
    assert server.tree() == content(form)


@every_node
def test_creating_what_is_there_is_data_exists(server: Server, form: str, path: str) -> None:
    server.edit(node(form))
    (error,) = server.refusal(node(form, "create"))
    assert briefly([error]) == [("data-exists", None, f"/z:zoo{path}")]
    assert error.info[0][0] == f"{{{NETCONF_BASE}}}bad-element"


@every_node
@pytest.mark.parametrize("operation", ["delete", "remove"])
def test_what_is_deleted_is_gone(server: Server, form: str, path: str, operation: str) -> None:
    server.edit(node(form))
    server.edit(node(form, operation))
    assert server.tree() == (("zoo", ("open", "true")),)


@every_node
def test_deleting_what_is_not_there_is_data_missing(server: Server, form: str, path: str) -> None:
    assert briefly(server.refusal(node(form, "delete"))) == [("data-missing", None, f"/z:zoo{path}")]


@every_node
def test_removing_what_is_not_there_is_no_error(server: Server, form: str, path: str) -> None:
    server.edit(node(form, "remove"))
    assert server.tree() == (("zoo", ("open", "true")),)


def test_merging_keeps_what_is_not_mentioned(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><weight>3</weight><latin>strix</latin></species></zoo>")
    server.edit("<zoo><species><name>a</name><weight>4</weight><shelf><row>1</row></shelf></species></zoo>")
    entry = ("species", ("name", "a"), ("latin", "strix"), ("weight", "4"), ("shelf", ("row", "1")))
    assert server.tree() == (("zoo", ("open", "true"), entry),)


def test_replacing_drops_what_is_not_mentioned(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><weight>3</weight><latin>strix</latin></species></zoo>")
    server.edit("<zoo><species nc:operation='replace'><name>a</name><latin>bubo</latin></species></zoo>")
    assert server.tree() == (("zoo", ("open", "true"), ("species", ("name", "a"), ("latin", "bubo"))),)


def test_replacing_a_container_replaces_the_lists_in_it(server: Server) -> None:
    server.edit("<zoo><species><name>a</name></species><species><name>b</name></species><guest>max</guest></zoo>")
    server.edit("<zoo nc:operation='replace'><species><name>b</name></species><species><name>c</name></species></zoo>")
    assert server.tree() == (("zoo", ("species", ("name", "b")), ("species", ("name", "c"))),)


def test_replacing_everything_leaves_what_the_payload_has(server: Server) -> None:
    server.edit("<holiday>x</holiday><zoo><motto>m</motto></zoo>")
    server.edit("<name>n</name><zoo><motto>n</motto></zoo>", default_operation="replace")
    assert server.tree() == (("zoo", ("motto", "n")), ("name", "n"))
    server.edit("", default_operation="replace")
    assert server.tree() == ()


def test_anydata_is_modified_whole(server: Server) -> None:
    server.edit("<zoo><note><a xmlns='urn:x'><b/></a></note></zoo>")
    server.edit("<zoo><note><c xmlns='urn:x' nc:operation='delete'>1</c></note></zoo>")
    assert server.tree() == (("zoo", ("open", "true"), ("note", ("c", "1"))),)


def test_an_edit_without_content_changes_nothing(server: Server) -> None:
    before = server.text()
    server.edit("")
    server.edit("<zoo/>")
    assert server.text() == before


# default-operation none


def test_none_passes_through_to_what_is_marked(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><weight>3</weight></species></zoo>")
    marked = "<zoo><species><name>a</name><weight nc:operation='delete'>3</weight></species></zoo>"
    server.edit(marked, default_operation="none")
    assert server.tree() == (("zoo", ("open", "true"), ("species", ("name", "a"))),)


def test_none_changes_nothing_by_itself(server: Server) -> None:
    before = server.text()
    server.edit("<zoo><open>false</open></zoo>", default_operation="none")
    assert server.text() == before


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ("<zoo><motto>m</motto></zoo>", "/z:zoo/z:motto"),
        ("<zoo><species><name>b</name><weight>1</weight></species></zoo>", "/z:zoo/z:species[z:name='b']"),
        ("<zoo><keeper><name nc:operation='create'>k</name></keeper></zoo>", "/z:zoo/z:keeper"),
        ("<zoo><guest>max</guest></zoo>", "/z:zoo/z:guest[.='max']"),
    ],
)
def test_none_on_what_is_not_there_is_data_missing(server: Server, payload: str, path: str) -> None:
    assert briefly(server.refusal(payload, default_operation="none")) == [("data-missing", None, path)]


def test_none_passes_through_a_container_that_only_holds_others(server: Server) -> None:
    """RFC 7950 7.5.1: a container without presence is there in effect."""
    server.edit("<zoo><alarm><code nc:operation='create'>7</code></alarm></zoo>", default_operation="none")
    assert server.tree() == (("zoo", ("open", "true"), ("alarm", ("code", "7"))),)


# Operations inside of operations


def test_operations_are_inherited_until_another_one_is_marked(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><weight>3</weight><latin>strix</latin></species></zoo>")
    server.edit(
        "<zoo nc:operation='merge'><species><name>a</name><weight nc:operation='remove'/>"
        "<latin nc:operation='replace'>bubo</latin></species></zoo>"
    )
    assert server.tree() == (("zoo", ("open", "true"), ("species", ("name", "a"), ("latin", "bubo"))),)


def test_creation_is_inherited_and_meets_what_exists_at_the_top(server: Server) -> None:
    errors = server.refusal("<zoo nc:operation='create'><motto>m</motto></zoo>")
    assert briefly(errors) == [("data-exists", None, "/z:zoo")]


def test_deleting_inside_of_something_new_is_data_missing(server: Server) -> None:
    payload = "<zoo><species><name>a</name><weight nc:operation='delete'/></species></zoo>"
    assert briefly(server.refusal(payload)) == [("data-missing", None, "/z:zoo/z:species[z:name='a']/z:weight")]
    server.edit(payload.replace("delete", "remove"))
    assert server.tree() == (("zoo", ("open", "true"), ("species", ("name", "a"))),)


def test_nothing_is_left_of_a_container_whose_content_is_removed(server: Server) -> None:
    server.edit("<zoo><alarm><code nc:operation='remove'/></alarm></zoo>")
    assert server.tree() == (("zoo", ("open", "true")),)


def test_a_key_cannot_be_taken_from_its_entry(server: Server) -> None:
    server.edit("<zoo><species><name>a</name></species></zoo>")
    path = "/z:zoo/z:species[z:name='a']/z:name"
    errors = server.refusal("<zoo><species><name nc:operation='delete'>a</name></species></zoo>")
    assert briefly(errors) == [("bad-attribute", None, path)]
    errors = server.refusal("<zoo><species><name nc:operation='create'>a</name></species></zoo>")
    assert briefly(errors) == [("data-exists", None, path)]


# Options of edit-config


def test_test_only_reports_and_changes_nothing(server: Server) -> None:
    before = server.text()
    server.edit("<zoo><motto>m</motto></zoo>", test_option="test-only")
    assert server.text() == before
    errors = server.refusal("<zoo><guest>rex</guest></zoo>", test_option="test-only")
    assert briefly(errors) == [("operation-failed", "must-violation", "/z:zoo")]


@pytest.mark.parametrize("test_option", ["set", "test-then-set"])
def test_running_is_valid_whatever_the_test_option(server: Server, test_option: str) -> None:
    """RFC 7950 8.3.3: the constraints of running are enforced at the end of the edit-config."""
    errors = server.refusal("<zoo><guest>rex</guest></zoo>", test_option=test_option)
    assert briefly(errors) == [("operation-failed", "must-violation", "/z:zoo")]


@pytest.mark.parametrize("error_option", ["stop-on-error", "rollback-on-error"])
def test_processing_stops_at_the_first_error(server: Server, error_option: str) -> None:
    payload = "<zoo><motto>m</motto><guest nc:operation='delete'>a</guest><guest nc:operation='delete'>b</guest></zoo>"
    errors = server.refusal(payload, error_option=error_option)
    assert briefly(errors) == [("data-missing", None, "/z:zoo/z:guest[.='a']")]


def test_continue_on_error_reports_every_error_and_applies_nothing(server: Server) -> None:
    payload = (
        "<zoo><motto>m</motto><guest nc:operation='delete'>a</guest><guest nc:operation='delete'>b</guest></zoo>"
        "<holiday nc:operation='delete'>x</holiday>"
    )
    errors = server.refusal(payload, error_option="continue-on-error")
    assert briefly(errors) == [
        ("data-missing", None, "/z:zoo/z:guest[.='a']"),
        ("data-missing", None, "/z:zoo/z:guest[.='b']"),
        ("data-missing", None, "/z:holiday[.='x']"),
    ]


def test_a_missing_default_leaf_can_be_created_and_not_deleted() -> None:
    """The agent's basic mode is explicit (RFC 6243 2.3): a default that nobody has set is not there."""
    server = Server()
    server.edit("<zoo><open nc:operation='create'>true</open></zoo>")
    server.edit("<zoo><open nc:operation='delete'/></zoo>")
    assert briefly(server.refusal("<zoo><open nc:operation='delete'/></zoo>")) == [
        ("data-missing", None, "/z:zoo/z:open")
    ]


@pytest.mark.parametrize("option", ["default_operation", "test_option", "error_option"])
def test_an_option_that_does_not_exist_is_an_invalid_value(server: Server, option: str) -> None:
    options: dict[str, Any] = {option: "bogus"}
    assert briefly(server.refusal("", **options)) == [("invalid-value", None, None)]


def test_only_running_and_candidate_can_be_edited(server: Server) -> None:
    assert briefly(server.refusal("", "startup")) == [("operation-not-supported", None, None)]
    assert briefly(server.refusal("", "bogus")) == [("bad-element", None, None)]
