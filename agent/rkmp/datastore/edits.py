"""What a change did to a datastore, node by node: what subscribers, listeners and validation go by.

An ``Edit`` tells of the topmost node that was created or deleted, of a leaf whose value changed, or of an entry of a
user-ordered list that moved (the target and operation of RFC 6470 section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lxml import etree

from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import path_of
from rkmp.datastore.schema.nodes import SchemaNode


class EditKind(Enum):
    """What happened to a node."""

    CREATED = "created"
    DELETED = "deleted"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One node that is not as it was.

    ``element`` is the node: in the tree after the change or, when it was deleted, out of it with everything that was
    below. ``parent`` is the element above it, in the tree before and after. ``before`` is a changed leaf's old value.
    The elements are the datastore's own: read them, and only until the change has been carried out.
    """

    kind: EditKind
    parent: etree._Element
    element: etree._Element
    layout: Layout
    before: str = ""

    @property
    def node(self) -> SchemaNode:
        """The schema node that ``element`` is an instance of."""
        return self.layout.node

    @property
    def top(self) -> str:
        """The tag of the top-level node at or above this one."""
        layout = self.layout
        while layout.parent is not None and layout.parent.parent is not None:
            layout = layout.parent
        return layout.tag

    @property
    def path(self) -> InstancePath:
        """The instance path of the node."""
        return path_of(self.element, self.layout, self.parent)
