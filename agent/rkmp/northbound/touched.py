"""Which entries of which lists a change of configuration touches, from its edits.

The lists are those whose entries are read into one object each. An edit above them, such as the removal of a whole
container, may touch every entry of the lists below; any other touches what is outside of the lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.schema import SchemaNode


@dataclass(slots=True)
class Touched:
    """What has to be read again.

    ``entries`` has, for each list, the touched entries by key: their elements after the change, or None where an
    entry is gone. ``whole`` are the lists of which any entry may be touched. ``others`` tells whether anything outside
    of the lists is.
    """

    entries: dict[SchemaNode, dict[str, etree._Element | None]] = field(default_factory=dict)
    whole: set[SchemaNode] = field(default_factory=set)
    others: bool = False

    @classmethod
    def by(cls, edits: Iterable[Edit], lists: Collection[SchemaNode]) -> Touched:
        """Return what ``edits`` touch; each of ``lists`` has one key, and none is inside of another."""
        touched = cls()
        for edit in edits:
            touched._add(edit, lists)
        return touched

    def _add(self, edit: Edit, lists: Collection[SchemaNode]) -> None:
        for element, node in _chain(edit):
            if node in lists:
                key = element.findtext(node.keys[0]) or ""
                entries = self.entries.setdefault(node, {})
                if element is edit.element and edit.kind is EditKind.DELETED:
                    # One that was deleted and made anew stays, in whichever order the edits tell it.
                    entries.setdefault(key, None)
                else:
                    entries[key] = element
                return
        self.others = True
        self.whole.update(node for node in lists if _is_above(edit.node, node))


def _chain(edit: Edit) -> Iterator[tuple[etree._Element, SchemaNode]]:
    """Yield the edit's element and those above it, each with its schema node."""
    element: etree._Element | None = edit.element
    node: SchemaNode | None = edit.node
    while element is not None and node is not None:
        yield element, node
        # A deleted element is in no tree any more.
        element = edit.parent if element is edit.element else element.getparent()
        node = node.data_parent


def _is_above(node: SchemaNode, below: SchemaNode) -> bool:
    above = below.data_parent
    while above is not None and above is not node:
        above = above.data_parent
    return above is not None
