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
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.candidate import Candidate
from rkmp.datastore.confirmed_commit import (
    ROWS_BEFORE,
    Confirm,
    ConfirmedCommit,
    ConfirmedCommitChange,
    ConfirmEvent,
    Pending,
)
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layouts, is_empty
from rkmp.datastore.locks import Lock, Locks
from rkmp.datastore.marks import Operation
from rkmp.datastore.partial_locks import LockedNode, PartialLock, PartialLocks
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.reconcile import Reconciler
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.store import Store
from rkmp.datastore.subscribers import Change, CommitListener, ConfigurationSubscriber, PreparedChange
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.validation import Validator
from rkmp.datastore.with_defaults import DefaultsMode, defaults_of
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RkmpError, RpcError, RpcErrors, StorageError
from rkmp.instant import Random
from rkmp.storage import Database, Sealer, Transaction

Mentioned = Iterable["etree._Element"] | None
"""What ``settle`` may not delete: the conditional nodes that an edit gave content to; None for anything."""

Permit = Callable[[Sequence[Edit]], None]
"""Raises RpcError for edits that whoever asked for them may not make (access control, RFC 8341)."""

Record = Callable[[Transaction], None]
"""Writes what belongs to a change of running, in its transaction and before it."""

_log = logging.getLogger(__name__)

