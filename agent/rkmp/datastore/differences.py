"""Where two trees may differ, so that making them equal costs what has changed and not what there is.

A place is the path of a node by tags and keys, which means the same in both trees. Places are only ever too many.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from enum import Enum

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Key, Layout
from rkmp.datastore.reconcile import Reconciler


class _Whole(Enum):
    """In the place of a key: all entries of a list, with their order."""

    WHOLE = "whole"


_Step = tuple[str, Key | _Whole | None]
Place = tuple[_Step, ...]


class Differences:
    """The places where two trees may differ, in the order in which they were noted."""

    def __init__(self) -> None:
        self._places: dict[Place, None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, edits: Iterable[Edit]) -> None:
        """Note what has been changed in one of the trees."""
        for edit in edits:
            self._places[_place(edit)] = None

    def clear(self) -> None:
        """The trees are equal."""
        self._places.clear()

    def synchronise(self, target: DataTree, source: DataTree) -> None:
        """Change ``target`` so that it equals ``source`` at every noted place."""
        for place in self._places:
            _synchronise(target, source, place)


def _place(edit: Edit) -> Place:
    layout = edit.layout
    last: Key | _Whole | None = layout.key_of(edit.element) if layout.is_entry else None
    if layout.node.ordered_by_user and edit.kind in (EditKind.CREATED, EditKind.MOVED):
        last = _Whole.WHOLE
    steps: list[_Step] = [(layout.tag, last)]
    at: etree._Element | None = edit.parent
    above = layout.parent
    while above is not None and above.parent is not None and at is not None:
        steps.append((above.tag, above.key_of(at) if above.is_entry else None))
        at, above = at.getparent(), above.parent
    return tuple(reversed(steps))


def _synchronise(target: DataTree, source: DataTree, place: Place) -> None:
    ours, theirs = target.root, source.root
    layout = target.layouts.root
    for tag, key in place:
        layout = layout.children[tag]
        if isinstance(key, _Whole):
            Reconciler(target).make_entries_equal(ours, list(theirs.iterchildren(tag)), layout)
            return
        here, there = _find(target, ours, layout, key), _find(source, theirs, layout, key)
        if there is None:
            if here is not None:
                target.remove(here, layout)
            return
        if here is None:
            target.add(ours, copy.deepcopy(there), layout)
            return
        ours, theirs = here, there
    Reconciler(target).make_equal(ours, theirs, layout)


def _find(tree: DataTree, parent: etree._Element, layout: Layout, key: Key | None) -> etree._Element | None:
    return tree.child(parent, layout) if key is None else tree.entry(parent, layout, key)
