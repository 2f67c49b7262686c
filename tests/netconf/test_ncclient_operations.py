"""What ncclient can ask for beyond the rest: confirmed commits with and without tokens, files, rpcs by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient.operations import RPCError

from rkmp.datastore.schema import Schema
from rkmp.netconf.namespaces import PARTIAL_LOCK
from tests.netconf.agents import NET, Agent
from tests.netconf.over_ssh import HOST_KEY, Users
from tests.netconf.test_clients import ADD_C, Served, peers_of, to_element


@pytest.fixture
async def served(schema: Schema, tmp_path: Path) -> AsyncIterator[Served]:
    agent = Agent(schema, url_directory=tmp_path)
    await agent.load()
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    yield Served(agent, port, tmp_path)
    await agent.close()


def running(served: Served) -> list[str]:
    return peers_of(served.agent.datastores.tree("running"))


async def test_commits_are_confirmed_prolonged_and_cancelled(served: Served) -> None:
    def work(client: Any) -> None:
        client.edit_config(target="candidate", config=ADD_C)
        client.commit(confirmed=True, timeout="120")
        assert running(served) == ["a", "b", "c"]
        client.commit(confirmed=True, timeout="240")
        client.cancel_commit()
        assert running(served) == ["a", "b"]
        client.edit_config(target="candidate", config=ADD_C)
        client.commit(confirmed=True, persist="token")
        with served.ncclient() as other:
            with pytest.raises(RPCError) as refused:
                other.commit(persist_id="other")
            assert refused.value.tag == "invalid-value"
            other.commit(persist_id="token")

    await served.with_ncclient(work)
    assert running(served) == ["a", "b", "c"]


async def test_a_session_that_ends_takes_its_commit_along(served: Served) -> None:
    def work(client: Any) -> None:
        client.edit_config(target="candidate", config=ADD_C)
        client.commit(confirmed=True)
        assert running(served) == ["a", "b", "c"]

    await served.with_ncclient(work)
    assert running(served) == ["a", "b"]


async def test_configurations_go_into_files_and_come_back(served: Served) -> None:
    # ncclient asks for a host in the URL of an edit.
    url = (served.key_file / "backup.xml").as_uri().replace("file://", "file://localhost")

    def work(client: Any) -> None:
        assert ":url" in client.server_capabilities
        client.copy_config(source="running", target=url)
        client.validate(source=url)
        client.edit_config(target="running", config=ADD_C)
        client.edit_config(target="candidate", config=url, format="url", default_operation="replace")
        client.commit()
        client.copy_config(source=url, target="startup")
        client.delete_config(target=url)
        with pytest.raises(RPCError) as missing:
            client.validate(source=url)
        assert missing.value.tag == "data-missing"
        with pytest.raises(RPCError) as refused:
            client.copy_config(source="running", target="file:///etc/rkmp.xml")
        assert refused.value.tag == "invalid-value"

    await served.with_ncclient(work)
    assert running(served) == ["a", "b"]


async def test_operations_by_name_and_those_that_nobody_has(served: Served) -> None:
    def work(client: Any) -> str:
        lock = f'<partial-lock xmlns="{PARTIAL_LOCK}"><select xmlns:n="{NET}">/n:network</select></partial-lock>'
        reply = str(client.rpc(to_element(lock)).xml)
        client.rpc(to_element(f'<partial-unlock xmlns="{PARTIAL_LOCK}"><lock-id>1</lock-id></partial-unlock>'))
        with pytest.raises(RPCError) as refused:
            client.rpc(to_element('<bogus xmlns="urn:example:nowhere"/>'))
        assert refused.value.tag == "operation-not-supported"
        return reply

    reply = etree.fromstring((await served.with_ncclient(work)).encode())
    assert reply.findtext(f"{{{PARTIAL_LOCK}}}locked-node") == "/net:network"
