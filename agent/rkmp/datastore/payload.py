"""Parsing of a payload: configuration from outside, checked against the schema and put in normal form (RFC 7950 8.3.1).

One walk finds every fault of names, values, keys, attributes and cases. What comes out of it can be moved into a
tree as it is: values canonical, siblings in order, no white space. Where the payload has attributes, order and
emptiness are left to ``editing``, since they mean something there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.instance_path import InstancePath, instance_path
from rkmp.datastore.layout import Key, Layout, Layouts, is_empty
from rkmp.datastore.marks import DEFAULT, Mark, Operation, read_mark
from rkmp.datastore.schema.nodes import SchemaNode
from rkmp.errors import InvalidValue, RpcError

_HAS_ATTRIBUTES = etree.XPath("boolean(.//@*)")
_HAS_MIXED_TEXT = etree.XPath("boolean(self::*[*]/text() | .//*[*]/text())")
_HAS_OTHER_NODES = etree.XPath("boolean(.//comment() | .//processing-instruction())")

_DELETING = (Operation.DELETE, Operation.REMOVE)


@dataclass(frozen=True, slots=True)
class Payload:
    """A checked payload: the ``config`` element and the marks of the elements that have attributes.

    ``is_normal`` is true when it can be moved into a tree as it is; otherwise there are attributes to act on first.
    """

    config: etree._Element
    marks: dict[etree._Element, Mark]
    is_normal: bool


def parse_payload(layouts: Layouts, config: etree._Element, default_operation: Operation | None) -> Payload:
    """Check the content of ``config`` and put it in normal form, in place.

    Without a default operation it is a whole configuration, in which there are no attributes. Raises RpcErrors with
    everything that is wrong.
    """
    if _HAS_OTHER_NODES(config):
        etree.strip_elements(config, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    walk = _Walk(layouts, has_attributes=bool(_HAS_ATTRIBUTES(config)), has_text=bool(_HAS_MIXED_TEXT(config)))
    walk.is_edit = default_operation is not None
    if config.attrib:
        walk.errors += [
            rejections.unknown_attribute(InstancePath("/", {}), "config", etree.QName(name).localname)
            for name in config.attrib
        ]
    walk.children(config, layouts.root, default_operation or Operation.MERGE)
    if walk.errors:
        raise rejections.all_of(walk.errors)
    return Payload(config, walk.marks, is_normal=not walk.has_attributes)


@dataclass(slots=True)
class _Walk:
    layouts: Layouts
    has_attributes: bool
    has_text: bool
    is_edit: bool = True
    errors: list[RpcError] = field(default_factory=list)
    marks: dict[etree._Element, Mark] = field(default_factory=dict)

    def children(self, element: etree._Element, layout: Layout, operation: Operation) -> None:
        """Check everything below ``element``."""
        deletes = operation in _DELETING
        if self.has_text or is_empty(element):
            self._drop_space(element, layout)
        known = layout.children
        seen: dict[str, set[Key]] = {}
        last = -1
        in_order = True
        emptied: list[etree._Element] = []
        for child in element:
            below = known.get(child.tag)
            if below is None:
                self._unknown(child, layout)
                continue
            if below.rank > last:
                last = below.rank
            elif below.rank < last or not below.is_entry:
                in_order = False
            own = operation
            if self.has_attributes and child.attrib:
                own = self._mark(child, below, operation)
                deletes = own in _DELETING
            if below.is_leaf:
                if len(child):
                    self._misfit(child, below, "holds elements, and is to hold a value")
                elif below.check is not None and (not deletes or below.tag in layout.keys):
                    text = child.text or ""
                    canonical = below.known.get(text)
                    if canonical is None:
                        self._value(child, below)
                    elif canonical != text:
                        child.text = canonical or None
            elif below.is_list:
                self._entry(child, below, own, seen)
            elif below.is_leaf_list:
                if len(child):
                    self._misfit(child, below, "holds elements, and is to hold a value")
                elif self._value(child, below):
                    self._once(child, below, child.text or "", seen)
            elif below.is_container:
                self.children(child, below, own)
                if below.is_structural and is_empty(child):
                    emptied.append(child)
            if own is not operation:
                deletes = operation in _DELETING
        if not in_order:
            self._disordered(element, layout)
        if layout.has_cases:
            self._cases(element, layout, operation)
        if not self.has_attributes:
            for child in emptied:
                element.remove(child)

    def _entry(self, entry: etree._Element, layout: Layout, operation: Operation, seen: dict[str, set[Key]]) -> None:
        found = len(self.errors)
        self.children(entry, layout, operation)
        complete = True
        for key in layout.keys:
            if next(entry.iterchildren(key), None) is None:
                complete = False
                path = self._path(entry, layout)
                name = layout.children[key].node.name
                self.errors.append(rejections.missing_key(path, layout.node.name, name))
        if complete and len(self.errors) == found:
            self._once(entry, layout, layout.key_of(entry), seen)

    def _once(self, entry: etree._Element, layout: Layout, key: Key, seen: dict[str, set[Key]]) -> None:
        keys = seen.setdefault(layout.tag, set())
        if key in keys:
            # RFC 6241 7.2 leaves the result of two operations on one node undefined; guessing would lose one.
            self._misfit(entry, layout, "is there twice")
        keys.add(key)

    def _value(self, leaf: etree._Element, layout: Layout) -> bool:
        if layout.check is None:
            return True
        text = leaf.text or ""
        try:
            canonical = layout.check(text, leaf)
        except InvalidValue as fault:
            reason = fault.reason
            if layout.is_secret and text and text in reason:
                reason = f"the value is not one that {layout.node.name} can have"
            self.errors.append(rejections.invalid_value(self._path(leaf, layout), reason, fault.app_tag))
            return False
        if canonical != text:
            leaf.text = canonical or None
        return True

    def _mark(self, element: etree._Element, layout: Layout, inherited: Operation) -> Operation:
        if not self.is_edit:
            # RFC 6243 4.5.1: the one attribute of a whole configuration.
            unknown = [name for name in element.attrib if name != DEFAULT]
            for name in unknown:
                path = self._path(element, layout)
                self.errors.append(rejections.unknown_attribute(path, layout.node.name, etree.QName(name).localname))
            if unknown:
                return inherited
        mark, errors = read_mark(element, layout, inherited, lambda: self._path(element, layout))
        self.errors += errors
        self.marks[element] = mark
        return mark.operation or inherited

    def _disordered(self, element: etree._Element, layout: Layout) -> None:
        """Find what is there twice; without attributes, whose order may matter, put the children in order."""
        seen: set[Any] = set()
        for child in element:
            below = layout.children.get(child.tag)
            if below is None or below.is_entry:
                continue
            if below.tag in seen:
                self._misfit(child, below, "is there twice")
            seen.add(below.tag)
        if not self.has_attributes and not self.errors:
            put_in_order(element, layout)

    def _cases(self, element: etree._Element, layout: Layout, operation: Operation) -> None:
        chosen: dict[SchemaNode, SchemaNode] = {}
        for child in element:
            below = layout.children.get(child.tag)
            if below is None:
                continue
            mark = self.marks.get(child)
            if ((mark.operation if mark else None) or operation).deletes:
                continue
            for choice, case in below.cases:
                if chosen.setdefault(choice, case) is not case:
                    self._misfit(child, below, f"is of another case of {choice.name} than what is there already")

    def _drop_space(self, element: etree._Element, layout: Layout) -> None:
        text = element.text
        if text is not None:
            if text.strip():
                self._misfit(element, layout, "holds text, and is to hold elements")
            element.text = None
        for child in element:
            tail = child.tail
            if tail is not None:
                if tail.strip():
                    self._misfit(element, layout, "holds text, and is to hold elements")
                child.tail = None

    # Errors

    def _path(self, element: etree._Element, layout: Layout) -> InstancePath:
        if layout.parent is None:
            return InstancePath("/", {})
        if layout.is_secret and layout.is_leaf_list:
            parent = element.getparent()
            path = InstancePath("/", {}) if parent is None else instance_path(self.layouts.schema, parent)
            return InstancePath(f"{path.text}/{layout.name}", path.namespaces)
        return instance_path(self.layouts.schema, element)

    def _misfit(self, element: etree._Element, layout: Layout, reason: str) -> None:
        self.errors.append(rejections.bad_element(self._path(element, layout), layout.node.name, reason))

    def _unknown(self, element: etree._Element, layout: Layout) -> None:
        if not isinstance(element.tag, str):
            # An entity reference that the parser left alone.
            parent = element.getparent()
            self._misfit(element if parent is None else parent, layout, "holds what is no element")
            return
        name = etree.QName(element)
        path = instance_path(self.layouts.schema, element)
        namespace = name.namespace or ""
        if str(element.tag) in layout.node.data_children:
            reason = "is state, and cannot be configured"
            self.errors.append(rejections.unknown_element(path, name.localname, reason))
        elif self.layouts.schema.module_of(namespace) is None:
            self.errors.append(rejections.unknown_namespace(path, name.localname, namespace))
        else:
            self.errors.append(rejections.unknown_element(path, name.localname))


def put_in_order(element: etree._Element, layout: Layout) -> None:
    """Put the children of an element in the order of their layouts, those of one kind in the order they are in."""
    children = list(element)
    ranks = [layout.children[child.tag].rank for child in children]
    if ranks != sorted(ranks):
        for _, child in sorted(zip(ranks, children, strict=True), key=itemgetter(0)):
            element.append(child)
