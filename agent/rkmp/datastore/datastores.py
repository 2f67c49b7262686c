"""The configuration datastores of one server: running, candidate and startup (RFC 6241 sections 5.1, 7 and 8).

Every change is all or nothing: nobody ever sees half of it, and what was acknowledged survives the loss of the process
and of power. The one face of the datastores: how running changes is in ``running``, how a commit is confirmed or undone
in ``confirmation``, and who may change what where there are locks in ``locks`` and ``partial_locks``.

Running is durable and is what a restart comes up with. Startup is a second durable datastore that operators copy to
and from: an agent that lost committed configuration in a crash because nobody copied it would lose its keys with it.

Error options (RFC 6241 7.2): ``stop-on-error`` and ``rollback-on-error`` end at the first error of processing,
``continue-on-error`` goes on to report them all; none leaves anything half-applied.

One thread only; no method waits. Errors are RpcError or RpcErrors, after which nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.candidate import Candidate
from rkmp.datastore.confirmation import Confirmation
from rkmp.datastore.confirmed_commit import Confirm, ConfirmedCommit, ConfirmedCommitChange
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layouts, is_empty
from rkmp.datastore.locks import Lock, Locks
from rkmp.datastore.marks import Operation
from rkmp.datastore.partial_locks import LockedNode, PartialLock, PartialLocks
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.reconcile import Reconciler
from rkmp.datastore.running import Mentioned, Permit, Record, Running
from rkmp.datastore.schema.nodes import Schema
from rkmp.datastore.store import Store
from rkmp.datastore.subscribers import Change, CommitListener, ConfigurationSubscriber
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.validation import Validator
from rkmp.datastore.with_defaults import DefaultsMode, defaults_of
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import StorageError
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
        self._clock = clock
        self._validator = Validator(schema)
        self._layouts = self._validator.layouts
        self._store = Store(self._layouts, database, sealer, random)
        confirmed = ConfirmedCommit(database)
        recovered = confirmed.recover(clock, keep_persistent=self._store.fits_schema)
        tree = DataTree(self._layouts, self._store.load("running", keep=True))
        if not self._store.fits_schema:
            self._adopt_schema(tree)
        self._candidate = Candidate(tree)
        self._locks = Locks()
        self._partial_locks = PartialLocks()
        self._running = Running(schema, tree, self._store, self._validator, self._candidate, self._partial_locks)
        self._confirmation = Confirmation(confirmed, recovered, self._running, self._store, self._layouts, clock)
        self._startup_listeners: list[Callable[[int | None], None]] = []

    def tree(self, name: str) -> etree._Element:
        """The ``config`` element of a datastore, for reading until the next change."""
        match name:
            case "running":
                return self._running.tree.root
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
            self._running.change(session_id, carry_out, keep=test_option != "test-only", permit=permit)
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
            self._running.change(session_id, carry_out, permit=permit)
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
        with self._store.writing() as transaction:
            self._store.replace(transaction, "startup", self.schema.new_root())
        self._startup_changed(session_id)

    def validate(self, source: str | etree._Element) -> None:
        """validate (RFC 6241 8.6.4.1)."""
        if not isinstance(source, str):
            self._source(source)
        elif source == "candidate":
            rejections.raise_any(self._validator.check(self._candidate.current))
        elif source == "running":
            rejections.raise_any(self._validator.check(self._running.tree))
        else:
            rejections.raise_any(self._validator.check(DataTree(self._layouts, self.tree(source))))

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
        self._confirmation.require_owner(session_id, persist_id)
        self._confirmation.commit(
            session_id, confirm, lambda record: self._carry_candidate_over(session_id, permit, record)
        )

    def cancel_commit(self, *, session_id: int, persist_id: str | None = None) -> None:
        """cancel-commit (RFC 6241 8.4.4.1): running becomes what it was before the confirmed commit."""
        if self._confirmation.pending is None and persist_id is None:
            raise rejections.nothing_to_confirm()
        self._confirmation.require_owner(session_id, persist_id)
        self._locks.require(["running"], session_id)
        self._confirmation.cancel(session_id)

    def next_deadline(self) -> datetime | None:
        """When ``handle_time`` has to be called next: when a confirmed commit has not been confirmed in time."""
        pending = self._confirmation.pending
        return None if pending is None else pending.deadline

    def handle_time(self, now: datetime) -> None:
        """Undo the confirmed commit when its time has come; where that is refused, try again later."""
        self._confirmation.handle_time(now)

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
        pending = self._confirmation.pending
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
        pending = self._confirmation.pending
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
        self._confirmation.session_ended(session_id)

    # Subscribers

    def subscribe(self, subscriber: ConfigurationSubscriber) -> None:
        """Have ``subscriber`` take part in every later change of running, after those subscribed before."""
        self._running.subscribe(subscriber)

    def replay(self, subscriber: ConfigurationSubscriber) -> None:
        """Present all of running to ``subscriber`` as one change from nothing, for when the agent starts.

        What the subscriber refuses with is raised as it is: there is no client to answer.
        """
        root = self._running.tree.root
        edits = _all_of(EditKind.CREATED, root, self._layouts)
        subscriber.prepare(Change(self.schema, root, edits, self.schema.new_root)).apply()

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every later change of running."""
        self._running.on_commit(listener)

    def on_startup_change(self, listener: Callable[[int | None], None]) -> None:
        """Call ``listener`` with the session after startup was replaced or emptied."""
        self._startup_listeners.append(listener)

    def on_confirmed_commit(self, listener: Callable[[ConfirmedCommitChange], None]) -> None:
        """Call ``listener`` after what happens to a confirmed commit; now, where one ended with an earlier process."""
        self._confirmation.on_change(listener)

    def on_deadline_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever ``next_deadline`` may have changed."""
        self._confirmation.on_deadline_change(listener)

    # How

    def _data_tree(self, name: str) -> DataTree:
        """A datastore with its indexes, to read."""
        match name:
            case "running":
                return self._running.tree
            case "candidate":
                return self._candidate.current
        return DataTree(self._layouts, self.tree(name))

    def _source(self, source: str | etree._Element, *, is_checked: bool = True) -> etree._Element:
        if isinstance(source, str):
            return self.tree(source)
        tree = DataTree(self._layouts)
        Editor(tree, parse_payload(self._layouts, source, None)).carry_out(Operation.MERGE)
        if is_checked:
            rejections.raise_any(self._validator.check(tree))
        return tree.root

    def _adopt_schema(self, running: DataTree) -> None:
        """The modules are not those that the stored configuration was last valid with."""
        startup = self._store.load("startup")
        for name, tree in (("running", running), ("startup", DataTree(self._layouts, startup))):
            # Nothing is configured yet: an agent that asks for something cannot ask before it runs.
            errors = [] if is_empty(tree.root) else self._validator.check(tree)
            if errors:
                found = "; ".join(str(error) for error in errors)
                raise StorageError(f"the stored {name} configuration is not valid under this release: {found}")
        with self._database.transaction() as transaction:
            self._store.adopt_schema(transaction, {"running": running.root, "startup": startup})

    def _copy_to_startup(self, source: str | etree._Element, root: etree._Element) -> None:
        if source == "candidate":
            # RFC 7950 8.3.3: startup has to be valid; running is.
            rejections.raise_any(self._validator.check(self._candidate.current))
        with self._store.writing() as transaction:
            self._store.replace(transaction, "startup", root)

    def _startup_changed(self, session_id: int) -> None:
        for listener in self._startup_listeners:
            listener(session_id)

    def _carry_candidate_over(self, session_id: int, permit: Permit | None, record: Record | None = None) -> None:
        if not self._candidate.is_modified:
            self._running.record(record)
            return

        def carry_out(_: DataTree) -> Mentioned:
            self._candidate.carry_over()
            return None

        self._running.change(session_id, carry_out, permit=permit, record=record)
        self._candidate.carried_over()

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
            rejections.raise_any(self._validator.settle(tree, journal, mentioned))
            edits = journal.edits()
            if not keep:
                errors = self._validator.check(tree)
                tree.roll_back()
                rejections.raise_any(errors)
                return
        except BaseException:
            if tree.journal is not None:
                tree.roll_back()
            raise
        tree.close_journal()
        self._candidate.edited(edits, session_id)


def _all_of(kind: EditKind, root: etree._Element, layouts: Layouts) -> tuple[Edit, ...]:
    return tuple(Edit(kind, root, element, layouts.root.children[element.tag]) for element in root)


def _require_name(name: str) -> None:
    if name not in NAMES:
        raise rejections.unknown_datastore(name)


def _require_option(name: str, value: str, allowed: object) -> None:
    if value not in allowed:  # type: ignore[operator]
        raise rejections.invalid_option(name, value)
