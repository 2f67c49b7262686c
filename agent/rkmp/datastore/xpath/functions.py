"""YANG's XPath functions over one schema's data trees (RFC 7950 section 10).

They are called by libxml2 with node-sets as lists of elements. ``current()`` is not here: it becomes a variable.
Values in a data tree are canonical, so identities and bits are compared as the strings they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lxml import etree

from rkmp.datastore.schema.instance_identifier import find_instance
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.schema.patterns import compile_pattern
from rkmp.datastore.schema.types import (
    BitsType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    LeafrefType,
    ValueType,
    effective_type,
    member_types,
)
from rkmp.errors import InvalidValue

Function = Callable[..., Any]


def typed_value(schema: Schema, element: etree._Element) -> tuple[ValueType, str] | None:
    """The type of a leaf's value, with leafrefs followed and unions decided, and the value; None where it has none."""
    node = schema.node_of(element)
    if node is None or node.type is None:
        return None
    text = element.text or ""
    return _deciding_type(schema, node.type, text), text


def _deciding_type(schema: Schema, value_type: ValueType, text: str) -> ValueType:
    for member in member_types(value_type):
        candidate = effective_type(member)
        try:
            candidate.check(text, schema.value_namespaces)
        except InvalidValue:
            continue
        return candidate
    return effective_type(value_type)


def _first(nodes: Any) -> etree._Element | None:
    """The first element in document order, which is the order in which libxml2 hands over a sorted node-set."""
    if not isinstance(nodes, list):
        raise TypeError("the argument is not a node-set")
    return next((node for node in nodes if isinstance(node, etree._Element)), None)


def _text(value: Any) -> str:
    """An argument as a string (XPath 1.0 section 4.2, string())."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, etree._Element):
        return "".join(value.itertext(etree.Element)) if len(value) else value.text or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number_text(value) if isinstance(value, float) else str(value)


def _number_text(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) else repr(value)


class YangFunctions:
    """The functions, bound to a schema: ``extensions`` is what ``etree.XPath`` takes."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._by_name: dict[str, Function] = {
            "re-match": self.re_match,
            "deref": self.deref,
            "derived-from": self.derived_from,
            "derived-from-or-self": self.derived_from_or_self,
            "enum-value": self.enum_value,
            "bit-is-set": self.bit_is_set,
        }

    def extensions(self, names: set[str]) -> dict[tuple[str | None, str], Function]:
        """Those of the functions that an expression calls."""
        return {(None, name): self._by_name[name] for name in names}

    def re_match(self, _context: object, subject: Any, pattern: Any) -> bool:
        """RFC 7950 10.2.1; a pattern that is none matches nothing."""
        try:
            return compile_pattern(_text(pattern)).match(_text(subject)) is not None
        except ValueError:
            return False

    def deref(self, _context: object, nodes: Any) -> list[etree._Element]:
        """RFC 7950 10.3.1."""
        element = _first(nodes)
        node = self._schema.node_of(element) if element is not None else None
        if element is None or node is None or node.type is None:
            return []
        value = element.text or ""
        for member in member_types(node.type):
            if isinstance(member, LeafrefType):
                found = [leaf for leaf in self._referred(member, element) if (leaf.text or "") == value]
            elif isinstance(member, InstanceIdentifierType):
                found = self._identified(element, value)
            else:
                continue
            if found:
                return found
        return []

    def _referred(self, leafref: LeafrefType, element: etree._Element) -> list[etree._Element]:
        return leafref.path.select(element, _root_of(element))

    def _identified(self, element: etree._Element, value: str) -> list[etree._Element]:
        try:
            found = find_instance(self._schema, _root_of(element), value)
        except InvalidValue:
            # A value of another member of a union.
            return []
        return [] if found is None else [found]

    def derived_from(self, _context: object, nodes: Any, identity: Any) -> bool:
        """RFC 7950 10.4.1."""
        return self._is_derived(nodes, _text(identity), or_self=False)

    def derived_from_or_self(self, _context: object, nodes: Any, identity: Any) -> bool:
        """RFC 7950 10.4.2."""
        return self._is_derived(nodes, _text(identity), or_self=True)

    def _is_derived(self, nodes: Any, identity: str, *, or_self: bool) -> bool:
        base = self._identity(identity)
        if base is None or not isinstance(nodes, list):
            return False
        for element in nodes:
            typed = typed_value(self._schema, element)
            if typed is None or not isinstance(typed[0], IdentityrefType):
                continue
            value = self._identity(typed[1])
            if value is None:
                continue
            if (or_self and value == base) or base in self._schema.identities[value].ancestors:
                return True
        return False

    def _identity(self, canonical: str) -> tuple[str, str] | None:
        prefix, _, name = canonical.partition(":")
        module = self._schema.module_of(self._schema.nsmap.get(prefix, ""))
        if module is None or (module.name, name) not in self._schema.identities:
            return None
        return module.name, name

    def enum_value(self, _context: object, nodes: Any) -> float:
        """RFC 7950 10.5.1."""
        element = _first(nodes)
        typed = typed_value(self._schema, element) if element is not None else None
        if typed is None or not isinstance(typed[0], EnumerationType):
            return math.nan
        return float(typed[0].values.get(typed[1], math.nan))

    def bit_is_set(self, _context: object, nodes: Any, bit: Any) -> bool:
        """RFC 7950 10.6.1."""
        element = _first(nodes)
        typed = typed_value(self._schema, element) if element is not None else None
        return typed is not None and isinstance(typed[0], BitsType) and _text(bit) in typed[1].split()


def _root_of(element: etree._Element) -> etree._Element:
    top = element
    for ancestor in element.iterancestors():
        top = ancestor
    return top
