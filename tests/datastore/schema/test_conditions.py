"""must and when: where they come from, from where they look, and what their names mean (RFC 7950 6.4.1)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import SchemaNode
from rkmp.errors import SchemaError
from tests.datastore.modules import at, compiled, module


def whens(node: SchemaNode) -> list[tuple[str, bool]]:
    return [(when.expression.text, when.on_parent) for when in node.whens]


def selects(node: SchemaNode, number: int = 0) -> set[str]:
    """The schema paths that a condition's path leads to, which shows its context node and its namespace."""
    return {selected.schema_path for selected in node.whens[number].expression.selects}


def test_must_with_its_message_and_tag(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'leaf a { type string; must "../b" { error-message "no b"; error-app-tag no-b; } must "../c"; }'
            "leaf b { type string; } leaf c { type string; }"
        ),
    )
    first, second = at(schema, "/m:a").musts
    assert (first.expression.text, first.message, first.app_tag) == ("../b", "no b", "no-b")
    assert (second.expression.text, second.message, second.app_tag) == ("../c", None, None)


def test_the_context_of_a_must_is_its_node(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module('container c { must "a"; leaf a { type string; must ".."; } }'))
    (outer,) = at(schema, "/m:c").musts
    (inner,) = at(schema, "/m:c/a").musts
    assert outer.expression.selects == {at(schema, "/m:c/a")}
    assert inner.expression.selects == {at(schema, "/m:c")}


def test_the_context_of_a_must_of_input_output_or_notification_is_the_operation(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'rpc r { input { must "a"; leaf a { type string; } } output { must "b"; leaf b { type string; } } }'
            'notification n { must "c"; leaf c { type string; } }'
            'container d { action q { input { must "../k = e"; leaf e { type string; } } } leaf k { type string; } }'
        ),
    )
    operation = at(schema, "/m:r")
    assert operation.input is not None
    assert operation.output is not None
    assert operation.input.musts[0].expression.selects == {at(schema, "/m:r/a")}
    assert operation.output.musts[0].expression.selects == {operation.output.data_children["{urn:m}b"]}
    assert at(schema, "/m:n").musts[0].expression.selects == {at(schema, "/m:n/c")}
    action = at(schema, "/m:d/q")
    assert action.input is not None
    assert action.input.musts[0].expression.reads == {at(schema, "/m:d/k"), at(schema, "/m:d/q/e")}


def test_a_nodes_own_when_looks_from_the_node(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module('container c { leaf a { when "../b"; type string; } leaf b { type string; } }'))
    assert whens(at(schema, "/m:c/a")) == [("../b", False)]
    assert selects(at(schema, "/m:c/a")) == {"/m:c/m:b"}


def test_the_when_of_a_uses_looks_from_the_parent_and_holds_for_each_node(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "grouping g { leaf x { type string; } choice h { leaf y { type string; } } action q; notification n; }"
            'container c { leaf b { type string; } uses g { when "b"; } }'
        ),
    )
    container = at(schema, "/m:c")
    for name in ("x", "y", "q", "n"):
        node = at(schema, f"/m:c/{name}")
        assert whens(node) == [("b", True)]
        assert selects(node) == {"/m:c/m:b"}
    assert container.whens == ()


def test_whens_of_nested_uses_all_hold(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'grouping i { leaf x { when "../own"; type string; } } grouping o { uses i { when "inner"; } }'
            "container c { leaf own { type string; } leaf inner { type string; } leaf outer { type string; }"
            'uses o { when "outer"; } }'
        ),
    )
    assert sorted(whens(at(schema, "/m:c/x"))) == [("../own", False), ("inner", True), ("outer", True)]


def test_the_when_of_an_augment_looks_from_its_target(tmp_path: Path) -> None:
    target = module("container c { leaf b { type string; } choice h { leaf z { type string; } } }", name="t")
    augmenting = module(
        'augment /t:c { when "t:b"; leaf a { when "../t:z"; type string; } }'
        'augment /t:c/t:h { when "t:b"; leaf s { type string; } case e { leaf f { type string; } } }',
        header="import t { prefix t; }",
    )
    schema = compiled(tmp_path, target, augmenting)
    assert whens(at(schema, "/t:c/m:a")) == [("../t:z", False), ("t:b", True)]
    for name in ("s", "f"):
        assert whens(at(schema, f"/t:c/m:{name}")) == [("t:b", True)]
        assert selects(at(schema, f"/t:c/m:{name}")) == {"/t:c/t:b"}
    assert whens(at(schema, "/t:c/z")) == []


