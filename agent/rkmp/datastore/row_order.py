"""The order of rows: numbers that go up in the order of the tree.

Rows that the system orders get a number after every other. An entry that goes between two others, in a list ordered
by its user, gets one in between; where there is none left, the entries of its list are numbered anew. What is kept in
memory, the numbers of the entries ordered by their user, follows the outcome of the transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lxml import etree

from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import path_text
from rkmp.storage import Transaction

_GAP = 2**20
"""Distance between the numbers of entries that follow each other: twenty can go between them before a renumbering."""

_Numbers = dict["etree._Element", int | None]


class RowOrder:
    """Gives numbers to the rows of one tree, after ``last``."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._numbers: dict[etree._Element, int] = {}

    def next_number(self) -> int:
        """A number after every other."""
        self._last += _GAP
        return self._last

    def number_of(self, entry: etree._Element) -> int:
        """The number of an entry ordered by its user."""
        return self._numbers[entry]

    def remember(self, entry: etree._Element, number: int) -> None:
        """The row of an entry ordered by its user has this number."""
        self._numbers[entry] = number

    def forget(self, transaction: Transaction, entry: etree._Element) -> None:
        """An entry ordered by its user is gone."""
        if entry in self._numbers:
            before: _Numbers = {entry: self._numbers.pop(entry)}
            transaction.after_rollback(lambda: self._restore(before))

    def place(self, transaction: Transaction, name: str, entries: Iterable[tuple[etree._Element, Layout]]) -> None:
        """Give entries of the datastore ``name``, new ones and moved ones, numbers that say where they are."""
        entries = list(entries)
        before: _Numbers = {entry: self._numbers.pop(entry, None) for entry, _ in entries}
        transaction.after_rollback(lambda: self._restore(before))
        for entry, layout in entries:
            if entry not in self._numbers and not self._place_run(entry, layout):
                self._renumber(transaction, name, entry, layout, before)

    def _place_run(self, entry: etree._Element, layout: Layout) -> bool:
        """Number an entry with the others around it that have no number yet; return whether there is room."""
        run = [entry]
        lower = upper = None
        for sibling in entry.itersiblings(layout.tag, preceding=True):
            lower = self._numbers.get(sibling)
            if lower is not None:
                break
            run.append(sibling)
        run.reverse()
        for sibling in entry.itersiblings(layout.tag):
            upper = self._numbers.get(sibling)
            if upper is not None:
                break
            run.append(sibling)
        if upper is None:
            numbers = [self.next_number() for _ in run]
        else:
            if lower is None:
                lower = upper - _GAP * (len(run) + 1)
            step = (upper - lower) // (len(run) + 1)
            if step == 0:
                return False
            numbers = [lower + step * (index + 1) for index in range(len(run))]
        self._numbers.update(zip(run, numbers, strict=True))
        return True

    def _renumber(
        self, transaction: Transaction, name: str, entry: etree._Element, layout: Layout, before: _Numbers
    ) -> None:
        parent = entry.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        changed = []
        for sibling in parent.iterchildren(layout.tag):
            before.setdefault(sibling, self._numbers.get(sibling))
            self._numbers[sibling] = number = self.next_number()
            changed.append((number, name, path_text(sibling, layout)))
        transaction.execute_many("UPDATE datastore_rows SET position = ? WHERE datastore = ? AND path = ?", changed)

    def _restore(self, before: Mapping[etree._Element, int | None]) -> None:
        for entry, number in before.items():
            if number is None:
                self._numbers.pop(entry, None)
            else:
                self._numbers[entry] = number
