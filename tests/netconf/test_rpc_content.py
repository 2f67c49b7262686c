"""Parameters are checked whole before a handler sees them, and what is wrong is named with its path."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode, When
from rkmp.datastore.xpath import Expression
from rkmp.errors import RpcErrors
from rkmp.netconf.rpc_content import canonical_value, check_content, unsupported_constraint

NET = "urn:example:network"
BAD_ELEMENT = "{urn:ietf:params:xml:ns:netconf:base:1.0}bad-element"
BAD_ATTRIBUTE = "{urn:ietf:params:xml:ns:netconf:base:1.0}bad-attribute"
BAD_NAMESPACE = "{urn:ietf:params:xml:ns:netconf:base:1.0}bad-namespace"
MISSING_CHOICE = "{urn:ietf:params:xml:ns:yang:1}missing-choice"

COMPLETE = "<reason>tea</reason><everything/><via><hop>1</hop></via>"


def trace(content: str) -> etree._Element:
    return etree.fromstring(f'<trace xmlns="{NET}" xmlns:fast="{NET}">{content}</trace>')


def trace_input(schema: Schema) -> SchemaNode:
    node = schema.rpcs[f"{{{NET}}}trace"].input
    assert node is not None
    return node


def check(schema: Schema, content: str) -> etree._Element:
    element = trace(content)
    check_content(schema, trace_input(schema), element, canonicalise=True)
    return element


@pytest.mark.parametrize(
    "content",
    [
        COMPLETE,
        "<via><hop>1</hop></via><everything/><reason>tea</reason>",
        "<reason>tea</reason><line>1</line><line>2</line><shelf>1</shelf><via><hop>1</hop></via><via><hop>2</hop></via>",
        COMPLETE + "<options/>",
        COMPLETE + "<options><verbose>true</verbose><password>abcd</password></options>",
        COMPLETE + '<extra a="b"><x xmlns="urn:nowhere" c="d">text</x></extra>',
        "\n  " + COMPLETE.replace("><", ">\n  <") + "\n",
    ],
)
def test_good_input_is_accepted(schema: Schema, content: str) -> None:
    check(schema, content)


def test_values_become_canonical_whatever_prefixes_the_request_uses(schema: Schema) -> None:
    element = check(schema, "<reason>tea</reason><line>+07</line><via><hop> 1 </hop><medium>fast:fibre</medium></via>")
    assert element.findtext(f"{{{NET}}}line") == "7"
    assert element.findtext(f"{{{NET}}}via/{{{NET}}}hop") == "1"
    assert element.findtext(f"{{{NET}}}via/{{{NET}}}medium") == "net:fibre"


def test_values_stay_as_they_are_where_that_is_asked(schema: Schema) -> None:
    element = trace("<reason>tea</reason><line>+07</line><via><hop>1</hop></via>")
    check_content(schema, trace_input(schema), element, canonicalise=False)
    assert element.findtext(f"{{{NET}}}line") == "+07"


@pytest.mark.parametrize(
    ("content", "tag", "app_tag", "path", "info"),
    [
        (COMPLETE + "<bogus/>", "unknown-element", None, "/net:trace/net:bogus", [(BAD_ELEMENT, "bogus")]),
        (
            COMPLETE + '<bogus xmlns="urn:nowhere"/>',
            "unknown-namespace",
            None,
            "/net:trace/ns1:bogus",
            [(BAD_ELEMENT, "bogus"), (BAD_NAMESPACE, "urn:nowhere")],
        ),
        (COMPLETE + '<bogus xmlns=""/>', "unknown-namespace", None, "/net:trace/bogus", None),
        (COMPLETE + "<delay>0</delay>", "invalid-value", "delay-range", "/net:trace/net:delay", []),
        (COMPLETE + "<delay>x</delay>", "invalid-value", None, "/net:trace/net:delay", []),
        (COMPLETE + "<delay/>", "invalid-value", None, "/net:trace/net:delay", []),
        (COMPLETE + "<delay>1<x/></delay>", "bad-element", None, "/net:trace/net:delay", [(BAD_ELEMENT, "delay")]),
        (COMPLETE + "<delay>1</delay><delay>2</delay>", "bad-element", None, "/net:trace/net:delay", None),
        (COMPLETE + "text", "bad-element", None, "/net:trace", [(BAD_ELEMENT, "trace")]),
        (COMPLETE + "<options>text</options>", "bad-element", None, "/net:trace/net:options", None),
        (COMPLETE + "<options/><options/>", "bad-element", None, "/net:trace/net:options", None),
        (COMPLETE + "<via><hop>1</hop></via>", "bad-element", None, "/net:trace/net:via[net:hop='1']", None),
        (COMPLETE + "<line>1</line>", "bad-element", None, "/net:trace/net:line[.='1']", [(BAD_ELEMENT, "line")]),
        (
            COMPLETE + '<delay when="now">1</delay>',
            "unknown-attribute",
            None,
            "/net:trace/net:delay",
            [(BAD_ATTRIBUTE, "when"), (BAD_ELEMENT, "delay")],
        ),
        ("<everything/><via><hop>1</hop></via>", "missing-element", None, "/net:trace", [(BAD_ELEMENT, "reason")]),
        (
            "<reason>tea</reason><via><hop>1</hop></via>",
            "missing-element",
            "missing-choice",
            "/net:trace",
            [(BAD_ELEMENT, "scope"), (MISSING_CHOICE, "scope")],
        ),
        (COMPLETE + "<via/>", "missing-element", None, "/net:trace/net:via", [(BAD_ELEMENT, "hop")]),
        ("<reason>tea</reason><everything/>", "operation-failed", "too-few-elements", "/net:trace", []),
        (
            "<reason>tea</reason><line>1</line><line>2</line><line>3</line><line>4</line><via><hop>1</hop></via>",
            "operation-failed",
            "too-many-elements",
            "/net:trace",
            [],
        ),
    ],
)
def test_bad_input_is_named_with_its_path(
    schema: Schema, content: str, tag: str, app_tag: str | None, path: str, info: list[tuple[str, str]] | None
) -> None:
    with pytest.raises(RpcErrors) as caught:
        check(schema, content)
    (error,) = caught.value.errors
    assert (error.tag, error.app_tag, error.path, error.type) == (tag, app_tag, path, "application")
    assert info is None or list(error.info) == info
    for step in path.split("/"):
        prefix, colon, _ = step.partition(":")
        assert not colon or prefix in error.path_namespaces


def test_the_message_of_the_module_is_given(schema: Schema) -> None:
    with pytest.raises(RpcErrors, match="between one second and a minute"):
        check(schema, COMPLETE + "<delay>61</delay>")


def test_everything_that_is_wrong_is_found_at_once(schema: Schema) -> None:
    with pytest.raises(RpcErrors) as caught:
        check(schema, "<delay>0</delay><bogus/><via><hop>x</hop></via>")
    tags = [error.tag for error in caught.value.errors]
    assert tags == ["invalid-value", "unknown-element", "invalid-value", "missing-element", "missing-element"]


def test_the_value_of_a_secret_is_not_repeated(schema: Schema) -> None:
    with pytest.raises(RpcErrors) as caught:
        check(schema, COMPLETE + "<options><password>abc</password></options>")
    (error,) = caught.value.errors
    assert error.tag == "invalid-value"
    assert "abc" not in str(error)


def test_a_container_with_mandatory_content_is_itself_mandatory(schema: Schema) -> None:
    lock = schema.rpcs["{urn:ietf:params:xml:ns:netconf:base:1.0}lock"].input
    assert lock is not None
    with pytest.raises(RpcErrors) as caught:
        check_content(
            schema, lock, etree.fromstring('<lock xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'), canonicalise=True
        )
    assert [(error.tag, list(error.info)) for error in caught.value.errors] == [
        ("missing-element", [(BAD_ELEMENT, "target")])
    ]


def test_only_leaves_have_a_value(schema: Schema) -> None:
    with pytest.raises(TypeError):
        canonical_value(schema, trace_input(schema), trace(""))


def test_conditions_that_would_not_be_checked_are_found(schema: Schema) -> None:
    node = trace_input(schema)
    assert unsupported_constraint(node) is None
    leaf = SchemaNode(NodeKind.LEAF, "x", NET, "example-network", "net", config=True)
    leaf.whens = (When(Expression.__new__(Expression), on_parent=False),)
    holder = SchemaNode(NodeKind.INPUT, "input", NET, "example-network", "net", config=True, data_children={"x": leaf})
    assert "has a must or when" in (unsupported_constraint(holder) or "")
