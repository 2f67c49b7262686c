"""Values of type instance-identifier: paths that name one node, read and brought into canonical form (RFC 7950 9.13).

Knows the schema and the tree; reads paths of that form only and evaluates no XPath.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import shown
from rkmp.datastore.xpath.syntax import (
    SELF,
    Binary,
    Literal,
    NameTest,
    Number,
    Path,
    Step,
    XPathSyntaxError,
    parse,
    quoted,
)
from rkmp.errors import InvalidValue

Namespaces = Mapping[str | None, str]


@dataclass(frozen=True, slots=True)
class _Selection:
    """One step of an instance-identifier: a node, and what tells its instance from its siblings."""

    node: SchemaNode
    keys: Mapping[str, str]
    value: str | None = None
    position: int | None = None

    def admits(self, element: etree._Element) -> bool:
        if self.value is not None:
            return (element.text or "") == self.value
        if self.position is not None:
            return sum(1 for _ in element.itersiblings(self.node.tag, preceding=True)) + 1 == self.position
        return all((element.findtext(key) or "") == value for key, value in self.keys.items())


def canonical_instance_identifier(schema: Schema, text: str, namespaces: Namespaces) -> str:
    """The form of an instance-identifier value that this agent keeps: the schema's prefixes, keys in their order.

    ``namespaces`` are the prefixes in scope. Raises InvalidValue when it is not an instance-identifier (RFC 7950
    9.13) or names nodes, keys or key values that the schema does not have.
    """
    steps = []
    for selection in _selections(schema, text, namespaces):
        node = selection.node
        step = f"/{schema.prefix_of(node.namespace)}:{node.name}"
        if selection.value is not None:
            step += f"[.={quoted(selection.value)}]"
        if selection.position is not None:
            step += f"[{selection.position}]"
        for key in node.keys:
            step += f"[{_prefixed(schema, key)}={quoted(selection.keys[key])}]"
        steps.append(step)
    return "".join(steps)


def _prefixed(schema: Schema, tag: str) -> str:
    name = etree.QName(tag)
    return f"{schema.prefix_of(name.namespace or '')}:{name.localname}"


def find_instance(schema: Schema, root: etree._Element, text: str) -> etree._Element | None:
    """The element below ``root`` that a canonical instance-identifier names, or None where there is none."""
    found = root
    for selection in _selections(schema, text, schema.value_namespaces):
        step = next((child for child in found.iterchildren(selection.node.tag) if selection.admits(child)), None)
        if step is None:
            return None
        found = step
    return found


def _selections(schema: Schema, text: str, namespaces: Namespaces) -> list[_Selection]:
    try:
        path = parse(text)
    except XPathSyntaxError as fault:
        raise InvalidValue(f"{shown(text)} is not an instance-identifier: {fault}") from None
    if not isinstance(path, Path) or not path.absolute or path.start is not None or not path.steps:
        raise InvalidValue(f"{shown(text)} is not an instance-identifier")
    selections: list[_Selection] = []
    at = schema.root
    for step in path.steps:
        at = _child(at, _tag(step, text, namespaces))
        selections.append(_selection(at, step, text, namespaces))
    return selections


def _tag(step: Step, text: str, namespaces: Namespaces) -> str:
    match step:
        case Step("child", NameTest(str() as prefix, name)) if name != "*":
            namespace = namespaces.get(prefix)
            if namespace is None:
                raise InvalidValue(f"the prefix {prefix!r} in {shown(text)} is not bound to a namespace")
            return f"{{{namespace}}}{name}"
    # RFC 7950 9.13.2: every name has a prefix in the XML encoding.
    raise InvalidValue(f"{shown(text)} is not an instance-identifier")


def _child(node: SchemaNode, tag: str) -> SchemaNode:
    child = node.data_children.get(tag)
    if child is None:
        raise InvalidValue(f"there is no node {etree.QName(tag).localname} in {node.name}")
    return child


def _selection(node: SchemaNode, step: Step, text: str, namespaces: Namespaces) -> _Selection:
    keys: dict[str, str] = {}
    value: str | None = None
    position: int | None = None
    for predicate in step.predicates:
        match predicate:
            case Binary("=", Path(False, (key_step,), None), Literal(literal)) if key_step == SELF:
                if node.type is None or value is not None:
                    raise InvalidValue(f"{node.name} in {shown(text)} cannot have the predicate [.=...]")
                value = node.type.check(literal, namespaces)
            case Binary("=", Path(False, (key_step,), None), Literal(literal)):
                tag = _tag(key_step, text, namespaces)
                key_type = node.data_children[tag].type if tag in node.keys else None
                if key_type is None or tag in keys:
                    raise InvalidValue(f"{shown(text)} has a predicate on what is not a key of {node.name}")
                keys[tag] = key_type.check(literal, namespaces)
            case Number(number) if number.isdigit() and len(number) < 20 and int(number) > 0 and position is None:
                position = int(number)
            case _:
                raise InvalidValue(f"{shown(text)} has a predicate that an instance-identifier cannot have")
    by_value = node.kind is NodeKind.LEAF_LIST
    by_position = node.kind is NodeKind.LIST and not node.keys
    if len(keys) != len(node.keys) or (value is not None) != by_value or (position is not None) != by_position:
        raise InvalidValue(f"{shown(text)} does not name one instance of {node.name}")
    return _Selection(node, keys, value, position)
