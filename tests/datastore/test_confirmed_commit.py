"""A confirmed commit lasts when it is confirmed, and is undone by timeouts, ended sessions and crashes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.confirmed_commit import Confirm, ConfirmedCommitChange
from rkmp.datastore.edits import Edit
from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.errors import EngineRefusal, RpcError, RpcErrors, StorageError
from rkmp.storage import Database
from tests.datastore.generated import payloads
from tests.datastore.invariants import unordered, user_orders
from tests.datastore.servers import START, Server, schema_of

BEFORE = "<zoo><motto>before</motto><species><name>a</name></species><species><name>b</name></species></zoo>"
AFTER = (
    '<zoo><motto>after</motto><species nc:operation="delete"><name>a</name></species>'
    "<species><name>b</name><weight>7</weight></species><species><name>c</name></species></zoo>"
)


class Pen(Server):
    """A server with something in running, whose clock stands still, and what listeners were told."""

    def __init__(self, database: Database | None = None) -> None:
        super().__init__(database=database)
        self.told: list[ConfirmedCommitChange] = []
        self.listen()
        if not self.tree():
            self.edit(BEFORE)
        self.before = self.state()

    def state(self) -> Any:
        """Running as far as order means something."""
        return unordered(("config", *self.tree())), user_orders(self.datastores._running.tree)

    def _clock(self) -> datetime:
        return self.now

    def listen(self) -> None:
        self.datastores.on_confirmed_commit(self.told.append)

    def restart(self) -> None:
        super().restart()
        self.listen()

    def commit(
        self,
        content: str | None = AFTER,
        *,
        session_id: int = 1,
        confirm: Confirm | None = Confirm(),  # noqa: B008 - immutable
        persist_id: str | None = None,
    ) -> None:
        if content is not None:
            self.edit(content, "candidate", session_id=session_id)
        self.datastores.commit(session_id=session_id, confirm=confirm, persist_id=persist_id)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.datastores.handle_time(self.now)

    def events(self) -> list[tuple[str, int | None, int | None]]:
        found = [(told.event.value, told.session_id, told.timeout) for told in self.told]
        self.told.clear()
        return found

    def left(self) -> int:
        """Rows that are kept for a confirmed commit; 0 when there is none."""
        counts = [
            self.database.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
            for table in ("confirmed_commit", "confirmed_commit_rows")
        ]
        triggers = self.database.rows("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'")[0][0]
        return int(sum(counts) + triggers)


def fault(work: Callable[[], object]) -> tuple[str, tuple[tuple[str, str], ...]]:
    with pytest.raises(RpcError) as caught:
        work()
    return caught.value.tag, tuple((etree.QName(tag).localname, text) for tag, text in caught.value.info)


def test_a_commit_that_is_confirmed_stays() -> None:
    pen = Pen()
    pen.commit()
    after = pen.state()
    assert after != pen.before
    assert pen.datastores.next_deadline() == START + timedelta(seconds=600)
    pen.wait(599)
    pen.commit(None, confirm=None)
    assert pen.datastores.next_deadline() is None
    pen.wait(10_000)
    assert pen.state() == after
    assert pen.left() == 0
    assert pen.events() == [("start", 1, 600), ("complete", 1, None)]
    pen.restart()
    assert pen.state() == after


def test_a_commit_that_is_not_confirmed_in_time_is_undone() -> None:
    pen = Pen()
    rows = pen.rows()
    pen.commit(confirm=Confirm(20))
    pen.wait(19)
    assert pen.state() != pen.before
    pen.wait(1)
    assert pen.state() == pen.before
    assert pen.left() == 0
    assert pen.rows() == rows
    assert pen.events() == [("start", 1, 20), ("timeout", None, None)]
    pen.restart()
    assert pen.state() == pen.before


def test_follow_up_and_confirming_commits_can_bring_more() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(20))
    pen.wait(15)
    pen.commit("<zoo><motto>follow-up</motto></zoo>", confirm=Confirm(30))
    pen.wait(29)
    assert "follow-up" in pen.text()
    pen.commit("<zoo><motto>confirmed</motto></zoo>", confirm=None)
    pen.wait(1000)
    assert "confirmed" in pen.text()
    assert pen.events() == [("start", 1, 20), ("extend", 1, 30), ("complete", 1, None)]


def test_all_of_several_commits_is_undone_with_what_others_changed() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(20))
    pen.commit('<zoo><species nc:operation="delete"><name>c</name></species></zoo>', confirm=Confirm(20))
    pen.edit("<zoo><motto>mine</motto><species><name>d</name></species></zoo>", session_id=2)
    pen.wait(20)
    assert pen.state() == pen.before
    assert pen.left() == 0


def test_a_confirmed_commit_without_changes_protects_what_comes_later() -> None:
    pen = Pen()
    pen.commit(None, confirm=Confirm(20))
    pen.edit("<zoo><motto>later</motto></zoo>")
    pen.wait(20)
    assert pen.state() == pen.before


def test_cancelling_undoes_at_once() -> None:
    pen = Pen()
    pen.commit()
    pen.datastores.cancel_commit(session_id=1)
    assert pen.state() == pen.before
    assert pen.left() == 0
    assert pen.events() == [("start", 1, 600), ("cancel", 1, None)]
    assert fault(lambda: pen.datastores.cancel_commit(session_id=1))[0] == "operation-failed"


def test_the_order_of_entries_comes_back() -> None:
    pen = Pen()
    pen.edit("<zoo>" + "".join(f"<feeding><id>{number}</id><hour>1</hour></feeding>" for number in range(6)) + "</zoo>")
    pen.edit("<holiday>x</holiday><holiday>y</holiday>")
    before = pen.state()
    pen.commit(
        '<zoo><feeding yang:insert="first"><id>4</id></feeding><feeding nc:operation="delete"><id>2</id></feeding>'
        '<feeding yang:insert="first"><id>9</id><hour>1</hour></feeding></zoo><holiday yang:insert="first">y</holiday>'
    )
    assert pen.state() != before
    pen.datastores.cancel_commit(session_id=1)
    assert pen.state() == before
    pen.restart()
    assert pen.state() == before


def test_the_end_of_its_session_undoes_it() -> None:
    pen = Pen()
    pen.commit()
    pen.datastores.release(2)
    assert pen.state() != pen.before
    pen.datastores.release(1)
    assert pen.state() == pen.before
    assert pen.events() == [("start", 1, 600), ("cancel", 1, None)]


def test_a_persistent_one_survives_its_session_and_is_confirmed_by_another() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(60, "token"))
    pen.datastores.release(1)
    after = pen.state()
    for persist_id in (None, "", "tokem"):
        expected = ("invalid-value", (("bad-element", "persist-id"),))
        assert fault(lambda: pen.commit(None, session_id=2, confirm=None, persist_id=persist_id)) == expected  # noqa: B023
        assert fault(lambda: pen.commit(None, session_id=2, persist_id=persist_id)) == expected  # noqa: B023
        assert fault(lambda: pen.datastores.cancel_commit(session_id=2, persist_id=persist_id)) == expected  # noqa: B023
    pen.commit(None, session_id=2, confirm=Confirm(30), persist_id="token")
    pen.datastores.release(2)
    pen.wait(29)
    assert pen.state() == after
    pen.commit(None, session_id=3, confirm=None, persist_id="token")
    pen.wait(1000)
    assert pen.state() == after
    assert pen.events() == [("start", 1, 60), ("extend", 2, 30), ("complete", 3, None)]


def test_a_follow_up_can_change_the_token() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(60))
    pen.commit(None, confirm=Confirm(60, "one"))
    pen.commit(None, session_id=2, confirm=Confirm(60, "two"), persist_id="one")
    assert fault(lambda: pen.commit(None, confirm=None, persist_id="one"))[0] == "invalid-value"
    pen.datastores.cancel_commit(session_id=3, persist_id="two")
    assert pen.state() == pen.before


def test_another_session_can_neither_commit_nor_cancel_nor_lock() -> None:
    pen = Pen()
    pen.commit()
    expected = ("in-use", (("session-id", "1"),))
    pen.edit("<zoo><motto>other</motto></zoo>", "candidate", session_id=2)
    assert fault(lambda: pen.commit(None, session_id=2, confirm=None)) == expected
    assert fault(lambda: pen.commit(None, session_id=2)) == expected
    assert fault(lambda: pen.datastores.cancel_commit(session_id=2)) == expected
    assert fault(lambda: pen.datastores.lock("running", 2)) == ("lock-denied", (("session-id", "1"),))
    assert fault(lambda: pen.commit(None, persist_id="x"))[0] == "invalid-value"
    pen.datastores.lock("running", 1)
    pen.datastores.unlock("running", 1)
    pen.commit(None, confirm=None)
    pen.datastores.lock("running", 2)


def test_a_token_without_a_pending_commit_is_refused() -> None:
    pen = Pen()
    assert fault(lambda: pen.commit(None, confirm=None, persist_id="x"))[0] == "invalid-value"
    assert fault(lambda: pen.datastores.cancel_commit(session_id=1, persist_id="x"))[0] == "invalid-value"


def test_locks_hold_against_commits_and_cancels_and_not_against_the_timeout() -> None:
    pen = Pen()
    pen.datastores.lock("running", 1)
    assert fault(lambda: pen.commit(None, session_id=2)) == ("in-use", (("session-id", "1"),))
    pen.commit(confirm=Confirm(20, "token"))
    assert fault(lambda: pen.datastores.cancel_commit(session_id=2, persist_id="token"))[0] == "in-use"
    pen.wait(20)
    assert pen.state() == pen.before


def test_a_refused_follow_up_leaves_the_deadline_alone() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(20))
    pen.wait(10)
    pen.edit("<zoo><guest>rex</guest></zoo>", "candidate")
    with pytest.raises(RpcErrors):
        pen.datastores.commit(session_id=1, confirm=Confirm(100))
    assert pen.datastores.next_deadline() == START + timedelta(seconds=20)
    pen.wait(10)
    assert pen.state() == pen.before


class Refusing:
    def __init__(self) -> None:
        self.refuses = False

    def prepare(self, change: Change) -> PreparedChange:
        if self.refuses:
            raise EngineRefusal("not now")
        return self

    def apply(self) -> None: ...

    def abort(self) -> None: ...


@pytest.mark.parametrize("by_session", [False, True])
def test_what_cannot_be_undone_is_tried_again(by_session: bool, caplog: pytest.LogCaptureFixture) -> None:
    pen = Pen()
    subscriber = Refusing()
    pen.datastores.subscribe(subscriber)
    armed: list[datetime | None] = []
    pen.datastores.on_deadline_change(lambda: armed.append(pen.datastores.next_deadline()))
    pen.commit(confirm=Confirm(20))
    subscriber.refuses = True
    if by_session:
        pen.datastores.release(1)
    else:
        pen.wait(20)
    assert pen.state() != pen.before
    assert "not now" in caplog.text
    again = pen.datastores.next_deadline()
    assert again == armed[-1] == pen.now + timedelta(seconds=10)
    assert fault(lambda: pen.commit(None, confirm=None))[0] == "in-use"
    subscriber.refuses = False
    pen.wait(10)
    assert pen.state() == pen.before
    assert pen.left() == 0


def test_a_session_that_its_own_commit_ends_has_it_undone_after_everybody_knows_of_it() -> None:
    pen = Pen()
    seen: list[str] = []

    def end_session(session_id: int | None, edits: Sequence[Edit]) -> None:
        if not seen:
            pen.datastores.release(1)
        seen.append("first")

    pen.datastores.on_commit(end_session)
    pen.datastores.on_commit(lambda *_: seen.append("second"))
    pen.commit()
    assert seen == ["first", "second"]
    assert pen.datastores.next_deadline() == pen.now
    pen.wait(0)
    assert pen.state() == pen.before
    assert seen == ["first", "second"] * 2
    assert pen.events() == [("start", 1, 600), ("timeout", None, None)]
    assert pen.left() == 0
    assert unordered(("config", *pen.tree("candidate"))) == pen.before[0]


def test_a_listener_with_a_bug_does_not_leave_it_without_a_deadline() -> None:
    pen = Pen()
    armed: list[datetime | None] = []
    pen.datastores.on_deadline_change(lambda: armed.append(pen.datastores.next_deadline()))

    def fail(session_id: int | None, edits: Sequence[Edit]) -> None:
        raise ZeroDivisionError

    pen.datastores.on_commit(fail)
    with pytest.raises(ZeroDivisionError):
        pen.commit(confirm=Confirm(20))
    assert armed == [START + timedelta(seconds=20)]
    assert pen.events() == [("start", 1, 20)]


def test_a_cancel_that_is_refused_changes_nothing() -> None:
    pen = Pen()
    subscriber = Refusing()
    pen.datastores.subscribe(subscriber)
    pen.commit()
    after = pen.state()
    subscriber.refuses = True
    assert fault(lambda: pen.datastores.cancel_commit(session_id=1))[0] == "operation-failed"
    assert pen.state() == after
    subscriber.refuses = False
    pen.commit(None, confirm=None)


def test_a_crash_undoes_one_that_is_not_persistent() -> None:
    pen = Pen()
    rows = pen.rows()
    pen.commit()
    pen.restart()
    assert pen.state() == pen.before
    assert pen.rows() == rows
    assert pen.left() == 0
    assert pen.datastores.next_deadline() is None
    assert pen.events() == [("start", 1, 600), ("cancel", None, None)]


def test_a_crash_leaves_a_persistent_one_its_remaining_time() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(100, "token"))
    after = pen.state()
    pen.now += timedelta(seconds=40)
    pen.restart()
    assert pen.state() == after
    assert pen.datastores.next_deadline() == START + timedelta(seconds=100)
    pen.edit("<zoo><motto>later</motto></zoo>", session_id=1)
    # Session 1 of this process is not the one that issued it.
    assert fault(lambda: pen.datastores.lock("running", 1)) == ("lock-denied", (("session-id", "0"),))
    pen.datastores.release(1)
    pen.wait(59)
    assert pen.state() != pen.before
    pen.wait(1)
    assert pen.state() == pen.before
    assert pen.left() == 0


def test_a_persistent_one_can_be_confirmed_after_a_crash() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(100, "token"))
    after = pen.state()
    pen.restart()
    pen.commit(None, session_id=7, confirm=None, persist_id="token")
    pen.restart()
    assert pen.state() == after
    assert pen.left() == 0


def test_time_runs_out_while_the_agent_is_down() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(100, "token"))
    pen.now += timedelta(seconds=100)
    pen.restart()
    assert pen.state() == pen.before
    assert pen.events() == [("start", 1, 100), ("timeout", None, None)]


def test_another_release_undoes_even_a_persistent_one() -> None:
    pen = Pen()
    pen.commit(confirm=Confirm(100, "token"))
    with pen.database.transaction() as transaction:
        transaction.execute("UPDATE datastore_schema SET content_id = 'older'")
    pen.restart()
    assert pen.state() == pen.before


def test_a_disk_that_refuses_leaves_no_confirmed_commit() -> None:
    pen = Pen()
    pen.edit(AFTER, "candidate")
    pen.database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises((RpcError, StorageError)):
        pen.datastores.commit(session_id=1, confirm=Confirm())
    pen.database._connection.execute("PRAGMA query_only = OFF")
    assert pen.state() == pen.before
    assert pen.left() == 0
    assert pen.datastores.next_deadline() is None
    pen.datastores.commit(session_id=1, confirm=Confirm())
    pen.datastores.cancel_commit(session_id=1)
    assert pen.state() == pen.before


def test_the_token_is_not_on_the_disk(tmp_path: Path) -> None:
    with Database(tmp_path / "db") as database:
        Pen(database).commit(confirm=Confirm(60, "open sesame"))
    assert b"open sesame" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(payloads(schema_of("zoo")), max_size=3),
    st.lists(payloads(schema_of("zoo")), min_size=1, max_size=4),
    st.sampled_from(("cancel", "timeout", "crash")),
)
def test_whatever_was_changed_comes_back(first: list[str], then: list[str], how: str) -> None:
    server = Server()

    def edit_all(contents: list[str]) -> None:
        for content in contents:
            try:
                server.edit(content)
            except (RpcError, RpcErrors):
                continue

    def state() -> Any:
        return unordered(("config", *server.tree())), user_orders(server.datastores._running.tree)

    edit_all(first)
    before = state()
    server.datastores.commit(session_id=1, confirm=Confirm(10**6))
    edit_all(then)
    if how == "cancel":
        server.datastores.cancel_commit(session_id=1)
    elif how == "timeout":
        server.datastores.handle_time(server.now + timedelta(days=30))
    if how != "crash":
        assert state() == before
    server.restart()
    assert state() == before


def test_a_kill_leaves_either_the_old_or_a_commit_that_can_be_undone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with Database(path) as database:
        before = Pen(database).before
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.datastore.committing_until_killed", str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        with Database(path) as database:
            pen = Pen(database)
            assert pen.state() == before
            assert pen.left() == 0
