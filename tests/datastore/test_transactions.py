"""A change of running happens as a whole or not at all: tree, subscribers and disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rkmp.datastore.edits import Edit
from rkmp.datastore.subscribers import Change
from rkmp.errors import EngineRefusal, KeyTableError, RpcError, RpcErrors
from tests.datastore.servers import ZOO, Server, briefly, plain

EDIT = "<zoo><motto>n</motto><guest>max</guest></zoo><holiday>x</holiday>"


@dataclass
class Recorder:
    """A subscriber that writes down what it is asked, and what was in running and on disk then."""

    server: Server
    name: str
    calls: list[str]
    refusal: Exception | None = None
    changes: list[Change] = field(default_factory=list)

    def prepare(self, change: Change) -> Recorder:
        self.calls.append(f"prepare {self.name}")
        self.changes.append(change)
        if self.refusal is not None:
            raise self.refusal
        return self

    def apply(self) -> None:
        stored = "x" in str(self.server.rows())
        self.calls.append(f"apply {self.name}, {'durable' if stored else 'not durable'}")

    def abort(self) -> None:
        self.calls.append(f"abort {self.name}")


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit("<zoo><motto>m</motto><species><name>a</name></species></zoo>")
    return server


def subscribe(server: Server, *refusals: Exception | None) -> tuple[list[str], list[Recorder]]:
    calls: list[str] = []
    recorders = [Recorder(server, str(index), calls, refusal) for index, refusal in enumerate(refusals, start=1)]
    for recorder in recorders:
        server.datastores.subscribe(recorder)
    server.datastores.on_commit(lambda session_id, edits: calls.append(f"committed by {session_id}"))
    return calls, recorders


def errors_of(error: BaseException) -> list[RpcError]:
    if isinstance(error, RpcErrors):
        return list(error.errors)
    assert isinstance(error, RpcError)
    return [error]


def commit(server: Server) -> None:
    server.edit(EDIT, "candidate")
    server.datastores.commit(session_id=5)


def copy(server: Server) -> None:
    server.datastores.copy(server.document(EDIT), "running", session_id=5)


WAYS: dict[str, Callable[[Server], None]] = {
    "edit": lambda server: server.edit(EDIT, session_id=5),
    "commit": commit,
    "copy": copy,
}
every_way = pytest.mark.parametrize("change", WAYS.values(), ids=WAYS)


@every_way
def test_all_prepare_before_the_disk_and_all_apply_after_it(server: Server, change: Callable[[Server], None]) -> None:
    calls, _ = subscribe(server, None, None)
    change(server)
    assert calls == ["prepare 1", "prepare 2", "apply 1, durable", "apply 2, durable", "committed by 5"]


@every_way
@pytest.mark.parametrize("refusing", [1, 2, 3])
@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (EngineRefusal("no such algorithm", peer="r2"), ("operation-failed", None, None)),
        (KeyTableError("the name is taken"), ("operation-failed", None, None)),
        (RpcError("operation-failed", "no", path="/a:b"), ("operation-failed", None, "/a:b")),
        (RpcErrors([RpcError("invalid-value", "no")]), ("invalid-value", None, None)),
    ],
)
def test_a_refusal_undoes_everything(
    server: Server,
    change: Callable[[Server], None],
    refusing: int,
    refusal: Exception,
    expected: tuple[str, str | None, str | None],
) -> None:
    before, rows = server.text(), server.rows()
    calls, _ = subscribe(server, *(refusal if number == refusing else None for number in (1, 2, 3)))
    with pytest.raises((RpcError, RpcErrors)) as caught:
        change(server)
    assert briefly(errors_of(caught.value)) == [expected]
    prepared = [f"prepare {number}" for number in range(1, refusing + 1)]
    aborted = [f"abort {number}" for number in range(refusing - 1, 0, -1)]
    assert calls == prepared + aborted
    assert (server.text(), server.rows()) == (before, rows)


def test_the_reason_of_a_refusal_reaches_the_operator(server: Server) -> None:
    subscribe(server, EngineRefusal("there is no algorithm 7"))
    with pytest.raises(RpcError) as caught:
        server.edit(EDIT)
    assert caught.value.message == "there is no algorithm 7"


@every_way
@pytest.mark.parametrize("statement", ["INSERT", "UPDATE", "COMMIT"])
def test_a_disk_that_refuses_undoes_everything(
    server: Server, change: Callable[[Server], None], statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rows = server.text(), server.rows()
    calls, _ = subscribe(server, None, None)
    server.database._connection.set_authorizer(_refusing(statement))
    with pytest.raises(RpcError) as caught:
        change(server)
    server.database._connection.set_authorizer(None)
    assert caught.value.tag == "resource-denied"
    assert calls == ["prepare 1", "prepare 2", "abort 2", "abort 1"]
    assert (server.text(), server.rows()) == (before, rows)
    server.datastores.discard(session_id=5)
    change(server)
    assert calls[-1] == "committed by 5"
    expected = server.tree()
    server.restart()
    assert server.tree() == expected


def _refusing(statement: str) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    def authorize(action: int, first: str | None, *_: object) -> int:
        refused = {
            "INSERT": action == sqlite3.SQLITE_INSERT and first == "datastore_rows",
            "UPDATE": action == sqlite3.SQLITE_UPDATE and first == "datastore_rows",
            "COMMIT": action == sqlite3.SQLITE_TRANSACTION and first == "COMMIT",
        }
        return sqlite3.SQLITE_DENY if refused[statement] else sqlite3.SQLITE_OK

    return authorize


def test_a_bug_in_a_subscriber_leaves_nothing_half_applied(server: Server) -> None:
    before = server.text()
    calls, _ = subscribe(server, None, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        server.edit(EDIT)
    assert calls == ["prepare 1", "prepare 2", "abort 1"]
    assert server.text() == before
    assert server.datastores._running.tree.journal is None


def test_a_bug_in_applying_keeps_nobody_else_from_it(server: Server) -> None:
    calls, recorders = subscribe(server, None, None)

    class Broken(Recorder):
        def apply(self) -> None:
            raise ZeroDivisionError

    server.datastores._running._subscribers.insert(0, Broken(server, "0", calls))
    with pytest.raises(ZeroDivisionError):
        server.edit(EDIT, session_id=5)
    assert calls[3:] == ["apply 1, durable", "apply 2, durable", "committed by 5"]
    assert len(recorders) == 2
    expected = server.tree()
    server.restart()
    assert server.tree() == expected


def test_an_invalid_change_is_not_even_prepared(server: Server) -> None:
    calls, _ = subscribe(server, None)
    server.refusal("<zoo><guest>rex</guest></zoo>")
    assert calls == []


def test_no_change_is_not_prepared(server: Server) -> None:
    calls, _ = subscribe(server, None)
    server.edit("<zoo><motto>m</motto></zoo>")
    server.edit(EDIT, test_option="test-only")
    assert calls == []


@every_way
def test_a_change_shows_what_was_and_what_will_be(server: Server, change: Callable[[Server], None]) -> None:
    before = server.tree()
    seen: list[Any] = []

    class Looker(Recorder):
        def prepare(self, change: Change) -> Recorder:
            seen.append((plain(change.before)[1:], plain(change.after)[1:], [edit.kind.value for edit in change.edits]))
            seen.append({tag: change.touches(f"{{{ZOO}}}{tag}") for tag in ("zoo", "holiday", "ticket")})
            return super().prepare(change)

    server.datastores.subscribe(Looker(server, "1", []))
    change(server)
    ((earlier, later, kinds), touched) = seen
    assert earlier == before
    assert later == server.tree()
    assert "created" in kinds
    assert touched == {"zoo": True, "holiday": True, "ticket": False}


def test_edits_are_still_there_for_those_that_hear_of_the_commit(server: Server) -> None:
    paths: list[str] = []

    def listen(_: int | None, edits: tuple[Edit, ...]) -> None:
        paths.extend(f"{edit.kind.value} {edit.path.text}" for edit in edits)

    server.datastores.on_commit(listen)  # type: ignore[arg-type]
    server.edit("<zoo><species nc:operation='delete'><name>a</name></species><motto>n</motto></zoo>")
    assert paths == ["deleted /z:zoo/z:species[z:name='a']", "changed /z:zoo/z:motto"]


def test_at_start_running_is_presented_as_a_change_from_nothing(server: Server) -> None:
    server.edit("<holiday>x</holiday>")
    calls: list[str] = []
    recorder = Recorder(server, "1", calls)
    server.datastores.replay(recorder)
    assert calls == ["prepare 1", "apply 1, durable"]
    (change,) = recorder.changes
    assert plain(change.before) == ("config",)
    assert plain(change.after)[1:] == server.tree()
    assert [edit.path.text for edit in change.edits] == ["/z:zoo", "/z:holiday[.='x']"]


def test_a_refusal_at_start_is_raised_as_it_is(server: Server) -> None:
    with pytest.raises(EngineRefusal):
        server.datastores.replay(Recorder(server, "1", [], EngineRefusal("no")))
