"""copy-config, delete-config and validate (RFC 6241 7.3, 7.4, 8.6, 8.7)."""

from __future__ import annotations

import pytest

from rkmp.errors import RpcError, RpcErrors
from tests.datastore.servers import Server, briefly

FULL = "<zoo><motto>m</motto><species><name>a</name></species></zoo><holiday>b</holiday><holiday>a</holiday>"


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit(FULL)
    return server


def copy(server: Server, source: str, target: str) -> None:
    server.datastores.copy(source, target, session_id=1)


def test_running_is_saved_in_startup(server: Server) -> None:
    copy(server, "running", "startup")
    server.edit("<zoo><motto>n</motto></zoo>")
    assert server.tree("startup")[0][1] == ("motto", "m")
    server.restart()
    assert server.tree("startup")[0][1] == ("motto", "m")
    assert server.tree("running")[0][1] == ("motto", "n"), "running is what a restart comes up with"


@pytest.mark.parametrize("target", ["running", "candidate", "startup"])
@pytest.mark.parametrize("source", ["running", "candidate", "startup", "inline"])
def test_the_target_is_overwritten_with_the_source(server: Server, source: str, target: str) -> None:
    if source == target:
        with pytest.raises(RpcError) as caught:
            copy(server, source, target)
        assert caught.value.tag == "invalid-value"
        return
    copy(server, "running", "startup")
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    content = "<name>n</name><holiday>a</holiday><holiday>b</holiday>"
    expected = server.tree(source) if source != "inline" else (("name", "n"), ("holiday", "a"), ("holiday", "b"))
    server.datastores.copy(server.document(content) if source == "inline" else source, target, session_id=1)
    assert server.tree(target) == expected
    if target != "candidate":
        server.restart()
        assert server.tree(target) == expected


def test_copying_running_to_the_candidate_drops_its_changes(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    copy(server, "running", "candidate")
    assert server.tree("candidate") == server.tree("running")
    server.datastores.lock("candidate", 2)


def test_copying_the_candidate_to_running_leaves_nothing_to_commit(server: Server) -> None:
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    copy(server, "candidate", "running")
    assert server.tree("running")[0][1] == ("motto", "n")
    server.datastores.lock("candidate", 2)


INVALID = "<zoo><guest>rex</guest></zoo>"


@pytest.mark.parametrize("target", ["running", "startup"])
@pytest.mark.parametrize("source", ["candidate", "inline"])
def test_an_invalid_configuration_is_not_copied(server: Server, source: str, target: str) -> None:
    server.edit(INVALID, "candidate")
    before = server.text(target)
    with pytest.raises(RpcErrors) as caught:
        server.datastores.copy(server.document(INVALID) if source == "inline" else source, target, session_id=1)
    assert briefly(caught.value.errors) == [("operation-failed", "must-violation", "/z:zoo")]
    assert server.text(target) == before


def test_an_invalid_configuration_may_be_copied_to_the_candidate(server: Server) -> None:
    server.datastores.copy(server.document(INVALID), "candidate", session_id=1)
    assert server.tree("candidate") == (("zoo", ("guest", "rex")),)
    with pytest.raises(RpcErrors):
        server.datastores.commit(session_id=1)


def test_a_false_condition_is_in_no_candidate(server: Server) -> None:
    before = server.tree("candidate")
    with pytest.raises(RpcErrors) as caught:
        server.datastores.copy(server.document("<zoo><night>loud</night></zoo>"), "candidate", session_id=1)
    assert briefly(caught.value.errors) == [("unknown-element", None, "/z:zoo/z:night")]
    assert server.tree("candidate") == before


def test_a_false_condition_in_a_whole_configuration_is_an_error(server: Server) -> None:
    with pytest.raises(RpcErrors) as caught:
        server.datastores.copy(server.document("<zoo><night>loud</night></zoo>"), "running", session_id=1)
    assert briefly(caught.value.errors) == [("unknown-element", None, "/z:zoo/z:night")]


def test_a_whole_configuration_has_no_operations(server: Server) -> None:
    with pytest.raises(RpcErrors) as caught:
        server.datastores.copy(server.document("<zoo nc:operation='delete'/>"), "running", session_id=1)
    assert briefly(caught.value.errors) == [("unknown-attribute", None, "/z:zoo")]


def test_startup_is_deleted_for_good(server: Server) -> None:
    copy(server, "running", "startup")
    server.datastores.delete("startup", session_id=1)
    assert server.tree("startup") == ()
    server.restart()
    assert server.tree("startup") == ()
    assert server.tree("running") != ()


@pytest.mark.parametrize(
    ("name", "tag"),
    [("running", "operation-not-supported"), ("candidate", "operation-not-supported"), ("bogus", "bad-element")],
)
def test_only_startup_can_be_deleted(server: Server, name: str, tag: str) -> None:
    with pytest.raises(RpcError) as caught:
        server.datastores.delete(name, session_id=1)
    assert caught.value.tag == tag


@pytest.mark.parametrize("source", ["running", "candidate", "startup"])
def test_what_is_valid_validates(server: Server, source: str) -> None:
    copy(server, "running", "startup")
    server.edit("<zoo><motto>n</motto></zoo>", "candidate")
    server.datastores.validate(source)


def test_a_configuration_in_the_request_is_validated_and_not_kept(server: Server) -> None:
    before = server.text()
    server.datastores.validate(server.document("<zoo><guest>max</guest></zoo>"))
    for content, tag in ((INVALID, "operation-failed"), ("<bogus/>", "unknown-element")):
        with pytest.raises(RpcErrors) as caught:
            server.datastores.validate(server.document(content))
        assert caught.value.errors[0].tag == tag
    assert server.text() == before


def test_what_is_no_datastore_is_a_bad_element(server: Server) -> None:
    for act in (
        lambda: server.datastores.validate("bogus"),
        lambda: copy(server, "bogus", "running"),
        lambda: copy(server, "running", "bogus"),
        lambda: server.datastores.tree("bogus"),
    ):
        with pytest.raises(RpcError) as caught:
            act()
        assert caught.value.tag == "bad-element"
