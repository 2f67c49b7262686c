"""The retrieval modes of RFC 6243 on trees, and the attribute that gives a leaf its default back."""

from __future__ import annotations

import copy

import pytest
from lxml import etree

from rkmp.datastore.defaults import Instance
from rkmp.datastore.marks import DEFAULT
from rkmp.datastore.schema import NodeKind
from rkmp.datastore.with_defaults import DefaultsMode, defaults_of
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.servers import ZOO, Server, plain

WD = 'xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0"'
NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'

DOCUMENTS = (
    "",
    "<zoo><open>false</open></zoo>",
    "<zoo><open>true</open><colour>green</colour><colour>white</colour></zoo>",
    "<zoo><colour>white</colour></zoo>",
    "<zoo><alarm><silent/></alarm></zoo>",
    "<zoo><alarm><code>1234</code></alarm></zoo>",
    "<zoo><feeding><id>1</id><hour>3</hour></feeding><feeding><id>2</id><on-demand>x</on-demand></feeding></zoo>",
    "<zoo><feeding><id>1</id><hour>3</hour><minute>0</minute></feeding></zoo>",
)


def in_mode(server: Server, mode: DefaultsMode) -> etree._Element:
    tree = copy.deepcopy(server.datastores.tree("running"))
    defaults_of(server.schema).apply(tree, mode)
    return tree


def filled(content: str) -> Server:
    server = Server()
    server.edit(content)
    return server


def require_same(instance: Instance, element: etree._Element) -> int:
    """Compare what is in use at ``instance`` with what is below ``element``; return how many leaves were compared."""
    compared = 0
    for tag, node in instance.node.data_children.items():
        if not node.config or node.default_deny_all:
            continue
        children = list(element.iterchildren(tag))
        if node.has_text:
            assert tuple(child.text or "" for child in children) == instance.values(tag), node
            compared += 1
        elif node.kind is NodeKind.LIST:
            for entry, child in zip(instance.entries(tag), children, strict=True):
                compared += require_same(entry, child)
        elif node.kind is NodeKind.CONTAINER:
            inside = instance.container(tag)
            if inside is None:
                assert not children, node
            else:
                compared += require_same(inside, children[0] if children else etree.Element("nothing"))
    return compared


@pytest.mark.parametrize("content", DOCUMENTS)
def test_report_all_holds_what_is_in_use(content: str) -> None:
    server = filled(content)
    before = plain(server.datastores.tree("running"))
    tree = in_mode(server, DefaultsMode.REPORT_ALL)
    assert require_same(Instance.root(server.schema, server.datastores.tree("running")), tree) > 3
    assert plain(server.datastores.tree("running")) == before
    assert not [element for element in tree.iter() if element.attrib]
    for element in tree.iter(etree.Element):
        node = server.schema.node_of(element)
        if node is not None and node.kind is NodeKind.CONTAINER:
            assert len(element) or node.presence


@pytest.mark.parametrize("content", DOCUMENTS)
def test_tagged_are_those_that_were_not_set(content: str) -> None:
    server = filled(content)
    tree = in_mode(server, DefaultsMode.REPORT_ALL_TAGGED)
    assert plain(tree) == plain(in_mode(server, DefaultsMode.REPORT_ALL))
    tagged = [element for element in tree.iter() if element.get(DEFAULT) == "true"]
    assert tagged
    for element in tagged:
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)
    left = [element.text for element in tree.iter() if not len(element) and element.text]
    assert left == [element.text for element in server.datastores.tree("running").iter() if element.text]


@pytest.mark.parametrize("content", DOCUMENTS)
def test_trim_leaves_nothing_that_has_its_default_and_loses_no_value_in_use(content: str) -> None:
    server = filled(content)
    tree = in_mode(server, DefaultsMode.TRIM)
    for element in tree.iter():
        node = server.schema.node_of(element)
        if node is not None and node.defaults:
            siblings = element.getparent()
            assert siblings is not None
            assert tuple(leaf.text or "" for leaf in siblings.iterchildren(node.tag)) != node.defaults
    again = copy.deepcopy(tree)
    defaults_of(server.schema).apply(again, DefaultsMode.TRIM)
    assert plain(again) == plain(tree)


def test_trim_takes_containers_away_that_it_empties() -> None:
    server = filled("<zoo><open>true</open></zoo>")
    assert plain(in_mode(server, DefaultsMode.TRIM)) == ("config",)
    assert plain(in_mode(server, DefaultsMode.EXPLICIT)) == ("config", ("zoo", ("open", "true")))


