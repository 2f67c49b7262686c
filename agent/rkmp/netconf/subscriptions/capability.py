"""Which nodes of the operational datastore are on-change capable (RFC 8641 sections 3.3 and 3.10).

Configuration is: every change of it is a commit. State is, where whoever provides it says that it will tell of
changes, but for nodes that are excepted because they change all the time. Everything else is left out of what
on-change subscriptions send.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode


@dataclass(frozen=True, slots=True)
class _Level:
    """What becomes of the children of an instance: ``dropped`` ones go, ``mixed`` ones are looked into."""

    dropped: tuple[str, ...]
    mixed: tuple[SchemaNode, ...]


class OnChangeNodes:
    """The nodes of one schema that are on-change capable."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # By the top-level node whose state is told of: the nodes below that are not, as paths of tags.
        self._excepted: dict[str, frozenset[tuple[str, ...]]] = {}
        self._levels: dict[SchemaNode, _Level] = {}
        self._extents: dict[SchemaNode, tuple[bool, bool]] = {}

    def declare(self, tag: str, excepted: Collection[tuple[str, ...]]) -> None:
        """Have the state below the top-level node ``tag`` be on-change capable, but for the nodes at ``excepted``.

        Raises ValueError for a path that leads nowhere.
        """
        for path in excepted:
            if self._schema.node_at(path) is None:
                raise ValueError(f"no node at {'/'.join(path)}")
        self._excepted[tag] = frozenset(excepted)
        self._levels.clear()
        self._extents.clear()

    def includes(self, node: SchemaNode) -> bool:
        """Whether ``node`` is on-change capable, or anything below it."""
        return self._extent(node)[0]

    def prune(self, tree: etree._Element) -> None:
        """Take everything that is not on-change capable out of ``tree``, a ``config`` element."""
        self._prune(tree, self._schema.root)

    def _prune(self, element: etree._Element, node: SchemaNode) -> None:
        level = self._level(node)
        if level.dropped:
            for child in list(element.iterchildren(*level.dropped)):
                element.remove(child)
        for child_node in level.mixed:
            for child in element.iterchildren(child_node.tag):
                self._prune(child, child_node)

    def _level(self, node: SchemaNode) -> _Level:
        level = self._levels.get(node)
        if level is None:
            extents = [(child, *self._extent(child)) for child in node.data_children.values()]
            level = self._levels[node] = _Level(
                tuple(child.tag for child, any_of, _ in extents if not any_of),
                tuple(child for child, any_of, all_of in extents if any_of and not all_of),
            )
        return level

    def _extent(self, node: SchemaNode) -> tuple[bool, bool]:
        """Return whether any, and whether all, of what is at and below ``node`` is capable."""
        found = self._extents.get(node)
        if found is None:
            found = self._extents[node] = self._find_extent(node)
        return found

    def _find_extent(self, node: SchemaNode) -> tuple[bool, bool]:
        path = node.data_path
        excepted = self._excepted.get(path[0])
        if not node.config and (excepted is None or path in excepted or _is_nameless(node)):
            return False, False
        children = [self._extent(child) for child in node.data_children.values()]
        every = all(all_of for _, all_of in children)
        # A node that is there for its content alone tells of nothing by itself.
        is_structural = node.kind is NodeKind.CONTAINER and not node.presence
        return (not is_structural) or any(any_of for any_of, _ in children), every


def _is_nameless(node: SchemaNode) -> bool:
    """Whether it is a list at the top whose entries no path can name."""
    return node.data_parent is None and node.kind is NodeKind.LIST and not node.keys
