"""What replies must not show: nodes under nacm:default-deny-all (RFC 8341 section 9, the extension's description)."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.schema.nodes import Schema, SchemaNode


class Redactor:
    """Takes secrets out of data of one schema, configuration and state alike."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # The children of a node that are secret, and those with something secret further down.
        self._secret: dict[SchemaNode, tuple[str, ...]] = {}
        self._leading: dict[SchemaNode, tuple[str, ...]] = {}
        self._survey(schema.root)
        for notification in schema.notifications.values():
            self._survey(notification)

    def without_secrets(self, element: etree._Element) -> etree._Element:
        """A copy of ``element`` without the secrets below it.

        ``element`` is a datastore's root or a node anywhere below it. The copy binds the prefixes that names use;
        those inside of values stay bound only under an element that carries ``Schema.nsmap``.
        """
        redacted = copy.deepcopy(element)
        self.remove_secrets(redacted, self._node_of(element))
        return redacted

    def remove_secrets(self, element: etree._Element, node: SchemaNode | None = None) -> None:
        """Take the secrets below ``element`` away, in place; ``node`` is what it is an instance of (None: the root)."""
        self._remove(element, self._schema.root if node is None else node)

    def _node_of(self, element: etree._Element) -> SchemaNode:
        if element.getparent() is None and element.tag not in self._schema.top:
            return self._schema.notifications.get(str(element.tag), self._schema.root)
        return self._schema.node_of(element) or self._schema.root

    def _remove(self, element: etree._Element, node: SchemaNode) -> None:
        secret = self._secret.get(node)
        if secret:
            for child in list(element.iterchildren(*secret)):
                element.remove(child)
        for tag in self._leading.get(node, ()):
            for child in element.iterchildren(tag):
                self._remove(child, _child(node, tag))

    def _survey(self, node: SchemaNode) -> bool:
        """Note what is secret below ``node``; return whether anything is."""
        secret: list[str] = []
        leading: list[str] = []
        for child in _children(node):
            if child.default_deny_all:
                secret.append(child.tag)
            elif self._survey(child):
                leading.append(child.tag)
        if secret:
            self._secret[node] = tuple(secret)
        if leading:
            self._leading[node] = tuple(leading)
        return bool(secret or leading)


def _children(node: SchemaNode) -> Iterable[SchemaNode]:
    return (*node.data_children.values(), *(node.notifications.values() if node.parent is not None else ()))


def _child(node: SchemaNode, tag: str) -> SchemaNode:
    return node.data_children.get(tag) or node.notifications[tag]
