"""Values in use: what configuration says or, where it is silent, what the model says (RFC 7950 7.5.1, 7.6.1, 7.7.2).

``Instance`` reads a tree as if every default in use and every container without presence were there. It never leaves
anything in the tree.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode


class Instance:
    """One container, list entry or the root of a tree, whether or not it has an element.

    Children are named by their local name where they are of the same module, by their tag otherwise.
    """

    __slots__ = ("_parent", "_schema", "element", "node")

    def __init__(
        self, schema: Schema, node: SchemaNode, element: etree._Element | None, parent: Instance | None = None
    ) -> None:
        self._schema = schema
        self._parent = parent
        self.node = node
        self.element = element

    @classmethod
    def root(cls, schema: Schema, tree: etree._Element) -> Instance:
        """The ``config`` element of a datastore; its children are named by their tags."""
        return cls(schema, schema.root, tree)

    def value(self, name: str) -> str | None:
        """The value in use of a leaf, canonical; None where it has none."""
        values = self.values(name)
        return values[0] if values else None

    def values(self, name: str) -> tuple[str, ...]:
        """The values in use of a leaf-list, in its order."""
        node = self._child_node(name)
        if self.element is not None:
            found = tuple(leaf.text or "" for leaf in self.element.iterchildren(node.tag))
            if found:
                return found
        return node.defaults if node.defaults and self.is_in_use(node) else ()

    def container(self, name: str) -> Instance | None:
        """A container; None where it has presence and is not there, or cannot be there."""
        node = self._child_node(name)
        element = next(self.element.iterchildren(node.tag), None) if self.element is not None else None
        if element is None and (node.presence or not self.is_in_use(node)):
            return None
        return Instance(self._schema, node, element, self)

    def entries(self, name: str) -> Iterator[Instance]:
        """The entries of a list, in their order."""
        node = self._child_node(name)
        if self.element is not None:
            for entry in self.element.iterchildren(node.tag):
                yield Instance(self._schema, node, entry, self)

    def is_in_use(self, node: SchemaNode) -> bool:
        """Whether ``node``, a child that is not there, is there in effect: its case is chosen, its conditions hold."""
        return self._case_is_chosen(node) and self._conditions_hold(node)

    def _child_node(self, name: str) -> SchemaNode:
        tag = name if name.startswith("{") else f"{{{self.node.namespace}}}{name}"
        return self.node.data_children[tag]

    def _case_is_chosen(self, node: SchemaNode) -> bool:
        case = node.case
        while case is not None and case.parent is not None:
            choice = case.parent
            if self._has_any(case):
                return True
            if choice.default_case is not case or self._has_any(choice):
                return False
            above = choice.parent
            case = above if above is not None and above.kind is NodeKind.CASE else None
        return True

    def _has_any(self, structure: SchemaNode) -> bool:
        tags = tuple(structure.data_children)
        return self.element is not None and bool(tags) and next(self.element.iterchildren(*tags), None) is not None

    def _conditions_hold(self, node: SchemaNode) -> bool:
        if not node.whens:
            return True
        with _Stand(self) as element:
            dummy = etree.SubElement(element, node.tag)
            try:
                root = element.getroottree().getroot()
                return all(when.expression.holds(element if when.on_parent else dummy, root) for when in node.whens)
            finally:
                element.remove(dummy)


class _Stand:
    """Puts containers without presence that are not there into the tree for the time of an evaluation."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._added: list[etree._Element] = []

    def __enter__(self) -> etree._Element:
        return self._element(self._instance)

    def __exit__(self, *_: object) -> None:
        for element in reversed(self._added):
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)

    def _element(self, instance: Instance) -> etree._Element:
        if instance.element is not None:
            return instance.element
        if instance._parent is None:
            raise ValueError("the root is always there")
        element = etree.SubElement(self._element(instance._parent), instance.node.tag)
        self._added.append(element)
        return element