# The attribute in edits (RFC 6243 4.5.2).


def open_leaf(text: str, attributes: str) -> str:
    return f"<zoo><open {WD} {NC} {attributes}>{text}</open></zoo>"


@pytest.mark.parametrize("value", ["true", "1"])
@pytest.mark.parametrize("operation", ["", 'nc:operation="merge"', 'nc:operation="replace"'])
def test_a_leaf_that_is_marked_has_its_default_again(value: str, operation: str) -> None:
    server = filled("<zoo><open>false</open><motto>x</motto></zoo>")
    server.edit(open_leaf("true", f'wd:default="{value}" {operation}'))
    assert plain(server.datastores.tree("running")) == ("config", ("zoo", ("motto", "x")))
    # And once more, where there is nothing to take away.
    server.edit(open_leaf("true", f'wd:default="{value}" {operation}'))
    assert plain(server.datastores.tree("running")) == ("config", ("zoo", ("motto", "x")))


def test_false_means_that_the_value_is_set() -> None:
    server = filled("")
    server.edit(open_leaf("true", 'wd:default="false"'))
    assert plain(server.datastores.tree("running")) == ("config", ("zoo", ("open", "true")))


def test_creation_of_a_default_needs_that_nothing_was_set() -> None:
    server = filled("")
    server.edit(open_leaf("true", 'wd:default="true" nc:operation="create"'))
    assert plain(server.datastores.tree("running")) == ("config",)
    server.edit("<zoo><open>true</open></zoo>")
    with pytest.raises((RpcError, RpcErrors)) as caught:
        server.edit(open_leaf("true", 'wd:default="true" nc:operation="create"'))
    assert tags_of(caught.value) == ["data-exists"]


def test_a_marked_leaf_in_something_new_or_replaced_is_left_out() -> None:
    server = filled("<zoo><open>false</open></zoo>")
    server.edit(f'<zoo {NC} nc:operation="replace"><open {WD} wd:default="true">true</open><motto>y</motto></zoo>')
    assert plain(server.datastores.tree("running")) == ("config", ("zoo", ("motto", "y")))


@pytest.mark.parametrize(
    ("text", "attributes", "tag"),
    [
        ("false", 'wd:default="true"', "invalid-value"),
        ("false", 'wd:default="1" nc:operation="create"', "invalid-value"),
        ("true", 'wd:default="true" nc:operation="delete"', "invalid-value"),
        ("true", 'wd:default="true" nc:operation="remove"', "invalid-value"),
        ("true", 'wd:default="maybe"', "invalid-value"),
    ],
)
def test_what_cannot_be_a_return_to_the_default_is_refused(text: str, attributes: str, tag: str) -> None:
    server = filled("<zoo><open>false</open></zoo>")
    with pytest.raises((RpcError, RpcErrors)) as caught:
        server.edit(open_leaf(text, attributes))
    assert tags_of(caught.value) == [tag]
    assert plain(server.datastores.tree("running")) == ("config", ("zoo", ("open", "false")))


def test_a_leaf_without_a_default_and_a_container_cannot_have_the_attribute() -> None:
    server = filled("")
    for content, tag in (
        (f'<zoo><motto {WD} wd:default="true">x</motto></zoo>', "invalid-value"),
        (f'<zoo {WD} wd:default="true"/>', "unknown-attribute"),
    ):
        with pytest.raises((RpcError, RpcErrors)) as caught:
            server.edit(content)
        assert tags_of(caught.value) == [tag]


def test_a_whole_configuration_as_report_all_tagged_gave_it_is_what_it_was_made_of() -> None:
    server = filled("<zoo><open>false</open><alarm><silent/></alarm><colour>red</colour></zoo>")
    before = plain(server.datastores.tree("running"))
    tree = in_mode(server, DefaultsMode.REPORT_ALL_TAGGED)
    assert plain(tree) != before
    server.datastores.copy(tree, "running", session_id=1)
    assert plain(server.datastores.tree("running")) == before
    wrong = in_mode(server, DefaultsMode.REPORT_ALL_TAGGED)
    for leaf in wrong.iter(f"{{{ZOO}}}code"):
        leaf.text = "9999"
    with pytest.raises((RpcError, RpcErrors)) as caught:
        server.datastores.copy(wrong, "running", session_id=1)
    assert tags_of(caught.value) == ["invalid-value"]


def tags_of(error: Exception) -> list[str]:
    assert isinstance(error, RpcError | RpcErrors)
    return [each.tag for each in (error.errors if isinstance(error, RpcErrors) else (error,))]
