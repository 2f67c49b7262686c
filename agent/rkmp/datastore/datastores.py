"""The configuration datastores of one server: running, candidate and startup (RFC 6241 sections 5.1, 7 and 8).

Every change is all or nothing. A change of running is made in the tree under a journal, validated, prepared by every
subscriber, written to the disk in one transaction and then applied; whatever fails on the way undoes the rest, so that
nobody ever sees half of it, and what was acknowledged survives the loss of the process and of power.

Running is durable and is what a restart comes up with. Startup is a second durable datastore that operators copy to
and from: an agent that lost committed configuration in a crash because nobody copied it would lose its keys with it.

Error options (RFC 6241 7.2): ``stop-on-error`` and ``rollback-on-error`` end at the first error of processing,
``continue-on-error`` goes on to report them all; none leaves anything half-applied.

One thread only; no method waits. Errors are RpcError or RpcErrors, after which nothing has changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.candidate import Candidate
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.layout import Layouts
from rkmp.datastore.locks import Lock, Locks
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.reconcile import Reconciler
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.subscribers import Change, CommitListener, ConfigurationSubscriber, PreparedChange
from rkmp.errors import RkmpError, RpcError, RpcErrors, StorageError
from rkmp.instant import Random
from rkmp.storage import Database, Sealer

NAMES = ("running", "candidate", "startup")
DEFAULT_OPERATIONS = {operation.value: operation for operation in (Operation.MERGE, Operation.REPLACE, Operation.NONE)}
TEST_OPTIONS = ("test-then-set", "set", "test-only")
ERROR_OPTIONS = ("stop-on-error", "continue-on-error", "rollback-on-error")


class Datastores:
    """The datastores of ``schema``, kept in ``database``; ``clock`` returns the time now, aware, in UTC."""

    def __init__(
        self, schema: Schema, database: Database, sealer: Sealer, random: Random, clock: Callable[[], datetime]
    ) -> None:
        self.schema = schema
        self._database = database
        self._sealer = sealer
        self._random = random
        self._clock = clock
        self._layouts = Layouts(schema)
        self._running = DataTree(self._layouts)
        self._startup = DataTree(self._layouts)
        self._candidate = Candidate(self._running)
        self._locks = Locks()
        self._subscribers: list[ConfigurationSubscriber] = []
        self._listeners: list[CommitListener] = []

    def tree(self, name: str) -> etree._Element:
        """The ``config`` element of a datastore, for reading until the next change."""
        match name:
            case "running":
                return self._running.root
            case "candidate":
                return self._candidate.root
            case "startup":
                return self._startup.root
        raise rejections.unknown_datastore(name)

    # Changes

    def edit(
        self,
        target: str,
        config: etree._Element,
        *,
        session_id: int,
        default_operation: str = "merge",
        test_option: str = "test-then-set",
        error_option: str = "stop-on-error",
    ) -> None:
        """edit-config (RFC 6241 7.2). The content of ``config`` is given away: it moves into the datastore.

        Running is always validated (RFC 7950 8.3.3), whatever ``test_option`` says; the candidate only by
        ``test-only``, otherwise when it is validated or committed.
        """
        _require_option("test-option", test_option, TEST_OPTIONS)
        _require_option("error-option", error_option, ERROR_OPTIONS)
        _require_option("default-operation", default_operation, DEFAULT_OPERATIONS)
        if target not in ("running", "candidate"):
            raise rejections.unknown_datastore(target)
        self._locks.require([target], session_id)
        operation = DEFAULT_OPERATIONS[default_operation]
        payload = parse_payload(self._layouts, config, operation)

        def carry_out(tree: DataTree) -> None:
            editor = Editor(tree, payload, collect=error_option == "continue-on-error")
            editor.carry_out(operation)
            if editor.errors:
                raise RpcErrors(editor.errors)

        if target == "running":
            self._change_running(session_id, carry_out, keep=test_option != "test-only")
        else:
            self._change_candidate(session_id, carry_out, keep=test_option != "test-only")

    def copy(self, source: str | etree._Element, target: str, *, session_id: int) -> None:
        """copy-config (RFC 6241 7.3). An element is the ``config`` with the whole content; it is given away."""
        if target not in NAMES:
            raise rejections.unknown_datastore(target)
        if source == target:
            raise rejections.same_datastore(target)
        self._locks.require([target], session_id)
        root = self._source(source)

        def carry_out(tree: DataTree) -> None:
            Reconciler(tree).make_equal(tree.root, root, self._layouts.root)

        if target == "running":
            self._change_running(session_id, carry_out)
        elif target == "candidate":
            self._change_candidate(session_id, carry_out)
        else:
            Reconciler(self._startup).make_equal(self._startup.root, root, self._layouts.root)

    def delete(self, target: str, *, session_id: int) -> None:
        """delete-config (RFC 6241 7.4); only startup can be deleted."""
        if target not in NAMES:
            raise rejections.unknown_datastore(target)
        if target != "startup":
            raise rejections.cannot_delete(target)
        self._locks.require([target], session_id)
        self._startup = DataTree(self._layouts)

    def validate(self, source: str | etree._Element) -> None:
        """validate (RFC 6241 8.6.4.1)."""
        self._source(source)

    def commit(self, *, session_id: int) -> None:
        """commit (RFC 6241 8.3.4.1): running becomes what the candidate is."""
        self._locks.require(["running", "candidate"], session_id)
        self._change_running(session_id, lambda _: self._candidate.carry_over())
        self._candidate.carried_over()

    def discard(self, *, session_id: int) -> None:
        """discard-changes (RFC 6241 8.3.4.2)."""
        self._locks.require(["candidate"], session_id)
        self._candidate.discard()

    # Locks

    def lock(self, name: str, session_id: int) -> None:
        """lock (RFC 6241 7.5)."""
        if name not in NAMES:
            raise rejections.unknown_datastore(name)
        if name == "candidate" and self._candidate.modified_by is not None and name not in self._locks.held():
            raise rejections.lock_denied("the candidate has uncommitted changes", self._candidate.modified_by)
        self._locks.acquire(name, session_id, self._clock())

    def unlock(self, name: str, session_id: int) -> None:
        """unlock (RFC 6241 7.6); uncommitted changes of the candidate go with its lock (8.3.5.2)."""
        if name not in NAMES:
            raise rejections.unknown_datastore(name)
        self._locks.release(name, session_id)
        if name == "candidate":
            self._candidate.discard()

    def locks(self) -> Mapping[str, Lock]:
        """The locks that are held, by the name of the datastore."""
        return self._locks.held()

    def release(self, session_id: int) -> None:
        """Give back what a session holds that has ended."""
        if "candidate" in self._locks.release_all(session_id):
            self._candidate.discard()

    # Subscribers

    def subscribe(self, subscriber: ConfigurationSubscriber) -> None:
        """Have ``subscriber`` take part in every later change of running, after those subscribed before."""
        self._subscribers.append(subscriber)

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every later change of running."""
        self._listeners.append(listener)

    # How

    def _source(self, source: str | etree._Element) -> etree._Element:
        if isinstance(source, str):
            return self.tree(source)
        tree = DataTree(self._layouts)
        Editor(tree, parse_payload(self._layouts, source, Operation.MERGE)).carry_out(Operation.MERGE)
        return tree.root

    def _change_running(
        self, session_id: int | None, carry_out: Callable[[DataTree], None], *, keep: bool = True
    ) -> None:
        tree = self._running
        journal = tree.open_journal()
        try:
            carry_out(tree)
            edits = journal.edits()
            if not keep or not edits:
                tree.roll_back()
                return
            change = Change(self.schema, tree.root, edits, tree.copy_of_before)
            with self._prepared(change) as prepared:
                pass
        except BaseException:
            if tree.journal is not None:
                tree.roll_back()
            raise
        tree.close_journal()
        self._candidate.running_changed(edits)
        for part in prepared:
            part.apply()
        for listener in self._listeners:
            listener(session_id, edits)

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
            if isinstance(error, StorageError):
                raise rejections.not_stored(str(error)) from error
            if isinstance(error, RkmpError) and not isinstance(error, RpcError | RpcErrors):
                raise rejections.refused(None, str(error)) from error
            raise

    def _change_candidate(self, session_id: int, carry_out: Callable[[DataTree], None], *, keep: bool = True) -> None:
        tree = self._candidate.tree()
        journal = tree.open_journal()
        try:
            carry_out(tree)
            edits = journal.edits()
            if not keep:
                tree.roll_back()
                return
        except BaseException:
            if tree.journal is not None:
                tree.roll_back()
            raise
        tree.close_journal()
        self._candidate.edited(edits, session_id)


def _require_option(name: str, value: str, allowed: object) -> None:
    if value not in allowed:  # type: ignore[operator]
        raise rejections.invalid_option(name, value)
