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
from rkmp.datastore.schema.node_instance_identifier import KeyTest
from rkmp.netconf.access_control.policy import AccessOperation
from rkmp.netconf.access_control.rule_table import Conditional, RuleTable, children_of

Chain = Sequence["etree._Element"]
"""Elements from a top-level node down."""


class Extent(Enum):
    """How much of the instances of a node, with all below them, may be shown."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


Known = frozenset[KeyTest]
"""The tests of rules that hold for an instance or for what is above it; every other one there does not hold."""

_NOTHING_KNOWN: Known = frozenset()


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
        self._extents: dict[tuple[SchemaNode, Known], Extent] = {}
        self._levels: dict[tuple[SchemaNode, Known], _Level] = {}

    def _extent(self, node: SchemaNode, known: Known) -> Extent:
        """How much may be shown of what is at and below an instance of ``node`` of which ``known`` holds."""
        found = self._extents.get((node, known))
        if found is None:
            found = self._extents[node, known] = self._find_extent(node, known)
        return found

    def _find_extent(self, node: SchemaNode, known: Known) -> Extent:
        verdict = True if node is self._schema.root else self._table.data(AccessOperation.READ, node)
        if not (verdict.decide(known) if isinstance(verdict, Conditional) else verdict):
            return Extent.NONE
        if any(self._extent_of_all(child, known) is not Extent.ALL for child in children_of(node)):
            return Extent.SOME
        return Extent.ALL

    def _extent_of_all(self, node: SchemaNode, known: Known) -> Extent:
        """The same for all instances below one, of which ``known`` holds."""
        return Extent.SOME if self._table.tests_of(node) else self._extent(node, known)

    def leave_readable(self, element: etree._Element, node: SchemaNode) -> bool:
        """Take away what may not be shown below a top-level ``element``; return whether it may be shown itself."""
        known = self._known(element, node, _NOTHING_KNOWN)
        extent = self._extent(node, known)
        if extent is Extent.SOME:
            self._prune(element, node, known)
        return extent is not Extent.NONE

    def leave_readable_below(self, root: etree._Element) -> None:
        """Take away what may not be shown below ``root``, a ``config`` element; what has no schema stays."""
        for element in list(root.iterchildren(tag=etree.Element)):
            node = self._schema.top.get(str(element.tag))
            if node is not None and not self.leave_readable(element, node):
                root.remove(element)

    def shows(self, chain: Chain, node: SchemaNode) -> bool:
        """Whether an instance of ``node`` may be shown, and everything above it; ``chain`` ends with the instance."""
        nodes = [node]
        while (above := nodes[0].data_parent) is not None:
            nodes.insert(0, above)
        known = _NOTHING_KNOWN
        for element, of in zip(chain, nodes, strict=True):
            known = self._known(element, of, known)
            verdict = self._table.data(AccessOperation.READ, of)
            if not (verdict.decide(known) if isinstance(verdict, Conditional) else verdict):
                return False
        return True

    def _known(self, element: etree._Element, node: SchemaNode, known: Known) -> Known:
        """What holds for an instance below one of which ``known`` holds."""
        return self._table.holding(element, node, known)

    def _prune(self, element: etree._Element, node: SchemaNode, known: Known) -> None:
        level = self._level(node, known)
        doomed = list(element.iterchildren(*level.hidden)) if level.hidden else []
        for child_node in level.mixed:
            for child in element.iterchildren(child_node.tag):
                below = self._known(child, child_node, known)
                extent = self._extent(child_node, below)
                if extent is Extent.NONE:
                    doomed.append(child)
                elif extent is Extent.SOME:
                    self._prune(child, child_node, below)
        for child in doomed:
            element.remove(child)

    def _level(self, node: SchemaNode, known: Known) -> _Level:
        found = self._levels.get((node, known))
        if found is None:
            extents = [(child, self._extent_of_all(child, known)) for child in children_of(node)]
            found = self._levels[node, known] = _Level(
                tuple(child.tag for child, extent in extents if extent is Extent.NONE),
                tuple(child for child, extent in extents if extent is Extent.SOME),
            )
        return found

    # Filters

    def always_shows(self, node: SchemaNode) -> bool:
        """Whether every instance of a node is shown, with all that is above it; of the root, everything there is."""
        if node is self._schema.root:
            return self._extent(node, _NOTHING_KNOWN) is Extent.ALL
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
