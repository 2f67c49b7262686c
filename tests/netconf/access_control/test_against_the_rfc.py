"""The compiled verdicts against RFC 8341 section 3.4.5 read step by step, and what permitting everything costs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.schema.node_instance_identifier import KeyTest, parse_node_path
from rkmp.netconf.access_control.policy import AccessOperation, Policy, Rule, RuleList, RuleType
from rkmp.netconf.access_control.reading import Reader
from rkmp.netconf.access_control.rule_table import RuleTable
from tests.netconf.access_control.servers import BOX, CONTENT, b

USER = "ann"

Row: TypeAlias = "tuple[bool, str, str | None, list[AccessOperation]]"
"""A rule: whether it permits, its module, its path and its operations."""
PATHS = (
    *("/g:box/g:label", "/g:box/g:code", "/g:box/g:colour", "/g:box/g:colour[.='red']", "/g:box/g:item"),
    *("/g:box/g:item[g:name='cup']", "/g:box/g:item[g:name='pen']", "/g:box/g:item[g:name=$USER]"),
    *("/g:box/g:item/g:name", "/g:box/g:item/g:note", "/g:box/g:item[g:name='cup']/g:pin", "/g:box/g:item/g:pin"),
    *("/g:box", "/"),
)


def root_of(schema: Schema, content: str = CONTENT) -> etree._Element:
    root = schema.new_root()
    root.extend(etree.fromstring(f"<x>{content}</x>"))
    return root


def rule_of(
    schema: Schema, permits: bool, module: str, path: str | None, operations: Sequence[AccessOperation]
) -> Rule:
    if path is None:
        return Rule(permits, module, operations=frozenset(operations))
    parsed = parse_node_path(schema, path, {"g": BOX})
    return Rule(permits, module, RuleType.DATA_NODE, path=parsed, operations=frozenset(operations))


def path_matches(path: str, element: etree._Element) -> bool:
    """Whether ``path`` names the element or something above it, found by XPath on the whole tree."""
    if path == "/":
        return True
    root = element.getroottree().getroot()
    named = root.xpath(path.replace("/g:box", "/*/g:box", 1), namespaces={"g": BOX}, USER=USER)
    return any(at in named for at in (element, *element.iterancestors()))


def may_read(element: etree._Element, node: SchemaNode, rows: Sequence[Row], default: bool) -> bool:
    for permits, module, path, operations in rows:
        about_it = module in ("*", node.module) and AccessOperation.READ in operations
        if about_it and (path is None or path_matches(path, element)):
            return permits
    return not node.default_deny_all and default


def leave(schema: Schema, element: etree._Element, rows: Sequence[Row], default: bool) -> list[etree._Element]:
    """The elements below ``element`` that are to go."""
    doomed = []
    for child in element:
        node = schema.node_of(child)
        assert node is not None
        if may_read(child, node, rows, default):
            doomed += leave(schema, child, rows, default)
        else:
            doomed.append(child)
    return doomed


# Few rules are about nothing that is read; else most lists would decide nothing.
OPERATIONS = ([AccessOperation.READ], list(AccessOperation), [AccessOperation.UPDATE, AccessOperation.EXEC])


@settings(max_examples=300)
@given(
    rows=st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(["*", "*", "guarded", "ietf-netconf-acm"]),
            st.sampled_from([*PATHS, None]),
            st.sampled_from(OPERATIONS),
        ),
        min_size=2,
        max_size=8,
    ),
    default=st.sampled_from([True, True, False]),
)
def test_what_is_shown_is_what_the_steps_of_the_rfc_permit(box_schema: Schema, rows: list[Row], default: bool) -> None:
    rules = tuple(rule_of(box_schema, *row) for row in rows)
    policy = Policy(
        read_default=default, members={USER: frozenset({"staff"})}, rule_lists=(RuleList(frozenset({"*"}), rules),)
    )
    shown = root_of(box_schema)
    Reader(box_schema, RuleTable(policy, USER, frozenset(), is_recovery=False)).leave_readable_below(shown)
    expected = root_of(box_schema)
    for element in leave(box_schema, expected, rows, default):
        parent = element.getparent()
        assert parent is not None
        element.tail = None
        parent.remove(element)
    assert outline(shown) == outline(expected)


def outline(element: etree._Element) -> tuple[object, ...]:
    return element.tag, (element.text or "").strip(), tuple(outline(child) for child in element)


def test_external_groups_count_while_they_are_enabled(box_schema: Schema) -> None:
    rules = (rule_of(box_schema, False, "*", "/g:box/g:label", list(AccessOperation)),)
    label = box_schema.top[b("box")].data_children[b("label")]
    for enabled in (True, False):
        policy = Policy(external_groups=enabled, rule_lists=(RuleList(frozenset({"radius"}), rules),))
        table = RuleTable(policy, USER, frozenset({"radius"}), is_recovery=False)
        assert table.data(AccessOperation.READ, label) is not enabled


def test_permitting_everything_looks_at_no_entry(box_schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (rule_of(box_schema, True, "*", "/", list(AccessOperation)),)
    policy = Policy(members={USER: frozenset({"staff"})}, rule_lists=(RuleList(frozenset({"staff"}), rules),))
    looks: list[str] = []
    holding = RuleTable.holding

    def noted(
        table: RuleTable, element: etree._Element, node: SchemaNode, above: frozenset[KeyTest]
    ) -> frozenset[KeyTest]:
        looks.append(node.name)
        return holding(table, element, node, above)

    monkeypatch.setattr(RuleTable, "holding", noted)
    root = root_of(box_schema)
    for name in range(100):
        root[0].append(copy.deepcopy(root[0][-1]))
        root[0][-1][0].text = str(name)
    reader = Reader(box_schema, RuleTable(policy, USER, frozenset(), is_recovery=False))
    reader.leave_readable_below(root)
    assert looks == ["box"]
