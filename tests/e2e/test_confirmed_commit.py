"""Confirmed commits and the event log of a whole agent that is killed, with a client that we did not write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from ncclient.operations.rpc import RPCError

from tests.e2e.agents import AgentProcess, wait_for
from tests.e2e.test_crashes import proposal

RKMP_PROPOSALS = ".//{urn:rkmp:yang:rkmp}proposal/{urn:rkmp:yang:rkmp}name"


def proposals(agent: AgentProcess) -> list[str]:
    with agent.connect() as client:
        root: Any = client.get_config("running").data_ele
        return sorted(str(name.text) for name in root.iterfind(RKMP_PROPOSALS))


def change(client: Any, name: str, **options: Any) -> None:
    client.edit_config(target="candidate", config=proposal(name))
    client.commit(confirmed=True, **options)


@pytest.mark.timeout(120)
def test_an_unconfirmed_commit_is_undone_by_time_by_its_session_and_by_a_kill(
    make_agent: Callable[[str], AgentProcess],
) -> None:
    agent = make_agent("r1")
    with agent.connect() as client:
        assert ":confirmed-commit:1.1" in client.server_capabilities
        client.edit_config(target="running", config=proposal("kept"))
        change(client, "timed", timeout="1")
        assert proposals(agent) == ["kept", "timed"]
        wait_for("the timeout", lambda: proposals(agent) == ["kept"])
        client.discard_changes()
        change(client, "of-a-session")
    wait_for("the end of the session", lambda: proposals(agent) == ["kept"])
    client = agent.connect()
    client.discard_changes()
    change(client, "killed")
    agent.kill()
    agent.start()
    assert proposals(agent) == ["kept"]


@pytest.mark.timeout(120)
def test_a_persistent_commit_keeps_its_time_through_a_kill(make_agent: Callable[[str], AgentProcess]) -> None:
    agent = make_agent("r1")
    client = agent.connect()
    change(client, "confirmed", persist="token", timeout="100")
    agent.kill()
    agent.start()
    assert proposals(agent) == ["confirmed"]
    with agent.connect() as client:
        with pytest.raises(RPCError) as caught:
            client.commit()
        assert caught.value.tag == "invalid-value"
        client.commit(persist_id="token")
    agent.kill()
    agent.start()
    client = agent.connect()
    change(client, "too-late", persist="token", timeout="4")
    began = time.monotonic()
    agent.kill()
    agent.start()
    wait_for("the timeout", lambda: proposals(agent) == ["confirmed"])
    assert time.monotonic() - began < 30
    with agent.connect() as client:
        change(client, "cancelled", persist="token")
    with agent.connect() as client:
        client.cancel_commit(persist_id="token")
    assert proposals(agent) == ["confirmed"]


@pytest.mark.timeout(120)
def test_what_was_told_before_a_kill_is_replayed_after_it(make_agent: Callable[[str], AgentProcess]) -> None:
    agent = make_agent("r1")
    watcher = agent.connect()
    watcher.create_subscription()
    told = []
    with agent.connect() as client:
        for number in range(20):
            client.edit_config(target="running", config=proposal(f"p{number}"))
            told.append(_next(watcher))
    agent.kill()
    agent.start()
    with agent.connect() as client:
        client.create_subscription(start_time="2020-01-01T00:00:00Z")
        replayed = []
        while "replayComplete" not in (message := _next(client)):
            replayed.append(message)
    positions = [replayed.index(message) for message in told]
    assert positions == sorted(positions)


def _next(client: Any) -> str:
    notification = client.take_notification(timeout=20)
    assert notification is not None
    return etree.tostring(etree.fromstring(notification.notification_xml.encode()), method="c14n").decode()
