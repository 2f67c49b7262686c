"""The journal of one change of a tree: what was done, in order, and what it amounts to.

``DataTree`` writes it and undoes it. ``edits`` sums it up: what was created and then deleted again does not count,
what happened inside of something created or deleted is part of that, and a value set twice changed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout


@dataclass(frozen=True, slots=True, eq=False)
class Inserted:
    """``element`` came under ``parent``."""

    parent: etree._Element
    element: etree._Element
    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class Removed:
    """``element`` left ``parent``, where ``following`` came next."""

    parent: etree._Element
    element: etree._Element
    layout: Layout
    following: etree._Element | None


@dataclass(frozen=True, slots=True, eq=False)
class Retexted:
    """The leaf ``element`` had the value ``text`` before."""

    element: etree._Element
    layout: Layout
    text: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """The entry ``element`` changed its place among its siblings; ``following`` came next before."""

    element: etree._Element
    layout: Layout
    following: etree._Element | None


Step = Inserted | Removed | Retexted | Moved


@dataclass(slots=True, eq=False)
class Journal:
    """The steps of the tree under ``root`` since the journal was opened."""

    root: etree._Element
    steps: list[Step] = field(default_factory=list)
    _summed: tuple[int, tuple[Edit, ...]] | None = None

    def edits(self) -> tuple[Edit, ...]:
        """What the steps amount to, in the order in which each node was first touched."""
        if self._summed is None or self._summed[0] != len(self.steps):
            self._summed = (len(self.steps), self._sum())
        return self._summed[1]

    def _sum(self) -> tuple[Edit, ...]:
        created: set[etree._Element] = set()
        was_there: dict[etree._Element, Removed] = {}
        first: dict[etree._Element, Step] = {}
        for change in self.steps:
            element = change.element
            if element not in first:
                first[element] = change
                if isinstance(change, Inserted):
                    created.add(element)
            if isinstance(change, Removed) and element not in created and element not in was_there:
                was_there[element] = change
        edits = []
        for element, change in first.items():
            edit = self._edit(element, change, created, was_there)
            if edit is not None:
                edits.append(edit)
        return tuple(edits)

    def _edit(
        self,
        element: etree._Element,
        change: Step,
        created: set[etree._Element],
        was_there: dict[etree._Element, Removed],
    ) -> Edit | None:
        layout = change.layout
        parent = element.getparent()
        removed = was_there.get(element)
        if element in created:
            # Created and gone again, alone or with something above it.
            if parent is None or not self._is_kept(parent, created):
                return None
            return Edit(EditKind.CREATED, parent, element, layout)
        if removed is not None and not self._is_in_tree(element):
            if not self._is_kept(removed.parent, created):
                return None
            return Edit(EditKind.DELETED, removed.parent, element, layout)
        if parent is None or not self._is_kept(parent, created):
            return None
        if isinstance(change, Retexted):
            if (change.text or "") == (element.text or ""):
                return None
            return Edit(EditKind.CHANGED, parent, element, layout, change.text or "")
        return Edit(EditKind.MOVED, parent, element, layout)

    def _is_in_tree(self, element: etree._Element) -> bool:
        top = element
        for ancestor in element.iterancestors():
            top = ancestor
        return top is self.root

    def _is_kept(self, parent: etree._Element, created: set[etree._Element]) -> bool:
        """Whether ``parent`` is in the tree and was before: what is inside of anything else is part of that."""
        top = parent
        if top in created:
            return False
        for ancestor in parent.iterancestors():
            if ancestor in created:
                return False
            top = ancestor
        return top is self.root
