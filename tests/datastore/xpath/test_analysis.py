"""Which schema nodes an expression reads and selects: what incremental validation stands on."""

from __future__ import annotations

import pytest

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.schema.types import LeafrefType
from rkmp.datastore.xpath import Expression
from rkmp.datastore.xpath.functions import YangFunctions
from tests.datastore.modules import at

ITEM = "/m:shop/item"
PREFIXES = {"m": "urn:m", "x": "urn:x"}


def bound(schema: Schema, text: str, context: str = ITEM) -> Expression:
    expression = Expression(text, PREFIXES, "urn:m", "urn:m")
    expression.bind(schema, YangFunctions(schema), (at(schema, context) if context else schema.root,))
    return expression


def paths(nodes: frozenset[SchemaNode]) -> set[str]:
    """Data paths, shortened: what is below the item is written from there, the rest from the top."""
    short = set()
    for node in nodes:
        path = node.schema_path.replace("m:", "")
        short.add(path.removeprefix("/shop/item/") if path.startswith("/shop/item/") else path)
    return short


BOX = {"box", "box/width", "box/height"}

READS: list[tuple[str, set[str] | None]] = [
    ("name", {"name"}),
    ("x:extra", {"x:extra"}),
    ("nosuch", set()),
    ("1 + 1", set()),
    ("true()", set()),
    # Ancestors of what is there are there; everything that is gone down to is read.
    ("../item/name", {"/shop/item", "name"}),
    ("/shop/favourite", {"/shop", "/shop/favourite"}),
    ("../../total", {"/total"}),
    ("..", {"/shop"}),
    (".", {"/shop/item"}),
    ("ancestor::shop/favourite", {"/shop/favourite"}),
    ("../item[price > 2]/name", {"/shop/item", "price", "name"}),
    ("../item[name = current()/like]/price", {"/shop/item", "name", "like", "price"}),
    ("name = 'a' and (price or tag)", {"name", "price", "tag"}),
    ("name | tag", {"name", "tag"}),
    ("count(../item)", {"/shop/item"}),
    ("not(tag)", {"tag"}),
    ("concat(name, price)", {"name", "price"}),
    ("-price", {"price"}),
    ("(name)[1]", {"name"}),
    ("(../item)[price]/tag", {"/shop/item", "price", "tag"}),
    ("name/text()", {"name"}),
    ("box/node()", BOX),
    ("box/*", BOX),
    ("box/x:*", {"box"}),
    ("following-sibling::item", {"/shop/item"}),
    ("../*[self::favourite]", {"/shop/item", "/shop/favourite", "/shop/note"}),
    # The string value of a container is that of all leaves in it.
    ("string(box)", BOX),
    ("box = '23'", BOX),
    ("box + 1", BOX),
    ("-box", BOX),
    ("re-match(box, 'x')", BOX),
    ("count(box)", {"box"}),
    ("boolean(box)", {"box"}),
    ("local-name(box)", {"box"}),
    # Functions of YANG.
    ("current()/price", {"price"}),
    ("enum-value(size) > 1", {"size"}),
    ("bit-is-set(marks, 'local')", {"marks"}),
    ("derived-from(kind, 'food')", {"kind"}),
    ("deref(like)/../price", {"like", "/shop/item", "name", "price"}),
    ("deref(same-price)", {"same-price", "/shop", "/shop/item", "name", "like", "price"}),
    ("deref(price)", {"price"}),
    # The node that the expression is about.
    ("current()", set()),
    ("current() = 'x'", None),
    ("string()", None),
    ("number() > 1", None),
]


@pytest.mark.parametrize(("text", "expected"), READS)
def test_reads(schema: Schema, text: str, expected: set[str] | None) -> None:
    expression = bound(schema, text)
    if expected is None:
        item = at(schema, ITEM)
        assert expression.reads == {item, *item.descendants()}
    else:
        assert paths(expression.reads) == expected
    assert expression.exact


def test_a_condition_on_a_leaf_reads_its_value(schema: Schema) -> None:
    for text in (
        ". > 1",
        "current() > 1",
        "string() != 'x'",
        "string-length() > 2",
        "re-match(., 'x')",
        "enum-value(.)",
    ):
        assert paths(bound(schema, text, f"{ITEM}/price").reads) == {"price"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name", {"name"}),
        ("../item/name | tag", {"name", "tag"}),
        ("(name)[1]", {"name"}),
        ("current()", {"/shop/item"}),
        ("current()/../favourite", {"/shop/favourite"}),
        ("/", None),
        ("deref(like)", {"name"}),
        ("deref(like)/../tag", {"tag"}),
        ("deref(../favourite)", {"name"}),
        ("box/..", {"/shop/item"}),
        ("count(name)", set()),
        ("'x'", set()),
        ("name = 'a'", set()),
        ("id('x')", set()),
        ("@name", set()),
        ("namespace::*", set()),
        ("box/descendant-or-self::*", BOX),
        ("ancestor-or-self::*", {"/shop/item", "/shop", None}),
        ("box/width/preceding-sibling::*", {"box/width", "box/height"}),
    ],
)
def test_selects(schema: Schema, text: str, expected: set[str | None] | None) -> None:
    selects = bound(schema, text).selects
    if expected is None:
        assert selects == {schema.root}
    else:
        found = {None if node is schema.root else next(iter(paths(frozenset({node})))) for node in selects}
        assert found == expected


@pytest.mark.parametrize("text", ["deref(see)", "deref(mixed)/name", "/shop/note/x", "//x", "../note/x:a/x:b"])
def test_what_cannot_be_followed_is_not_exact(schema: Schema, text: str) -> None:
    """An instance-identifier leads anywhere; anydata holds what no schema tells."""
    assert not bound(schema, text).exact


def test_axes_that_reach_everything_read_everything(schema: Schema) -> None:
    everything = set(schema.data_nodes())
    for text in ("//item", "following::*", "preceding::node()"):
        expression = bound(schema, text)
        assert expression.reads >= (everything if "item" not in text else {at(schema, ITEM)})
    assert set(bound(schema, "//node()").selects) >= everything


def test_an_expression_may_start_from_several_nodes(schema: Schema) -> None:
    expression = Expression("name", PREFIXES, "urn:m")
    expression.bind(schema, YangFunctions(schema), (at(schema, ITEM), at(schema, "/m:sell"), at(schema, "/m:sold")))
    assert expression.selects == {at(schema, path) for path in (f"{ITEM}/name", "/m:sell/name", "/m:sold/name")}


def test_operations_see_input_output_and_the_datastore(schema: Schema) -> None:
    sell = at(schema, "/m:sell")
    assert sell.output is not None
    expression = bound(schema, "../name", "/m:sell/price")
    assert expression.selects == {at(schema, "/m:sell/name")}
    both = bound(schema, "price | paid", "/m:sell")
    assert both.selects == {at(schema, "/m:sell/price"), sell.output.data_children["{urn:m}paid"]}
    assert bound(schema, "/shop/favourite", "/m:sell").selects == {at(schema, "/m:shop/favourite")}
    assert bound(schema, "/sell/name", "/m:sold").selects == {at(schema, "/m:sell/name")}


def test_a_path_leads_to_one_leaf(schema: Schema) -> None:
    like = at(schema, f"{ITEM}/like").type
    assert isinstance(like, LeafrefType)
    assert like.path.selects == {at(schema, f"{ITEM}/name")}
    assert paths(like.path.reads) == {"/shop/item", "name"}
    assert like.path.exact
