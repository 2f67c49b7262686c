"""Validating what an edit can affect gives the errors that validating everything gives, neither more nor fewer."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.schema import Schema
from rkmp.datastore.validation import Validator, screening
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.invariants import check_tree
from tests.datastore.servers import document, schema_of

SCHEMA = schema_of("zoo")
FULL = """
<zoo>
  <motto>m</motto><keeper><name>k</name></keeper>
  <species><name>a</name><latin>strix</latin><shelf><row>1</row></shelf></species>
  <species><name>b</name><latin>corvus</latin><weight>20</weight></species>
  <species><name>c</name></species>
  <cage><hall>east</hall><number>1</number><size>2</size><animal>a</animal><animal>b</animal></cage>
  <cage><hall>west</hall><number>2</number><animal>a</animal><locked>true</locked><key-holder>a</key-holder></cage>
  <feeding><id>1</id><hour>12</hour><species>a</species><latin>strix</latin></feeding>
  <feeding><id>2</id><every><hours>9</hours></every></feeding>
  <feeding><id>3</id><on-demand>a</on-demand></feeding>
  <guest>max</guest><either>a</either>
  <safe><pin>a</pin></safe>
</zoo>
<ticket><id>1</id><price>1.5</price><for-species>b</for-species></ticket>
<ticket><id>2</id><price>2</price></ticket>
<holiday>a</holiday><name>big</name><quota><limit>1</limit></quota>
"""


ROW = "<row><id>1</id><always>x</always><box><lid>true</lid><pears>1</pears></box></row>"


def rows(content: str) -> list[tuple[str, str]]:
    return [(f'<table xmlns="urn:example:rows">{content}</table>', "merge")]


def identity(error: RpcError) -> tuple[object, ...]:
    return error.tag, error.app_tag, error.path, tuple(sorted(error.info)), error.message


@pytest.fixture(autouse=True, scope="module", params=["long lists", "short lists"])
def lists(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every list is taken for a long one, or none is: the two are checked in different ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "LONG", 1 if request.param == "long lists" else 10**9)
        yield


@contextlib.contextmanager
def not_screened() -> Iterator[None]:
    """Have no list be long enough for a screen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "LONG", 10**9)
        yield


EDITS = {
    name: st.lists(
        st.tuples(payloads(schema_of(name)), st.sampled_from(("merge", "merge", "merge", "none", "replace"))),
        min_size=1,
        max_size=10,
    )
    for name in ("zoo", "paths", "rows")
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(("", FULL)), EDITS["zoo"])
def test_incremental_and_full_validation_find_the_same(start: str, edits: list[tuple[str, str]]) -> None:
    require_the_same(SCHEMA, [(start, "merge"), *edits])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EDITS["paths"])
def test_the_same_holds_for_every_form_of_expression(edits: list[tuple[str, str]]) -> None:
    require_the_same(schema_of("paths"), edits)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EDITS["rows"])
@example(rows(f"{ROW}<part><id>1</id><of>1</of><round/></part><part><id>2</id><of>1</of></part>"))
@example(rows(ROW.replace("<pears>1</pears>", "<apples>1</apples>")))
@example(rows(ROW.replace("<pears>1</pears>", "")))
def test_the_same_holds_for_every_constraint_in_lists_without_defaults(edits: list[tuple[str, str]]) -> None:
    require_the_same(schema_of("rows"), edits)


def require_the_same(schema: Schema, edits: list[tuple[str, str]]) -> None:
    """Make the edits on one tree, each validated both ways, and keep those that leave it valid."""
    validator = Validator(schema)
    tree = DataTree(validator.layouts)
    for content, default_operation in edits:
        operation = Operation(default_operation)
        try:
            payload = parse_payload(tree.layouts, document(content), operation)
        except RpcErrors:
            continue
        journal = tree.open_journal()
        editor = Editor(tree, payload)
        try:
            editor.carry_out(operation)
        except RpcError:
            tree.roll_back()
            continue
        refused = validator.settle(tree, journal, editor.mentioned)
        before = etree.tostring(tree.root)
        incremental = [] if refused else validator.check_change(tree, journal)
        if not refused:
            full = validator.check(tree)
            assert Counter(map(identity, incremental)) == Counter(map(identity, full))
            with not_screened():
                assert Counter(map(identity, full)) == Counter(map(identity, validator.check(tree)))
        assert etree.tostring(tree.root) == before, "validation leaves no trace"
        if refused or incremental:
            tree.roll_back()
            validator.undone(tree)
        else:
            tree.close_journal()
            validator.kept()
        check_tree(tree)
