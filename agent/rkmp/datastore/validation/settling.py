"""Conditions of nodes that are there, after an edit (RFC 7950 8.2 and 8.3.2).

A node whose ``when`` has become false is deleted; one that the request itself gives content to is an error instead.
Deletions can make further conditions false, so it goes on until nothing changes. Where one false condition may hang on
another, what is to be deleted goes first (RFC 7950 7.21.5: referenced conditions are evaluated first).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import drop_empty_containers
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.journal import Journal
from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import path_of
from rkmp.datastore.validation.accessible_tree import AccessibleTree, WhenCheck
from rkmp.datastore.validation.affected import Affected
from rkmp.datastore.validation.constraints import Constraints
from rkmp.datastore.validation.run import holds_for
from rkmp.datastore.validation.screening import Screens, is_long, renewed_lists
from rkmp.errors import RpcError

_False = dict[etree._Element, WhenCheck]


def settle(
    constraints: Constraints,
    screens: Screens,
    tree: DataTree,
    journal: Journal,
    mentioned: Iterable[etree._Element] | None,
) -> list[RpcError]:
    """Delete what an edit has made invalid by its conditions; return the errors of what may not be deleted.

    ``mentioned`` are existing nodes to which the request gives content. None: nothing may be deleted, because a whole
    configuration was given. Errors leave the tree to whoever undoes the journal.
    """
    if not constraints.whens:
        return []
    kept = None if mentioned is None else set(mentioned)
    while True:
        edits = journal.edits()
        found = _false_conditions(constraints, screens, tree, edits)
        created = {edit.element for edit in edits if edit.kind is EditKind.CREATED}
        refused = {
            element: check for element, check in found.items() if kept is None or _is_given(element, kept, created)
        }
        deletable = [(element, check.layout) for element, check in found.items() if element not in refused]
        if not deletable:
            return [
                rejections.condition_false(path_of(element, check.layout), check.layout.node.name, check.condition.text)
                for element, check in refused.items()
            ]
        _delete(tree, deletable)


def _false_conditions(constraints: Constraints, screens: Screens, tree: DataTree, edits: Sequence[Edit]) -> _False:
    found: _False = {}
    done: set[tuple[WhenCheck, etree._Element]] = set()
    renewed = renewed_lists(tree, edits)
    covered: set[Layout] = set()

    def evaluate(check: WhenCheck, element: etree._Element) -> None:
        if (check, element) not in done:
            done.add((check, element))
            if not holds_for(check, element, accessible):
                found.setdefault(element, check)

    def walk(element: etree._Element, layout: Layout) -> None:
        for check in constraints.whens.get(layout.node, ()):
            evaluate(check, element)
        for child in constraints.conditional_below(layout):
            if child.is_list and is_long(element, child):
                walk_list(element, child)
            else:
                for instance in element.iterchildren(child.tag):
                    walk(instance, child)

    def walk_list(parent: etree._Element, layout: Layout) -> None:
        screen = screens.of(layout, whens_only=True)
        for entry in screen.suspects(parent, tree.root):
            walk(entry, layout)
        for check, instances in screen.everywhere(parent):
            if isinstance(check, WhenCheck):
                for instance in instances:
                    evaluate(check, instance)

    with AccessibleTree(tree, constraints.whens) as accessible:
        affected = Affected(constraints.layouts, accessible)
        for parent, layout in renewed:
            walk_list(parent, layout)
            if layout.is_in_one_place:
                covered.update((layout, *layout.descendants()))
        for edit in edits:
            if edit.kind is EditKind.CREATED:
                if (edit.parent, edit.layout) not in renewed:
                    walk(edit.element, edit.layout)
            elif edit.kind is EditKind.CHANGED:
                for own in constraints.whens.get(edit.node, ()):
                    evaluate(own, edit.element)
            for dependent in constraints.affected_by(edit.layout, value_only=edit.kind is EditKind.CHANGED):
                check = dependent.check
                if isinstance(check, WhenCheck) and check.layout not in covered:
                    for element in affected.instances(edit, dependent):
                        evaluate(check, element)
        for always in constraints.always:
            if isinstance(always, WhenCheck):
                for element in tree.instances(always.layout):
                    evaluate(always, element)
    return found


def _is_given(element: etree._Element, mentioned: set[etree._Element], created: set[etree._Element]) -> bool:
    """Whether the request gives content to a node, itself or as part of something new."""
    if element in mentioned or element in created:
        return True
    return any(ancestor in created for ancestor in element.iterancestors())


def _delete(tree: DataTree, nodes: Iterable[tuple[etree._Element, Layout]]) -> None:
    emptied = []
    for element, layout in nodes:
        parent = element.getparent()
        # With something above it, it may be gone already.
        if parent is None or not tree.is_attached(element) or layout.parent is None:
            continue
        tree.remove(element, layout)
        emptied.append((parent, layout.parent))
    drop_empty_containers(tree, emptied)
