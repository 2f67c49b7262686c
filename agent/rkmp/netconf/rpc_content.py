"""Checks what is inside an rpc, an action, or the output of one against the schema (RFC 7950 sections 7.14, 7.15).

One walk finds every fault, as rpc-errors with paths: unknown nodes, bad values, missing and doubled nodes, two cases
of a choice. Constraints that need a datastore (must, when, leafref) are not for this walk: `unsupported_constraint`
finds them, so that whoever registers a handler is told at once. It must not know sessions or datastores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.instance_path import InstancePath, instance_path
from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.errors import InvalidValue, RpcError, RpcErrors
from rkmp.netconf.namespaces import YANG, base

_OPAQUE = (NodeKind.ANYXML, NodeKind.ANYDATA)


def check_content(
    schema: Schema,
    node: SchemaNode,
    element: etree._Element,
    *,
    canonicalise: bool,
    optional: Collection[str] = (),
) -> None:
    """Check the children of ``element`` against ``node``, the input or output of an rpc or action.

    With ``canonicalise`` every value is rewritten in canonical form, its prefixes those of ``schema.nsmap`` whatever
    the element binds. ``optional`` names children and choices of ``node`` that may be left out though the schema has
    them mandatory. Raises RpcErrors with everything that is wrong.
    """
    errors = list(_Walk(schema, canonicalise=canonicalise, optional=optional).children(node, element))
    if errors:
        raise RpcErrors(errors)


def canonical_value(schema: Schema, node: SchemaNode, element: etree._Element) -> str:
    """Return the canonical value of ``element``, an instance of the leaf or leaf-list ``node``.

    Raises RpcError for what is no value of its type; a secret is not repeated in it.
    """
    if node.type is None:
        raise TypeError(f"{node} has no value")
    if len(element):
        reason = "holds elements, and is to hold a value"
        raise rejections.bad_element(instance_path(schema, element), node.name, reason)
    try:
        return node.type.check(element.text or "", element.nsmap)
    except InvalidValue as error:
        reason = "the value is not of its type" if _is_secret(node) else error.reason
        raise rejections.invalid_value(instance_path(schema, element), reason, error.app_tag) from None


def unsupported_constraint(node: SchemaNode) -> str | None:
    """Return a description of the first must or when in the content of ``node``, or None where there is none."""
    for child in node.descendants():
        if child.musts or child.whens:
            return f"{child.schema_path} has a must or when statement"
    return None


class _Walk:
    """One check; holds what every step needs."""

    def __init__(self, schema: Schema, *, canonicalise: bool, optional: Collection[str]) -> None:
        self._schema = schema
        self._canonicalise = canonicalise
        self._optional = optional

    def children(self, node: SchemaNode, element: etree._Element) -> Iterator[RpcError]:
        """Yield what is wrong below ``element``, an instance of ``node``."""
        if _has_text(element):
            yield self._misfit(element, "holds text, and is to hold elements")
        seen: Counter[str] = Counter()
        entries: set[tuple[str, ...]] = set()
        cases: dict[SchemaNode, SchemaNode] = {}
        for child in element.iterchildren(tag=etree.Element):
            tag = str(child.tag)
            child_node = node.data_children.get(tag)
            if child_node is None:
                yield unknown_node(self._schema, child)
                continue
            seen[tag] += 1
            if seen[tag] == 2 and not child_node.is_entry:
                yield self._misfit(child, "is there more than once")
            yield from self._other_case(child, child_node, cases)
            yield from self._one(child_node, child)
            if child_node.keys:
                entry = (tag, *(child.findtext(key) or "" for key in child_node.keys))
                if entry in entries:
                    yield self._misfit(child, "is there more than once")
                entries.add(entry)
        yield from self._missing(node, element, seen)

    def _one(self, node: SchemaNode, element: etree._Element) -> Iterator[RpcError]:
        if node.kind in _OPAQUE:
            return
        for attribute in element.attrib:
            name = etree.QName(str(attribute)).localname
            yield rejections.unknown_attribute(self._path(element), node.name, name)
        if not node.has_text:
            yield from self.children(node, element)
            return
        try:
            canonical = canonical_value(self._schema, node, element)
        except RpcError as error:
            yield error
        else:
            if self._canonicalise:
                element.text = canonical

    def _other_case(
        self, element: etree._Element, node: SchemaNode, cases: dict[SchemaNode, SchemaNode]
    ) -> Iterator[RpcError]:
        """Note the cases ``element`` is in, innermost first; yield an error where a choice has another already."""
        case = node.case
        while case is not None and case.parent is not None:
            choice = case.parent
            if cases.setdefault(choice, case) is not case:
                yield self._misfit(element, f"is of another case of {choice.name} than what is there already")
            above = choice.parent
            case = above if above is not None and above.kind is NodeKind.CASE else None

    def _missing(self, node: SchemaNode, element: etree._Element, seen: Counter[str]) -> Iterator[RpcError]:
        for key in node.keys:
            if not seen[key]:
                yield rejections.missing_key(self._path(element), node.name, etree.QName(key).localname)
        for child in node.children:
            yield from self._missing_child(child, element, seen)

    def _missing_child(self, node: SchemaNode, element: etree._Element, seen: Counter[str]) -> Iterator[RpcError]:
        if node.kind is NodeKind.CHOICE:
            present = [case for case in node.children if any(tag in seen for tag in case.data_children)]
            if not present and node.mandatory and node.name not in self._optional:
                yield self._missing_choice(element, node)
            for case in present:
                for child in case.children:
                    yield from self._missing_child(child, element, seen)
        elif node.kind is NodeKind.CONTAINER:
            # A container without presence that is not there is there and empty (RFC 7950 7.5.1).
            if not node.presence and not seen[node.tag] and _needs_content(node):
                yield rejections.missing_mandatory(self._path(element), node.name)
        elif node.is_entry:
            count = seen[node.tag]
            if count < node.min_elements:
                yield rejections.too_few_elements(self._path(element), node.name, node.min_elements)
            if node.max_elements is not None and count > node.max_elements:
                yield rejections.too_many_elements(self._path(element), node.name, node.max_elements)
        elif node.mandatory and not seen[node.tag] and not node.is_key and node.name not in self._optional:
            yield rejections.missing_mandatory(self._path(element), node.name)

    def _path(self, element: etree._Element) -> InstancePath:
        return instance_path(self._schema, element)

    def _misfit(self, element: etree._Element, problem: str) -> RpcError:
        return rejections.bad_element(self._path(element), etree.QName(element).localname, problem)

    def _missing_choice(self, element: etree._Element, choice: SchemaNode) -> RpcError:
        # RFC 7950 15.6 gives data-missing to configuration; a parameter that is not there is a missing element
        # (RFC 6241 appendix A), of which the choice is the only name.
        error = rejections.missing_choice(self._path(element), choice.name)
        error.tag = "missing-element"
        error.info = [(base("bad-element"), choice.name), (f"{{{YANG}}}missing-choice", choice.name)]
        return error


def unknown_node(schema: Schema, element: etree._Element) -> RpcError:
    """Return the error for an element that the schema does not have where it is."""
    name = etree.QName(element)
    path = instance_path(schema, element)
    if schema.module_of(name.namespace or "") is None:
        return rejections.unknown_namespace(path, name.localname, name.namespace or "")
    return rejections.unknown_element(path, name.localname)


def _is_secret(node: SchemaNode) -> bool:
    above: SchemaNode | None = node
    while above is not None and not above.default_deny_all:
        above = above.data_parent
    return above is not None


def _needs_content(node: SchemaNode) -> bool:
    return any(
        child.mandatory
        or child.min_elements > 0
        or (child.kind is NodeKind.CONTAINER and not child.presence and _needs_content(child))
        for child in node.children
    )


def _has_text(element: etree._Element) -> bool:
    pieces = (element.text, *(child.tail for child in element))
    return any(piece and not piece.isspace() for piece in pieces)
