"""The validator of one schema's datastores."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.journal import Journal
from rkmp.datastore.layout import Layouts
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.validation.accessible_tree import AccessibleTree
from rkmp.datastore.validation.constraints import constraints_of
from rkmp.datastore.validation.run import Run
from rkmp.datastore.validation.screening import Screens
from rkmp.datastore.validation.settling import settle
from rkmp.datastore.validation.uniqueness import Uniqueness
from rkmp.errors import RpcError


class Validator:
    """Checks trees of one schema.

    The incremental check is of one tree only, running, which was valid before: its indexes are kept from one change
    to the next. ``kept`` or ``undone`` must be called once the fate of a checked change is known.
    """

    def __init__(self, schema: Schema) -> None:
        self._constraints = constraints_of(schema)
        self._screens = Screens(self._constraints)
        self._uniqueness = Uniqueness()

    @property
    def layouts(self) -> Layouts:
        """The layouts that the trees to check are made with."""
        return self._constraints.layouts

    def settle(self, tree: DataTree, journal: Journal, mentioned: Iterable[etree._Element] | None) -> list[RpcError]:
        """Delete the nodes whose conditions an edit has made false (RFC 7950 8.2); return what may not be deleted.

        ``mentioned`` are existing conditional nodes that the request gives content to; None where it gave a whole
        configuration, in which nothing may be invalid.
        """
        return settle(self._constraints, self._screens, tree, journal, mentioned)

    def check_change(self, tree: DataTree, journal: Journal) -> list[RpcError]:
        """What the changes in ``journal``, already settled, have made invalid in a tree that was valid before."""
        self._index(tree)
        with self._open(tree) as accessible:
            run = Run(self._constraints, tree, accessible, self._uniqueness, self._screens, check_whens=False)
            run.what_changed(journal)
        return run.errors

    def kept(self) -> None:
        """The change that was checked last stands."""
        self._uniqueness.kept()

    def undone(self, tree: DataTree) -> None:
        """The change that was checked last has been undone."""
        with self._open(tree) as accessible:
            self._uniqueness.undone(accessible)

    def check(self, tree: DataTree) -> list[RpcError]:
        """Everything that is invalid in a tree."""
        self._index(tree)
        with self._open(tree) as accessible:
            run = Run(self._constraints, tree, accessible, Uniqueness(), self._screens, check_whens=True)
            run.everything()
        return run.errors

    def _open(self, tree: DataTree) -> AccessibleTree:
        return AccessibleTree(tree, self._constraints.whens)

    def _index(self, tree: DataTree) -> None:
        """Make the indexes now: made later, they would hold the defaults that evaluations put into the tree."""
        for layout in self._constraints.indexed:
            tree.values(layout)
