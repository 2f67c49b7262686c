"""Datastores on disk: one row for each list entry and each top-level node, so that a small change is a small write.

A row holds its node as XML in the schema's prefixes, down to the list entries below, which have rows of their own.
What is under nacm:default-deny-all is sealed whole and bound to the datastore and the instance path where it stands.
The order of entries is a number in the row; an entry that goes between two others gets one in between.

Transactions are the caller's. What is kept in memory here follows their outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lxml import etree

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.paths import path_text, step_text
from rkmp.datastore.payload import parse_payload, put_in_order
from rkmp.datastore.row_content import RowReader, RowWriter
from rkmp.datastore.transplant import put
from rkmp.errors import RpcErrors, StorageError
from rkmp.instant import Random
from rkmp.storage import Database, Migration, Sealer, SqlValue, Transaction

_COMPONENT = "datastores"
_MIGRATIONS = (
    Migration(
        1,
        (
            """
            CREATE TABLE datastore_rows (
                datastore TEXT NOT NULL,
                path TEXT NOT NULL,
                parent TEXT NOT NULL,
                containers TEXT NOT NULL,
                depth INTEGER NOT NULL,
                position INTEGER NOT NULL,
                content TEXT NOT NULL,
                PRIMARY KEY (datastore, path)
            ) WITHOUT ROWID
            """,
            "CREATE TABLE datastore_prefixes (prefix TEXT PRIMARY KEY, namespace TEXT NOT NULL)",
            "CREATE TABLE datastore_schema (content_id TEXT NOT NULL)",
        ),
    ),
)

_GAP = 2**20
"""Distance between the numbers of entries that follow each other: twenty can go between them before a renumbering."""


Numbering = Callable[["etree._Element", Layout], int]
"""Gives a new row its number."""


class Store:
    """The rows of the datastores of one schema."""

    def __init__(self, layouts: Layouts, database: Database, sealer: Sealer, random: Random) -> None:
        self._layouts = layouts
        self._database = database
        self._sealer = sealer
        self._writer = RowWriter(sealer, random)
        # Of entries ordered by their user, the number that their row has.
        self._positions: dict[etree._Element, int] = {}
        database.migrate(_COMPONENT, _MIGRATIONS)
        found = database.rows("SELECT max(position) FROM datastore_rows")[0][0]
        self._last_position = int(found) if found is not None else 0

    @property
    def fits_schema(self) -> bool:
        """Whether what is stored was written under this very schema, and so has been validated against it."""
        found = self._database.rows("SELECT content_id FROM datastore_schema")
        return bool(found) and found[0][0] == self._layouts.schema.content_id

    # Writing

    def save(self, transaction: Transaction, name: str, edits: Iterable[Edit]) -> None:
        """Write what ``edits`` have changed in a datastore, whose tree is as it is to be."""
        writing = _Writing(self, self._writer, self._layouts, name)
        for edit in edits:
            writing.note(edit)
        writing.carry_out(transaction)

    def replace(self, transaction: Transaction, name: str, root: etree._Element, *, keep: bool = False) -> None:
        """Write the whole content of a datastore in the place of what there was.

        ``keep`` is for the tree whose edits are saved from now on.
        """
        transaction.execute("DELETE FROM datastore_rows WHERE datastore = ?", (name,))
        writing = _Writing(self, self._writer, self._layouts, name, number=self.keep_number if keep else self.number)
        for child in root:
            writing.add(child, self._layouts.root.children[child.tag])
        writing.carry_out(transaction)

    def adopt_schema(self, transaction: Transaction, trees: Mapping[str, etree._Element]) -> None:
        """Write everything anew under this schema: its prefixes may not be those that the rows were written with."""
        for name, root in trees.items():
            self.replace(transaction, name, root, keep=name == "running")
        transaction.execute("DELETE FROM datastore_prefixes")
        transaction.execute_many(
            "INSERT INTO datastore_prefixes (prefix, namespace) VALUES (?, ?)",
            list(self._layouts.schema.nsmap.items()),
        )
        transaction.execute("DELETE FROM datastore_schema")
        transaction.execute("INSERT INTO datastore_schema (content_id) VALUES (?)", (self._layouts.schema.content_id,))

    def next_position(self) -> int:
        """A number after every other."""
        self._last_position += _GAP
        return self._last_position

    # Order

    def place(self, transaction: Transaction, name: str, entries: Iterable[tuple[etree._Element, Layout]]) -> None:
        """Give entries ordered by their user, new ones and moved ones, numbers that say where they are."""
        entries = list(entries)
        before = {entry: self._positions.pop(entry, None) for entry, _ in entries}
        transaction.after_rollback(lambda: self._restore(before))
        for entry, layout in entries:
            if entry not in self._positions:
                self._place_run(transaction, name, entry, layout, before)

    def _place_run(
        self,
        transaction: Transaction,
        name: str,
        entry: etree._Element,
        layout: Layout,
        before: dict[etree._Element, int | None],
    ) -> None:
        """Number an entry with the others around it that have no number yet."""
        run = [entry]
        lower = upper = None
        for sibling in entry.itersiblings(layout.tag, preceding=True):
            lower = self._positions.get(sibling)
            if lower is not None:
                break
            run.insert(0, sibling)
        for sibling in entry.itersiblings(layout.tag):
            upper = self._positions.get(sibling)
            if upper is not None:
                break
            run.append(sibling)
        if upper is None:
            numbers = [self.next_position() for _ in run]
        else:
            if lower is None:
                lower = upper - _GAP * (len(run) + 1)
            step = (upper - lower) // (len(run) + 1)
            if step == 0:
                self._renumber(transaction, name, entry, layout, before)
                return
            numbers = [lower + step * (index + 1) for index in range(len(run))]
        self._positions.update(zip(run, numbers, strict=True))

    def number_in_order(self, element: etree._Element, layout: Layout) -> int:
        """The number of a new row; that of an entry ordered by its user has been given to it by ``place``."""
        return self._positions[element] if is_ordered(layout) else self.next_position()

    def number(self, element: etree._Element, layout: Layout) -> int:  # noqa: ARG002
        """The number of a row that is written with all that come before it."""
        return self.next_position()

    def keep_number(self, element: etree._Element, layout: Layout) -> int:
        """The same, of a tree whose edits are saved later."""
        number = self.next_position()
        if is_ordered(layout):
            self._positions[element] = number
        return number

    def _renumber(
        self,
        transaction: Transaction,
        name: str,
        entry: etree._Element,
        layout: Layout,
        before: dict[etree._Element, int | None],
    ) -> None:
        parent = entry.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        changed = []
        for sibling in parent.iterchildren(layout.tag):
            before.setdefault(sibling, self._positions.get(sibling))
            self._positions[sibling] = number = self.next_position()
            changed.append((number, name, path_text(sibling, layout)))
        transaction.execute_many("UPDATE datastore_rows SET position = ? WHERE datastore = ? AND path = ?", changed)

    def _restore(self, before: Mapping[etree._Element, int | None]) -> None:
        for entry, number in before.items():
            if number is None:
                self._positions.pop(entry, None)
            else:
                self._positions[entry] = number

    def forget(self, transaction: Transaction, entry: etree._Element) -> None:
        """An entry ordered by its user is gone."""
        if entry in self._positions:
            before = {entry: self._positions.pop(entry)}
            transaction.after_rollback(lambda: self._restore(before))

    # Reading

    def load(self, name: str, *, keep: bool = False) -> etree._Element:
        """The content of a datastore, in normal form; ``keep`` is for the tree whose edits are saved from now on.

        Raises StorageError when it has been tampered with, or does not fit the schema.
        """
        rows = self._database.rows(
            "SELECT path, parent, containers, position, content FROM datastore_rows WHERE datastore = ? "
            "ORDER BY depth, position",
            (name,),
        )
        stored = self._database.rows("SELECT prefix, namespace FROM datastore_prefixes")
        prefixes = {str(prefix): str(namespace) for prefix, namespace in stored} or self._layouts.schema.nsmap
        reader = RowReader(name, self._layouts, self._sealer, prefixes)
        # Values are in the prefixes that they were written with, until they have been checked.
        root = etree.Element(self._layouts.root.tag, nsmap=dict(prefixes))
        placed = {"": (root, self._layouts.root)}
        fragments = reader.parse(str(row[4]) for row in rows)
        for (path, parent, containers, position, content), fragment in zip(rows, fragments, strict=True):
            if parent not in placed:
                raise reader.damaged(str(parent))
            above, above_layout = reader.descend(*placed[parent], str(containers))
            layout = reader.layout_of(fragment, above_layout)
            element = reader.open(str(path), fragment, layout, str(content))
            above.append(element)
            placed[str(path)] = (element, layout)
            if keep and is_ordered(layout):
                self._positions[element] = int(position)
        try:
            parse_payload(self._layouts, root, None)
        except RpcErrors as errors:
            found = "; ".join(f"{error.path} ({error.tag})" for error in errors.errors)
            raise StorageError(
                f"the stored {name} configuration does not fit the YANG modules of this release: {found}"
            ) from None
        _put_rows_in_order(root, self._layouts.root)
        if prefixes != self._layouts.schema.nsmap:
            adopted = self._layouts.schema.new_root()
            for child in list(root):
                put(adopted, child, None)
            return adopted
        return root


class _Writing:
    """The rows that one change writes."""

    def __init__(
        self, store: Store, writer: RowWriter, layouts: Layouts, name: str, number: Numbering | None = None
    ) -> None:
        self._store = store
        self._number = number
        self._writer = writer
        self._root = layouts.root
        self._name = name
        self._gone: list[str] = []
        self._left: list[etree._Element] = []
        # Rows whose content has changed, and new ones; in the order of the tree below each edit.
        self._changed: dict[etree._Element, Layout] = {}
        self._new: dict[etree._Element, Layout] = {}
        self._moved: dict[etree._Element, Layout] = {}
        self._parents: dict[etree._Element, tuple[str, str, str, int]] = {}

    def note(self, edit: Edit) -> None:
        """Take an edit into account."""
        layout = edit.layout
        if edit.kind is EditKind.DELETED:
            self._note_deleted(edit)
        elif edit.kind is EditKind.MOVED and _is_row(layout):
            self._moved[edit.element] = layout
        elif edit.kind is EditKind.CREATED:
            self.add(edit.element, layout)
        else:
            self._change(edit.element, layout)

    def add(self, element: etree._Element, layout: Layout) -> None:
        """A node is new, with everything below it."""
        if _is_row(layout):
            self._new[element] = layout
        else:
            self._change(element, layout)
        for entry, below in _rows_below(element, layout):
            self._new[entry] = below

    def _note_deleted(self, edit: Edit) -> None:
        layout = edit.layout
        if _is_row(layout) or layout.has_rows_below:
            self._gone.append(path_text(edit.element, layout, edit.parent))
        if not _is_row(layout) and layout.parent is not None:
            self._change(edit.parent, layout.parent)
        if is_ordered(layout):
            self._left.append(edit.element)
        for entry, below in _rows_below(edit.element, layout):
            if is_ordered(below):
                self._left.append(entry)

    def _change(self, element: etree._Element, layout: Layout) -> None:
        """Something in the row that a node belongs to has changed."""
        at: etree._Element | None = element
        while at is not None and not _is_row(layout) and layout.parent is not None:
            at, layout = at.getparent(), layout.parent
        if at is not None and layout is not self._root:
            self._changed[at] = layout

    def carry_out(self, transaction: Transaction) -> None:
        """Write the rows."""
        name = self._name
        for entry in self._left:
            self._store.forget(transaction, entry)
        transaction.execute_many(
            "DELETE FROM datastore_rows WHERE datastore = ? AND path = ?", [(name, path) for path in self._gone]
        )
        # What was below: "0" comes after "/".
        transaction.execute_many(
            "DELETE FROM datastore_rows WHERE datastore = ? AND path > ? AND path < ?",
            [(name, f"{path}/", f"{path}0") for path in self._gone],
        )
        if self._number is None:
            placed = [*self._new.items(), *self._moved.items()]
            self._store.place(transaction, name, [(entry, layout) for entry, layout in placed if is_ordered(layout)])
        transaction.execute_many(
            "INSERT INTO datastore_rows (datastore, path, parent, containers, depth, position, content) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (datastore, path) DO UPDATE SET content = excluded.content, position = excluded.position",
            (self._row(element, layout) for element, layout in self._new.items()),
        )
        transaction.execute_many(
            "UPDATE datastore_rows SET content = ? WHERE datastore = ? AND path = ?",
            [
                (self._writer.content(name, element, layout), name, path_text(element, layout))
                for element, layout in self._changed.items()
                if element not in self._new
            ],
        )
        transaction.execute_many(
            "UPDATE datastore_rows SET position = ? WHERE datastore = ? AND path = ?",
            [
                (self._store.number_in_order(entry, layout), name, path_text(entry, layout))
                for entry, layout in self._moved.items()
            ],
        )

    def _row(self, element: etree._Element, layout: Layout) -> tuple[SqlValue, ...]:
        number = self._number if self._number is not None else self._store.number_in_order
        parent, above = element.getparent(), layout.parent
        if parent is None or above is None:
            raise ValueError(f"{layout!r} is in no tree")
        place = self._parents.get(parent)
        if place is None:
            place = self._parents[parent] = self._place_below(parent, above)
        parent_path, row_path, containers, depth = place
        return (
            self._name,
            f"{parent_path}/{step_text(element, layout)}",
            row_path,
            containers,
            depth,
            number(element, layout),
            self._writer.content(self._name, element, layout),
        )

    def _place_below(self, parent: etree._Element, layout: Layout) -> tuple[str, str, str, int]:
        """What the rows directly below a node share: its path, that of its row, containers between, depth."""
        path = "" if layout is self._root else path_text(parent, layout)
        containers: list[str] = []
        at: etree._Element | None = parent
        step: Layout | None = layout
        depth = 1
        while step is not None and step is not self._root and not _is_row(step) and at is not None:
            containers.append(step.name)
            at, step = at.getparent(), step.parent
            depth += 1
        row_path = path_text(at, step) if at is not None and step is not None and step is not self._root else ""
        while step is not None and step is not self._root:
            step = step.parent
            depth += 1
        return path, row_path, "/".join(reversed(containers)), depth


def _put_rows_in_order(element: etree._Element, layout: Layout) -> None:
    """Bring the entries of each list together: rows come by their numbers, whatever list they are of."""
    put_in_order(element, layout)
    for child in layout.children.values():
        if child.has_rows_below:
            for instance in element.iterchildren(child.tag):
                _put_rows_in_order(instance, child)


def is_ordered(layout: Layout) -> bool:
    """Whether the order of instances is their user's, and so is kept by their rows."""
    return _is_row(layout) and layout.node.ordered_by_user


def _is_row(layout: Layout) -> bool:
    """Whether instances have rows: entries of lists, and top-level nodes."""
    return layout.has_row or (layout.parent is not None and layout.parent.parent is None)


def _rows_below(element: etree._Element, layout: Layout) -> Iterator[tuple[etree._Element, Layout]]:
    """The instances with rows below a node, each before those below it."""
    if layout.has_rows_below:
        for child in layout.children.values():
            if child.has_row or child.has_rows_below:
                for instance in element.iterchildren(child.tag):
                    if child.has_row:
                        yield instance, child
                    yield from _rows_below(instance, child)
