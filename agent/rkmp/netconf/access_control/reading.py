"""What one user is shown of data: denied nodes are left out in silence (RFC 8341 sections 3.2.4 and 3.4.5).

For each schema node it is found once whether everything below an instance may be shown, nothing, or some; only the
last is looked into. A denied node goes with all that is below it, whatever rules say about that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.node_instance_identifier import SELF_TAG
from rkmp.netconf.access_control.policy import AccessOperation
from rkmp.netconf.access_control.rule_table import Conditional, RuleTable, children_of

Chain = Sequence["etree._Element"]
"""Elements from a top-level node down."""


class Extent(Enum):
    """How much of the instances of a node, with all below them, may be shown."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class _Level:
    """What to do with the children of an instance: ``hidden`` ones go, ``mixed`` ones are looked into."""

    hidden: tuple[str, ...]
    mixed: tuple[SchemaNode, ...]


class Reader:
    """The eyes of one user on data of one schema."""

    def __init__(self, schema: Schema, table: RuleTable) -> None:
        self._schema = schema
        self._table = table
        self._extents: dict[SchemaNode, Extent] = {}
        self._levels: dict[SchemaNode, _Level] = {}

    def extent(self, node: SchemaNode) -> Extent:
        """How much may be shown of what is at and below the instances of ``node``."""
        found = self._extents.get(node)
        if found is None:
            found = self._extents[node] = self._find_extent(node)
        return found

    def _find_extent(self, node: SchemaNode) -> Extent:
        verdict = True if node is self._schema.root else self._table.data(AccessOperation.READ, node)
        if verdict is False:
            return Extent.NONE
        if verdict is not True or any(self.extent(child) is not Extent.ALL for child in children_of(node)):
            return Extent.SOME
        return Extent.ALL

    def leave_readable(self, element: etree._Element, node: SchemaNode) -> bool:
        """Take away what may not be shown below a top-level ``element``; return whether it may be shown itself."""
        extent = self.extent(node)
        if extent is Extent.NONE or not self._shows([element], node):
            return False
        if extent is Extent.SOME:
            self._prune([element], node)
        return True

    def leave_readable_below(self, root: etree._Element) -> None:
        """Take away what may not be shown below ``root``, a ``config`` element; what has no schema stays."""
        for element in list(root.iterchildren(tag=etree.Element)):
            node = self._schema.top.get(str(element.tag))
            if node is not None and not self.leave_readable(element, node):
                root.remove(element)

    def shows(self, chain: Chain, node: SchemaNode) -> bool:
        """Whether an instance of ``node`` may be shown, and everything above it; ``chain`` ends with the instance."""
        above: SchemaNode | None = node
        for depth in range(len(chain), 0, -1):
            if above is None or not self._shows(chain[:depth], above):
                return False
            above = above.data_parent
        return True

    def _shows(self, chain: Chain, node: SchemaNode) -> bool:
        verdict = self._table.data(AccessOperation.READ, node)
        return verdict.decide(KeyLookup(chain)) if isinstance(verdict, Conditional) else verdict

    def _prune(self, chain: list[etree._Element], node: SchemaNode) -> None:
        level = self._level(node)
        element = chain[-1]
        # Keys are compared below, so nothing goes before everything below has been decided.
        doomed = list(element.iterchildren(*level.hidden)) if level.hidden else []
        for child_node in level.mixed:
            for child in element.iterchildren(child_node.tag):
                chain.append(child)
                if not self._shows(chain, child_node):
                    doomed.append(child)
                else:
                    self._prune(chain, child_node)
                chain.pop()
        for child in doomed:
            element.remove(child)

    def _level(self, node: SchemaNode) -> _Level:
        found = self._levels.get(node)
        if found is None:
            extents = [(child, self.extent(child)) for child in children_of(node)]
            found = self._levels[node] = _Level(
                tuple(child.tag for child, extent in extents if extent is Extent.NONE),
                tuple(child for child, extent in extents if extent is Extent.SOME),
            )
        return found

    # Filters

    def always_shows(self, node: SchemaNode) -> bool:
        """Whether every instance of a node is shown, with all that is above it; of the root, everything there is."""
        if node is self._schema.root:
            return self.extent(node) is Extent.ALL
        above: SchemaNode | None = node
        while above is not None and self.sees(above) is True:
            above = above.data_parent
        return above is None

    def sees(self, node: SchemaNode) -> bool | None:
        """Whether a filter may look at instances of a node; None where it depends on the instance.

        What a notification holds is shown with it (RFC 8341 3.4.6), all but secrets.
        """
        notification = _notification_around(node)
        if notification is not None:
            return notification.default_deny_all or not node.default_deny_all
        verdict = self._table.data(AccessOperation.READ, node)
        return verdict if isinstance(verdict, bool) else None


def _notification_around(node: SchemaNode) -> SchemaNode | None:
    above: SchemaNode | None = node
    while above is not None and above.kind is not NodeKind.NOTIFICATION:
        above = above.data_parent
    return above


class KeyLookup:
    """Looks at the keys of elements from a top-level node down."""

    __slots__ = ("_chain",)

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __call__(self, depth: int, tag: str) -> str | None:
        element = self._chain[depth]
        return element.text or "" if tag == SELF_TAG else element.findtext(tag)
