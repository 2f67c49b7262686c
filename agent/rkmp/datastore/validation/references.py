"""Leafrefs and instance-identifiers: values that must lead to something (RFC 7950 9.9, 9.13, and 9.12 for unions).

A leafref whose path has no predicates and leads to all instances of its target, which is nearly every one, is checked
by the tree's index of values. Any other is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.schema.instance_identifier import find_instance
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import InstanceIdentifierType, LeafrefType, ValueType, member_types
from rkmp.datastore.validation.conditions import Condition, Materialiser
from rkmp.datastore.validation.reach import depth_of
from rkmp.datastore.xpath import Expression
from rkmp.datastore.xpath.syntax import Path, Syntax
from rkmp.errors import InvalidValue

Namespaces = Mapping[str | None, str]


@dataclass(frozen=True, slots=True, eq=False)
class Unreferring:
    """A member type whose values need not lead anywhere."""

    type: ValueType

    def leads(self, leaf: etree._Element, accessible: Materialiser) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True, eq=False)
class GlobalReference:
    """A leafref to any instance of ``target`` in the whole tree."""

    type: ValueType
    target: Layout

    def leads(self, leaf: etree._Element, accessible: Materialiser) -> bool:
        return (leaf.text or "") in accessible.tree.values(self.target)


@dataclass(frozen=True, slots=True, eq=False)
class PathReference:
    """A leafref to what its path selects from the leaf."""

    type: ValueType
    condition: Condition

    def leads(self, leaf: etree._Element, accessible: Materialiser) -> bool:
        text = leaf.text or ""
        return any((found.text or "") == text for found in self.condition.select(leaf, accessible))


@dataclass(frozen=True, slots=True, eq=False)
class InstanceReference:
    """An instance-identifier."""

    type: ValueType
    schema: Schema

    def leads(self, leaf: etree._Element, accessible: Materialiser) -> bool:
        try:
            return find_instance(self.schema, accessible.tree.root, leaf.text or "") is not None
        except InvalidValue:
            return False


Reference = Unreferring | GlobalReference | PathReference | InstanceReference


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceCheck:
    """The references that a leaf's value can be: one of them must lead somewhere."""

    layout: Layout
    alternatives: tuple[Reference, ...]
    namespaces: Namespaces

    @property
    def has_identifier(self) -> bool:
        """Whether a value may be an instance-identifier, which can lead to any node."""
        return any(isinstance(alternative, InstanceReference) for alternative in self.alternatives)

    def in_doubt(self, leaves: Iterable[etree._Element], accessible: Materialiser) -> list[etree._Element]:
        """Those of ``leaves`` whose values do not lead to something at the first glance."""
        if len(self.alternatives) == 1 and isinstance(self.alternatives[0], GlobalReference):
            values = accessible.tree.values(self.alternatives[0].target)
            return [leaf for leaf in leaves if (leaf.text or "") not in values]
        return list(leaves)

    def holds(self, leaf: etree._Element, accessible: Materialiser) -> bool:
        """Whether the value of an instance leads somewhere, or need not."""
        if len(self.alternatives) == 1:
            return self.alternatives[0].leads(leaf, accessible)
        # RFC 7950 9.12: the first member type that accepts the value, which for a reference takes an instance.
        return any(
            _accepts(alternative.type, leaf.text or "", self.namespaces) and alternative.leads(leaf, accessible)
            for alternative in self.alternatives
        )


def compile_references(
    layouts: Layouts,
    layout: Layout,
    value_type: ValueType,
    compile_condition: Callable[[Expression, SchemaNode], Condition],
) -> ReferenceCheck | None:
    """The check of a leaf whose value must lead somewhere; None where it need not."""
    alternatives: list[Reference] = []
    for member in member_types(value_type):
        if isinstance(member, LeafrefType) and member.require_instance:
            condition = compile_condition(member.path, layout.node)
            target = layouts.of_node(member.target) if member.target is not None else None
            if target is not None and _is_global(layouts.schema, layout, target, member.path.syntax, condition):
                alternatives.append(GlobalReference(member, target))
            else:
                alternatives.append(PathReference(member, condition))
        elif isinstance(member, InstanceIdentifierType) and member.require_instance:
            alternatives.append(InstanceReference(member, layouts.schema))
        else:
            alternatives.append(Unreferring(member))
    if all(isinstance(alternative, Unreferring) for alternative in alternatives):
        return None
    return ReferenceCheck(layout, tuple(alternatives), layouts.schema.value_namespaces)


def _is_global(schema: Schema, layout: Layout, target: Layout, path: Syntax, condition: Condition) -> bool:
    """Whether a path selects every instance of its target in the tree, wherever it starts from."""
    if not isinstance(path, Path) or layout.node.defaults or target.node.defaults:
        return False
    if path.start is not None or path.predicates or any(step.predicates for step in path.steps):
        return False
    depths = [reach.depth for reach in condition.reaches if reach.node is target.node]
    shared: SchemaNode | None = layout.node
    while shared is not None and depth_of(shared, schema) > min(depths, default=0):
        shared = shared.data_parent
    while shared is not None:
        if shared.kind is NodeKind.LIST:
            return False
        shared = shared.data_parent
    return True


def _accepts(value_type: ValueType, text: str, namespaces: Namespaces) -> bool:
    try:
        value_type.check(text, namespaces)
    except InvalidValue:
        return False
    return True
