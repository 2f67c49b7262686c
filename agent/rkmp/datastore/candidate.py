"""The candidate (RFC 6241 section 8.3): running with changes that are not committed yet.

A tree of its own, copied from running when it is first edited and kept ever after: only the places where the two may
differ are brought up to date, so that editing, committing and discarding cost what has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.differences import Differences
from rkmp.datastore.edits import Edit

_WORTH_A_COPY = 1000
"""Differences from which on an unmodified candidate is copied anew when it is needed, and not brought up to date."""


class Candidate:
    """The candidate of ``running``. ``modified_by`` is the session that has last changed it, None while it is equal."""

    def __init__(self, running: DataTree) -> None:
        self._running = running
        self._tree: DataTree | None = None
        self._differences = Differences()
        self.modified_by: int | None = None

    @property
    def is_modified(self) -> bool:
        """Whether there are changes that are neither committed nor discarded."""
        return self.modified_by is not None

    @property
    def root(self) -> etree._Element:
        """The content, to read: running's own as long as there is no difference."""
        if self._tree is None or not self.is_modified:
            return self._running.root
        return self._tree.root

    @property
    def current(self) -> DataTree:
        """The tree with the content, to read."""
        return self._running if self._tree is None or not self.is_modified else self._tree

    def tree(self) -> DataTree:
        """The tree to edit."""
        if self._tree is None:
            self._tree = DataTree(self._running.layouts, copy.deepcopy(self._running.root))
            self._differences.clear()
        elif not self.is_modified and len(self._differences):
            self._differences.synchronise(self._tree, self._running)
            self._differences.clear()
        return self._tree

    def edited(self, edits: Iterable[Edit], session_id: int) -> None:
        """Note changes that were made in ``tree``."""
        edits = tuple(edits)
        if edits:
            self._differences.add(edits)
            self.modified_by = session_id

    def running_changed(self, edits: Iterable[Edit]) -> None:
        """Note changes that were made in running."""
        if self._tree is None:
            return
        self._differences.add(edits)
        if len(self._differences) > _WORTH_A_COPY and not self.is_modified:
            self._tree = None
            self._differences.clear()

    def carry_over(self) -> None:
        """Change running so that it equals the candidate, under whatever journal is open there."""
        if self.is_modified and self._tree is not None:
            self._differences.synchronise(self._running, self._tree)

    def carried_over(self) -> None:
        """Running equals the candidate now."""
        self._differences.clear()
        self.modified_by = None

    def discard(self) -> None:
        """Drop every change: the candidate equals running again."""
        self.modified_by = None
