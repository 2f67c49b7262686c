"""What each YANG statement makes of a schema node (RFC 7950 section 7)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.errors import InvalidValue, SchemaError
from tests.datastore.modules import at, compiled, module


def names(node: SchemaNode) -> list[str]:
    return [child.name for child in node.data_children.values()]


def test_kinds_of_data_nodes(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c; list l { key k; leaf k { type string; } } leaf a { type string; }"
            "leaf-list b { type string; } anydata d; anyxml x;"
        ),
    )
    assert {node.name: node.kind for node in schema.top.values()} == {
        "c": NodeKind.CONTAINER,
        "l": NodeKind.LIST,
        "a": NodeKind.LEAF,
        "b": NodeKind.LEAF_LIST,
        "d": NodeKind.ANYDATA,
        "x": NodeKind.ANYXML,
    }
    assert {node.name for node in schema.top.values() if node.has_text} == {"a", "b"}
    assert {node.name for node in schema.top.values() if node.is_entry} == {"l", "b"}


def test_names_and_places(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("container c { choice h { case e { leaf a { type string; } } } }"))
    leaf = at(schema, "/m:c/a")
    assert (leaf.tag, leaf.namespace, leaf.module, leaf.prefix) == ("{urn:m}a", "urn:m", "m", "m")
    assert leaf.schema_path == "/m:c/m:h/m:e/m:a"
    assert leaf.data_path == ("{urn:m}c", "{urn:m}a")
    assert repr(leaf) == "<leaf /m:c/m:h/m:e/m:a>"
    assert leaf.data_parent is at(schema, "/m:c")
    assert leaf.parent is leaf.case


def test_description_units_and_status(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'typedef t { type int8; units seconds; } leaf a { type t; description "What it is."; status deprecated; }'
            "leaf b { type t; units hours; }"
        ),
    )
    leaf = at(schema, "/m:a")
    assert (leaf.description, leaf.units, leaf.status) == ("What it is.", "seconds", "deprecated")
    assert (at(schema, "/m:b").units, at(schema, "/m:b").status) == ("hours", "current")


# Containers and lists


def test_presence(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module('container c { presence "it matters"; } container d;'))
    assert at(schema, "/m:c").presence
    assert not at(schema, "/m:d").presence


def test_keys_keep_their_order_and_mark_their_leaves(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module('list l { key "b a"; leaf a { type string; } leaf b { type string; } leaf c { type string; } }'),
    )
    entries = at(schema, "/m:l")
    assert entries.keys == ("{urn:m}b", "{urn:m}a")
    assert [child.is_key for child in entries.children] == [True, True, False]


def test_a_state_list_may_have_no_keys(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("list l { config false; leaf a { type string; } }"))
    assert at(schema, "/m:l").keys == ()


def test_a_key_that_a_uses_leaves_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError):
        compiled(
            tmp_path,
            module("feature f; grouping g { leaf k { type string; } } list l { key k; uses g { if-feature f; } }"),
        )


def test_numbers_of_elements(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf-list a { type string; min-elements 2; max-elements 3; } leaf-list b { type string; }"
            "leaf-list c { type string; max-elements unbounded; }"
        ),
    )
    limits = {node.name: (node.min_elements, node.max_elements) for node in schema.top.values()}
    assert limits == {"a": (2, 3), "b": (0, None), "c": (0, None)}


def test_order_is_the_users_only_where_users_give_the_entries(tmp_path: Path) -> None:
    entries = "leaf-list e { type string; ordered-by user; } leaf-list s { type string; ordered-by system; }"
    schema = compiled(
        tmp_path,
        module(
            f"container c {{ {entries} leaf-list d {{ type string; }} }} container t {{ config false; {entries} }}"
            f"rpc r {{ input {{ {entries} }} output {{ {entries} }} }} notification n {{ {entries} }}"
        ),
    )
    operation = at(schema, "/m:r")
    assert operation.input is not None
    assert operation.output is not None
    assert at(schema, "/m:c/e").ordered_by_user
    assert operation.input.data_children["{urn:m}e"].ordered_by_user
    for parent in (at(schema, "/m:t"), operation.output, at(schema, "/m:n")):
        assert not parent.data_children["{urn:m}e"].ordered_by_user
    for name in ("s", "d"):
        assert not at(schema, f"/m:c/{name}").ordered_by_user


def test_unique_names_leaves_through_containers_choices_and_cases(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'list l { key k; unique "a c/b"; unique "m:h/m:e/m:d"; leaf k { type string; } leaf a { type string; }'
            "container c { leaf b { type string; } } choice h { case e { leaf d { type string; } } } }"
        ),
    )
    assert at(schema, "/m:l").uniques == (
        (("{urn:m}a",), ("{urn:m}c", "{urn:m}b")),
        (("{urn:m}d",),),
    )


def test_unique_over_a_leaf_that_is_not_implemented_never_applies(tmp_path: Path) -> None:
    text = module(
        'feature f; list l { key k; unique "a b"; leaf k { type string; } leaf a { type string; }'
        "leaf b { if-feature f; type string; } }"
    )
    assert at(compiled(tmp_path, text), "/m:l").uniques == ()
    assert at(compiled(tmp_path, text, features=["f"]), "/m:l").uniques == ((("{urn:m}a",), ("{urn:m}b",)),)


# Leaves: mandatory and defaults


def test_mandatory(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf a { type string; mandatory true; } leaf b { type string; } anydata d { mandatory true; }"
            "container c { choice h { mandatory true; leaf x { type string; } } }"
        ),
    )
    assert at(schema, "/m:a").mandatory
    assert not at(schema, "/m:b").mandatory
    assert at(schema, "/m:d").mandatory
    (choice,) = at(schema, "/m:c").children
    assert choice.mandatory
    assert not at(schema, "/m:c").mandatory


def test_a_leaf_has_its_own_default_or_that_of_the_nearest_typedef(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "typedef far { type int8; default 1; } typedef near { type far; default 2; } typedef over { type near; }"
            "leaf a { type over; } leaf b { type over; default 3; } leaf c { type int8; } leaf d { type far; }"
        ),
    )
    assert {node.name: node.defaults for node in schema.top.values()} == {
        "a": ("2",),
        "b": ("3",),
        "c": (),
        "d": ("1",),
    }


def test_mandatory_nodes_and_keys_have_no_default(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "typedef t { type int8; default 1; } leaf a { type t; mandatory true; }"
            "leaf-list b { type t; min-elements 1; } list l { key k; leaf k { type t; } }"
        ),
    )
    assert [node.defaults for node in schema.data_nodes()] == [(), (), (), ()]


def test_a_default_is_kept_in_canonical_form(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            'leaf a { type int32; default 0x1F; } leaf b { type bits { bit x; bit y; } default "y  x"; }'
            "leaf c { type decimal64 { fraction-digits 3; } default 1.500; } leaf d { type uint8; default 010; }"
            "leaf e { type identityref { base i; } default j; } identity i; identity j { base i; }"
            'leaf f { type instance-identifier { require-instance false; } default "/m:a"; }'
            'leaf g { type leafref { path "../a"; } default 0x10; }'
            "leaf h { type union { type int8; type string; } default 0x0A; }"
        ),
    )
    assert {node.name: node.defaults for node in schema.top.values()} == {
        "a": ("31",),
        "b": ("x y",),
        "c": ("1.5",),
        "d": ("8",),
        "e": ("m:j",),
        "f": ("/m:a",),
        "g": ("16",),
        "h": ("10",),
    }


def test_a_default_in_a_grouping_means_what_it_means_where_it_is_written(tmp_path: Path) -> None:
    lib = module(
        "identity i; identity j { base i; } grouping g { leaf a { type identityref { base i; } default j; } }",
        name="lib",
    )
    user = module("uses l:g;", header="import lib { prefix l; }")
    schema = compiled(tmp_path, lib, user)
    assert at(schema, "/m:a").defaults == ("lib:j",)


def test_an_invalid_default_is_refused(tmp_path: Path) -> None:
    text = module('leaf a { type leafref { path "../b"; }\n\ndefault 300; } leaf b { type uint8; }')
    with pytest.raises(SchemaError, match=r"m:3: the default '300' is invalid"):
        compiled(tmp_path, text)


def test_a_leaf_list_has_all_of_its_defaults(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "typedef t { type int8; default 9; } leaf-list a { type t; default 1; default 2; } leaf-list b { type t; }"
            "leaf-list c { type int8; }"
        ),
    )
    assert {node.name: node.defaults for node in schema.top.values()} == {"a": ("1", "2"), "b": ("9",), "c": ()}


def test_a_leaf_list_of_yang_1_has_no_default(tmp_path: Path) -> None:
    text = 'module m { namespace "urn:m"; prefix m; typedef t { type int8; default 9; } leaf-list b { type t; } }'
    assert at(compiled(tmp_path, text), "/m:b").defaults == ()


# Choices


def test_cases_are_explicit_in_the_schema_and_absent_from_data(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c { choice h { default short; leaf short { type string; } case long { leaf a { type string; }"
            "leaf b { type string; } } } }"
        ),
    )
    container = at(schema, "/m:c")
    assert names(container) == ["short", "a", "b"]
    (choice,) = container.children
    assert [(case.kind, case.name) for case in choice.children] == [(NodeKind.CASE, "short"), (NodeKind.CASE, "long")]
    assert choice.default_case is choice.children[0]
    assert at(schema, "/m:c/short").case is choice.children[0]
    assert at(schema, "/m:c/b").case is choice.children[1]
    assert choice.case is None


def test_a_choice_in_a_case_belongs_to_it(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module("choice o { case e { choice i { leaf a { type string; } } } choice s { leaf b { type string; } } }"),
    )
    a = at(schema, "/m:a")
    assert a.case is not None
    assert a.case.name == "a"
    inner = a.case.parent
    assert inner is not None
    assert inner.case is not None
    assert (inner.name, inner.case.name) == ("i", "e")
    b = at(schema, "/m:b")
    assert b.case is not None
    assert b.case.case is not None
    assert (b.case.name, b.case.case.name) == ("b", "s")


def test_a_case_without_implemented_nodes_stays_only_if_it_is_written(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "feature f; container c { choice h { leaf a { if-feature f; type string; }"
            "case e { leaf b { if-feature f; type string; } } leaf d { type string; } } }"
        ),
    )
    (choice,) = at(schema, "/m:c").children
    assert [case.name for case in choice.children] == ["e", "d"]


# config, status and access


def test_config_is_inherited(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c { leaf a { type string; } container s { config false; leaf b { type string; }"
            "choice h { leaf d { type string; } } } choice i { config false; leaf e { type string; } } }"
        ),
    )
    assert {node.name: node.config for node in schema.data_nodes()} == {
        "c": True,
        "a": True,
        "s": False,
        "b": False,
        "d": False,
        "e": False,
    }


def test_config_means_nothing_in_operations_and_notifications(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "grouping g { leaf a { config true; type string; } } rpc r { input { uses g; } output { uses g; } }"
            "notification n { uses g; } container c { action q { input { uses g; } } notification o { uses g; } }"
        ),
    )
    for path in ("/m:r/a", "/m:n/a", "/m:c/q/a", "/m:c/o/a"):
        assert not at(schema, path).config
    assert at(schema, "/m:c").config


def test_access_that_nacm_denies_holds_for_everything_below(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c { nacm:default-deny-write; leaf a { nacm:default-deny-all; type string; }"
            "choice h { nacm:default-deny-all; leaf b { type string; } } leaf d { type string; } }"
            "rpc r { nacm:default-deny-all; }",
            header="import ietf-netconf-acm { prefix nacm; }",
        ),
        implemented={"m": []},
    )
    denied = {node.name: (node.default_deny_all, node.default_deny_write) for node in schema.data_nodes()}
    assert denied == {"c": (False, True), "a": (True, True), "b": (True, True), "d": (False, True)}
    assert at(schema, "/m:r").default_deny_all


# Features


@pytest.mark.parametrize(
    ("expression", "features", "implemented"),
    [
        ("f", [], False),
        ("f", ["f"], True),
        ("not f", [], True),
        ("f and g", ["f"], False),
        ("f or g", ["g"], True),
        ("f and not (g or h)", ["f"], True),
        ("f and not (g or h)", ["f", "h"], False),
    ],
)
def test_if_feature(tmp_path: Path, expression: str, features: list[str], implemented: bool) -> None:
    schema = compiled(
        tmp_path,
        module(f'feature f; feature g; feature h; leaf a {{ if-feature "{expression}"; type string; }}'),
        features=features,
    )
    assert bool(schema.top) is implemented


def test_two_if_features_must_both_hold(tmp_path: Path) -> None:
    text = module("feature f; feature g; leaf a { if-feature f; if-feature g; type string; }")
    assert not compiled(tmp_path, text, features=["f"]).top
    assert compiled(tmp_path, text, features=["f", "g"]).top


def test_if_feature_on_other_statements(tmp_path: Path) -> None:
    text = module(
        "feature f; grouping g { leaf a { type string; } } container u { uses g { if-feature f; } }"
        "container t; augment /t { if-feature f; leaf b { type string; } } rpc r { if-feature f; }"
        "notification n { if-feature f; } container q { action x { if-feature f; } notification y { if-feature f; } }"
        "identity i; identity j { base i; if-feature f; } leaf k { type identityref { base i; } }"
        "container v { uses g { refine a { if-feature f; } } }"
    )
    off, on = compiled(tmp_path, text), compiled(tmp_path, text, features=["f"])

    def accepts(schema: Schema, value: str) -> bool:
        value_type = at(schema, "/m:k").type
        assert value_type is not None
        try:
            return bool(value_type.check(value, schema.value_namespaces))
        except InvalidValue:
            return False

    def found(schema: Schema) -> list[bool]:
        q = at(schema, "/m:q")
        return [
            *(bool(at(schema, path).children) for path in ("/m:u", "/m:t", "/m:v")),
            *(bool(kind) for kind in (schema.rpcs, schema.notifications, q.actions, q.notifications)),
            accepts(schema, "m:j"),
        ]

    assert found(off) == [False] * 8
    assert found(on) == [True] * 8


def test_a_feature_of_another_module(tmp_path: Path) -> None:
    lib = module("feature f;", name="lib")
    user = module("leaf a { if-feature l:f; type string; }", header="import lib { prefix l; }")
    assert compiled(tmp_path, lib, user, implemented={"m": [], "lib": ["f"]}).top
    assert not compiled(tmp_path, lib, user, implemented={"m": [], "lib": []}).top
    assert not compiled(tmp_path, lib, user, implemented={"m": []}).top


# Groupings, refine, augment


def test_a_grouping_takes_the_namespace_of_the_module_that_uses_it(tmp_path: Path) -> None:
    lib = module("grouping g { container c { leaf a { type t; } } } typedef t { type int8; default 4; }", name="lib")
    user = module("uses l:g;", header="import lib { prefix l; }")
    schema = compiled(tmp_path, lib, user, implemented={"m": []})
    assert at(schema, "/m:c/a").namespace == "urn:m"
    assert at(schema, "/m:c/a").defaults == ("4",)


def test_groupings_nest_and_are_independent_of_each_other(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "grouping i { leaf a { type string; } } grouping o { container c { uses i; } }"
            "container x { uses o { refine c/a { default one; } } } container y { uses o; }"
        ),
    )
    assert at(schema, "/m:x/c/a").defaults == ("one",)
    assert at(schema, "/m:y/c/a").defaults == ()


def test_refine_changes_what_it_names(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "grouping g { container c { leaf a { type string; default g; description old; must ../b; }"
            "leaf b { type string; } leaf-list e { type string; } choice h { default x; leaf x { type string; }"
            "leaf y { type string; } } container p; leaf s { type string; } } }"
            'uses g { refine c/a { default r; description new; must "../s"; } refine c/b { mandatory true; }'
            "refine c/e { min-elements 1; max-elements 2; } refine c/h { default y; }"
            'refine c/p { presence "now"; } refine c/s { config false; } }'
        ),
    )
    a = at(schema, "/m:c/a")
    assert (a.defaults, a.description) == (("r",), "new")
    assert [must.expression.text for must in a.musts] == ["../b", "../s"]
    assert at(schema, "/m:c/b").mandatory
    assert (at(schema, "/m:c/e").min_elements, at(schema, "/m:c/e").max_elements) == (1, 2)
    (choice,) = (child for child in at(schema, "/m:c").children if child.kind is NodeKind.CHOICE)
    assert choice.default_case is not None
    assert choice.default_case.name == "y"
    assert at(schema, "/m:c/p").presence
    assert not at(schema, "/m:c/s").config


def test_refine_replaces_all_defaults_of_a_leaf_list(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "grouping g { leaf-list a { type string; default one; default two; } }"
            "grouping h { uses g { refine a { default three; } } }"
            "container x { uses g { refine a { default six; } } } container y { uses h; } container z { uses g; }"
            "container w { uses h { refine a { default seven; } } }"
        ),
    )
    assert at(schema, "/m:x/a").defaults == ("six",)
    assert at(schema, "/m:y/a").defaults == ("three",)
    assert at(schema, "/m:z/a").defaults == ("one", "two")
    assert at(schema, "/m:w/a").defaults == ("seven",)


def test_augment_of_another_module(tmp_path: Path) -> None:
    target = module("container c { choice h { leaf x { type string; } } leaf last { type string; } }", name="t")
    augmenting = module(
        "augment /t:c { leaf a { type string; } } augment /t:c/t:h { leaf y { type string; }"
        "case z { leaf z1 { type string; } } }",
        header="import t { prefix t; }",
    )
    schema = compiled(tmp_path, target, augmenting)
    assert [(node.namespace, node.name) for node in at(schema, "/t:c").data_children.values()] == [
        ("urn:t", "x"),
        ("urn:m", "y"),
        ("urn:m", "z1"),
        ("urn:t", "last"),
        ("urn:m", "a"),
    ]
    y = at(schema, "/t:c/m:y")
    assert y.case is not None
    assert (y.case.namespace, y.case.name) == ("urn:m", "y")
    assert y.case.parent is at(schema, "/t:c/x").case.parent  # type: ignore[union-attr]


def test_augment_of_operations_and_notifications(tmp_path: Path) -> None:
    target = module("rpc r { input { leaf a { type string; } } } notification n { leaf a { type string; } }", name="t")
    augmenting = module(
        "augment /t:r/t:input { leaf b { type string; } } augment /t:r/t:output { leaf c { type string; } }"
        "augment /t:n { leaf d { type string; } }",
        header="import t { prefix t; }",
    )
    schema = compiled(tmp_path, target, augmenting)
    operation = at(schema, "/t:r")
    assert operation.input is not None
    assert operation.output is not None
    assert names(operation.input) == ["a", "b"]
    assert names(operation.output) == ["c"]
    assert names(at(schema, "/t:n")) == ["a", "d"]


def test_augment_in_uses(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("grouping g { container c; } uses g { augment c { leaf a { type string; } } }"))
    assert names(at(schema, "/m:c")) == ["a"]


def test_an_augment_of_an_augment(tmp_path: Path) -> None:
    target = module("container c;", name="t")
    first = module("augment /t:c { container d; }", name="u", header="import t { prefix t; }")
    second = module(
        "augment /t:c/u:d { leaf a { type string; } }", header="import t { prefix t; } import u { prefix u; }"
    )
    schema = compiled(tmp_path, target, first, second)
    assert at(schema, "/t:c/u:d/m:a").data_path == ("{urn:t}c", "{urn:u}d", "{urn:m}a")


# Deviations


def deviated(tmp_path: Path, target: str, path: str, deviate: str) -> Schema:
    return compiled(
        tmp_path,
        module(target, name="t"),
        module(f'deviation "{path}" {{ {deviate} }}', header="import t { prefix t; }"),
    )


def test_deviate_not_supported(tmp_path: Path) -> None:
    schema = deviated(
        tmp_path,
        "container c { leaf a { type string; } leaf b { type string; } }",
        "/t:c/t:a",
        "deviate not-supported;",
    )
    assert names(at(schema, "/t:c")) == ["b"]


def test_deviate_not_supported_takes_a_short_case_away(tmp_path: Path) -> None:
    schema = deviated(
        tmp_path,
        "container c { choice h { leaf a { type string; } leaf b { type string; } } }",
        "/t:c/t:h/t:a/t:a",
        "deviate not-supported;",
    )
    assert [case.name for case in at(schema, "/t:c").children[0].children] == ["b"]


def test_deviate_add_replace_and_delete(tmp_path: Path) -> None:
    schema = deviated(tmp_path, "leaf a { type string; }", "/t:a", 'deviate add { default x; must "../t:a"; }')
    assert at(schema, "/t:a").defaults == ("x",)
    assert len(at(schema, "/t:a").musts) == 1
    schema = deviated(tmp_path, "leaf a { type string; default x; }", "/t:a", "deviate replace { default y; }")
    assert at(schema, "/t:a").defaults == ("y",)
    schema = deviated(tmp_path, "leaf a { type string; default x; }", "/t:a", "deviate delete { default x; }")
    assert at(schema, "/t:a").defaults == ()
    schema = deviated(tmp_path, "leaf-list a { type string; }", "/t:a", "deviate add { max-elements 4; }")
    assert at(schema, "/t:a").max_elements == 4


def test_deviate_replaces_a_type_by_one_of_its_own_module(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module("leaf a { type string; }", name="t"),
        module(
            "typedef small { type uint8 { range 1..3; } default 2; }deviation /t:a { deviate replace { type small; } }",
            header="import t { prefix t; }",
        ),
    )
    leaf = at(schema, "/t:a")
    assert leaf.type is not None
    assert leaf.type.check("3", {}) == "3"
    assert leaf.defaults == ("2",)


def test_deviate_replaces_config(tmp_path: Path) -> None:
    schema = deviated(tmp_path, "container c { leaf a { type string; } }", "/t:c", "deviate replace { config false; }")
    assert not at(schema, "/t:c").config
    assert not at(schema, "/t:c/a").config


def test_a_leafref_to_what_a_deviation_takes_away_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="does not lead to a leaf"):
        deviated(
            tmp_path,
            'leaf a { type leafref { path "../b"; } } leaf b { type string; }',
            "/t:b",
            "deviate not-supported;",
        )


# Operations and notifications


def test_operations(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "rpc r { input { leaf a { type string; mandatory true; } } output { leaf b { type string; } } } rpc bare;"
            "list l { key k; leaf k { type string; } action q { input { leaf c { type string; } } } }"
        ),
    )
    assert set(schema.rpcs) == {"{urn:m}r", "{urn:m}bare"}
    assert schema.top.keys() == {"{urn:m}l"}
    operation = at(schema, "/m:r")
    assert operation.input is not None
    assert operation.output is not None
    assert operation.input.data_children["{urn:m}a"].mandatory
    assert operation.output.data_children["{urn:m}b"].data_path == ("{urn:m}r", "{urn:m}b")
    bare = at(schema, "/m:bare")
    assert bare.input is not None
    assert bare.output is not None
    assert bare.input.data_children == bare.output.data_children == {}
    entries = at(schema, "/m:l")
    action = entries.actions["{urn:m}q"]
    assert (action.kind, action.data_parent) == (NodeKind.ACTION, entries)
    assert "{urn:m}q" not in entries.data_children
    assert at(schema, "/m:l/q/c").data_path == ("{urn:m}l", "{urn:m}q", "{urn:m}c")


def test_notifications(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module("notification n { leaf a { type string; } } container c { notification o { leaf b { type string; } } }"),
    )
    assert set(schema.notifications) == {"{urn:m}n"}
    inside = at(schema, "/m:c").notifications["{urn:m}o"]
    assert (inside.kind, names(inside)) == (NodeKind.NOTIFICATION, ["b"])
    assert at(schema, "/m:c/o/b").data_parent is inside


def test_typedefs_groupings_and_structures_make_no_nodes(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "typedef t { type string; } grouping g { leaf a { type t; } } sx:structure s { leaf b { type t; } }",
            header="import ietf-yang-structure-ext { prefix sx; }",
        ),
        implemented={"m": []},
    )
    assert schema.top == {}


# The schema as a whole


def test_walks_and_look_ups(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container c { leaf a { type string; } container d { leaf b { type string; } } } leaf e { type string; }"
        ),
    )
    assert [node.name for node in schema.data_nodes()] == ["c", "a", "d", "b", "e"]
    assert [node.name for node in at(schema, "/m:c").descendants()] == ["a", "d", "b"]
    assert schema.node_at(["{urn:m}c", "{urn:m}nosuch"]) is None
    assert schema.node_at(["{urn:other}c"]) is None
    assert schema.node_at([]) is None
    assert schema.root.data_children is schema.top
    module_of = schema.module_of("urn:m")
    assert module_of is not None
    assert module_of.name == "m"
    assert schema.module_of("urn:nosuch") is None
    with pytest.raises(KeyError):
        schema.prefix_of("urn:nosuch")


def test_the_node_of_an_element(tmp_path: Path) -> None:
    schema = compiled(tmp_path, module("container c { leaf a { type string; } }"))
    root = schema.new_root()
    c = etree.SubElement(root, "{urn:m}c")
    a = etree.SubElement(c, "{urn:m}a")
    stranger = etree.SubElement(c, "{urn:m}x")
    assert schema.node_of(a) is at(schema, "/m:c/a")
    assert schema.node_of(c) is at(schema, "/m:c")
    assert schema.node_of(stranger) is None
