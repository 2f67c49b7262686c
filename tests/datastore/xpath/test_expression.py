"""Expressions evaluated on a tree: names, contexts, the functions of XPath 1.0 and of YANG (RFC 7950 6.4, 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.analysis import CORE_FUNCTIONS, YANG_FUNCTIONS
from rkmp.datastore.xpath.functions import YangFunctions
from tests.datastore.modules import at

Evaluate = Callable[..., Any]

PREFIXES = {"m": "urn:m", "other": "urn:x"}


def bound(schema: Schema, text: str, context: str = "", namespace: str | None = "urn:m") -> Expression:
    expression = Expression(text, PREFIXES, namespace, namespace)
    expression.bind(schema, YangFunctions(schema), (at(schema, context) if context else schema.root,))
    return expression


@pytest.fixture
def evaluate(schema: Schema, root: etree._Element) -> Evaluate:
    """The value of an expression on the item named ``name`` (with ``name=None``, on the root), nodes as their text."""

    def value(text: str, name: str | None = "a", namespace: str | None = "urn:m") -> Any:
        element = root
        if name is not None:
            (element,) = root.xpath("m:shop/m:item[m:name=$name]", namespaces=PREFIXES, name=name)
        result = bound(schema, text, "/m:shop/item" if name is not None else "", namespace).evaluate(element, root)
        return [node.text or "" for node in result] if isinstance(result, list) else result

    return value


# Names and contexts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name", ["a"]),
        ("m:name", ["a"]),
        ("other:extra", ["7"]),
        ("extra", []),
        ("other:name", []),
        ("../item/name", ["a", "b", "c", "d"]),
        ("../m:item/m:name", ["a", "b", "c", "d"]),
        ("/shop/item/name", ["a", "b", "c", "d"]),
        ("/m:shop/favourite", ["a"]),
        ("../../total", ["3"]),
        ("/total", ["3"]),
        ("//width", ["2"]),
        (".//height", ["3"]),
        ("*[starts-with(local-name(), 'n')]", ["a"]),
        ("count(other:*)", 1.0),
        ("tag", ["red", "round"]),
        ("tag[1]", ["red"]),
        ("tag[last()]", ["round"]),
        ("tag[position() > 1]", ["round"]),
        ("(../item/name)[2]", ["b"]),
        ("name | ../favourite", ["a", "a"]),
        ("../item[price > 2]/name", ["b"]),
        ("../item[name = current()/like]/price", ["2.5"]),
        ("current()/name", ["a"]),
        ("../item[not(price)]/name", ["c", "d"]),
        ("following-sibling::item/name", ["b", "c", "d"]),
        ("preceding-sibling::item", []),
        ("ancestor::shop/favourite", ["a"]),
        ("box/descendant::node()/text()", 0),
        ("self::item/name", ["a"]),
        ("self::shop", []),
        ("parent::shop/favourite", ["a"]),
        ("nosuch", []),
        ("/nosuch/item", []),
        ("text()", []),
        ("@nosuch", []),
        ("comment() | processing-instruction()", []),
    ],
)
def test_paths(evaluate: Evaluate, text: str, expected: Any) -> None:
    if expected == 0:
        assert evaluate(f"count({text})") == 2.0
    else:
        assert evaluate(text) == expected


def test_the_root_is_above_the_top_level_nodes(schema: Schema, root: etree._Element) -> None:
    assert bound(schema, "/").select(root[0], root) == [root]
    assert bound(schema, "count(/*)").evaluate(root, root) == 2.0
    assert bound(schema, "count(//item)").evaluate(root, root) == 4.0


def test_unprefixed_names_without_a_default_namespace_match_nothing(evaluate: Evaluate) -> None:
    assert evaluate("name", namespace=None) == []
    assert evaluate("m:name", namespace=None) == ["a"]
    assert evaluate("*[local-name() = 'name']", namespace=None) == ["a"]
    assert evaluate("/m:shop/m:favourite", name=None, namespace=None) == ["a"]


def test_prefixes_that_another_module_has_are_kept_apart(schema: Schema, root: etree._Element) -> None:
    swapped = Expression("x:name | m:extra", {"x": "urn:m", "m": "urn:x"}, None)
    swapped.bind(schema, YangFunctions(schema), (at(schema, "/m:shop/item"),))
    (item, *_) = root[0]
    assert [node.text for node in swapped.select(item, root)] == ["a", "7"]


def test_names_of_a_namespace_that_the_schema_does_not_have_match_nothing(schema: Schema, root: etree._Element) -> None:
    stranger = Expression("//s:a | //s:b | //t:a", {"s": "urn:s", "t": "urn:t"}, None)
    stranger.bind(schema, YangFunctions(schema), (schema.root,))
    assert stranger.select(root, root) == []
    assert stranger.selects == frozenset()


# The functions of XPath 1.0


CORE: dict[str, list[tuple[str, Any]]] = {
    "last": [("tag[last()]", ["round"])],
    "position": [("tag[position() = 1]", ["red"])],
    "count": [("count(../item)", 4.0)],
    "id": [("id('a')", [])],
    "local-name": [("local-name()", "item"), ("local-name(other:extra)", "extra")],
    "namespace-uri": [("namespace-uri()", "urn:m"), ("namespace-uri(other:extra)", "urn:x")],
    "name": [("name(name)", "name"), ("string-length(name(other:extra)) > 0", True)],
    "string": [("string(price)", "1.5"), ("string()", None), ("string(1.0)", "1"), ("string(nosuch)", "")],
    "concat": [("concat(name, '-', price, 1)", "a-1.51")],
    "starts-with": [("starts-with(tag[1], 're')", True), ("starts-with(tag[1], 'ed')", False)],
    "contains": [("contains(tag[1], 'ed')", True)],
    "substring-before": [("substring-before(price, '.')", "1")],
    "substring-after": [("substring-after(price, '.')", "5")],
    "substring": [("substring('12345', 2, 3)", "234"), ("substring('12345', 2)", "2345")],
    "string-length": [("string-length(name)", 1.0), ("string-length() > 5", True)],
    "normalize-space": [("normalize-space('  a   b ')", "a b")],
    "translate": [("translate('bar', 'abc', 'AB')", "BAr")],
    "boolean": [("boolean(price)", True), ("boolean(nosuch)", False)],
    "not": [("not(price)", False)],
    "true": [("true()", True)],
    "false": [("false()", False)],
    "lang": [("lang('en')", False)],
    "number": [("number(price)", 1.5), ("number('x')", math.nan), ("number(true())", 1.0)],
    "sum": [("sum(../item/price)", 4.0)],
    "floor": [("floor(price)", 1.0)],
    "ceiling": [("ceiling(price)", 2.0)],
    "round": [("round(price)", 2.0)],
}


def test_every_function_has_examples() -> None:
    assert set(CORE) == set(CORE_FUNCTIONS)
    assert set(YANG) == set(YANG_FUNCTIONS)


@pytest.mark.parametrize(("text", "expected"), [case for cases in CORE.values() for case in cases])
def test_functions_of_xpath(evaluate: Evaluate, text: str, expected: Any) -> None:
    result = evaluate(text)
    if expected is None:
        assert result.startswith("am:apple1.5small")
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(result)
    else:
        assert result == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price + 1 = 2.5 and 7 mod 4 = 3 and 7 div 2 = 3.5 and -price = 0 - 1.5", True),
        ("price < 2 or price >= 9", True),
        ("../item/price = 2.5", True),
        ("../item/price != 2.5", True),
        ("not(../item/price = 9)", True),
        ("tag = 'round' and tag != 'round'", True),
        ("nosuch = nosuch", False),
        ("nosuch != 'x'", False),
    ],
)
def test_operators(evaluate: Evaluate, text: str, expected: Any) -> None:
    assert evaluate(text) is expected


# The functions of YANG: an expression, the item that it is tried on, the value


YANG: dict[str, list[tuple[str, str, Any]]] = {
    "current": [("current()/name", "a", ["a"]), ("../item[name = current()/name]/price", "b", ["2.5"])],
    "re-match": [
        ("re-match(name, '[a-c]')", "a", True),
        ("re-match('ab', '[a-c]')", "a", False),
        (r"re-match('1.22.333', '\d{1,3}\.\d{1,3}\.\d{1,3}')", "a", True),
        ("re-match(nosuch, '')", "a", True),
        ("re-match(12, '1.') and re-match(1.5, '1.5') and re-match(-1 div 0, '-Infinity')", "a", True),
        ("re-match(1 div 0, 'Infinity') and re-match(number('x'), 'NaN')", "a", True),
        ("re-match(true(), 'true') and re-match(false(), 'false')", "a", True),
        ("re-match(box, '23')", "a", True),
        ("re-match(name, '(')", "a", False),
        ("re-match(name, name)", "a", True),
        ("count(../item[re-match(name, 'a|b')])", "a", 2.0),
    ],
    "deref": [
        ("deref(like)", "a", ["b"]),
        ("deref(like)/../price", "a", ["2.5"]),
        ("deref(../favourite)/../tag", "a", ["red", "round"]),
        ("deref(like)", "c", []),
        ("deref(nosuch)", "a", []),
        ("deref(price)", "a", []),
        ("deref(see)", "a", ["2.5"]),
        ("deref(see)", "b", []),
        ("deref(mixed)/../price", "a", ["2.5"]),
        ("deref(mixed)", "b", []),
        ("deref(mixed)/name", "c", ["a"]),
        ("deref(. | like)/../price", "a", []),
    ],
    "derived-from": [
        ("derived-from(kind, 'fruit')", "a", True),
        ("derived-from(kind, 'm:food')", "a", True),
        ("derived-from(kind, 'apple')", "a", False),
        ("derived-from(kind, 'bread')", "b", True),
        ("derived-from(kind, 'other:rye')", "b", False),
        ("derived-from(kind, 'food')", "c", False),
        ("derived-from(../item/kind, 'fruit')", "c", True),
        ("derived-from(nosuch, 'food')", "a", False),
        ("derived-from(price, 'food')", "a", False),
        ("derived-from(box, 'food')", "a", False),
        ("derived-from(kind, 'food')", "d", False),
        ("derived-from(loose, 'food')", "b", True),
        ("derived-from(loose, 'food')", "a", False),
    ],
    "derived-from-or-self": [
        ("derived-from-or-self(kind, 'apple')", "a", True),
        ("derived-from-or-self(kind, 'fruit')", "a", True),
        ("derived-from-or-self(kind, 'bread')", "a", False),
        ("derived-from-or-self(kind, 'other:rye')", "b", True),
        ("derived-from-or-self(kind, 'food')", "c", True),
        ("derived-from-or-self(loose, 'fruit')", "b", True),
    ],
    "enum-value": [
        ("enum-value(size)", "a", 1.0),
        ("enum-value(size) > 5", "b", True),
        ("enum-value(size)", "c", math.nan),
        ("enum-value(name)", "a", math.nan),
        ("enum-value(loose)", "a", 3.0),
        ("enum-value(loose)", "c", math.nan),
        ("enum-value(../item/size)", "c", 1.0),
    ],
    "bit-is-set": [
        ("bit-is-set(marks, 'organic')", "a", True),
        ("bit-is-set(marks, 'local')", "a", True),
        ("bit-is-set(marks, 'nosuch')", "a", False),
        ("bit-is-set(marks, 'organic local')", "a", False),
        ("bit-is-set(marks, 'organic')", "b", False),
        ("bit-is-set(marks, 'organic')", "c", False),
        ("bit-is-set(name, 'a')", "a", False),
        ("bit-is-set(box, 'a')", "a", False),
    ],
}


@pytest.mark.parametrize(("text", "name", "expected"), [case for cases in YANG.values() for case in cases])
def test_functions_of_yang(evaluate: Evaluate, text: str, name: str, expected: Any) -> None:
    result = evaluate(text, name)
    if isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(result)
    else:
        assert result == expected


def test_deref_follows_the_predicates_of_a_path(schema: Schema, root: etree._Element) -> None:
    tree = etree.fromstring(etree.tostring(root))
    item = tree[0][0]
    etree.SubElement(item, "{urn:m}same-price").text = "2.5"
    expression = bound(schema, "deref(same-price)/../name", "/m:shop/item")
    assert [node.text for node in expression.select(item, tree)] == ["b"]
    item[-1].text = "1.5"
    assert expression.select(item, tree) == []


def test_a_compared_identity_may_have_the_prefix_of_the_expression(evaluate: Evaluate) -> None:
    assert evaluate("kind = 'other:rye'", "b") is True
    assert evaluate("kind = 'm:apple'") is True
    assert evaluate("'apple' = kind") is True
    assert evaluate("kind != 'apple'") is False
    assert evaluate("kind = 'rye'", "b") is False
    assert evaluate("../item[kind = 'other:rye']/name") == ["b"]


def test_operations_and_notifications_are_below_the_root(schema: Schema) -> None:
    call = etree.fromstring('<r><sell xmlns="urn:m"><name>a</name></sell></r>')
    assert bound(schema, "/sell/name = 'a'").holds(call[0], call)
    assert bound(schema, "name", "/m:sell").holds(call[0], call)
    event = etree.fromstring('<r><sold xmlns="urn:m"><name>a</name></sold></r>')
    assert bound(schema, "../sold/name", "/m:sold").holds(event[0], event)


# holds, select, faults


def test_holds_converts_to_boolean(schema: Schema, root: etree._Element) -> None:
    for text, expected in {
        "/total": True,
        "/nosuch": False,
        "'x'": True,
        "''": False,
        "2": True,
        "0": False,
        "number('x')": False,
        "/total | /shop": True,
        "/total = 3 or false()": True,
    }.items():
        assert bound(schema, text).holds(root, root) is expected


def test_select_refuses_what_is_no_node_set(schema: Schema, root: etree._Element) -> None:
    with pytest.raises(XPathSyntaxError, match="does not select nodes"):
        bound(schema, "1 + 1").select(root, root)
    assert bound(schema, "/total/text()").select(root, root) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nosuch:a", "the prefix 'nosuch' is not bound"),
        ("nosuch()", "there is no function nosuch"),
        ("m:f()", "there is no function m:f"),
        ("count()", "count\\(\\) has 0 arguments"),
        ("count(a, b)", "count\\(\\) has 2 arguments"),
        ("concat('a')", "concat\\(\\) has 1 arguments"),
        ("current(1)", "current\\(\\) has 1 arguments"),
        ("$v", "the variable \\$v is not bound"),
        ("$current", "the variable \\$current is not bound"),
        ("derived-from(a, 'nosuch')", "there is no identity"),
        ("derived-from(a, 'nosuch:x')", "there is no identity"),
        ("derived-from-or-self(a, name)", "not a literal"),
    ],
)
def test_what_only_a_schema_can_tell_is_refused_when_it_is_bound(schema: Schema, text: str, reason: str) -> None:
    with pytest.raises(XPathSyntaxError, match=reason):
        bound(schema, text)


@pytest.mark.parametrize(
    "text", ["count(1)", "sum('x')", "deref('x')", "bit-is-set(1, 'x')", "enum-value(1)", "1 | 2", "1/m:a"]
)
def test_an_argument_of_the_wrong_type_is_refused(schema: Schema, root: etree._Element, text: str) -> None:
    with pytest.raises(XPathSyntaxError):
        bound(schema, text).evaluate(root, root)
    with pytest.raises(XPathSyntaxError):
        bound(schema, text).holds(root, root)


def test_an_expression_must_be_bound(root: etree._Element) -> None:
    expression = Expression("a", {}, None)
    assert repr(expression) == "<Expression a>"
    with pytest.raises(RuntimeError, match="not bound"):
        expression.evaluate(root, root)
    with pytest.raises(RuntimeError, match="not bound"):
        expression.holds(root, root)
