"""What has changed between two snapshots of a datastore, as the edits of a YANG patch (RFC 8641 section 3.5.2).

Trees in, changes out: the topmost node that was created or deleted, a leaf with another value, an entry of a
user-ordered list that was inserted or moved. It must not know subscriptions, access or time.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.netconf.subscriptions.resource_path import step

Key = tuple[str, ...]
"""The values of all keys of an entry, or the one of a leaf-list entry."""

_OPAQUE = (NodeKind.ANYDATA, NodeKind.ANYXML)


class ChangeType(Enum):
    """``change-type`` of ietf-yang-push, in the words of a YANG patch."""

    CREATE = "create"
    DELETE = "delete"
    INSERT = "insert"
    MOVE = "move"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Change:
    """One edit. ``value`` is the node as it is now, None where it is gone.

    ``after`` is for what is inserted or moved: the path of the entry before it, None for the first place.
    """

    type: ChangeType
    target: str
    value: etree._Element | None = None
    after: str | None = None


def changes(schema: Schema, before: etree._Element, now: etree._Element) -> list[Change]:
    """Return the changes that lead from one ``config`` element to another, in an order to be applied in."""
    return list(Comparison(schema).children(schema.root, before, now, ""))


class _Unaddressable(Exception):
    """Something has changed that no path can name: an entry without a key, or one that is there twice."""


class Comparison:
    """Finds changes between elements of two trees of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def children(self, node: SchemaNode, before: etree._Element, now: etree._Element, path: str) -> Iterator[Change]:
        """Yield the changes below two instances of ``node``. Raises _Unaddressable."""
        earlier, later = _by_tag(before), _by_tag(now)
        for tag in dict.fromkeys((*earlier, *later)):
            child = node.data_children.get(tag)
            if child is not None:
                one = self._entries if child.is_entry else self._single
                yield from one(child, earlier.get(tag, []), later.get(tag, []), path)

    def entry(self, node: SchemaNode, before: etree._Element | None, now: etree._Element | None) -> Iterator[Change]:
        """Yield the changes of one entry of a list in no order of its users, right below a top-level node."""
        element = now if now is not None else before
        if element is None:
            return
        above = f"/{step(self._schema, node.data_parent, element)}" if node.data_parent is not None else ""
        path = self._path(above, node, element)
        if before is None:
            yield Change(ChangeType.CREATE, path, now)
        elif now is None:
            yield Change(ChangeType.DELETE, path)
        elif _octets(before) != _octets(now):
            yield from self._same(node, before, now, path)

    def state_beside_lists(self, node: SchemaNode, before: etree._Element, now: etree._Element) -> Iterator[Change]:
        """Yield the changes of state below the top-level ``node`` that is in no list."""
        path = f"/{step(self._schema, node, now)}"
        for child in node.data_children.values():
            if not child.config and not child.is_entry:
                earlier, later = list(before.iterchildren(child.tag)), list(now.iterchildren(child.tag))
                if earlier or later:
                    yield from self._single(child, earlier, later, path)

    def _single(
        self, node: SchemaNode, before: Sequence[etree._Element], now: Sequence[etree._Element], path: str
    ) -> Iterator[Change]:
        target = f"{path}/{step(self._schema, node, (now or before)[0])}"
        if not before:
            yield Change(ChangeType.CREATE, target, now[0])
        elif not now:
            yield Change(ChangeType.DELETE, target)
        else:
            yield from self._same(node, before[0], now[0], target)

    def _same(self, node: SchemaNode, before: etree._Element, now: etree._Element, target: str) -> Iterator[Change]:
        """Yield the changes of a node that is in both trees."""
        if node.has_text:
            if (before.text or "") != (now.text or ""):
                yield Change(ChangeType.REPLACE, target, now)
        elif node.kind in _OPAQUE:
            if _canonical(before) != _canonical(now):
                yield Change(ChangeType.REPLACE, target, now)
        else:
            try:
                yield from list(self.children(node, before, now, target))
            except _Unaddressable:
                # The nearest node above that has a name is sent whole.
                yield Change(ChangeType.REPLACE, target, now)

    def _entries(
        self, node: SchemaNode, before: Sequence[etree._Element], now: Sequence[etree._Element], path: str
    ) -> Iterator[Change]:
        earlier, later = _keyed(node, before), _keyed(node, now)
        if earlier is None or later is None:
            if [_canonical(element) for element in before] != [_canonical(element) for element in now]:
                raise _Unaddressable
            return
        for key, element in earlier.items():
            if key not in later:
                yield Change(ChangeType.DELETE, self._path(path, node, element))
        unmoved = _unmoved(earlier, later) if node.ordered_by_user else later.keys()
        previous: etree._Element | None = None
        for key, element in later.items():
            there = earlier.get(key)
            if there is None:
                kind = ChangeType.INSERT if node.ordered_by_user else ChangeType.CREATE
                yield self._placed(kind, path, node, element, previous)
            else:
                if key not in unmoved:
                    yield self._placed(ChangeType.MOVE, path, node, element, previous)
                # Most entries of a large list are what they were, which their octets tell soonest.
                if not node.has_text and _octets(there) != _octets(element):
                    yield from self._same(node, there, element, self._path(path, node, element))
            previous = element if node.ordered_by_user else None

    def _placed(
        self,
        kind: ChangeType,
        path: str,
        node: SchemaNode,
        element: etree._Element,
        previous: etree._Element | None,
    ) -> Change:
        after = None if previous is None else self._path(path, node, previous)
        return Change(kind, self._path(path, node, element), element, after)

    def _path(self, above: str, node: SchemaNode, element: etree._Element) -> str:
        return f"{above}/{step(self._schema, node, element)}"


def is_covered(target: str, by: Sequence[str] | set[str] | dict[str, Change]) -> bool:
    """Whether a node above ``target`` is among ``by``."""
    end = target.rfind("/")
    while end > 0:
        if target[:end] in by:
            return True
        end = target.rfind("/", 0, end)
    return False


def _by_tag(element: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for child in element.iterchildren(tag=etree.Element):
        found.setdefault(str(child.tag), []).append(child)
    return found


def _keyed(node: SchemaNode, elements: Sequence[etree._Element]) -> dict[Key, etree._Element] | None:
    """Return entries by what tells them apart; None where one has no key, or that of another."""
    if node.kind is NodeKind.LIST and not node.keys:
        return None
    keyed: dict[Key, etree._Element]
    if node.kind is NodeKind.LEAF_LIST:
        keyed = {(element.text or "",): element for element in elements}
    else:
        keyed = {tuple(element.findtext(key) or "" for key in node.keys): element for element in elements}
    return keyed if len(keyed) == len(elements) else None


def _octets(element: etree._Element) -> bytes:
    return etree.tostring(element, with_tail=False)


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True)


def _unmoved(earlier: Mapping[Key, etree._Element], later: Mapping[Key, etree._Element]) -> set[Key]:
    """Return as many entries as can stay in their places while the others move: a longest increasing subsequence."""
    places = {key: place for place, key in enumerate(earlier)}
    common = [key for key in later if key in places]
    ends: list[int] = []
    end_keys: list[Key] = []
    above: dict[Key, Key | None] = {}
    for key in common:
        at = bisect.bisect_left(ends, places[key])
        above[key] = end_keys[at - 1] if at else None
        ends[at : at + 1] = [places[key]]
        end_keys[at : at + 1] = [key]
    found: set[Key] = set()
    key_at = end_keys[-1] if end_keys else None
    while key_at is not None:
        found.add(key_at)
        key_at = above[key_at]
    return found
