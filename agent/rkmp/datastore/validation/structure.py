"""What has to be there: mandatory nodes and choices, minimum numbers of entries (RFC 7950 7.6.5, 7.7.5, 7.9.4).

Looks at one anchor, the root, a list entry or a presence container, and at everything below it down to the next:
containers without presence are there in effect, and the nodes of a case count once there is one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.paths import namespaces_of, path_of
from rkmp.datastore.schema.nodes import NodeKind, SchemaNode
from rkmp.datastore.validation.accessible_tree import AccessibleTree, has_any
from rkmp.datastore.validation.constraints import Constraints, schema_children
from rkmp.errors import RpcError


class Structure:
    """Checks anchors of one accessible tree."""

    def __init__(self, constraints: Constraints, accessible: AccessibleTree) -> None:
        self._constraints = constraints
        self._layouts: Layouts = constraints.layouts
        self._accessible = accessible

    def missing(self, anchor: etree._Element, layout: Layout) -> Iterator[RpcError]:
        """What lacks at and below an anchor."""
        yield from self._missing(anchor, layout, self._constraints.required_in(layout.node, schema_children(layout)))

    def _missing(self, parent: etree._Element, layout: Layout, children: Iterable[SchemaNode]) -> Iterator[RpcError]:
        for child in children:
            if child.kind is NodeKind.CHOICE:
                yield from self._missing_in_choice(parent, layout, child)
                continue
            below = layout.children[child.tag]
            if child.kind is NodeKind.CONTAINER:
                yield from self._missing_in_container(parent, below)
            elif child.is_entry:
                yield from self._too_few(parent, below)
            elif next(parent.iterchildren(child.tag), None) is None and self._may_exist(parent, child, below):
                yield rejections.missing_mandatory(self._path(parent, layout), child.name)

    def _missing_in_choice(self, parent: etree._Element, layout: Layout, choice: SchemaNode) -> Iterator[RpcError]:
        chosen = next((case for case in choice.children if has_any(parent, case)), None)
        if chosen is not None:
            yield from self._missing(parent, layout, self._constraints.required_in(chosen, chosen.children))
        elif choice.mandatory:
            inside = next(iter(choice.data_children), None)
            # A choice with nothing in it can have no instance; no condition is worth asking.
            if inside is not None and self._may_exist(parent, choice, layout.children[inside]):
                yield rejections.missing_choice(self._path(parent, layout), choice.name)

    def _missing_in_container(self, parent: etree._Element, layout: Layout) -> Iterator[RpcError]:
        element = next(parent.iterchildren(layout.tag), None)
        if element is None:
            if not self._may_exist(parent, layout.node, layout):
                return
            element = self._accessible.add(parent, layout)
        yield from self._missing(element, layout, self._constraints.required_in(layout.node, layout.node.children))

    def _too_few(self, parent: etree._Element, layout: Layout) -> Iterator[RpcError]:
        least = layout.node.min_elements
        if has_fewer(parent, layout, least) and self._may_exist(parent, layout.node, layout):
            yield rejections.too_few_elements(list_path(parent, layout), layout.node.name, least)

    def _may_exist(self, parent: etree._Element, node: SchemaNode, layout: Layout) -> bool:
        return self._accessible.conditions_hold(parent, node, layout)

    def _path(self, parent: etree._Element, layout: Layout) -> InstancePath:
        return path_of(parent, layout)


def has_fewer(parent: etree._Element, layout: Layout, number: int) -> bool:
    """Whether there are fewer than ``number`` entries; costs no more than finding that many."""
    for count, _ in enumerate(parent.iterchildren(layout.tag), start=1):
        if count >= number:
            return False
    return number > 0


def list_path(parent: etree._Element, layout: Layout) -> InstancePath:
    """The path of a list or leaf-list as a whole (RFC 7950 15.2, 15.3)."""
    above = "" if layout.parent is None or layout.parent.parent is None else path_of(parent, layout.parent).text
    return InstancePath(f"{above}/{layout.name}", namespaces_of(layout))
