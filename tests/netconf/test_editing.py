"""edit-config and its kin reach the datastores with all their parameters, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from lxml import etree

from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.errors import EngineRefusal
from tests.netconf.agents import (
    NET,
    PEERS,
    SECRET,
    Agent,
    Fault,
    data_of,
    edit,
    fault_of,
    faults_of,
    get_config,
    require_ok,
    texts,
)
from tests.netconf.conversation import BASE, Peer


def peer_config(content: str) -> str:
    return f'<network xmlns="{NET}" xmlns:nc="{BASE}"><peer>{content}</peer></network>'


async def names(peer: Peer, source: str = "running") -> list[str]:
    return texts(data_of(await peer.call(get_config(source))), "network", "peer", "name")


async def test_an_edit_of_running_is_there_at_once(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call(edit("running", peer_config("<name>c</name>"))))
    assert await names(peer) == ["a", "b", "c"]
    assert await names(await agent.connect()) == ["a", "b", "c"]


async def test_an_edit_of_candidate_is_there_after_a_commit(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(edit("candidate", peer_config("<name>c</name>"))))
    assert await names(peer) == []
    assert await names(peer, "candidate") == ["c"]
    require_ok(await peer.call("<commit/>"))
    assert await names(peer) == ["c"]
    require_ok(await peer.call(edit("candidate", peer_config("<name>d</name>"))))
    require_ok(await peer.call("<discard-changes/>"))
    require_ok(await peer.call("<commit/>"))
    assert await names(peer) == ["c"]


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        ("", "<name>c</name>", ["a", "b", "c"]),
        ("<default-operation>merge</default-operation>", "<name>c</name>", ["a", "b", "c"]),
        ("<default-operation>replace</default-operation>", "<name>c</name>", ["c"]),
        ("<default-operation>none</default-operation>", '<name nc:operation="none">a</name>', None),
        ("<default-operation>none</default-operation>", "<name>a</name>", ["a", "b"]),
        ("<test-option>test-then-set</test-option>", "<name>c</name>", ["a", "b", "c"]),
        ("<test-option>test-only</test-option>", "<name>c</name>", ["a", "b"]),
        ("<error-option>rollback-on-error</error-option>", "<name>c</name>", ["a", "b", "c"]),
        ("<error-option>continue-on-error</error-option>", "<name>c</name>", ["a", "b", "c"]),
        ("<error-option>stop-on-error</error-option>", "<name>c</name>", ["a", "b", "c"]),
    ],
)
async def test_parameters_of_edit_config_mean_what_they_say(
    agent: Agent, options: str, content: str, expected: list[str] | None
) -> None:
    await agent.load()
    peer = await agent.connect()
    reply = await peer.call(edit("running", peer_config(content), options))
    if expected is None:
        assert fault_of(reply).tag == "bad-attribute"
    else:
        require_ok(reply)
        assert await names(peer) == expected


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            peer_config("<name>a</name><bogus/>"),
            Fault(
                "application",
                "unknown-element",
                None,
                "/net:network/net:peer[net:name='a']/net:bogus",
                (("bad-element", "bogus"),),
            ),
        ),
        (
            '<network xmlns="urn:nowhere"/>',
            Fault(
                "application",
                "unknown-namespace",
                None,
                "/ns0:network",
                (("bad-element", "network"), ("bad-namespace", "urn:nowhere")),
            ),
        ),
        (
            peer_config("<name>a</name><mtu>9999</mtu>"),
            Fault("application", "invalid-value", None, "/net:network/net:peer[net:name='a']/net:mtu"),
        ),
        (
            peer_config("<mtu>1500</mtu>"),
            Fault("application", "missing-element", None, "/net:network/net:peer", (("bad-element", "name"),)),
        ),
        (
            f'<network xmlns="{NET}" xmlns:nc="{BASE}"><peer nc:operation="create"><name>a</name></peer></network>',
            Fault(
                "application", "data-exists", None, "/net:network/net:peer[net:name='a']", (("bad-element", "peer"),)
            ),
        ),
        (
            f'<network xmlns="{NET}" xmlns:nc="{BASE}"><peer nc:operation="delete"><name>z</name></peer></network>',
            Fault(
                "application", "data-missing", None, "/net:network/net:peer[net:name='z']", (("bad-element", "peer"),)
            ),
        ),
        (
            f'<network xmlns="{NET}" xmlns:nc="{BASE}"><peer nc:operation="bogus"><name>z</name></peer></network>',
            Fault(
                "protocol",
                "bad-attribute",
                None,
                "/net:network/net:peer[net:name='z']",
                (("bad-attribute", "operation"), ("bad-element", "peer")),
            ),
        ),
        (
            peer_config("<name>a</name><sessions>1</sessions>"),
            Fault(
                "application",
                "unknown-element",
                None,
                "/net:network/net:peer[net:name='a']/net:sessions",
                (("bad-element", "sessions"),),
            ),
        ),
    ],
)
@pytest.mark.parametrize("target", ["running", "candidate"])
async def test_a_bad_edit_is_refused_with_its_path_and_changes_nothing(
    agent: Agent, target: str, content: str, fault: Fault
) -> None:
    await agent.load()
    before = etree.tostring(agent.datastores.tree(target))
    peer = await agent.connect()
    assert fault_of(await peer.call(edit(target, content))) == fault
    assert etree.tostring(agent.datastores.tree(target)) == before


async def test_a_bad_secret_is_not_repeated(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call(edit("running", peer_config("<name>a</name><password>hun</password>")))
    assert fault_of(reply).tag == "invalid-value"
    assert b"hun" not in etree.tostring(reply)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("<default-operation>bogus</default-operation>", "default-operation"),
        ("<test-option>bogus</test-option>", "test-option"),
        ("<error-option>bogus</error-option>", "error-option"),
    ],
)
async def test_a_bad_option_is_an_invalid_value(agent: Agent, options: str, name: str) -> None:
    peer = await agent.connect()
    reply = await peer.call(edit("running", "", options))
    assert fault_of(reply) == Fault("application", "invalid-value", None, f"/nc:edit-config/nc:{name}")


async def test_two_faults_are_two_errors(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call(edit("running", peer_config("<name>a</name><mtu>1</mtu><enabled>x</enabled>")))
    assert [fault.tag for fault in faults_of(reply)] == ["invalid-value", "invalid-value"]


@dataclass
class Veto:
    """A subscriber that carries out nothing."""

    refusals: int = 0

    def prepare(self, change: Change) -> PreparedChange:
        self.refusals += 1
        raise EngineRefusal("the engine has no port to listen on")


async def test_what_the_engine_refuses_is_an_error_and_changes_nothing(agent: Agent) -> None:
    await agent.load()
    veto = Veto()
    agent.datastores.subscribe(veto)
    peer = await agent.connect()
    reply = await peer.call(edit("running", peer_config("<name>c</name>")))
    assert fault_of(reply) == Fault("application", "operation-failed")
    assert b"no port to listen on" in etree.tostring(reply)
    assert veto.refusals == 1
    assert await names(peer) == ["a", "b"]


# copy-config, delete-config, validate, commit.


async def test_copy_config_replaces_its_target(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call("<copy-config><target><startup/></target><source><running/></source></copy-config>"))
    assert await names(peer, "startup") == ["a", "b"]
    inline = f"<source><config>{peer_config('<name>z</name>')}</config></source>"
    require_ok(await peer.call(f"<copy-config><target><running/></target>{inline}</copy-config>"))
    assert await names(peer) == ["z"]
    require_ok(await peer.call("<copy-config><target><candidate/></target><source><startup/></source></copy-config>"))
    require_ok(await peer.call("<commit/>"))
    assert await names(peer) == ["a", "b"]
    # Copies between datastores keep secrets, though no client sees them.
    assert etree.tostring(agent.datastores.tree("running")).count(SECRET) == 3


@pytest.mark.parametrize("name", ["running", "candidate", "startup"])
async def test_a_datastore_cannot_be_copied_onto_itself(agent: Agent, name: str) -> None:
    peer = await agent.connect()
    reply = await peer.call(f"<copy-config><target><{name}/></target><source><{name}/></source></copy-config>")
    assert fault_of(reply).tag == "invalid-value"


async def test_delete_config_empties_startup(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call("<copy-config><target><startup/></target><source><running/></source></copy-config>"))
    require_ok(await peer.call("<delete-config><target><startup/></target></delete-config>"))
    assert await names(peer, "startup") == []
    assert await names(peer) == ["a", "b"]


@pytest.mark.parametrize("source", ["running", "candidate", "startup", f"config>{PEERS}</config"])
async def test_validate_accepts_what_is_valid(agent: Agent, source: str) -> None:
    await agent.load()
    before = etree.tostring(agent.datastores.tree("running"))
    element = f"<{source}>" if source.startswith("config") else f"<{source}/>"
    peer = await agent.connect()
    require_ok(await peer.call(f"<validate><source>{element}</source></validate>"))
    assert etree.tostring(agent.datastores.tree("running")) == before


async def test_validate_of_an_inline_config_finds_what_is_wrong(agent: Agent) -> None:
    peer = await agent.connect()
    bad = peer_config("<name>a</name><mtu>1</mtu>")
    reply = await peer.call(f"<validate><source><config>{bad}</config></source></validate>")
    assert fault_of(reply) == Fault("application", "invalid-value", None, "/net:network/net:peer[net:name='a']/net:mtu")


async def test_commit_of_a_candidate_whose_leafref_dangles_is_refused(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(edit("candidate", peer_config("<name>a</name><profile>nope</profile>"))))
    fault = Fault("application", "data-missing", "instance-required", "/net:network/net:peer[net:name='a']/net:profile")
    assert fault_of(await peer.call("<validate><source><candidate/></source></validate>")) == fault
    assert fault_of(await peer.call("<commit/>")) == fault
    assert await names(peer) == []
    assert await names(peer, "candidate") == ["a"]


async def test_commit_of_an_unchanged_candidate_is_ok(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call("<commit/>"))
    require_ok(await peer.call("<discard-changes/>"))
