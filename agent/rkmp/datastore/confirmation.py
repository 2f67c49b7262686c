"""Who may confirm, prolong or cancel a confirmed commit, and how it is undone while the agent runs (RFC 6241 8.4).

What is durable of it, and what has to be undone because the agent ended, is in ``confirmed_commit``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from rkmp.datastore import rejections
from rkmp.datastore.confirmed_commit import (
    ROWS_BEFORE,
    Confirm,
    ConfirmedCommit,
    ConfirmedCommitChange,
    ConfirmEvent,
    Pending,
)
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.layout import Layouts
from rkmp.datastore.reconcile import Reconciler
from rkmp.datastore.running import Mentioned, Record, Running
from rkmp.datastore.store import Store
from rkmp.errors import RpcError, RpcErrors, StorageError
from rkmp.storage import Transaction

_log = logging.getLogger(__name__)

_REVERT_AGAIN = timedelta(seconds=10)
"""After what time a confirmed commit that could not be undone is tried again."""


class Confirmation:
    """What waits to be confirmed of ``running``; ``clock`` returns the time now, aware, in UTC.

    ``recovered`` is what there is to tell of a confirmed commit that ended with an earlier process.
    """

    def __init__(
        self,
        confirmed: ConfirmedCommit,
        recovered: ConfirmedCommitChange | None,
        running: Running,
        store: Store,
        layouts: Layouts,
        clock: Callable[[], datetime],
    ) -> None:
        self._confirmed = confirmed
        self._recovered = recovered
        self._running = running
        self._store = store
        self._layouts = layouts
        self._clock = clock
        self._listeners: list[Callable[[ConfirmedCommitChange], None]] = []
        self._deadline_listeners: list[Callable[[], None]] = []

    @property
    def pending(self) -> Pending | None:
        """The commit that is to be confirmed."""
        return self._confirmed.pending

    def on_change(self, listener: Callable[[ConfirmedCommitChange], None]) -> None:
        """Call ``listener`` after what happens to a confirmed commit; now, where one ended with an earlier process."""
        self._listeners.append(listener)
        if self._recovered is not None:
            listener(self._recovered)

    def on_deadline_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever the deadline of what is pending may have changed."""
        self._deadline_listeners.append(listener)

    def require_owner(self, session_id: int, persist_id: str | None) -> None:
        """Raise RpcError unless a session may end or prolong what is pending (RFC 6241 8.4.1)."""
        pending = self.pending
        if pending is not None and pending.is_named_by(persist_id):
            return
        if persist_id is not None or (pending is not None and pending.token is not None):
            raise rejections.wrong_persist_id()
        if pending is not None and pending.session_id != session_id:
            raise rejections.commit_in_use(pending.session_id or 0)

    def commit(self, session_id: int, confirm: Confirm | None, carry_over: Callable[[Record | None], None]) -> None:
        """Commit by ``carry_over``: to be confirmed with ``confirm``, otherwise for good, what is pending included."""
        if confirm is not None:
            event = ConfirmEvent.START if self.pending is None else ConfirmEvent.EXTEND
            now = self._clock()

            def begin(transaction: Transaction) -> None:
                self._confirmed.begin(transaction, session_id, confirm, now)

            with self._telling(event, session_id, confirm.timeout):
                carry_over(begin)
        elif self.pending is not None:
            with self._telling(ConfirmEvent.COMPLETE, session_id):
                carry_over(self._confirmed.end)
        else:
            carry_over(None)

    def cancel(self, session_id: int) -> None:
        """Make running what it was before the confirmed commit. Raises RpcError or RpcErrors."""
        self._revert(ConfirmEvent.CANCEL, session_id)

    def handle_time(self, now: datetime) -> None:
        """Undo what is pending when its time has come; where that is refused, try again later."""
        if self.pending is not None and self.pending.deadline <= now:
            self._try_to_revert(ConfirmEvent.TIMEOUT, None, now)

    def session_ended(self, session_id: int) -> None:
        """Undo what only this session could have confirmed (RFC 6241 8.4.1)."""
        pending = self.pending
        if pending is None or pending.token is not None or pending.session_id != session_id:
            return
        if self._running.is_telling:
            # The change that ended the session, as when it overflows its notifications, is told to all first.
            self._revert_at(self._clock())
        else:
            self._try_to_revert(ConfirmEvent.CANCEL, session_id, self._clock())

    def _revert(self, event: ConfirmEvent, session_id: int | None) -> None:
        """Make running what it was before the confirmed commit, like any other change."""
        try:
            before = self._store.load("running", rows_before=ROWS_BEFORE)
        except StorageError as error:
            raise rejections.not_stored(str(error)) from error

        def carry_out(tree: DataTree) -> Mentioned:
            Reconciler(tree).make_equal(tree.root, before, self._layouts.root)
            return None

        with self._telling(event, session_id):
            self._running.change(session_id, carry_out, record=self._confirmed.end)

    def _try_to_revert(self, event: ConfirmEvent, session_id: int | None, now: datetime) -> None:
        # Whatever happens, not again at once.
        self._revert_at(now + _REVERT_AGAIN)
        try:
            self._revert(event, session_id)
        except (RpcError, RpcErrors) as error:
            _log.error("the confirmed commit could not be undone, which is tried again: %s", error)

    def _revert_at(self, deadline: datetime) -> None:
        """Have the pending commit undone by ``handle_time``; nobody can confirm it any more."""
        self._confirmed.pending = Pending(None, None, deadline)
        self._tell_deadline()

    @contextlib.contextmanager
    def _telling(self, event: ConfirmEvent, session_id: int | None, timeout: int | None = None) -> Iterator[None]:
        """Tell what has happened to the confirmed commit in the block, if it has: even if a listener had a bug."""
        before = self.pending
        try:
            yield
        finally:
            if self.pending is not before:
                self._tell_deadline()
                for listener in self._listeners:
                    listener(ConfirmedCommitChange(event, session_id, timeout))

    def _tell_deadline(self) -> None:
        for told in self._deadline_listeners:
            told()
