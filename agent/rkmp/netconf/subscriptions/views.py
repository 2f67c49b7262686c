"""Datastores as subscribers see them: what a filter selects of what the user may read, at one moment.

The same content as a retrieval of the datastore would give (RFC 8641 section 3.7). Every look is a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from functools import lru_cache

from lxml import etree

from rkmp.datastore.datastores import NAMES, Datastores
from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.netconf.access_control import Reader
from rkmp.netconf.operational import OperationalState
from rkmp.netconf.subscriptions.capability import OnChangeNodes
from rkmp.netconf.subscriptions.filters import DataFilter, reaches
from rkmp.netconf.subscriptions.places import Place, conditions_stay_inside, filter_for

OPERATIONAL = "operational"
INTENDED = "intended"
SUBSCRIBABLE = (*NAMES, INTENDED, OPERATIONAL)
ON_CHANGE = ("running", INTENDED, OPERATIONAL)
"""Datastores that change by commits, all of which are told of."""


class Views:
    """Looks at the datastores of one server."""

    def __init__(self, datastores: Datastores, state: OperationalState, capable: OnChangeNodes) -> None:
        self._datastores = datastores
        self._state = state
        self._capable = capable

    def look(self, datastore: str, data_filter: DataFilter, reader: Reader, *, on_change: bool) -> etree._Element:
        """Return a new ``config`` element with what is selected and may be read.

        With ``on_change``, without the nodes that are not on-change capable. Raises Refusal for a filter that cannot
        be applied under what the user may read now, RpcError for one that costs too much.
        """
        schema = self._datastores.schema
        selection = data_filter.selection(reader)
        if datastore == OPERATIONAL:
            tops = frozenset(
                tag for tag, node in schema.top.items() if reaches(selection, node) and self._shows(tag, selection)
            )
            needed = tops | _conditions_on(schema, tops)
            tree = self._state.values_in_use(schema, self._datastores.tree("running"), lambda tag: tag in needed)
            for element in list(tree):
                if element.tag not in tops:
                    tree.remove(element)
            if on_change:
                self._capable.prune(tree)
        else:
            name = "running" if datastore == INTENDED else datastore
            if selection is not None and not selection.wants_readable:
                tree = self._datastores.select(name, selection.filter)
                reader.leave_readable_below(tree)
                return tree
            tree = copy.deepcopy(self._datastores.tree(name))
        reader.leave_readable_below(tree)
        return tree if selection is None else selection.apply_to_readable(tree)

    def look_at(
        self, datastore: str, data_filter: DataFilter, reader: Reader, places: Collection[Place], *, on_change: bool
    ) -> etree._Element | None:
        """Return the same at ``places`` alone, with state beside their lists; None where that takes a whole look."""
        schema = self._datastores.schema
        selection = data_filter.selection(reader)
        if not (selection is None or selection.is_local):
            return None
        entries = filter_for(schema, places)
        if entries is None:
            return None
        tree = self._datastores.select("running", entries)
        if datastore == OPERATIONAL:
            if not all(conditions_stay_inside(schema, place.top, place.list) for place in places):
                return None
            in_use = self._state.entries_in_use(schema, tree, _by_top(places))
            if in_use is None:
                return None
            tree = in_use
            if on_change:
                self._capable.prune(tree)
        reader.leave_readable_below(tree)
        return tree if selection is None else selection.apply_to_readable(tree)

    def is_affected(self, datastore: str, data_filter: DataFilter, reader: Reader, tags: Collection[str]) -> bool:
        """Whether a change at or below one of the top-level nodes ``tags`` can change what is seen."""
        if any(data_filter.selects(reader, tag) for tag in tags):
            return True
        if datastore != OPERATIONAL:
            return False
        schema = self._datastores.schema
        tops = frozenset(tag for tag in schema.top if data_filter.selects(reader, tag))
        return not _conditions_on(schema, tops).isdisjoint(tags)

    def _shows(self, tag: str, selection: object | None) -> bool:
        return selection is not None or self._state.selects_by_default(tag)


def _by_top(places: Collection[Place]) -> dict[str, frozenset[tuple[str, tuple[str, ...]]]]:
    return {
        top: frozenset((place.list, place.keys) for place in places if place.top == top)
        for top in dict.fromkeys(place.top for place in places)
    }


@lru_cache(64)
def _conditions_on(schema: Schema, tops: frozenset[str]) -> frozenset[str]:
    """Return the top-level nodes that conditions below ``tops`` look at, and theirs: they decide on defaults in use."""
    found: set[str] = set()
    asked = list(tops)
    while asked:
        top = schema.top[asked.pop()]
        for when in (when for node in (top, *top.descendants()) for when in node.whens):
            if not when.expression.exact:
                return frozenset(schema.top)
            read = {_top_of(each).tag for each in when.expression.reads if each is not schema.root}
            asked += read - found - tops
            found |= read
    return frozenset(found)


def _top_of(node: SchemaNode) -> SchemaNode:
    while node.data_parent is not None:
        node = node.data_parent
    return node
