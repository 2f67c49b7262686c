"""Values in use: what configuration says or, where it is silent, what the model says (RFC 7950 7.5.1, 7.6.1, 7.7.2).

``Instance`` reads a tree as if every default in use and every container without presence were there. It never leaves
anything in the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.validation.accessible_tree import AccessibleTree
from rkmp.datastore.validation.constraints import Constraints, constraints_of


class Instance:
    """One container, list entry or the root of a tree, whether or not it has an element.

    Children are named by their local name where they are of the same module, by their tag otherwise.
    """

    __slots__ = ("_children", "_constraints", "_tree", "above", "element", "node")

    def __init__(
        self,
        constraints: Constraints,
        tree: etree._Element,
        node: SchemaNode,
        element: etree._Element | None,
        above: Instance | None = None,
    ) -> None:
        self._constraints = constraints
        self._tree = tree
        self.above = above
        self.node = node
        self.element = element
        self._children: dict[Any, list[etree._Element]] | None = None

    @classmethod
    def root(cls, schema: Schema, tree: etree._Element) -> Instance:
        """The ``config`` element of a datastore; its children are named by their tags."""
        return cls(constraints_of(schema), tree, schema.root, tree)

    def value(self, name: str) -> str | None:
        """The value in use of a leaf, canonical; None where it has none."""
        children = self._children
        if children is None:
            children = self._read_children()
        # Most are called by their tags, and are there.
        found = children.get(name)
        if found is not None:
            return found[0].text or ""
        node = self._child_node(name)
        found = children.get(node.tag)
        if found is not None:
            return found[0].text or ""
        return node.defaults[0] if node.defaults and self.is_in_use(node) else None

    def values(self, name: str) -> tuple[str, ...]:
        """The values in use of a leaf-list, in its order."""
        node = self._child_node(name)
        found = self._found(node)
        if found:
            return tuple([leaf.text or "" for leaf in found])
        return node.defaults if node.defaults and self.is_in_use(node) else ()

    def container(self, name: str) -> Instance | None:
        """A container; None where it has presence and is not there, or cannot be there."""
        node = self._child_node(name)
        found = self._found(node)
        if not found and (node.presence or not self.is_in_use(node)):
            return None
        return Instance(self._constraints, self._tree, node, found[0] if found else None, self)

    def entries(self, name: str) -> Iterator[Instance]:
        """The entries of a list, in their order."""
        node = self._child_node(name)
        if self.element is not None:
            for entry in self.element.iterchildren(node.tag):
                yield Instance(self._constraints, self._tree, node, entry, self)

    def is_in_use(self, node: SchemaNode) -> bool:
        """Whether ``node``, a child that is not there, is there in effect: its case is chosen, its conditions hold."""
        layout = self._constraints.layouts.of_node(node)
        if layout is None:
            return False
        if not layout.cases and not node.whens:
            return True
        tree = DataTree(self._constraints.layouts, self._tree)
        with AccessibleTree(tree, self._constraints.whens) as accessible:
            return accessible.is_in_use(_stand(self, accessible), layout)

    def _found(self, node: SchemaNode) -> Sequence[etree._Element]:
        """The instances of a child that is no list."""
        children = self._read_children() if self._children is None else self._children
        return children.get(node.tag, ())

    def _read_children(self) -> dict[Any, list[etree._Element]]:
        """Look through the children once, up to the first entry of a list: in a datastore these come last."""
        children: dict[Any, list[etree._Element]] = {}
        known: dict[Any, SchemaNode] = self.node.data_children
        for child in self.element if self.element is not None else ():
            tag = child.tag
            if known[tag].kind is NodeKind.LIST:
                break
            if tag in children:
                children[tag].append(child)
            else:
                children[tag] = [child]
        self._children = children
        return children

    def _child_node(self, name: str) -> SchemaNode:
        tag = name if name.startswith("{") else f"{{{self.node.namespace}}}{name}"
        return self.node.data_children[tag]


def _stand(instance: Instance, accessible: AccessibleTree) -> etree._Element:
    """The element of an instance; a container that is only there in effect is put into the accessible tree."""
    if instance.element is not None:
        return instance.element
    layout = accessible.tree.layouts.of_node(instance.node)
    if instance.above is None or layout is None:
        raise ValueError(f"{instance.node!r} is not there")
    return accessible.add(_stand(instance.above, accessible), layout)
