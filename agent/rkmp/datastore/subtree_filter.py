"""Subtree filters (RFC 6241 section 6) over any tree of one schema: configuration, state, notifications.

A filter is parsed once. Content match values are compared in canonical form, a name without a namespace matches in
all of them, and what the schema does not have selects nothing (6.2). Keys of a list entry come along with whatever is
selected of it (6.2.5). A list entry asked for by its keys is looked up where the tree has an index.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lxml import etree

from rkmp.datastore.layout import Key
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.errors import InvalidValue

_FEW = 64
"""Nodes up to which they are copied one by one."""


NamedEntries = dict[str, set[tuple[str, tuple[str, ...]]]]
"""By the tag of a top-level node, the tags of lists right below it with the values of keys of entries."""


def key_values(key: Key) -> tuple[str, ...]:
    """The values of all keys, in their order."""
    return (key,) if isinstance(key, str) else key


class EntryIndex(Protocol):
    """Finds entries of lists in one tree by their keys, and by other values."""

    def find(self, parent: etree._Element, node: SchemaNode, key: Key) -> etree._Element | None:
        """The entry of the list ``node`` under ``parent`` that has this key, or None."""

    def having(self, node: SchemaNode, value: str) -> Sequence[etree._Element] | None:
        """The entries in which the leaf ``node`` has ``value``, in document order; None where they are to be sought."""


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
        return self.texts is not None or all(child.texts is not None for child in self.children)

    @property
    def is_unconditional(self) -> bool:
        """Whether every element of the name is admitted."""
        return self.texts is None and not self.attributes and all(child.texts is None for child in self.children)

    def names(self, tag: str) -> bool:
        """Whether elements with this tag are meant."""
        return tag == self.tag or (self.namespace is None and etree.QName(tag).localname == self.name)

    def admits(self, element: etree._Element) -> bool:
        """Whether attributes, content and content match nodes are met; the name is taken for granted."""
        if any(element.get(name) != value for name, value in self.attributes):
            return False
        if self.texts is not None:
            return not len(element) and (element.text or "") in self.texts
        return all(child.texts is None or _holds(element, child) for child in self.children)


def _holds(element: etree._Element, test: _Test) -> bool:
    """Whether ``element`` has a child that a content match node asks for."""
    tag: Any = test.tag if test.namespace is not None else etree.Element
    return any(test.names(str(child.tag)) and test.admits(child) for child in element.iterchildren(tag))


@dataclass(slots=True, eq=False)
class _Choice:
    """What becomes of children with one tag. ``level`` is what is asked inside when no test has a condition."""

    tests: tuple[_Test, ...]
    node: SchemaNode | None
    copies: bool
    level: _Level | None


@dataclass(slots=True, eq=False)
class _Level:
    """What a group of tests asks of the children of an element; ``tags`` is None where any child can be asked for."""

    tests: tuple[_Test, ...]
    node: SchemaNode | None
    keys: tuple[str, ...]
    tags: tuple[str, ...] | None
    lookups: tuple[tuple[SchemaNode, tuple[Key, ...]], ...]
    indexed: bool
    choices: dict[str, _Choice | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Search:
    """One application of a filter: the index of the tree, if there is one, and the copies of what was selected."""

    index: EntryIndex | None
    selected: list[etree._Element]

    @property
    def indexed(self) -> bool:
        return self.index is not None


class SubtreeFilter:
    """A parsed filter."""

    def __init__(self, schema: Schema, tests: Sequence[_Test]) -> None:
        self._schema = schema
        self._tests = tuple(tests)
        self._levels: dict[tuple[tuple[_Test, ...], SchemaNode | None, bool], _Level] = {}

    @classmethod
    def parse(cls, element: etree._Element, schema: Schema) -> SubtreeFilter:
        """The filter whose elements are the children of ``element``, as in ``<filter type="subtree">``."""
        known = [schema.root, *schema.notifications.values()]
        return cls(schema, [_parse(child, known, schema) for child in element.iterchildren(tag=etree.Element)])

    def selects(self, tag: str) -> bool:
        """Whether anything at or below a top-level node with this tag can be selected."""
        return any(test.names(tag) for test in self._tests)

    def matches(self, event: etree._Element) -> bool:
        """Whether anything of a notification (the element inside ``<notification>``) is selected."""
        holder = etree.Element("holder")
        choice = self._choice(self._level(self._tests, self._schema.root, indexed=False), str(event.tag))
        return choice is not None and self._select(holder, event, choice, _Search(None, []))

    def apply(
        self, tree: etree._Element, index: EntryIndex | None = None, *, selected: list[etree._Element] | None = None
    ) -> etree._Element:
        """Copies of what is selected below ``tree``, the element above the top-level nodes.

        They come in a new element like ``tree``, with its namespaces. ``index`` is that of this very tree. ``selected``
        takes the copies of the nodes that were selected, without those above them.
        """
        search = _Search(index, [] if selected is None else selected)
        level = self._level(self._tests, self._schema.root, search.indexed)
        if selected is None and self._is_nearly_all(tree, level):
            copied = copy.copy(tree)
            self._leave_selected(copied, level)
            return copied
        result = etree.Element(tree.tag, nsmap=tree.nsmap)
        if all(test.texts is None or _holds(tree, test) for test in self._tests):
            self._select_children(result, tree, level, search)
        return result

    # Most of a tree is copied in one piece, and what is not selected taken away: a fifth of the cost of the pieces.

    def _is_nearly_all(self, element: etree._Element, level: _Level) -> bool:
        """Whether the names of nodes alone decide what is selected, and it is most of what is there, and many."""
        if level.tags is None or level.lookups or any(test.texts is not None for test in level.tests):
            return False
        kept = others = 0
        for child in element:
            choice = self._choice_of(level, str(child.tag))
            if choice is None:
                others += 1 + len(child)
            elif choice.copies:
                kept += 1
            elif choice.level is None:
                return False
            elif self._is_nearly_all(child, choice.level):
                kept += len(child)
            else:
                return False
            if others > max(kept, _FEW):
                return False
        return kept > _FEW

    def _leave_selected(self, element: etree._Element, level: _Level) -> bool:
        """Take away what is not selected below ``element``; return whether anything is left but keys."""
        selected = False
        for child in list(element):
            tag = str(child.tag)
            choice = self._choice_of(level, tag)
            if choice is not None and (choice.copies or (choice.level and self._leave_selected(child, choice.level))):
                selected = True
            elif tag not in level.keys:
                element.remove(child)
        return selected

    def _choice_of(self, level: _Level, tag: str) -> _Choice | None:
        return level.choices[tag] if tag in level.choices else self._choice(level, tag)

    def confined_to(self, tree: etree._Element, index: EntryIndex) -> list[etree._Element] | None:
        """The list entries, named by their keys, that are all the filter looks at; None where it looks elsewhere."""
        found: dict[etree._Element, None] = {}
        if any(test.texts is not None for test in self._tests):
            return None
        level = self._level(self._tests, self._schema.root, indexed=True)
        return _in_document_order(tree, found) if self._is_confined(tree, level, index, found) else None

    def named_entries(self) -> NamedEntries | None:
        """The entries of lists right below top-level nodes that are all the filter looks at; None where it is more."""
        level = self._level(self._tests, self._schema.root, indexed=True)
        if level.tags is None or level.lookups or any(test.texts is not None for test in self._tests):
            return None
        found: NamedEntries = {}
        for tag in level.tags:
            choice = self._choice_of(level, tag)
            inside = None if choice is None or choice.copies else choice.level
            if inside is None or inside.tags != () or inside.node is None or inside.node.kind is not NodeKind.CONTAINER:
                return None
            found[tag] = {(node.tag, key_values(key)) for node, keys in inside.lookups for key in keys}
        return found

    def _is_confined(
        self, element: etree._Element, level: _Level, index: EntryIndex, found: dict[etree._Element, None]
    ) -> bool:
        if level.tags is None:
            return False
        for tag in level.tags:
            choice = self._choice(level, tag)
            inside = None if choice is None or choice.copies else choice.level
            if inside is None or inside.node is None or inside.node.kind is not NodeKind.CONTAINER:
                return False
            if not all(self._is_confined(child, inside, index, found) for child in element.iterchildren(tag)):
                return False
        for node, keys in level.lookups:
            entries = (index.find(element, node, key) for key in keys)
            found.update((entry, None) for entry in entries if entry is not None)
        return True

    def _select(self, result: etree._Element, element: etree._Element, choice: _Choice, search: _Search) -> bool:
        """Add what is selected of ``element`` to ``result``; return whether there is any."""
        if choice.copies:
            search.selected.append(add_copy(result, element))
            return True
        level = choice.level
        if level is None:
            met = tuple(test for test in choice.tests if test.admits(element))
            if not met:
                return False
            if any(test.selects_all for test in met):
                search.selected.append(add_copy(result, element))
                return True
            level = self._level(_children_of(met), choice.node, search.indexed)
        inside = etree.SubElement(result, str(element.tag), dict(element.attrib) if element.attrib else None)
        if self._select_children(inside, element, level, search):
            return True
        result.remove(inside)
        return False

    def _select_children(self, result: etree._Element, element: etree._Element, level: _Level, search: _Search) -> bool:
        selected = False
        choices = level.choices
        children: Iterable[etree._Element] = _candidates(element, level, search.index)
        if level.tags and not level.lookups:
            children = element.iterchildren(*level.tags)
        for child in children:
            tag = str(child.tag)
            choice = choices[tag] if tag in choices else self._choice(level, tag)
            if choice is not None and self._select(result, child, choice, search):
                selected = True
            elif tag in level.keys:
                # RFC 6241 6.2.5: keys may come along, so that it can be seen of which entry something is.
                add_copy(result, child)
        return selected

    def _level(self, tests: tuple[_Test, ...], node: SchemaNode | None, indexed: bool) -> _Level:
        found = self._levels.get((tests, node, indexed))
        if found is None:
            found = self._levels[tests, node, indexed] = _make_level(tests, node, indexed=indexed)
        return found

    def _choice(self, level: _Level, tag: str) -> _Choice | None:
        tests = tuple(test for test in level.tests if test.names(tag))
        choice: _Choice | None = None
        if tests:
            node = level.node
            below = _child_node(self._schema, node, tag) if node is not None else None
            unconditional = all(test.is_unconditional for test in tests)
            copies = any(test.is_unconditional and test.selects_all for test in tests)
            inside = self._level(_children_of(tests), below, level.indexed) if unconditional else None
            choice = _Choice(tests, below, copies, inside)
        level.choices[tag] = choice
        return choice


def _children_of(tests: Iterable[_Test]) -> tuple[_Test, ...]:
    return tuple(child for test in tests for child in test.children)


def _child_node(schema: Schema, node: SchemaNode, tag: str) -> SchemaNode | None:
    notifications = schema.notifications if node is schema.root else node.notifications
    return node.data_children.get(tag) or notifications.get(tag)


def _make_level(tests: tuple[_Test, ...], node: SchemaNode | None, *, indexed: bool) -> _Level:
    keys = node.keys if node is not None else ()
    if node is None or any(test.namespace is None for test in tests):
        return _Level(tests, node, keys, None, (), indexed)
    looked_up: dict[str, list[Key] | None] = {}
    for test in tests:
        key = _key(test, node.data_children.get(test.tag)) if indexed else None
        found = looked_up.setdefault(test.tag, [])
        if key is None:
            looked_up[test.tag] = None
        elif found is not None and key not in found:
            found.append(key)
    tags = dict.fromkeys([*keys, *(tag for tag, found in looked_up.items() if found is None)])
    lookups = tuple((node.data_children[tag], tuple(found)) for tag, found in looked_up.items() if found)
    return _Level(tests, node, keys, tuple(tags), lookups, indexed)


def _candidates(element: etree._Element, level: _Level, index: EntryIndex | None) -> Iterator[etree._Element]:
    """The children that can be selected, with the keys; in document order but for entries that are looked up."""
    if level.tags is None:
        yield from element.iterchildren(tag=etree.Element)
        return
    if level.tags:
        yield from element.iterchildren(*level.tags)
    if index is not None:
        for node, keys in level.lookups:
            for key in keys:
                entry = index.find(element, node, key)
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


def _in_document_order(tree: etree._Element, elements: Mapping[etree._Element, None]) -> list[etree._Element]:
    if len(elements) > _FEW:
        return [element for element in tree.iter(etree.Element) if element in elements]
    return sorted(elements, key=_position)


def _position(element: etree._Element) -> list[int]:
    """Where an element is below the root, step by step."""
    steps = [element, *element.iterancestors()]
    return [parent.index(child) for child, parent in itertools.pairwise(steps)][::-1]


def add_copy(result: etree._Element, element: etree._Element) -> etree._Element:
    """Append a copy of ``element`` to ``result`` and return it."""
    if len(element) or element.attrib:
        copied = copy.deepcopy(element)
        result.append(copied)
    else:
        copied = etree.SubElement(result, str(element.tag))
        copied.text = element.text
    return copied


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
