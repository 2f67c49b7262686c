"""Subtree filters (RFC 6241 section 6) over any tree of one schema: configuration, state, notifications.

A filter is parsed once. Content match values are compared in canonical form, a name without a namespace matches in
all of them, and what the schema does not have selects nothing (6.2). Keys of a list entry come along with whatever is
selected of it (6.2.5). A list entry asked for by its keys is looked up where the tree has an index.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lxml import etree

from rkmp.datastore.layout import Key
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.errors import InvalidValue


class EntryIndex(Protocol):
    """Finds entries of lists in one tree by their keys."""

    def find(self, parent: etree._Element, node: SchemaNode, key: Key) -> etree._Element | None:
        """The entry of the list ``node`` under ``parent`` that has this key, or None."""


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """One element of a filter. ``namespace`` is None for any; ``texts`` is None unless it is a content match node."""

    name: str
    namespace: str | None
    tag: str
    attributes: tuple[tuple[str, str], ...]
    texts: frozenset[str] | None
    children: tuple[_Test, ...]

    @property
    def selects_all(self) -> bool:
        """A selection node, or one that holds content match nodes only (RFC 6241 6.2.4, 6.2.5)."""
        return self.texts is None and all(child.texts is not None for child in self.children)

    def names(self, element: etree._Element) -> bool:
        if self.namespace is None:
            return etree.QName(element).localname == self.name
        return bool(element.tag == self.tag)

    def admits(self, element: etree._Element) -> bool:
        """Whether attributes and content match nodes are met; the name is taken for granted."""
        for name, value in self.attributes:
            if element.get(name) != value:
                return False
        return all(child.texts is None or _has_content(element, child) for child in self.children)


def _has_content(element: etree._Element, test: _Test) -> bool:
    tag: Any = test.tag if test.namespace is not None else etree.Element
    return any(test.names(child) and _equals(child, test) for child in element.iterchildren(tag))


def _equals(leaf: etree._Element, test: _Test) -> bool:
    if test.texts is None or len(leaf):
        return False
    if any(leaf.get(name) != value for name, value in test.attributes):
        return False
    text = leaf.text or ""
    return text in test.texts or text.strip() in test.texts


class SubtreeFilter:
    """A parsed filter."""

    def __init__(self, schema: Schema, tests: Sequence[_Test]) -> None:
        self._schema = schema
        self._tests = tuple(tests)

    @classmethod
    def parse(cls, element: etree._Element, schema: Schema) -> SubtreeFilter:
        """The filter whose elements are the children of ``element``, as in ``<filter type="subtree">``."""
        known = [schema.root, *schema.notifications.values()]
        return cls(schema, [_parse(child, known, schema) for child in element.iterchildren(tag=etree.Element)])

    def selects(self, tag: str) -> bool:
        """Whether anything at or below a top-level node with this tag can be selected."""
        name = etree.QName(tag)
        return any(test.name == name.localname and test.namespace in (None, name.namespace) for test in self._tests)

    def matches(self, event: etree._Element) -> bool:
        """Whether anything of a notification (the element inside ``<notification>``) is selected."""
        holder = etree.Element(event.tag)
        node = self._schema.notifications.get(str(event.tag)) or self._schema.top.get(str(event.tag))
        return self._select(holder, event, [test for test in self._tests if test.names(event)], node, None)

    def apply(self, tree: etree._Element, index: EntryIndex | None = None) -> etree._Element:
        """Copies of what is selected below ``tree``, the element above the top-level nodes.

        They come in a new element like ``tree``, with its namespaces. ``index`` is that of this very tree.
        """
        result = etree.Element(tree.tag, nsmap=tree.nsmap)
        if any(test.texts is not None and not _has_content(tree, test) for test in self._tests):
            return result
        self._select_children(result, tree, self._tests, self._schema.root, index)
        return result

    def _select(
        self,
        result: etree._Element,
        element: etree._Element,
        tests: Iterable[_Test],
        node: SchemaNode | None,
        index: EntryIndex | None,
    ) -> bool:
        """Add what ``tests``, all of this name, select of ``element`` to ``result``; return whether there is any."""
        met = [test for test in tests if (test.admits(element) if test.texts is None else _equals(element, test))]
        if not met:
            return False
        if any(test.texts is not None or test.selects_all for test in met):
            _add_copy(result, element)
            return True
        inside = etree.SubElement(result, str(element.tag), dict(element.attrib) if element.attrib else None)
        below = [child for test in met for child in test.children]
        if self._select_children(inside, element, below, node, index):
            return True
        result.remove(inside)
        return False

    def _select_children(
        self,
        result: etree._Element,
        element: etree._Element,
        tests: Sequence[_Test],
        node: SchemaNode | None,
        index: EntryIndex | None,
    ) -> bool:
        by_tag: dict[Any, list[_Test]] = {}
        selected = False
        keys = node.keys if node is not None else ()
        candidates = self._candidates(element, tests, node, index)
        for child in candidates:
            tag = str(child.tag)
            applicable = by_tag.get(tag)
            if applicable is None:
                applicable = by_tag[tag] = [test for test in tests if test.names(child)]
            if not applicable:
                if tag in keys:
                    _add_copy(result, child)
                continue
            below = node.data_children.get(tag) or node.notifications.get(tag) if node is not None else None
            if self._select(result, child, applicable, below, index):
                selected = True
            elif tag in keys:
                _add_copy(result, child)
        return selected

    def _candidates(
        self, element: etree._Element, tests: Sequence[_Test], node: SchemaNode | None, index: EntryIndex | None
    ) -> Iterator[etree._Element]:
        """The children that ``tests`` can select, with the keys; in document order but for entries looked up."""
        if node is None or any(test.namespace is None for test in tests):
            yield from element.iterchildren(tag=etree.Element)
            return
        scanned: dict[str, None] = dict.fromkeys(node.keys)
        wanted: dict[str, list[Key] | None] = {}
        for test in tests:
            key = _key(test, node.data_children.get(test.tag)) if index is not None else None
            found = wanted.setdefault(test.tag, [])
            if key is None:
                wanted[test.tag] = None
            elif found is not None and key not in found:
                found.append(key)
        scanned |= {tag: None for tag, keys in wanted.items() if keys is None}
        if scanned:
            yield from element.iterchildren(*scanned)
        for tag, keys in wanted.items():
            for key in keys or ():
                entry = index.find(element, node.data_children[tag], key) if index is not None else None
                if entry is not None:
                    yield entry


def _key(test: _Test, node: SchemaNode | None) -> Key | None:
    """The key that an entry must have to meet ``test``, where the test fixes one."""
    if node is None or not node.config or node.kind is not NodeKind.LIST or not node.keys:
        return None
    values = []
    for key in node.keys:
        texts = next((child.texts for child in test.children if child.tag == key and child.texts is not None), None)
        if texts is None or len(texts) != 1:
            return None
        values.append(next(iter(texts)))
    return values[0] if len(values) == 1 else tuple(values)


def _add_copy(result: etree._Element, element: etree._Element) -> None:
    if len(element) or element.attrib:
        result.append(copy.deepcopy(element))
    else:
        etree.SubElement(result, str(element.tag)).text = element.text


def _parse(element: etree._Element, above: Sequence[SchemaNode], schema: Schema) -> _Test:
    name = etree.QName(element)
    nodes = [node for parent in above for node in _named(parent, name, schema)]
    children = tuple(_parse(child, nodes, schema) for child in element.iterchildren(tag=etree.Element))
    text = (element.text or "").strip()
    return _Test(
        name=name.localname,
        namespace=name.namespace,
        tag=str(element.tag),
        attributes=tuple((str(key), str(value)) for key, value in element.attrib.items()),
        texts=_texts(text, element, nodes) if text and not children else None,
        children=children,
    )


def _named(parent: SchemaNode, name: etree.QName, schema: Schema) -> Iterator[SchemaNode]:
    children = list(parent.data_children.values())
    if parent is schema.root:
        children += schema.notifications.values()
    elif parent.notifications:
        children += parent.notifications.values()
    for child in children:
        if child.name == name.localname and name.namespace in (None, child.namespace):
            yield child


def _texts(text: str, element: etree._Element, nodes: Sequence[SchemaNode]) -> frozenset[str]:
    """The canonical forms of a content match value, by the types of the nodes that it can be for."""
    forms = set()
    for node in nodes:
        if node.type is not None:
            try:
                forms.add(node.type.check(text, element.nsmap))
            except InvalidValue:
                continue
    return frozenset(forms or {text})
