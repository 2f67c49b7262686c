"""netconf-console2's commands in sequences, as scripts use them: one session each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from tests.netconf.agents import NET, Agent, texts
from tests.netconf.over_ssh import HOST_KEY, Users
from tests.netconf.test_clients import ADD_C, NETWORK_C, Served, console, peers_of


@pytest.fixture
async def served(schema: Schema, tmp_path: Path) -> AsyncIterator[Served]:
    agent = Agent(schema)
    await agent.load()
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    (tmp_path / "c.xml").write_text(NETWORK_C)
    (tmp_path / "d.xml").write_text(NETWORK_C.replace(">c<", ">d<"))
    yield Served(agent, port, tmp_path)
    await agent.close()


async def run(served: Served, *arguments: str) -> str:
    done = await console(served, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rpc-error" not in done.stdout, done.stdout
    return done.stdout


async def test_the_candidate_is_locked_edited_validated_and_committed(served: Served) -> None:
    candidate = ("--db", "candidate")
    await run(
        served,
        *(*candidate, "--lock", "--edit-config", str(served.key_file / "c.xml"), "--validate", "candidate"),
        *("--commit", "--unlock", "--copy-running-to-startup"),
    )
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]
    assert peers_of(served.agent.datastores.tree("startup")) == ["a", "b", "c"]
    await run(served, *candidate, "--edit-config", str(served.key_file / "d.xml"), "--discard-changes", "--commit")
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]


async def test_a_commit_is_confirmed_in_the_session_that_made_it(served: Served) -> None:
    edit = ("--db", "candidate", "--edit-config", str(served.key_file / "c.xml"))
    await run(served, *edit, "--timeout", "60", "--commit", "confirmed", "--commit")
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]
    edit = ("--db", "candidate", "--edit-config", str(served.key_file / "d.xml"))
    await run(served, *edit, "--timeout", "60", "--commit", "confirmed")
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]


async def test_leaves_are_set_and_deleted_by_path(served: Served) -> None:
    where = ("-N", f"n={NET}", "--db", "running")
    await run(served, *where, "--set", "/n:network/n:peer[n:name='a']/n:mtu=1234")
    assert "1234" in texts(served.agent.datastores.tree("running"), "network", "peer", "mtu")
    await run(served, *where, "--delete", "/n:network/n:peer[n:name='a']")
    assert peers_of(served.agent.datastores.tree("running")) == ["b"]


async def test_a_whole_configuration_is_validated_and_copied(served: Served) -> None:
    file = str(served.key_file / "c.xml")
    (served.key_file / "config.xml").write_text(ADD_C)
    await run(served, "--validate", str(served.key_file / "config.xml"))
    await run(served, "--db", "running", "--copy-config", file)
    assert peers_of(served.agent.datastores.tree("running")) == ["c"]
    shown = await run(served, "-N", f"n={NET}", "--get", "--filter", "/n:network/n:peer")
    assert peers_of(etree.fromstring(shown.encode())) == ["c"]
