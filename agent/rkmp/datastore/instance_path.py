"""Instance paths: the XPath that names one node of a data tree, as error-path and instance-identifier hold it.

RFC 6241 4.3 asks for an absolute XPath with the prefixes bound on the element that carries it; RFC 7950 9.13 fixes
the form of the predicates: keys of a list entry, the value of a leaf-list entry, a position where a list has no keys.
Knows the schema and the tree; writes paths only, which ``schema.instance_identifier`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.xpath.syntax import quoted


@dataclass(frozen=True, slots=True)
class InstancePath:
    """A path as text and the namespaces that its prefixes stand for."""

    text: str
    namespaces: Mapping[str, str]


def instance_path(schema: Schema, element: etree._Element) -> InstancePath:
    """The path of ``element`` from the top-level node of its tree down, with keys.

    The tree is rooted at a ``config``-like element (anything that is not itself in the schema's top level), at a
    top-level data node, or at an rpc or notification. A ``config`` of the base namespace is a root wherever it is, as
    inside of an edit-config. Elements that the schema does not know get a step with their own name, so that a path
    can also point at what is wrong.
    """
    chain = [element]
    for ancestor in element.iterancestors():
        if ancestor.tag == schema.root.tag:
            break
        chain.append(ancestor)
    while len(chain) > 1 and not _known_at_top(schema, chain[-1]):
        chain.pop()
    chain.reverse()
    return _render(schema, chain)


def _known_at_top(schema: Schema, element: etree._Element) -> bool:
    return element.tag in schema.top or element.tag in schema.rpcs or element.tag in schema.notifications


def _render(schema: Schema, chain: list[etree._Element]) -> InstancePath:
    namespaces: dict[str, str] = {}
    steps: list[str] = []
    node: SchemaNode | None = None
    for depth, element in enumerate(chain):
        tag = str(element.tag)
        if depth == 0:
            node = schema.node_at((tag,))
        elif node is not None:
            inside = node.input if node.input is not None else node
            node = inside.data_children.get(tag) or inside.actions.get(tag) or inside.notifications.get(tag)
        steps.append(_name(schema, tag, namespaces) + _predicates(schema, node, element, namespaces))
    return InstancePath("/" + "/".join(steps), namespaces)


def _name(schema: Schema, tag: str, namespaces: dict[str, str]) -> str:
    name = etree.QName(tag)
    namespace = name.namespace or ""
    try:
        prefix = schema.prefix_of(namespace)
    except KeyError:
        if not namespace:
            return name.localname
        bound = {known: prefix for prefix, known in namespaces.items()}
        prefix = bound.get(namespace) or f"ns{len(namespaces)}"
    namespaces[prefix] = namespace
    return f"{prefix}:{name.localname}"


def _predicates(schema: Schema, node: SchemaNode | None, element: etree._Element, namespaces: dict[str, str]) -> str:
    if node is None or not node.is_entry:
        return ""
    if node.kind is NodeKind.LEAF_LIST:
        return f"[.={quoted(element.text or '')}]"
    if not node.keys:
        position = sum(1 for _ in element.itersiblings(str(element.tag), preceding=True)) + 1
        return f"[{position}]"
    predicates = ""
    for key in node.keys:
        value = element.findtext(key)
        if value is not None:
            predicates += f"[{_name(schema, key, namespaces)}={quoted(value)}]"
    return predicates
