"""Where data may have changed: entries of lists right below a top-level node, or anywhere.

A commit that is inside of a few entries, and state that says which of its entries have changed, is looked at in a time
that does not grow with the lists. It must not know who looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

from rkmp.datastore.edits import Edit
from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.xpath.syntax import PARENT, Binary, Call, Negation, Path, Step, Syntax

MOST = 200
"""Places that are looked at one by one; more are anywhere."""


class Place(NamedTuple):
    """An entry, by the tags of its top-level node and of its list, and the values of its keys."""

    top: str
    list: str
    keys: tuple[str, ...]


Places = frozenset[Place] | None
"""None for anywhere."""

NOWHERE: Places = frozenset()


def both(one: Places, other: Places) -> Places:
    """Return where one or the other is."""
    if one is None or other is None or len(one) + len(other) > MOST:
        return None
    return one | other


def places_of(edits: Iterable[Edit]) -> Places:
    """Return the places of a commit."""
    found: set[Place] = set()
    for edit in edits:
        place = _place_of(edit)
        if place is None or len(found) > MOST:
            return None
        found.add(place)
    return frozenset(found)


def _place_of(edit: Edit) -> Place | None:
    element, node, parent = edit.element, edit.node, edit.parent
    while (above := node.data_parent) is not None and above.data_parent is not None:
        element, node = parent, above
        higher = parent.getparent()
        if higher is None:
            return None
        parent = higher
    if above is None or not is_place(node):
        return None
    return Place(above.tag, node.tag, tuple(element.findtext(key) or "" for key in node.keys))


def is_place(node: SchemaNode) -> bool:
    """Whether entries of ``node`` can be looked at one by one."""
    above = node.data_parent
    return (
        node.kind is NodeKind.LIST
        and bool(node.keys)
        and not node.ordered_by_user
        and above is not None
        and above.data_parent is None
    )


def filter_for(schema: Schema, places: Iterable[Place]) -> SubtreeFilter | None:
    """Return what selects the entries at ``places``, with the leaves beside their lists; None where nothing can.

    The leaves are what a filter or a condition may look at on its way to the entries.
    """
    bound: Mapping[str, str] = schema.nsmap
    holder = etree.Element("filter", nsmap=dict(bound))
    tops: dict[str, etree._Element] = {}
    for place in places:
        node = schema.top[place.top]
        top = tops.get(place.top)
        if top is None:
            top = tops[place.top] = etree.SubElement(holder, place.top)
            for child in node.data_children.values():
                if child.kind is NodeKind.LEAF and child.config:
                    etree.SubElement(top, child.tag)
        entry = etree.SubElement(top, place.list)
        for key, value in zip(node.data_children[place.list].keys, place.keys, strict=True):
            if not value or value != value.strip():
                # In a subtree filter it would mean something else (RFC 6241 6.2.5).
                return None
            etree.SubElement(entry, key).text = value
    return SubtreeFilter.parse(holder, schema)


@lru_cache(256)
def conditions_stay_inside(schema: Schema, top: str, list_tag: str) -> bool:
    """Whether every condition below the entries of a list looks at nothing outside of its entry."""
    entry = schema.top[top].data_children[list_tag]
    return all(
        _climb(when.expression.syntax) <= _depth(node, entry) - when.on_parent
        for node in entry.descendants()
        for when in node.whens
    )


def _depth(node: SchemaNode, entry: SchemaNode) -> int:
    depth = 0
    at: SchemaNode | None = node
    while at is not None and at is not entry:
        depth, at = depth + 1, at.data_parent
    return depth


_FAR = 1000
"""More steps up than any schema has levels."""


def _climb(tree: Syntax) -> int:
    """Return how many steps up an expression takes at most: all that are written in it."""
    match tree:
        case Call(name, arguments):
            # Where a reference leads is anywhere.
            return (_FAR if name == "deref" else 0) + sum(map(_climb, arguments))
        case Binary(_, left, right):
            return _climb(left) + _climb(right)
        case Negation(operand):
            return _climb(operand)
        case Path(absolute, steps, start, predicates):
            inner = (*([] if start is None else [start]), *predicates)
            return (_FAR if absolute else 0) + sum(map(_climb, inner)) + sum(map(_climb_of_step, steps))
        case _:
            return 0


def _climb_of_step(step: Step) -> int:
    own = 1 if step == PARENT else 0 if step.axis in ("child", "self", "descendant", "descendant-or-self") else _FAR
    return own + sum(map(_climb, step.predicates))