def test_whens_of_choice_and_case_look_from_the_nearest_data_node(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'container c { leaf b { type string; } choice h { when "b = 1"; case e { when "b = 2";'
            'leaf x { when "../b = 3"; type string; } choice i { leaf y { type string; } } }'
            "leaf z { type string; } } }"
        ),
    )
    assert whens(at(schema, "/m:c/x")) == [("b = 1", True), ("b = 2", True), ("../b = 3", False)]
    assert whens(at(schema, "/m:c/y")) == [("b = 1", True), ("b = 2", True)]
    assert whens(at(schema, "/m:c/z")) == [("b = 1", True)]
    for name in ("x", "y", "z"):
        for when in at(schema, f"/m:c/{name}").whens:
            assert when.expression.reads == {at(schema, "/m:c/b")}


def test_a_when_holds_for_its_node_and_not_again_for_those_below(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module('leaf b { type string; } container c { when "../b"; leaf a { type string; } }'))
    assert whens(at(schema, "/m:c/a")) == []


def test_conditions_at_the_top_look_from_the_root(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'grouping g { leaf a { type string; } } uses g { when "b"; }'
            'leaf b { type string; when "/c"; } leaf c { type int8; }'
        ),
    )
    assert selects(at(schema, "/m:a")) == {"/m:b"}
    assert selects(at(schema, "/m:b")) == {"/m:c"}


def test_unprefixed_names_in_a_grouping_belong_to_the_module_that_uses_it(tmp_path: Path) -> None:
    lib = module(
        'grouping g { leaf a { type string; must "../b"; must "../l:x"; } leaf b { type string; } }'
        "leaf x { type string; }",
        name="l",
    )
    user = module("container c { uses l:g; }", header="import l { prefix l; }")
    schema = compiled(tmp_path, lib, user)
    first, second = at(schema, "/m:c/a").musts
    assert first.expression.selects == {at(schema, "/m:c/b")}
    assert second.expression.selects == frozenset()


def test_unprefixed_names_of_an_augments_when_belong_to_its_target(tmp_path: Path) -> None:
    target = module("container c { leaf b { type string; } }", name="t")
    augmenting = module(
        'augment /t:c { when "b"; leaf b { type string; must "../b"; } }', header="import t { prefix t; }"
    )
    schema = compiled(tmp_path, target, augmenting)
    augmented = at(schema, "/t:c/m:b")
    assert selects(augmented) == {"/t:c/t:b"}
    assert augmented.musts[0].expression.selects == {augmented}


def test_prefixes_mean_what_they_mean_where_the_condition_is_written(tmp_path: Path) -> None:
    target = module("container c { leaf b { type string; } }", name="t")
    refining = module(
        'grouping g { leaf a { type string; } } container d { uses g { refine a { must "/p:c/p:b"; } } }',
        header="import t { prefix p; }",
    )
    schema = compiled(tmp_path, target, refining)
    assert at(schema, "/m:d/a").musts[0].expression.selects == {at(schema, "/t:c/b")}


def test_unprefixed_identities_belong_to_the_module_that_the_condition_is_written_in(tmp_path: Path) -> None:
    target = module("identity base; container c { leaf type { type identityref { base base; } } }", name="t")
    augmenting = module(
        "identity mine { base t:base; } feature f; identity off { base mine; if-feature f; }"
        "augment /t:c { when \"derived-from-or-self(t:type, 'mine') or t:type = 'mine' or t:type = 't:base'\";"
        "leaf a { type string; must \"not(derived-from(../t:type, 'off'))\"; } }",
        header="import t { prefix t; }",
    )
    schema = compiled(tmp_path, target, augmenting)
    root = schema.new_root()
    container = etree.SubElement(root, "{urn:t}c")
    leaf = etree.SubElement(container, "{urn:t}type")
    (when,) = at(schema, "/t:c/m:a").whens
    leaf.text = "m:mine"
    assert when.expression.holds(container, root)
    leaf.text = "t:other"
    assert not when.expression.holds(container, root)


def test_a_must_that_a_deviation_adds(tmp_path: Path) -> None:
    target = module("container c { leaf b { type string; } leaf a { type string; } }", name="t")
    deviating = module('deviation /d:c/d:a { deviate add { must "../d:b"; } }', header="import t { prefix d; }")
    schema = compiled(tmp_path, target, deviating)
    assert at(schema, "/t:c/a").musts[0].expression.selects == {at(schema, "/t:c/b")}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a and", "unexpected"),
        ("nosuch:a", "nosuch"),
        ("nosuch(a)", "nosuch"),
        ("count()", "count"),
        ("$v", "v"),
        ("derived-from(., 'nosuch')", "nosuch"),
        ("derived-from(., 'nosuch:i')", "nosuch"),
        ("derived-from(., string(a))", "derived-from"),
        ("re-match(., '(') and " + "(" * 60 + "1" + ")" * 60, "nested too deeply"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(tmp_path: Path, expression: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as caught:
        compiled(tmp_path, module(f'\nleaf a {{ type string;\nmust "{expression}"; }}'))
    assert caught.value.problems[0][:2] == ("m", 3)
