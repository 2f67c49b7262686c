"""Running, and how it changes: all or nothing, and for good before anybody is told (RFC 6241 section 5.1).

A change is made in the tree under a journal, permitted, validated, prepared by every subscriber, written to the disk in
one transaction and then applied. Whatever fails on the way undoes the rest.

This room knows nothing of sessions but their number, and of the other datastores only that the candidate follows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.candidate import Candidate
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.edits import Edit
from rkmp.datastore.partial_locks import PartialLocks
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.store import Store
from rkmp.datastore.subscribers import Change, CommitListener, ConfigurationSubscriber, PreparedChange
from rkmp.datastore.validation import Validator
from rkmp.errors import RkmpError, RpcError, RpcErrors
from rkmp.storage import Transaction

Mentioned = Iterable["etree._Element"] | None
"""What ``settle`` may not delete: the conditional nodes that an edit gave content to; None for anything."""

Permit = Callable[[Sequence[Edit]], None]
"""Raises RpcError for edits that whoever asked for them may not make (access control, RFC 8341)."""

Record = Callable[[Transaction], None]
"""Writes what belongs to a change of running, in its transaction and before it."""


class Running:
    """The running datastore: the content of ``tree``, kept in ``store``.

    ``is_telling`` is whether a change that is durable is being told to subscribers and listeners just now.
    """

    def __init__(
        self,
        schema: Schema,
        tree: DataTree,
        store: Store,
        validator: Validator,
        candidate: Candidate,
        partial_locks: PartialLocks,
    ) -> None:
        self.tree = tree
        self.is_telling = False
        self._schema = schema
        self._store = store
        self._validator = validator
        self._candidate = candidate
        self._partial_locks = partial_locks
        self._subscribers: list[ConfigurationSubscriber] = []
        self._listeners: list[CommitListener] = []

    def subscribe(self, subscriber: ConfigurationSubscriber) -> None:
        """Have ``subscriber`` take part in every later change, after those subscribed before."""
        self._subscribers.append(subscriber)

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every later change."""
        self._listeners.append(listener)

    def change(
        self,
        session_id: int | None,
        carry_out: Callable[[DataTree], Mentioned],
        *,
        keep: bool = True,
        permit: Permit | None = None,
        record: Record | None = None,
    ) -> None:
        """Make the change that ``carry_out`` makes in the tree, with what ``record`` writes; only try unless ``keep``.

        Raises RpcError or RpcErrors, after which nothing has changed.
        """
        tree = self.tree
        journal = tree.open_journal()
        try:
            mentioned = carry_out(tree)
            if permit is not None:
                permit(journal.edits())
            rejections.raise_any(self._validator.settle(tree, journal, mentioned))
            rejections.raise_any(self._validator.check_change(tree, journal))
            edits = journal.edits()
            if session_id is not None:
                self._partial_locks.require(edits, session_id)
            if not keep or not edits:
                self._undo()
                if keep:
                    self.record(record)
                return
            change = Change(self._schema, tree.root, edits, tree.copy_of_before)
            with self._prepared(change) as prepared, self._store.writing() as transaction:
                if record is not None:
                    record(transaction)
                self._store.save(transaction, "running", edits)
        except BaseException:
            if tree.journal is not None:
                self._undo()
            raise
        tree.close_journal()
        self._partial_locks.carried_out(edits)
        self._validator.kept()
        self._candidate.running_changed(edits)
        self._tell(session_id, edits, prepared)

    def record(self, record: Record | None) -> None:
        """Write down what there is to write where nothing changes."""
        if record is not None:
            with self._store.writing() as transaction:
                record(transaction)

    def _undo(self) -> None:
        self.tree.roll_back()
        self._validator.undone(self.tree)

    @contextlib.contextmanager
    def _prepared(self, change: Change) -> Iterator[list[PreparedChange]]:
        prepared: list[PreparedChange] = []
        try:
            for subscriber in self._subscribers:
                prepared.append(subscriber.prepare(change))
            yield prepared
        except BaseException as error:
            for part in reversed(prepared):
                part.abort()
            if isinstance(error, RkmpError) and not isinstance(error, RpcError | RpcErrors):
                raise rejections.refused(None, str(error)) from error
            raise

    def _tell(self, session_id: int | None, edits: Sequence[Edit], prepared: Sequence[PreparedChange]) -> None:
        """The change is durable: whatever bug one of them has, all the others take part."""
        with contextlib.ExitStack() as stack:
            self.is_telling = True
            stack.callback(setattr, self, "is_telling", False)
            # A stack: what is pushed last is called first.
            for listener in reversed(self._listeners):
                stack.callback(listener, session_id, edits)
            for part in reversed(prepared):
                stack.callback(part.apply)