_REVERT_AGAIN = timedelta(seconds=10)
"""After what time a confirmed commit that could not be undone is tried again."""

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
        self._clock = clock
        self._validator = Validator(schema)
        self._layouts = self._validator.layouts
        self._store = Store(self._layouts, database, sealer, random)
        self._confirmed = ConfirmedCommit(database)
        self._recovered = self._confirmed.recover(clock, keep_persistent=self._store.fits_schema)
        self._running = DataTree(self._layouts, self._store.load("running", keep=True))
        if not self._store.fits_schema:
            self._adopt_schema()
        self._candidate = Candidate(self._running)
        self._locks = Locks()
        self._partial_locks = PartialLocks()
        self._subscribers: list[ConfigurationSubscriber] = []
        self._listeners: list[CommitListener] = []
        self._startup_listeners: list[Callable[[int | None], None]] = []
        self._is_telling = False
        self._confirm_listeners: list[Callable[[ConfirmedCommitChange], None]] = []
        self._deadline_listeners: list[Callable[[], None]] = []

    def tree(self, name: str) -> etree._Element:
        """The ``config`` element of a datastore, for reading until the next change."""
        match name:
            case "running":
                return self._running.root
            case "candidate":
                return self._candidate.root
            case "startup":
                return self._store.load("startup")
        raise rejections.unknown_datastore(name)

    def select(self, name: str, selection: SubtreeFilter | XPathFilter) -> etree._Element:
        """Copies of what a filter selects of a datastore; list entries asked for by their keys are looked up."""
        tree = self._data_tree(name)
        return selection.apply(tree.root, tree)

    def entries_in_mode(
        self, name: str, selection: SubtreeFilter | XPathFilter, mode: DefaultsMode
    ) -> etree._Element | None:
        """Copies of the entries that a filter names by their keys, as ``mode`` reports them, with what is above them.

        None where the filter looks at more than these.
        """
        tree = self._data_tree(name)
        entries = selection.confined_to(tree.root, tree)
        return None if entries is None else defaults_of(self.schema).of_entries(tree, entries, mode)

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
        permit: Permit | None = None,
    ) -> None:
        """edit-config (RFC 6241 7.2). The content of ``config`` is given away: it moves into the datastore.

        Running is always validated (RFC 7950 8.3.3), whatever ``test_option`` says; the candidate only by
        ``test-only``, otherwise when it is validated or committed. ``permit`` is shown what has been asked for and
        really changes, before what follows from it is done; what it raises undoes everything. So in the others too.
        """
        _require_option("test-option", test_option, TEST_OPTIONS)
        _require_option("error-option", error_option, ERROR_OPTIONS)
        _require_option("default-operation", default_operation, DEFAULT_OPERATIONS)
        _require_name(target)
        if target == "startup":
            raise rejections.cannot_edit(target)
        self._locks.require([target], session_id)
        operation = DEFAULT_OPERATIONS[default_operation]
        payload = parse_payload(self._layouts, config, operation)

        def carry_out(tree: DataTree) -> Mentioned:
            editor = Editor(tree, payload, collect=error_option == "continue-on-error")
            editor.carry_out(operation)
            if editor.errors:
                raise rejections.all_of(editor.errors)
            return editor.mentioned

        if target == "running":
            self._change_running(session_id, carry_out, keep=test_option != "test-only", permit=permit)
        else:
            self._change_candidate(session_id, carry_out, keep=test_option != "test-only", permit=permit)

    def copy(self, source: str | etree._Element, target: str, *, session_id: int, permit: Permit | None = None) -> None:
        """copy-config (RFC 6241 7.3). An element is the ``config`` with the whole content; it is given away."""
        _require_name(target)
        if source == target:
            raise rejections.same_datastore(target)
        self._locks.require([target], session_id)
        if source == "running" and target == "candidate":
            self._candidate.discard()
            return
        if source == "candidate" and target == "running":
            self._carry_candidate_over(session_id, permit)
            return
        # RFC 7950 8.3.3: of the candidate, only what holds in every data tree is asked before it is committed.
        root = self._source(source, is_checked=target != "candidate")

        def carry_out(tree: DataTree) -> Mentioned:
            Reconciler(tree).make_equal(tree.root, root, self._layouts.root)
            return None

        if target == "running":
            self._change_running(session_id, carry_out, permit=permit)
        elif target == "candidate":
            self._change_candidate(session_id, carry_out, permit=permit)
        else:
            if permit is not None:
                startup = DataTree(self._layouts, self.tree("startup"))
                journal = startup.open_journal()
                carry_out(startup)
                permit(journal.edits())
            self._copy_to_startup(source, root)
            self._startup_changed(session_id)

    def delete(self, target: str, *, session_id: int, permit: Permit | None = None) -> None:
        """delete-config (RFC 6241 7.4); only startup can be deleted."""
        _require_name(target)
        if target != "startup":
            raise rejections.cannot_delete(target)
        self._locks.require([target], session_id)
        if permit is not None:
            permit(_all_of(EditKind.DELETED, self.tree("startup"), self._layouts))
        with self._writing() as transaction:
            self._store.replace(transaction, "startup", self.schema.new_root())
        self._startup_changed(session_id)

    def validate(self, source: str | etree._Element) -> None:
        """validate (RFC 6241 8.6.4.1)."""
        if not isinstance(source, str):
            self._source(source)
        elif source == "candidate":
            _raise_any(self._validator.check(self._candidate.current))
        elif source == "running":
            _raise_any(self._validator.check(self._running))
        else:
            _raise_any(self._validator.check(DataTree(self._layouts, self.tree(source))))

    def commit(
        self,
        *,
        session_id: int,
        permit: Permit | None = None,
        confirm: Confirm | None = None,
        persist_id: str | None = None,
    ) -> None:
        """commit (RFC 6241 8.3.4.1): running becomes what the candidate is.

        With ``confirm`` it is undone unless another commit confirms it in time (8.4). While one is pending, only its
        session, or whoever gives the token of a persistent one as ``persist_id``, can commit.
        """
        self._locks.require(["running", "candidate"], session_id)
        pending = self._confirmed.pending
        self._require_owner(session_id, persist_id)
        if confirm is not None:
            event = ConfirmEvent.START if pending is None else ConfirmEvent.EXTEND
            wanted, now = confirm, self._clock()

            def record(transaction: Transaction) -> None:
                self._confirmed.begin(transaction, session_id, wanted, now)

            with self._telling_confirmed(event, session_id, confirm.timeout):
                self._carry_candidate_over(session_id, permit, record)
        elif pending is not None:
            with self._telling_confirmed(ConfirmEvent.COMPLETE, session_id):
                self._carry_candidate_over(session_id, permit, self._confirmed.end)
        else:
            self._carry_candidate_over(session_id, permit)

    def cancel_commit(self, *, session_id: int, persist_id: str | None = None) -> None:
        """cancel-commit (RFC 6241 8.4.4.1): running becomes what it was before the confirmed commit."""
        if self._confirmed.pending is None and persist_id is None:
            raise rejections.nothing_to_confirm()
        self._require_owner(session_id, persist_id)
        self._locks.require(["running"], session_id)
        self._revert(ConfirmEvent.CANCEL, session_id)

    def next_deadline(self) -> datetime | None:
        """When ``handle_time`` has to be called next: when a confirmed commit has not been confirmed in time."""
        return None if self._confirmed.pending is None else self._confirmed.pending.deadline

    def handle_time(self, now: datetime) -> None:
        """Undo the confirmed commit when its time has come; where that is refused, try again later."""
        pending = self._confirmed.pending
        if pending is not None and pending.deadline <= now:
            self._try_to_revert(ConfirmEvent.TIMEOUT, None, now)

    def discard(self, *, session_id: int) -> None:
        """discard-changes (RFC 6241 8.3.4.2)."""
        self._locks.require(["candidate"], session_id)
        self._candidate.discard()

    # Locks

    def lock(self, name: str, session_id: int) -> None:
        """lock (RFC 6241 7.5)."""
        _require_name(name)
        if name == "candidate" and self._candidate.modified_by is not None and name not in self._locks.held():
            raise rejections.lock_denied("the candidate has uncommitted changes", self._candidate.modified_by)
        pending = self._confirmed.pending
        if name == "running" and pending is not None and pending.session_id != session_id:
            # RFC 6241 7.5.
            raise rejections.lock_denied("a confirmed commit is not confirmed yet", pending.session_id or 0)
        if name == "running":
            self._partial_locks.require_none()
        self._locks.acquire(name, session_id, self._clock())

    def unlock(self, name: str, session_id: int) -> None:
        """unlock (RFC 6241 7.6); uncommitted changes of the candidate go with its lock (8.3.5.2)."""
        _require_name(name)
        self._locks.release(name, session_id)
        if name == "candidate":
            self._candidate.discard()

    def locks(self) -> Mapping[str, Lock]:
        """The locks that are held, by the name of the datastore."""
        return self._locks.held()

    def partial_lock(self, nodes: Sequence[LockedNode], selects: Sequence[str], session_id: int) -> PartialLock:
        """partial-lock (RFC 5717): let nobody but this session change these nodes of running, nor what is below."""
        pending = self._confirmed.pending
        if pending is not None:
            raise rejections.commit_outstanding(pending.session_id or 0)
        held = self._locks.held().get("running")
        if held is not None:
            raise rejections.lock_denied("running is locked", held.session_id)
        return self._partial_locks.grant(nodes, selects, session_id, self._clock())

    def partial_unlock(self, lock_id: int, session_id: int) -> None:
        """partial-unlock (RFC 5717)."""
        self._partial_locks.release(lock_id, session_id)

    def partial_locks(self) -> Mapping[int, PartialLock]:
        """The locks on parts of running, by their ids."""
        return self._partial_locks.held()

    def release(self, session_id: int) -> None:
        """Give back what a session holds that has ended."""
        self._partial_locks.release_all(session_id)
        if "candidate" in self._locks.release_all(session_id):
            self._candidate.discard()
        pending = self._confirmed.pending
        if pending is not None and pending.token is None and pending.session_id == session_id:
            # RFC 6241 8.4.1: nobody is left who could confirm it.
            if self._is_telling:
                # The change that ended the session, as when it overflows its notifications, is told to all first.
                self._revert_at(self._clock())
            else:
                self._try_to_revert(ConfirmEvent.CANCEL, session_id, self._clock())

    # Subscribers

    def subscribe(self, subscriber: ConfigurationSubscriber) -> None:
        """Have ``subscriber`` take part in every later change of running, after those subscribed before."""
        self._subscribers.append(subscriber)

    def replay(self, subscriber: ConfigurationSubscriber) -> None:
        """Present all of running to ``subscriber`` as one change from nothing, for when the agent starts.

        What the subscriber refuses with is raised as it is: there is no client to answer.
        """
        root = self._running.root
        edits = _all_of(EditKind.CREATED, root, self._layouts)
        subscriber.prepare(Change(self.schema, root, edits, self.schema.new_root)).apply()

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every later change of running."""
        self._listeners.append(listener)

    def on_startup_change(self, listener: Callable[[int | None], None]) -> None:
        """Call ``listener`` with the session after startup was replaced or emptied."""
        self._startup_listeners.append(listener)

    def on_confirmed_commit(self, listener: Callable[[ConfirmedCommitChange], None]) -> None:
        """Call ``listener`` after what happens to a confirmed commit; now, where one ended with an earlier process."""
        self._confirm_listeners.append(listener)
        if self._recovered is not None:
            listener(self._recovered)

    def on_deadline_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever ``next_deadline`` may have changed."""
        self._deadline_listeners.append(listener)

    # How

    def _data_tree(self, name: str) -> DataTree:
        """A datastore with its indexes, to read."""
        match name:
            case "running":
                return self._running
            case "candidate":
                return self._candidate.current
        return DataTree(self._layouts, self.tree(name))

    def _source(self, source: str | etree._Element, *, is_checked: bool = True) -> etree._Element:
        if isinstance(source, str):
            return self.tree(source)
        tree = DataTree(self._layouts)
        Editor(tree, parse_payload(self._layouts, source, None)).carry_out(Operation.MERGE)
        if is_checked:
            _raise_any(self._validator.check(tree))
        return tree.root

    def _change_running(
        self,
        session_id: int | None,
        carry_out: Callable[[DataTree], Mentioned],
        *,
        keep: bool = True,
        permit: Permit | None = None,
        record: Record | None = None,
    ) -> None:
        tree = self._running
        journal = tree.open_journal()
        try:
            mentioned = carry_out(tree)
            if permit is not None:
                permit(journal.edits())
            _raise_any(self._validator.settle(tree, journal, mentioned))
            _raise_any(self._validator.check_change(tree, journal))
            edits = journal.edits()
            if session_id is not None:
                self._partial_locks.require(edits, session_id)
            if not keep or not edits:
                self._undo()
                if keep:
                    self._record(record)
                return
            change = Change(self.schema, tree.root, edits, tree.copy_of_before)
            with self._prepared(change) as prepared, self._writing() as transaction:
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
        with contextlib.ExitStack() as stack:
            self._is_telling = True
            stack.callback(setattr, self, "_is_telling", False)
            # The change is durable: whatever bug one of them has, all the others take part. The last goes first.
            for listener in reversed(self._listeners):
                stack.callback(listener, session_id, edits)
            for part in reversed(prepared):
                stack.callback(part.apply)

    def _adopt_schema(self) -> None:
        """The modules are not those that the stored configuration was last valid with."""
        startup = self._store.load("startup")
        for name, tree in (("running", self._running), ("startup", DataTree(self._layouts, startup))):
            # Nothing is configured yet: an agent that asks for something cannot ask before it runs.
            errors = [] if is_empty(tree.root) else self._validator.check(tree)
            if errors:
                found = "; ".join(str(error) for error in errors)
                raise StorageError(f"the stored {name} configuration is not valid under this release: {found}")
        with self._database.transaction() as transaction:
            self._store.adopt_schema(transaction, {"running": self._running.root, "startup": startup})

    def _copy_to_startup(self, source: str | etree._Element, root: etree._Element) -> None:
        if source == "candidate":
            # RFC 7950 8.3.3: startup has to be valid; running is.
            _raise_any(self._validator.check(self._candidate.current))
        with self._writing() as transaction:
            self._store.replace(transaction, "startup", root)

    def _startup_changed(self, session_id: int) -> None:
        for listener in self._startup_listeners:
            listener(session_id)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Transaction]:
        try:
            with self._database.transaction() as transaction:
                yield transaction
        except StorageError as error:
            raise rejections.not_stored(str(error)) from error

    def _undo(self) -> None:
        self._running.roll_back()
        self._validator.undone(self._running)

    def _carry_candidate_over(self, session_id: int, permit: Permit | None, record: Record | None = None) -> None:
        if not self._candidate.is_modified:
            self._record(record)
            return

        def carry_out(_: DataTree) -> Mentioned:
            self._candidate.carry_over()
            return None

        self._change_running(session_id, carry_out, permit=permit, record=record)
        self._candidate.carried_over()

    def _record(self, record: Record | None) -> None:
        """Write down what there is to write where nothing changes."""
        if record is not None:
            with self._writing() as transaction:
                record(transaction)

    def _require_owner(self, session_id: int, persist_id: str | None) -> None:
        """Raise RpcError unless a session may end or prolong what is pending (RFC 6241 8.4.1)."""
        pending = self._confirmed.pending
        if pending is not None and pending.is_named_by(persist_id):
            return
        if persist_id is not None or (pending is not None and pending.token is not None):
            raise rejections.wrong_persist_id()
        if pending is not None and pending.session_id != session_id:
            raise rejections.commit_in_use(pending.session_id or 0)

    def _revert(self, event: ConfirmEvent, session_id: int | None) -> None:
        """Make running what it was before the confirmed commit, like any other change."""
        try:
            before = self._store.load("running", rows_before=ROWS_BEFORE)
        except StorageError as error:
            raise rejections.not_stored(str(error)) from error

        def carry_out(tree: DataTree) -> Mentioned:
            Reconciler(tree).make_equal(tree.root, before, self._layouts.root)
            return None

        with self._telling_confirmed(event, session_id):
            self._change_running(session_id, carry_out, record=self._confirmed.end)

    def _try_to_revert(self, event: ConfirmEvent, session_id: int | None, now: datetime) -> None:
        pending = self._confirmed.pending
        if pending is None:
            return
        # Whatever happens, not again at once.
        self._revert_at(now + _REVERT_AGAIN)
        try:
            self._revert(event, session_id)
        except (RpcError, RpcErrors) as error:
            _log.error("the confirmed commit could not be undone, which is tried again: %s", error)

    def _revert_at(self, deadline: datetime) -> None:
        """Have the pending commit undone by ``handle_time``; nobody can confirm it any more."""
        self._confirmed.pending = Pending(None, None, deadline)
        for told in self._deadline_listeners:
            told()

    @contextlib.contextmanager
    def _telling_confirmed(
        self, event: ConfirmEvent, session_id: int | None, timeout: int | None = None
    ) -> Iterator[None]:
        """Tell what has happened to the confirmed commit in the block, if it has: even if a listener had a bug."""
        before = self._confirmed.pending
        try:
            yield
        finally:
            if self._confirmed.pending is not before:
                for told in self._deadline_listeners:
                    told()
                for listener in self._confirm_listeners:
                    listener(ConfirmedCommitChange(event, session_id, timeout))

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

    def _change_candidate(
        self,
        session_id: int,
        carry_out: Callable[[DataTree], Mentioned],
        *,
        keep: bool = True,
        permit: Permit | None = None,
    ) -> None:
        tree = self._candidate.tree()
        journal = tree.open_journal()
        try:
            mentioned = carry_out(tree)
            if permit is not None:
                permit(journal.edits())
            _raise_any(self._validator.settle(tree, journal, mentioned))
            edits = journal.edits()
            if not keep:
                errors = self._validator.check(tree)
                tree.roll_back()
                _raise_any(errors)
                return
        except BaseException:
            if tree.journal is not None:
                tree.roll_back()
            raise
        tree.close_journal()
        self._candidate.edited(edits, session_id)


def _all_of(kind: EditKind, root: etree._Element, layouts: Layouts) -> tuple[Edit, ...]:
    return tuple(Edit(kind, root, element, layouts.root.children[element.tag]) for element in root)


def _raise_any(errors: Sequence[RpcError]) -> None:
    if errors:
        raise rejections.all_of(errors)


def _require_name(name: str) -> None:
    if name not in NAMES:
        raise rejections.unknown_datastore(name)


def _require_option(name: str, value: str, allowed: object) -> None:
    if value not in allowed:  # type: ignore[operator]
        raise rejections.invalid_option(name, value)
