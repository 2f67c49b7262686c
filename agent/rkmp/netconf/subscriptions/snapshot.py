"""What a subscriber has been told last, held so that it can be compared entry by entry with what there is."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.netconf.subscriptions.changes import Change, Comparison
from rkmp.netconf.subscriptions.places import Place

_Entries = dict[tuple[str, ...], etree._Element]


class Snapshot:
    """A ``config`` element; its entries are found by their keys."""

    def __init__(self, schema: Schema, tree: etree._Element) -> None:
        self.tree = tree
        self._schema = schema
        self._entries: dict[tuple[str, str], _Entries] = {}

    def changes_at(self, now: etree._Element, places: Iterable[Place]) -> list[Change] | None:
        """Return what has changed at ``places``, and of state beside their lists; ``now`` has just that.

        None where only a look at everything can tell.
        """
        comparison, found = Comparison(self._schema), list[Change]()
        later = Snapshot(self._schema, now)
        for top in dict.fromkeys(place.top for place in places):
            before, there = self.tree.find(top), now.find(top)
            if before is None and there is not None:
                return None
            if before is not None:
                empty = etree.Element(top) if there is None else there
                found += comparison.state_beside_lists(self._schema.top[top], before, empty)
        for place in places:
            node = self._schema.top[place.top].data_children[place.list]
            found += comparison.entry(node, self._entry(place), later._entry(place))
        return found

    def adopt(self, now: etree._Element, places: Iterable[Place]) -> None:
        """Hold at ``places``, and of state beside their lists, what ``now`` has, which is given away."""
        later = Snapshot(self._schema, now)
        for top in dict.fromkeys(place.top for place in places):
            before, there = self.tree.find(top), now.find(top)
            if before is not None:
                _replace_state(self._schema.top[top], before, there)
        for place in places:
            before, there = self._entry(place), later._entry(place)
            entries = self._entries[place.top, place.list]
            parent = self.tree.find(place.top)
            if before is not None and parent is not None:
                parent.remove(before)
                del entries[place.keys]
            if there is not None and parent is not None:
                parent.append(there)
                entries[place.keys] = there

    def _entry(self, place: Place) -> etree._Element | None:
        entries = self._entries.get((place.top, place.list))
        if entries is None:
            top = self.tree.find(place.top)
            keys = self._schema.top[place.top].data_children[place.list].keys
            entries = self._entries[place.top, place.list] = {
                tuple(entry.findtext(key) or "" for key in keys): entry
                for entry in ([] if top is None else top.iterchildren(place.list))
            }
        return entries.get(place.keys)


def _replace_state(node: SchemaNode, before: etree._Element, now: etree._Element | None) -> None:
    tags = [child.tag for child in node.data_children.values() if not child.config and not child.is_entry]
    if not tags:
        return
    for element in list(before.iterchildren(*tags)):
        before.remove(element)
    if now is not None:
        before.extend(list(now.iterchildren(*tags)))
