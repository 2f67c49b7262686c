"""Locks on whole datastores (RFC 6241 7.5, 7.6, 8.3.4.1, 8.3.5.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import RpcError
from tests.datastore.servers import START, Server

SESSION_ID = f"{{{NETCONF_BASE}}}session-id"
EDIT = "<zoo><motto>m</motto></zoo>"


@pytest.fixture
def server() -> Server:
    return Server()


def refusal(act: Callable[[], object]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("name", ["running", "candidate", "startup"])
def test_a_lock_is_denied_while_any_session_has_it(server: Server, name: str) -> None:
    server.datastores.lock(name, 7)
    for session_id in (7, 8):
        error = refusal(partial(server.datastores.lock, name, session_id))
        assert (error.type, error.tag, error.info) == ("protocol", "lock-denied", [(SESSION_ID, "7")])


def test_locks_tell_who_has_them_since_when(server: Server) -> None:
    server.datastores.lock("running", 7)
    (lock,) = server.datastores.locks().values()
    assert (lock.session_id, lock.since) == (7, START + timedelta(seconds=1))


def test_only_the_holder_can_unlock(server: Server) -> None:
    server.datastores.lock("running", 7)
    error = refusal(lambda: server.datastores.unlock("running", 8))
    assert (error.tag, error.info) == ("lock-denied", [(SESSION_ID, "7")])
    server.datastores.unlock("running", 7)
    assert refusal(lambda: server.datastores.unlock("running", 7)).tag == "operation-failed"
    server.datastores.lock("running", 8)


ACTIONS: dict[str, tuple[str, Callable[[Server], object]]] = {
    "edit running": ("running", lambda server: server.edit(EDIT)),
    "edit candidate": ("candidate", lambda server: server.edit(EDIT, "candidate")),
    "copy to running": ("running", lambda server: server.datastores.copy("candidate", "running", session_id=1)),
    "copy to candidate": ("candidate", lambda server: server.datastores.copy("running", "candidate", session_id=1)),
    "copy to startup": ("startup", lambda server: server.datastores.copy("running", "startup", session_id=1)),
    "delete startup": ("startup", lambda server: server.datastores.delete("startup", session_id=1)),
    "commit, running locked": ("running", lambda server: server.datastores.commit(session_id=1)),
    "commit, candidate locked": ("candidate", lambda server: server.datastores.commit(session_id=1)),
    "discard": ("candidate", lambda server: server.datastores.discard(session_id=1)),
}


@pytest.mark.parametrize(("name", "act"), ACTIONS.values(), ids=ACTIONS)
def test_what_another_session_has_locked_is_in_use(server: Server, name: str, act: Callable[[Server], object]) -> None:
    server.datastores.lock(name, 7)
    before = {store: server.text(store) for store in ("running", "candidate", "startup")}
    error = refusal(lambda: act(server))
    assert (error.type, error.tag, error.info) == ("protocol", "in-use", [(SESSION_ID, "7")])
    assert {store: server.text(store) for store in before} == before
    server.datastores.release(7)
    act(server)


@pytest.mark.parametrize(("name", "act"), ACTIONS.values(), ids=ACTIONS)
def test_the_holder_of_a_lock_is_not_hindered(server: Server, name: str, act: Callable[[Server], object]) -> None:
    server.datastores.lock(name, 1)
    act(server)


def test_a_candidate_with_changes_cannot_be_locked(server: Server) -> None:
    server.edit(EDIT, "candidate", session_id=3)
    for session_id in (3, 4):
        error = refusal(partial(server.datastores.lock, "candidate", session_id))
        assert (error.tag, error.info) == ("lock-denied", [(SESSION_ID, "3")])
    server.datastores.lock("running", 4)
    server.datastores.discard(session_id=3)
    server.datastores.lock("candidate", 4)


@pytest.mark.parametrize("end", ["unlock", "release"])
def test_changes_of_the_candidate_go_with_its_lock(server: Server, end: str) -> None:
    server.datastores.lock("candidate", 3)
    server.edit(EDIT, "candidate", session_id=3)
    if end == "unlock":
        server.datastores.unlock("candidate", 3)
    else:
        server.datastores.release(3)
    assert server.tree("candidate") == ()
    assert not server.datastores.locks()
    server.datastores.lock("candidate", 4)


def test_a_session_that_ends_gives_back_all_its_locks_and_no_others(server: Server) -> None:
    server.datastores.lock("running", 3)
    server.datastores.lock("startup", 3)
    server.datastores.lock("candidate", 4)
    server.datastores.release(3)
    assert list(server.datastores.locks()) == ["candidate"]
    server.datastores.release(5)


@pytest.mark.parametrize("act", ["lock", "unlock"])
def test_what_is_no_datastore_cannot_be_locked(server: Server, act: str) -> None:
    assert refusal(lambda: getattr(server.datastores, act)("bogus", 1)).tag == "bad-element"
