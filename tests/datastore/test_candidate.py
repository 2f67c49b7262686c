"""The candidate is running with changes that are not committed yet (RFC 6241 section 8.3)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.datastore.edits import Edit
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.invariants import check_tree, unordered, user_orders
from tests.datastore.servers import Server, briefly, schema_of

SCHEMA = schema_of("zoo")


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit("<zoo><motto>m</motto><species><name>a</name></species></zoo>")
    return server


def commit(server: Server, session_id: int = 1) -> None:
    server.datastores.commit(session_id=session_id)


def test_the_candidate_is_running_until_it_is_edited(server: Server) -> None:
    assert server.tree("candidate") == server.tree("running")
    server.edit("<zoo><motto>n</motto></zoo>")
    assert server.tree("candidate") == server.tree("running")


def test_an_edit_of_the_candidate_leaves_running_alone(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    assert server.tree("running")[0][1] == ("motto", "m")
    assert server.tree("candidate")[0][1] == ("motto", "n")


def test_a_commit_makes_running_what_the_candidate_is(server: Server) -> None:
    server.edit("<zoo><motto>n</motto><species nc:operation='delete'><name>a</name></species></zoo>", "candidate")
    server.edit("<zoo><species><name>b</name></species></zoo><holiday>x</holiday>", "candidate")
    expected = server.tree("candidate")
    commit(server)
    assert server.tree("running") == server.tree("candidate") == expected
    server.restart()
    assert server.tree("running") == expected


def test_discarded_changes_are_gone(server: Server) -> None:
    before = server.tree()
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    server.datastores.discard(session_id=1)
    assert server.tree("candidate") == before
    server.edit("<zoo><guest>max</guest></zoo>", "candidate")
    commit(server)
    assert server.tree()[0] == ("zoo", ("motto", "m"), ("guest", "max"), ("species", ("name", "a")))


def test_the_candidate_follows_running_while_it_has_no_changes(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    commit(server)
    server.edit("<zoo><motto>o</motto><guest>max</guest></zoo>")
    assert server.tree("candidate") == server.tree("running")
    server.edit("<zoo><open>false</open></zoo>", "candidate")
    commit(server)
    assert server.tree() == (("zoo", ("open", "false"), ("motto", "o"), ("guest", "max"), ("species", ("name", "a"))),)


def test_a_commit_undoes_what_was_done_to_running_meanwhile(server: Server) -> None:
    """RFC 6241 8.3.1: commit sets running to the value of the candidate, whatever happened to running."""
    server.edit("<zoo><guest>max</guest></zoo>", "candidate")
    server.edit("<zoo><motto>n</motto></zoo><holiday>x</holiday>")
    expected = server.tree("candidate")
    commit(server)
    assert server.tree("running") == expected


def test_a_commit_without_changes_is_no_change_of_running(server: Server) -> None:
    seen: list[object] = []
    server.datastores.on_commit(lambda session, edits: seen.append(edits))
    server.edit("<zoo><motto>n</motto></zoo>")
    commit(server)
    assert len(seen) == 1
    server.edit("<zoo><open>true</open></zoo>", "candidate")
    server.edit("<zoo><open nc:operation='delete'/></zoo>", "candidate")
    commit(server)
    assert len(seen) == 1
    assert server.tree("candidate") == server.tree("running")


def test_the_candidate_need_not_be_valid_before_it_is_committed(server: Server) -> None:
    """RFC 7950 8.3.3."""
    dangling = "<zoo><cage><hall>east</hall><number>1</number><animal>b</animal></cage></zoo>"
    server.edit(dangling, "candidate")
    before = server.text()
    expected = [("data-missing", "instance-required", "/z:zoo/z:cage[z:hall='east'][z:number='1']/z:animal[.='b']")]
    with pytest.raises(RpcErrors) as caught:
        server.datastores.validate("candidate")
    assert briefly(caught.value.errors) == expected
    with pytest.raises(RpcErrors) as caught:
        commit(server)
    assert briefly(caught.value.errors) == expected
    assert server.text() == before
    server.edit("<zoo><species><name>b</name></species></zoo>", "candidate")
    server.datastores.validate("candidate")
    commit(server)


def test_a_failed_commit_keeps_the_changes(server: Server) -> None:
    server.edit("<zoo><guest>rex</guest><motto>n</motto></zoo>", "candidate")
    before = server.tree("candidate")
    with pytest.raises(RpcErrors):
        commit(server)
    assert server.tree("candidate") == before
    server.edit("<zoo><dog>max</dog></zoo>", "candidate")
    commit(server)
    assert server.tree()[0][1:3] == (("motto", "n"), ("dog", "max"))


def test_parsing_and_processing_errors_come_at_once(server: Server) -> None:
    assert briefly(server.refusal("<zoo><open>x</open></zoo>", "candidate")) == [
        ("invalid-value", None, "/z:zoo/z:open")
    ]
    assert briefly(server.refusal("<zoo><open nc:operation='delete'/></zoo>", "candidate")) == [
        ("data-missing", None, "/z:zoo/z:open")
    ]
    assert briefly(server.refusal("<zoo><night>loud</night></zoo>", "candidate")) == [
        ("unknown-element", None, "/z:zoo/z:night")
    ]


def test_test_only_validates_the_candidate_and_keeps_nothing(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate", test_option="test-only")
    assert server.tree("candidate") == server.tree("running")
    errors = server.refusal("<zoo><guest>rex</guest></zoo>", "candidate", test_option="test-only")
    assert briefly(errors) == [("operation-failed", "must-violation", "/z:zoo")]


def test_edits_of_many_sessions_gather_in_one_candidate(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate", session_id=1)
    server.edit("<zoo><guest>max</guest></zoo>", "candidate", session_id=2)
    server.datastores.release(1)
    server.datastores.commit(session_id=3)
    assert server.tree()[0][1:3] == (("motto", "n"), ("guest", "max"))


def test_a_commit_tells_of_what_has_changed(server: Server) -> None:
    seen: list[tuple[int | None, list[tuple[str, str]]]] = []

    def listen(session_id: int | None, edits: tuple[Edit, ...]) -> None:
        seen.append((session_id, [(edit.kind.value, edit.path.text) for edit in edits]))

    server.datastores.on_commit(listen)  # type: ignore[arg-type]
    server.edit("<zoo><motto>n</motto></zoo>", "candidate", session_id=4)
    server.edit("<zoo><species nc:operation='delete'><name>a</name></species></zoo>", "candidate", session_id=4)
    commit(server, 4)
    assert seen == [(4, [("changed", "/z:zoo/z:motto"), ("deleted", "/z:zoo/z:species[z:name='a']")])]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(("running", "candidate")), payloads(SCHEMA)),
            st.tuples(st.sampled_from(("commit", "discard")), st.just("")),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_trees_that_share_a_history_never_get_out_of_step(actions: list[tuple[str, str]]) -> None:
    server = Server()
    stores = server.datastores
    for action, content in actions:
        expected = server.tree("candidate")
        order = user_orders(stores._candidate.current)
        try:
            if action == "commit":
                stores.commit(session_id=1)
            elif action == "discard":
                stores.discard(session_id=1)
                expected, order = server.tree("running"), user_orders(stores._running.tree)
            else:
                server.edit(content, action)
        except (RpcError, RpcErrors):
            continue
        finally:
            check_tree(stores._running.tree)
            check_tree(stores._candidate.current)
        if action in ("commit", "discard"):
            assert unordered(server.tree("running")) == unordered(server.tree("candidate")) == unordered(expected)
            assert user_orders(stores._running.tree) == order
    before = unordered(server.tree()), user_orders(stores._running.tree)
    server.restart()
    assert (unordered(server.tree()), user_orders(server.datastores._running.tree)) == before
