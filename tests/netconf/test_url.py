"""Configurations in files (RFC 6241 section 8.8): every operation that takes one, one directory, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.namespaces import BASE, NMDA
from tests.netconf.agents import NET, PEERS, SECRET, Agent, data_of, edit, fault_of, get_config, require_ok, texts
from tests.netconf.conversation import Peer

CAPABILITY = "urn:ietf:params:netconf:capability:url:1.0?scheme=file"


@pytest.fixture
def agent(schema: Schema, tmp_path: Path) -> Agent:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "rkmp.db").write_text("the agent's own")
    return Agent(schema, url_directory=tmp_path / "state")


def url(agent: Agent, name: str = "backup.xml") -> str:
    assert agent.url_directory is not None
    return f"<url>{(agent.url_directory / name).as_uri()}</url>"


def copy_config(source: str, target: str, more: str = "") -> str:
    return f"<copy-config><target>{target}</target><source>{source}</source>{more}</copy-config>"


def put(agent: Agent, content: str, name: str = "backup.xml") -> None:
    assert agent.url_directory is not None
    (agent.url_directory / name).write_text(content)


def config(content: str) -> str:
    return f'<config xmlns="{BASE}">{content}</config>'


NAMED = config(f'<network xmlns="{NET}"><name>from a file</name></network>')


async def names(peer: Peer, source: str = "running") -> list[str]:
    return texts(data_of(await peer.call(get_config(source))), "network", "name")


async def test_it_is_announced_where_there_is_a_directory(agent: Agent, schema: Schema) -> None:
    assert CAPABILITY in agent.server.capabilities
    assert CAPABILITY not in Agent(schema).server.capabilities


async def test_running_goes_into_a_file_and_comes_back(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call(copy_config("<running/>", url(agent))))
    before = etree.tostring(agent.datastores.tree("running"))
    require_ok(await peer.call(edit("running", f'<network xmlns="{NET}"><name>other</name></network>')))
    require_ok(await peer.call(copy_config(url(agent), "<candidate/>")))
    assert await names(peer, "candidate") == ["lab"]
    # What a file does not hold is not in what comes back: secrets.
    assert SECRET in before
    assert SECRET not in etree.tostring(agent.datastores.tree("candidate"))
    require_ok(await peer.call(copy_config(url(agent), "<running/>")))
    require_ok(await peer.call(copy_config(url(agent), "<startup/>")))
    assert await names(peer) == await names(peer, "startup") == ["lab"]


async def test_a_file_is_its_owners_alone_and_holds_no_secret(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    assert agent.url_directory is not None
    path = agent.url_directory / "backup.xml"
    require_ok(await peer.call(copy_config("<running/>", url(agent))))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in path.read_bytes()
    assert etree.parse(path).getroot().tag == f"{{{BASE}}}config"
    # Again, over it, and with the defaults.
    more = '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">report-all</with-defaults>'
    shorter = path.stat().st_size
    require_ok(await peer.call(copy_config("<running/>", url(agent), more)))
    assert path.stat().st_size > shorter
    assert sorted(entry.name for entry in agent.url_directory.iterdir()) == ["backup.xml", "rkmp.db"]


async def test_one_file_can_be_copied_into_another(agent: Agent) -> None:
    put(agent, NAMED)
    peer = await agent.connect()
    require_ok(await peer.call(copy_config(url(agent), url(agent, "second.xml"))))
    require_ok(await peer.call(copy_config(url(agent, "second.xml"), "<running/>")))
    assert await names(peer) == ["from a file"]
    require_ok(await peer.call(copy_config(NAMED, url(agent, "third.xml"))))
    require_ok(await peer.call(f"<validate><source>{url(agent, 'third.xml')}</source></validate>"))


async def test_edits_and_validation_take_a_file(agent: Agent) -> None:
    put(agent, NAMED)
    peer = await agent.connect()
    require_ok(await peer.call(f"<validate><source>{url(agent)}</source></validate>"))
    require_ok(await peer.call(f"<edit-config><target><running/></target>{url(agent)}</edit-config>"))
    assert await names(peer) == ["from a file"]
    put(agent, NAMED.replace("from a file", "again"))
    datastores = "urn:ietf:params:xml:ns:yang:ietf-datastores"
    operation = (
        f'<edit-data xmlns="{NMDA}"><datastore xmlns:ds="{datastores}">ds:running</datastore>{url(agent)}</edit-data>'
    )
    require_ok(await peer.call(operation))
    assert await names(peer) == ["again"]
    put(agent, NAMED.replace("<name>", "<bogus>").replace("</name>", "</bogus>"))
    for call in (
        f"<validate><source>{url(agent)}</source></validate>",
        f"<edit-config><target><running/></target>{url(agent)}</edit-config>",
        copy_config(url(agent), "<running/>"),
    ):
        fault = fault_of(await peer.call(call))
        assert (fault.tag, fault.path) == ("unknown-element", "/net:network/net:bogus")
    assert await names(peer) == ["again"]


async def test_a_file_can_be_removed(agent: Agent) -> None:
    put(agent, NAMED)
    peer = await agent.connect()
    delete = f"<delete-config><target>{url(agent)}</target></delete-config>"
    require_ok(await peer.call(delete))
    fault = fault_of(await peer.call(delete))
    assert (fault.tag, fault.info) == ("data-missing", (("bad-element", "url"),))


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "file:///etc/rkmp.xml",
        "file://{state}/rkmp.db",
        "file://{state}/key-encryption-key",
        "file://{state}/../outside.xml",
        "file://{state}/%2e%2e/outside.xml",
        "file://{state}/.xml",
        "file://{state}",
        "file://{state}/link/inside.xml",
        "file://other.example.net{state}/a.xml",
        "file://{state}/a.xml?x=1",
        "file://{state}/a.xml#x",
        "file://{state}/a%00.xml",
        "file:../outside.xml",
        "ftp://192.0.2.1/a.xml",
        "http://127.0.0.1/a.xml",
        "a.xml",
        "file://[bad/a.xml",
        "",
    ],
)
async def test_everything_else_is_refused(agent: Agent, tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(NAMED)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inside.xml").write_text(NAMED)
    assert agent.url_directory is not None
    (agent.url_directory / "link").symlink_to(tmp_path / "elsewhere")
    peer = await agent.connect()
    element = f"<url>{target.format(state=agent.url_directory)}</url>"
    for call in (
        copy_config("<running/>", element),
        copy_config(element, "<running/>"),
        f"<edit-config><target><running/></target>{element}</edit-config>",
        f"<validate><source>{element}</source></validate>",
        f"<delete-config><target>{element}</target></delete-config>",
    ):
        assert fault_of(await peer.call(call)).tag == "invalid-value"
    assert outside.read_text() == (tmp_path / "elsewhere" / "inside.xml").read_text() == NAMED
    assert (agent.url_directory / "rkmp.db").read_text() == "the agent's own"
    assert await names(peer) == []


async def test_links_are_not_followed_and_pipes_not_waited_for(agent: Agent, tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(NAMED)
    assert agent.url_directory is not None
    (agent.url_directory / "link.xml").symlink_to(outside)
    os.mkfifo(agent.url_directory / "pipe.xml")
    peer = await agent.connect()
    for name in ("link.xml", "pipe.xml"):
        assert fault_of(await peer.call(copy_config(url(agent, name), "<running/>"))).info == (("bad-element", "url"),)
    # What is written takes the place of the link, and not of what it leads to.
    require_ok(await peer.call(copy_config(config(""), url(agent, "link.xml"))))
    assert outside.read_text() == NAMED


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        ("<config", "invalid-value"),
        ("not XML", "invalid-value"),
        ("<config/>", "invalid-value"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + NAMED, "invalid-value"),
        ("", "invalid-value"),
    ],
)
async def test_a_file_that_holds_no_configuration_is_refused(agent: Agent, content: str, tag: str) -> None:
    put(agent, content)
    peer = await agent.connect()
    assert fault_of(await peer.call(copy_config(url(agent), "<running/>"))).tag == tag


async def test_a_missing_file_and_a_full_disk_are_told(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    await agent.load(PEERS)
    peer = await agent.connect()
    assert fault_of(await peer.call(copy_config(url(agent), "<running/>"))).tag == "data-missing"
    require_ok(await peer.call(copy_config(config(""), url(agent))))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rkmp.netconf.url_files.os.fsync", full)
    assert fault_of(await peer.call(copy_config("<running/>", url(agent)))).tag == "resource-denied"
    monkeypatch.undo()
    # The file is what it was, and nothing else is left.
    assert agent.url_directory is not None
    assert sorted(entry.name for entry in agent.url_directory.iterdir()) == ["backup.xml", "rkmp.db"]
    require_ok(await peer.call(copy_config(url(agent), "<candidate/>")))
    assert await names(peer, "candidate") == []


async def test_who_has_no_rule_for_it_uses_no_files(schema: Schema, tmp_path: Path) -> None:
    agent = Agent(schema, url_directory=tmp_path, is_recovery=lambda user: user == "root")
    put(agent, NAMED)
    root = await agent.connect(username="root")
    rules = """
      <nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm">
        <groups><group><name>backup</name><user-name>bob</user-name></group></groups>
        <rule-list><name>b</name><group>backup</group>
          <rule><name>copy</name><rpc-name>copy-config</rpc-name><access-operations>exec</access-operations>
            <action>permit</action></rule></rule-list></nacm>"""
    require_ok(await root.call(edit("running", rules)))
    alice, bob = await agent.connect(username="alice"), await agent.connect(username="bob")
    for call in (
        copy_config("<running/>", url(agent, "mine.xml")),
        copy_config(url(agent), "<candidate/>"),
        f"<validate><source>{url(agent)}</source></validate>",
        f"<delete-config><target>{url(agent)}</target></delete-config>",
    ):
        assert fault_of(await alice.call(call)).tag == "access-denied"
    require_ok(await bob.call(copy_config("<running/>", url(agent, "bobs.xml"))))
    assert fault_of(await bob.call(f"<validate><source>{url(agent)}</source></validate>")).tag == "access-denied"
    await agent.close()


async def test_without_a_directory_there_are_no_files(schema: Schema, tmp_path: Path) -> None:
    agent = Agent(schema)
    peer = await agent.connect()
    fault = fault_of(await peer.call(copy_config("<running/>", f"<url>{(tmp_path / 'a.xml').as_uri()}</url>")))
    assert fault.tag == "operation-not-supported"
    await agent.close()
