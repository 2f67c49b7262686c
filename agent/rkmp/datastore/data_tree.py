"""One datastore's content: an lxml tree, indexes beside it that follow every change, and the journal of changes.

All changes of a tree go through the few methods here. Each keeps the indexes right and, while a journal is open,
notes how to undo itself; undoing is the same methods in reverse, so the indexes follow that too.

Normal form: siblings in the order of their layouts, canonical values, no white space, comments or attributes, and no
container without presence that is empty, which means the same as its absence (RFC 7950 7.5.1). The methods keep the
order of siblings; the callers, ``payload`` and ``editing``, see to the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import islice

from lxml import etree

from rkmp.datastore.journal import Inserted, Journal, Moved, Removed, Retexted, Step
from rkmp.datastore.layout import Key, Layout, Layouts
from rkmp.datastore.schema.nodes import SchemaNode
from rkmp.datastore.transplant import put, take_out


class Entries:
    """The entries of one list or leaf-list under one parent, by key, and the last of them in document order."""

    __slots__ = ("by_key", "last")

    def __init__(self) -> None:
        self.by_key: dict[Key, etree._Element] = {}
        self.last: etree._Element | None = None


ASKED = 4
"""Leaves that were asked about by value and are remembered for it, the last ones."""
FEW = 32
"""Entries up to which those with a value are put in document order, each at the cost of a walk to its place."""

Values = dict[str, dict["etree._Element", None]]
"""The instances of one leaf or leaf-list in a whole tree, by value; each set of instances in the order of insertion."""


class DataTree:
    """A tree and its indexes. ``root`` is the ``config`` element, which callers elsewhere only read."""

    def __init__(self, layouts: Layouts, root: etree._Element | None = None) -> None:
        self.layouts = layouts
        self.root = layouts.schema.new_root() if root is None else root
        self.journal: Journal | None = None
        self._entries: dict[etree._Element, dict[str, Entries]] = {}
        self._values: dict[SchemaNode, Values] = {}
        self._asked: dict[Layout, bool] = {}
        self._watched: dict[Layout, tuple[str, ...]] = {}

    # Looking

    def child(self, parent: etree._Element, layout: Layout) -> etree._Element | None:
        """The one instance of a node that is neither list nor leaf-list, or None."""
        siblings = layout.parent
        if siblings is None or not siblings.has_entries:
            return next(parent.iterchildren(layout.tag), None)
        # Entries come last, so the search ends before them however many there are.
        for child in parent:
            if child.tag == layout.tag:
                return child
            if siblings.children[child.tag].rank > layout.rank:
                return None
        return None

    def entries(self, parent: etree._Element, layout: Layout) -> Entries:
        """The entries of a list or leaf-list under ``parent``; indexed from the first time that they are asked for."""
        indexes = self._entries.get(parent)
        if indexes is None:
            indexes = self._entries[parent] = {}
        found = indexes.get(layout.tag)
        if found is None:
            found = indexes[layout.tag] = Entries()
            for entry in parent.iterchildren(layout.tag):
                found.by_key[layout.key_of(entry)] = entry
                found.last = entry
        return found

    def entry(self, parent: etree._Element, layout: Layout, key: Key) -> etree._Element | None:
        """The entry with this key under ``parent``, or None."""
        return self.entries(parent, layout).by_key.get(key)

    def find(self, parent: etree._Element, node: SchemaNode, key: Key) -> etree._Element | None:
        """The entry of the list ``node`` with this key, for subtree filters."""
        layout = self.layouts.of_node(node)
        return None if layout is None else self.entry(parent, layout, key)

    def instances(
        self, layout: Layout, top: etree._Element | None = None, top_layout: Layout | None = None
    ) -> Iterator[etree._Element]:
        """Every instance of a node in the tree, or at and below ``top``, an instance of ``top_layout``.

        Nothing where the node is not below ``top_layout``. Finds what is there, past the indexes.
        """
        chain: list[Layout] = []
        end = self.layouts.root if top_layout is None else top_layout
        step: Layout | None = layout
        while step is not None and step is not end:
            chain.append(step)
            step = step.parent
        if step is not None:
            yield from _instances(self.root if top is None else top, chain, len(chain))

    def values(self, layout: Layout) -> Values:
        """The instances of a leaf or leaf-list by value; indexed from the first time that they are asked for."""
        found = self._values.get(layout.node)
        if found is None:
            found = {}
            for leaf in self.instances(layout):
                found.setdefault(leaf.text or "", {})[leaf] = None
            self._values[layout.node] = found
            self._watch(layout)
        return found

    def having(self, node: SchemaNode, value: str) -> Sequence[etree._Element] | None:
        """The entries in which the leaf ``node`` has ``value``, for XPath filters.

        None at the first question about a leaf, and where there are many: then a search costs no more. The indexes of
        the leaves asked about last are kept.
        """
        layout = self.layouts.of_node(node)
        if layout is None:
            return None
        is_asked_again = self._asked.pop(layout, False) or node in self._values
        self._asked[layout] = True
        if len(self._asked) > ASKED:
            self._forget_values(next(iter(self._asked)))
        if not is_asked_again:
            return None
        leaves = self.values(layout).get(value, ())
        entries = [entry for leaf in islice(leaves, FEW + 1) if (entry := leaf.getparent()) is not None]
        return sorted(entries, key=_position) if len(entries) <= FEW else None

    def _watch(self, layout: Layout) -> None:
        above = layout.parent
        below = layout.tag
        while above is not None:
            tags = self._watched.get(above, ())
            if below not in tags:
                self._watched[above] = (*tags, below)
            below = above.tag
            above = above.parent

    def _forget_values(self, layout: Layout) -> None:
        """Drop what is known of a leaf; who needs it all the same makes it anew."""
        del self._asked[layout]
        if self._values.pop(layout.node, None) is not None:
            self._watched.clear()
            for node in self._values:
                known = self.layouts.of_node(node)
                if known is not None:
                    self._watch(known)

    # Changing

    def insert(
        self, parent: etree._Element, element: etree._Element, layout: Layout, before: etree._Element | None
    ) -> None:
        """Put ``element``, in normal form, under ``parent``: before one of its children, or at the end."""
        put(parent, element, before)
        self._enter(parent, element, layout)
        self._note(Inserted(parent, element, layout))

    def add(self, parent: etree._Element, element: etree._Element, layout: Layout) -> None:
        """Put ``element`` where its kind belongs under ``parent``; an entry comes after the others of its list."""
        self.insert(parent, element, layout, self.place(parent, layout))

    def create(self, parent: etree._Element, layout: Layout) -> etree._Element:
        """Put a new, empty instance of ``layout`` under ``parent`` and return it."""
        element = self.root.makeelement(layout.tag, nsmap=self.root.nsmap)
        self.add(parent, element, layout)
        return element

    def remove(self, element: etree._Element, layout: Layout) -> None:
        """Take ``element`` and everything below it out of the tree."""
        parent = element.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        following = element.getnext()
        self._leave(parent, element, layout)
        take_out(element)
        if self.journal is None:
            self._forget(element, layout)
        self._note(Removed(parent, element, layout, following))

    def set_text(self, leaf: etree._Element, layout: Layout, text: str) -> None:
        """Give a leaf another canonical value."""
        before = leaf.text
        self._put_text(leaf, layout, text or None)
        self._note(Retexted(leaf, layout, before))

    def move(self, entry: etree._Element, layout: Layout, before: etree._Element | None) -> None:
        """Put an entry elsewhere among its siblings: before one of them, or (None) at the end of the parent."""
        following = entry.getnext()
        if following is before or before is entry:
            return
        self._put_before(entry, layout, before)
        self._note(Moved(entry, layout, following))

    def replace_content(self, element: etree._Element, layout: Layout, source: etree._Element) -> None:
        """Put ``source`` in the place of ``element``; for anydata, which can only be modified whole."""
        following = element.getnext()
        parent = element.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        self.remove(element, layout)
        self.insert(parent, source, layout, following)

    def place(self, parent: etree._Element, layout: Layout) -> etree._Element | None:
        """The sibling before which a further instance of ``layout`` belongs, or None for the end."""
        siblings = layout.parent
        if siblings is None:
            raise ValueError("the root has no siblings")
        if layout.is_entry:
            last = self.entries(parent, layout).last
            if last is not None:
                return last.getnext()
            # After the last entry of the nearest list that comes before; the ranks of entries are the highest.
            for other in sorted(siblings.children.values(), key=_rank, reverse=True):
                if other.rank < layout.rank and other.is_entry:
                    last = self.entries(parent, other).last
                    if last is not None:
                        return last.getnext()
        for child in parent:
            if siblings.children[child.tag].rank > layout.rank:
                return child
        return None

    # Journal

    def is_attached(self, element: etree._Element) -> bool:
        """Whether ``element`` is in the tree now."""
        return top_of(element) is self.root

    def open_journal(self) -> Journal:
        """Note every change from now on; one journal at a time."""
        if self.journal is not None:
            raise RuntimeError("a journal is open already")
        self.journal = Journal(self.root)
        return self.journal

    def close_journal(self) -> None:
        """Keep the changes since ``open_journal``."""
        journal, self.journal = self.journal, None
        if journal is None:
            raise RuntimeError("no journal is open")
        for step in journal.steps:
            if isinstance(step, Removed) and not self.is_attached(step.element):
                self._forget(step.element, step.layout)

    def roll_back(self) -> None:
        """Undo every change since ``open_journal``, the last first."""
        journal, self.journal = self.journal, None
        if journal is None:
            raise RuntimeError("no journal is open")
        for step in reversed(journal.steps):
            self._undo(step)

    def copy_of_before(self) -> etree._Element:
        """A copy of the whole tree as it was when the journal was opened."""
        journal, self.journal = self.journal, None
        if journal is None:
            raise RuntimeError("no journal is open")
        undone = [self._undo(step) for step in reversed(journal.steps)]
        before = copy.deepcopy(self.root)
        for step in reversed(undone):
            self._undo(step)
        self.journal = journal
        return before

    def _note(self, step: Step) -> None:
        if self.journal is not None:
            self.journal.steps.append(step)

    def _undo(self, step: Step) -> Step:
        """Undo one step, with no journal open; return the step that this was."""
        match step:
            case Inserted(parent, element, layout):
                following = element.getnext()
                self.remove(element, layout)
                return Removed(parent, element, layout, following)
            case Removed(parent, element, layout, following):
                self.insert(parent, element, layout, following)
                return Inserted(parent, element, layout)
            case Retexted(element, layout, text):
                undone: Step = Retexted(element, layout, element.text)
                self._put_text(element, layout, text)
                return undone
            case Moved(element, layout, following):
                undone = Moved(element, layout, element.getnext())
                self._put_before(element, layout, following)
                return undone

    # Indexes

    def _enter(self, parent: etree._Element, element: etree._Element, layout: Layout) -> None:
        if layout.is_entry:
            entries = self._entries.get(parent, {}).get(layout.tag)
            if entries is not None:
                entries.by_key[layout.key_of(element)] = element
                following = element.getnext()
                if following is None or following.tag != layout.tag:
                    entries.last = element
        if self._values:
            self._enter_values(element, layout)

    def _leave(self, parent: etree._Element, element: etree._Element, layout: Layout) -> None:
        if layout.is_entry:
            entries = self._entries.get(parent, {}).get(layout.tag)
            if entries is not None:
                del entries.by_key[layout.key_of(element)]
                if entries.last is element:
                    preceding = element.getprevious()
                    entries.last = preceding if preceding is not None and preceding.tag == layout.tag else None
        if self._values:
            self._leave_values(element, layout)

    def _put_before(self, entry: etree._Element, layout: Layout, before: etree._Element | None) -> None:
        parent = entry.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        entries = self.entries(parent, layout)
        if entries.last is entry:
            preceding = entry.getprevious()
            entries.last = preceding if preceding is not None and preceding.tag == layout.tag else None
        if before is None:
            parent.append(entry)
        else:
            before.addprevious(entry)
        following = entry.getnext()
        if following is None or following.tag != layout.tag:
            entries.last = entry

    def _put_text(self, leaf: etree._Element, layout: Layout, text: str | None) -> None:
        values = self._values.get(layout.node)
        if values is not None:
            _drop(values, leaf)
            values.setdefault(text or "", {})[leaf] = None
        leaf.text = text

    def _enter_values(self, element: etree._Element, layout: Layout) -> None:
        values = self._values.get(layout.node)
        if values is not None:
            values.setdefault(element.text or "", {})[element] = None
        tags = self._watched.get(layout)
        if tags is not None:
            for child in element.iterchildren(*tags):
                self._enter_values(child, layout.children[child.tag])

    def _leave_values(self, element: etree._Element, layout: Layout) -> None:
        values = self._values.get(layout.node)
        if values is not None:
            _drop(values, element)
        tags = self._watched.get(layout)
        if tags is not None:
            for child in element.iterchildren(*tags):
                self._leave_values(child, layout.children[child.tag])

    def _forget(self, element: etree._Element, layout: Layout) -> None:
        """Let go of the indexes of parents at and below an element that is gone for good."""
        if layout.has_entries:
            self._entries.pop(element, None)
        if not layout.is_opaque:
            for child in layout.children.values():
                if child.children:
                    for inner in element.iterchildren(child.tag):
                        self._forget(inner, child)


def top_of(element: etree._Element) -> etree._Element:
    """The uppermost element above ``element``, or itself."""
    top = element
    for ancestor in element.iterancestors():
        top = ancestor
    return top


def _position(entry: etree._Element) -> int:
    parent = entry.getparent()
    return 0 if parent is None else parent.index(entry)


def _rank(layout: Layout) -> int:
    return layout.rank


def _instances(top: etree._Element, chain: list[Layout], depth: int) -> Iterator[etree._Element]:
    if depth == 0:
        yield top
        return
    for child in top.iterchildren(chain[depth - 1].tag):
        yield from _instances(child, chain, depth - 1)


def _drop(values: Values, leaf: etree._Element) -> None:
    text = leaf.text or ""
    leaves = values[text]
    del leaves[leaf]
    if not leaves:
        del values[text]
