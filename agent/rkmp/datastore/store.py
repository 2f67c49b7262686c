"""Datastores on disk: one row for each list entry and each top-level node, so that a small change is a small write.

A row holds its node as XML in the schema's prefixes, down to the list entries below, which have rows of their own.
What is under nacm:default-deny-all is sealed whole and bound to the datastore and the instance path where it stands.
The order of entries is a number in the row; an entry that goes between two others gets one in between.

Transactions are the caller's. What is kept in memory here follows their outcome.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.paths import path_text, step_text
from rkmp.datastore.payload import parse_payload, put_in_order
from rkmp.datastore.row_content import RowReader, RowWriter
from rkmp.datastore.row_order import RowOrder
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


class Store:
    """The rows of the datastores of one schema."""

    def __init__(self, layouts: Layouts, database: Database, sealer: Sealer, random: Random) -> None:
        self._layouts = layouts
        self._database = database
        self._sealer = sealer
        self._writer = RowWriter(sealer, random)
        database.migrate(_COMPONENT, _MIGRATIONS)
        found = database.rows("SELECT max(position) FROM datastore_rows")[0][0]
        self._order = RowOrder(int(found) if found is not None else 0)

    @property
    def fits_schema(self) -> bool:
        """Whether what is stored was written under this very schema, and so has been validated against it."""
        found = self._database.rows("SELECT content_id FROM datastore_schema")
        return bool(found) and found[0][0] == self._layouts.schema.content_id

    # Writing

    @contextlib.contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction of what a client asked for. Raises RpcError (resource-denied) where the disk refuses it."""
        try:
            with self._database.transaction() as transaction:
                yield transaction
        except StorageError as error:
            raise rejections.not_stored(str(error)) from error

    def save(self, transaction: Transaction, name: str, edits: Iterable[Edit]) -> None:
        """Write what ``edits`` have changed in a datastore, whose tree is as it is to be."""
        writing = _Writing(self._order, self._writer, self._layouts, name, is_whole=False)
        for edit in edits:
            writing.note(edit)
        writing.carry_out(transaction)

    def replace(self, transaction: Transaction, name: str, root: etree._Element, *, keep: bool = False) -> None:
        """Write the whole content of a datastore in the place of what there was.

        ``keep`` is for the tree whose edits are saved from now on.
        """
        transaction.execute("DELETE FROM datastore_rows WHERE datastore = ?", (name,))
        order = self._order if keep else RowOrder(0)
        writing = _Writing(order, self._writer, self._layouts, name, is_whole=True)
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

    # Reading

    def load(self, name: str, *, keep: bool = False, rows_before: str | None = None) -> etree._Element:
        """The content of a datastore, in normal form; ``keep`` is for the tree whose edits are saved from now on.

        ``rows_before`` selects other rows than those of now, which have been the datastore's once.
        Raises StorageError when it has been tampered with, or does not fit the schema.
        """
        columns = "SELECT path, parent, containers, position, content FROM"
        if rows_before is None:
            rows = self._database.rows(
                f"{columns} datastore_rows WHERE datastore = ? ORDER BY depth, position", (name,)
            )
        else:
            rows = self._database.rows(f"{columns} ({rows_before}) ORDER BY depth, position")
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
                self._order.remember(element, int(position))
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

    def __init__(self, order: RowOrder, writer: RowWriter, layouts: Layouts, name: str, *, is_whole: bool) -> None:
        self._order = order
        self._writer = writer
        self._root = layouts.root
        self._name = name
        # All rows are written, in the order of the tree, after which their numbers go up.
        self._is_whole = is_whole
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
            self._order.forget(transaction, entry)
        transaction.execute_many(
            "DELETE FROM datastore_rows WHERE datastore = ? AND path = ?", [(name, path) for path in self._gone]
        )
        # What was below: "0" comes after "/".
        transaction.execute_many(
            "DELETE FROM datastore_rows WHERE datastore = ? AND path > ? AND path < ?",
            [(name, f"{path}/", f"{path}0") for path in self._gone],
        )
        if not self._is_whole:
            placed = [*self._new.items(), *self._moved.items()]
            self._order.place(transaction, name, [(entry, layout) for entry, layout in placed if is_ordered(layout)])
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
            [(self._order.number_of(entry), name, path_text(entry, layout)) for entry, layout in self._moved.items()],
        )

    def _row(self, element: etree._Element, layout: Layout) -> tuple[SqlValue, ...]:
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
            self._number(element, layout),
            self._writer.content(self._name, element, layout),
        )

    def _number(self, element: etree._Element, layout: Layout) -> int:
        if is_ordered(layout) and not self._is_whole:
            return self._order.number_of(element)
        number = self._order.next_number()
        if is_ordered(layout):
            self._order.remember(element, number)
        return number

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
