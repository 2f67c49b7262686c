"""The changes that an on-change subscription has seen and not yet told of (RFC 8641 section 3.3).

What is told is how to get from the last record to now, and besides, of each node that has changed and changed back
in the meantime, the last that was done to it. It must not know time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.netconf.subscriptions.changes import Change, ChangeType, changes, is_covered
from rkmp.netconf.subscriptions.resource_path import step

_WHOLE = frozenset({ChangeType.CREATE, ChangeType.INSERT, ChangeType.DELETE})
"""Changes that tell of everything below their target as well."""


class PendingChanges:
    """Changes not yet told, but for those of the types ``excluded``."""

    def __init__(self, schema: Schema, excluded: Collection[ChangeType] = ()) -> None:
        self._schema = schema
        self._excluded = excluded
        # By target, the last thing that was done to it.
        self._last: dict[str, ChangeType] = {}

    def __bool__(self) -> bool:
        return bool(self._last)

    def add(self, found: Iterable[Change]) -> None:
        """Take note of changes, in the order in which they were seen."""
        for change in found:
            if change.type not in self._excluded:
                self._last[change.target] = change.type

    def clear(self) -> None:
        """Everything has been told."""
        self._last.clear()

    def between(self, before: etree._Element, now: etree._Element) -> list[Change]:
        """Return what is to be told of the time between two snapshots, in an order to be applied in."""
        net = [change for change in changes(self._schema, before, now) if change.type not in self._excluded]
        told = {change.target: change for change in net}
        whole = {target for target, kind in self._last.items() if kind in _WHOLE}
        churn = [
            self._again(now, target, kind)
            for target, kind in self._last.items()
            if target not in told and not is_covered(target, told) and not is_covered(target, whole)
        ]
        again = {change.target: change for change in churn if change.value is not None}
        return [change for change in net if not is_covered(change.target, again)] + churn

    def _again(self, now: etree._Element, target: str, kind: ChangeType) -> Change:
        """Return the last that was done to a node that is again as it was."""
        found = _find(self._schema, now, target)
        if found is None:
            return Change(ChangeType.DELETE, target)
        element, node, above = found
        if not node.ordered_by_user:
            return Change(ChangeType.CREATE if kind is ChangeType.DELETE else kind, target, element)
        previous = next(element.itersiblings(node.tag, preceding=True), None)
        after = None if previous is None else f"{above}/{step(self._schema, node, previous)}"
        return Change(ChangeType.INSERT if kind is ChangeType.DELETE else kind, target, element, after)


def _find(schema: Schema, tree: etree._Element, target: str) -> tuple[etree._Element, SchemaNode, str] | None:
    """Return the instance at ``target``, its schema node, and the path of what is above it."""
    element, node, above = tree, schema.root, ""
    steps = target.split("/")[1:]
    for place, wanted in enumerate(steps):
        found = next(
            (
                (child, below)
                for child in element.iterchildren(tag=etree.Element)
                if (below := node.data_children.get(str(child.tag))) is not None
                and step(schema, below, child) == wanted
            ),
            None,
        )
        if found is None:
            return None
        element, node = found
        above = "".join(f"/{each}" for each in steps[:place])
    return element, node, above
