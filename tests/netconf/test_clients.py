"""Clients that we did not write connect over SSH, get, edit, lock, call, subscribe and understand our errors."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from lxml import etree
from ncclient.operations import RPCError
from ncclient.transport import TransportError
from ncclient.xml_ import to_ele
from netconf.client import NetconfSSHSession
from netconf.error import RPCError as NetconfRPCError

from ncclient import manager
from rkmp.datastore.schema import Schema
from rkmp.netconf import Invocation
from tests.netconf.agents import NET, NOW, PEERS, SECRET, Agent, net
from tests.netconf.over_ssh import ALICE_KEY, HOST_KEY, PASSWORD, Users

NC = {"nc": "urn:ietf:params:xml:ns:netconf:base:1.0", "n": NET}
ALARM = etree.fromstring(f'<alarm xmlns="{NET}"><severity>major</severity><secret>{SECRET.decode()}</secret></alarm>')
NETWORK_C = f'<network xmlns="{NET}"><peer><name>c</name></peer></network>'
ADD_C = f'<config xmlns="{NC["nc"]}">{NETWORK_C}</config>'
BAD_MTU = ADD_C.replace("</peer>", "<mtu>1</mtu></peer>")

# The clients have no type annotations.
ncclient_connect: Any = manager.connect
to_element: Any = to_ele
NetconfSession: Any = NetconfSSHSession

_Result = TypeVar("_Result")


@dataclass
class Served:
    """A server on loopback, and how to have a blocking client talk to it."""

    agent: Agent
    port: int
    key_file: Path

    async def blocking(self, work: Callable[[], _Result]) -> _Result:
        async with asyncio.timeout(30):
            return await asyncio.to_thread(work)

    async def with_ncclient(self, work: Callable[[Any], _Result], **settings: Any) -> _Result:
        def run() -> _Result:
            with self.ncclient(**settings) as client:
                return work(client)

        return await self.blocking(run)

    @contextlib.contextmanager
    def ncclient(self, **settings: Any) -> Iterator[Any]:
        defaults = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "alice",
            "password": PASSWORD,
            "hostkey_verify": False,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": 20,
        }
        with ncclient_connect(**(defaults | settings)) as client:
            yield client


@pytest.fixture
async def served(schema: Schema, tmp_path: Path) -> AsyncIterator[Served]:
    agent = Agent(schema)
    await agent.load()
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    key_file = tmp_path / "id_ed25519"
    key_file.write_bytes(ALICE_KEY.export_private_key())
    key_file.chmod(0o600)
    yield Served(agent, port, key_file)
    await agent.close()


def peers_of(root: etree._Element) -> list[str]:
    return [element.text or "" for element in root.iterfind(".//n:peer/n:name", NC)]


# ncclient.


@pytest.mark.parametrize("with_key", [False, True], ids=["password", "key"])
async def test_ncclient_gets_and_edits(served: Served, with_key: bool) -> None:
    credentials = {"password": None, "key_filename": str(served.key_file)} if with_key else {}

    def work(client: Any) -> tuple[str, str]:
        client.edit_config(target="running", config=ADD_C)
        wanted = ("subtree", f'<network xmlns="{NET}"><peer><name>c</name></peer></network>')
        return client.get_config("running").data_xml, client.get(filter=wanted).data_xml

    everything, one = await served.with_ncclient(work, **credentials)
    assert peers_of(etree.fromstring(everything.encode())) == ["a", "b", "c"]
    assert peers_of(etree.fromstring(one.encode())) == ["c"]
    assert SECRET.decode() not in everything


async def test_ncclient_filters_by_xpath(served: Served) -> None:
    def work(client: Any) -> tuple[str, str, RPCError]:
        assert ":xpath" in client.server_capabilities
        with pytest.raises(RPCError) as caught:
            client.get(filter=("xpath", ({"n": NET}, "count(//n:peer)")))
        return (
            client.get_config("running", filter=("xpath", ({"n": NET}, "/n:network/n:peer[n:name='b']"))).data_xml,
            client.get(filter=("xpath", ({"n": NET}, "//n:peer[n:mtu=1400]/n:name"))).data_xml,
            caught.value,
        )

    by_key, by_value, error = await served.with_ncclient(work)
    assert peers_of(etree.fromstring(by_key.encode())) == ["b"]
    assert peers_of(etree.fromstring(by_value.encode())) == ["a"]
    assert error.tag == "invalid-value"
    assert SECRET.decode() not in by_key


async def test_ncclient_asks_for_defaults(served: Served) -> None:
    def work(client: Any) -> dict[str, list[str]]:
        found = {}
        for mode in ("report-all", "trim", "explicit", "report-all-tagged"):
            answers = (client.get_config("running", with_defaults=mode), client.get(with_defaults=mode))
            texts = [[leaf.text for leaf in answer.data_ele.iterfind(".//n:mtu", NC)] for answer in answers]
            assert texts[0] == texts[1]
            found[mode] = texts[0]
        return found

    found = await served.with_ncclient(work)
    assert found == {
        "report-all": ["1400", "1500"],
        "trim": ["1400"],
        "explicit": ["1400"],
        "report-all-tagged": ["1400", "1500"],
    }


GET_DATA = """
<get-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
    xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores" xmlns:or="urn:ietf:params:xml:ns:yang:ietf-origin">
  <datastore>ds:operational</datastore>
  <xpath-filter xmlns:n="urn:example:network">/n:network/n:peer[n:name='b']</xpath-filter>
  <negated-origin-filter>or:intended</negated-origin-filter>
  <with-origin/>
</get-data>
"""


async def test_ncclient_reads_the_operational_datastore(served: Served) -> None:
    def work(client: Any) -> tuple[str, str]:
        edit = GET_DATA.partition("<datastore>")[0].replace("get-data", "edit-data")
        edit += f"<datastore>ds:running</datastore><config>{NETWORK_C}</config></edit-data>"
        return client.dispatch(to_element(edit)).xml, client.dispatch(to_element(GET_DATA)).xml

    edited, got = await served.with_ncclient(work)
    assert "ok/>" in edited
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]
    root = etree.fromstring(got.encode())
    assert peers_of(root) == ["b"]
    (mtu,) = root.iterfind(".//n:mtu", NC)
    assert (mtu.text, mtu.get("{urn:ietf:params:xml:ns:yang:ietf-origin}origin")) == ("1500", "or:default")


async def test_ncclient_goes_through_its_operations(served: Served) -> None:
    def work(client: Any) -> None:
        assert ":candidate" in client.server_capabilities
        assert ":validate:1.1" in client.server_capabilities
        with client.locked("candidate"), client.locked("running"):
            client.edit_config(target="candidate", config=ADD_C, default_operation="merge", test_option="set")
            client.validate("candidate")
            client.commit()
        client.discard_changes()
        client.copy_config(source="running", target="startup")
        client.delete_config(target="startup")
        client.validate(source=to_element(ADD_C))
        assert "module example-network" in client.get_schema("example-network").data

    await served.with_ncclient(work)
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b", "c"]
    assert not served.agent.datastores.locks()


async def test_ncclient_understands_our_errors(served: Served) -> None:
    def work(client: Any) -> RPCError:
        with pytest.raises(RPCError) as caught:
            client.edit_config(target="running", config=BAD_MTU)
        return caught.value

    error = await served.with_ncclient(work)
    assert (error.tag, error.type, error.severity) == ("invalid-value", "application", "error")
    assert error.path == "/net:network/net:peer[net:name='c']/net:mtu"
    assert peers_of(served.agent.datastores.tree("running")) == ["a", "b"]


async def test_ncclient_kills_another_session(served: Served) -> None:
    def work(client: Any) -> bool:
        connected = True
        # Leaving the block closes the session, which is gone.
        with contextlib.suppress(TransportError), served.ncclient() as other:
            other.lock("running")
            client.kill_session(other.session_id)
            client.lock("running")
            other._session.join(10)
            connected = bool(other.connected)
        return connected

    assert not await served.with_ncclient(work)


async def test_ncclient_receives_notifications(served: Served) -> None:
    loop = asyncio.get_running_loop()

    def work(client: Any) -> str:
        client.create_subscription()
        loop.call_soon_threadsafe(served.agent.server.publish, NOW, ALARM)
        notification = client.take_notification(timeout=10)
        assert notification is not None
        client.get_config("running")
        return str(notification.notification_xml)

    notification = await served.with_ncclient(work)
    assert "<severity>major</severity>" in notification
    assert SECRET.decode() not in notification


async def test_ncclient_is_told_of_sessions_and_changes(served: Served) -> None:
    def work(client: Any) -> list[etree._Element]:
        client.create_subscription()
        with served.ncclient() as other:
            other.edit_config(target="running", config=ADD_C)
        return [etree.fromstring(client.take_notification(timeout=10).notification_xml.encode())[1] for _ in range(3)]

    events = await served.with_ncclient(work)
    assert [etree.QName(event).localname for event in events] == [
        *("netconf-session-start", "netconf-config-change", "netconf-session-end"),
    ]
    assert {event.findtext(".//{*}username") for event in events} == {"alice"}
    assert events[1].findtext("{*}edit/{*}target") == "/net:network/net:peer[net:name='c']"
    assert events[2].findtext("{*}termination-reason") == "closed"


async def test_ncclient_has_the_past_replayed(served: Served) -> None:
    for _ in range(3):
        served.agent.server.publish(NOW, ALARM)

    def work(client: Any) -> list[str]:
        wanted = ("subtree", f'<alarm xmlns="{NET}"/>')
        client.create_subscription(
            filter=wanted, start_time="2026-01-02T04:04:05+01:00", stop_time="2026-01-02T03:04:06Z"
        )
        found = [client.take_notification(timeout=10).notification_xml for _ in range(4)]
        client.get_config("running")
        return found

    found = await served.with_ncclient(work)
    names = [etree.QName(etree.fromstring(message.encode())[1]).localname for message in found]
    assert names == ["alarm", "alarm", "alarm", "replayComplete"]
    assert not any(SECRET.decode() in message for message in found)


async def test_ncclient_calls_an_action(served: Served) -> None:
    async def restart(invocation: Invocation) -> Sequence[etree._Element] | None:
        assert invocation.key(net("peer"), net("name")) == "a"
        restarts = etree.Element(net("restarts"), nsmap={None: NET})
        restarts.text = "7"
        return [restarts]

    served.agent.server.handle((net("network"), net("peer"), net("restart")), restart)
    action = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><network xmlns="{NET}"><peer><name>a</name>'
        "<restart><reason>tea</reason><everything/></restart></peer></network></action>"
    )
    reply = await served.with_ncclient(lambda client: client.dispatch(to_element(action)).xml)
    assert f'<restarts xmlns="{NET}">7</restarts>' in reply


async def test_a_big_configuration_goes_both_ways(served: Served) -> None:
    entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(3000))
    config = f'<config xmlns="{NC["nc"]}"><network xmlns="{NET}">{entries}</network></config>'

    def work(client: Any) -> str:
        client.huge_tree = True
        client.edit_config(target="running", config=config)
        return str(client.get_config("running").data_xml)

    assert len(peers_of(etree.fromstring((await served.with_ncclient(work)).encode()))) == 3002


# netconf-console2.


async def console(served: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "netconf-console2"
    command = [
        *(str(program), "--host", "127.0.0.1", "--port", str(served.port), "-u", "alice", "-p", PASSWORD),
        *arguments,
    ]
    return await served.blocking(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    )


async def test_netconf_console_gets_and_edits(served: Served, tmp_path: Path) -> None:
    (tmp_path / "edit.xml").write_text(NETWORK_C)
    edited = await console(served, "--db", "running", "--edit-config", str(tmp_path / "edit.xml"))
    assert edited.returncode == 0, edited.stderr
    got = await console(served, "--get-config")
    assert got.returncode == 0, got.stderr
    assert peers_of(etree.fromstring(got.stdout.encode())) == ["a", "b", "c"]
    assert SECRET.decode() not in got.stdout


async def test_netconf_console_filters_by_xpath(served: Served) -> None:
    # The program binds no prefixes of its own.
    got = await console(served, "--db", "running", "--get-config", "-x", "//*[local-name()='enabled']/..")
    assert got.returncode == 0, got.stderr
    assert peers_of(etree.fromstring(got.stdout.encode())) == ["b"]


async def test_netconf_console_asks_for_defaults(served: Served) -> None:
    got = await console(served, "--get-config", "--with-defaults", "report-all-tagged")
    assert got.returncode == 0, got.stderr
    assert [leaf.text for leaf in etree.fromstring(got.stdout.encode()).iterfind(".//n:mtu", NC)] == ["1400", "1500"]


async def test_netconf_console_reads_the_operational_datastore(served: Served, tmp_path: Path) -> None:
    (tmp_path / "get-data.xml").write_text(GET_DATA)
    got = await console(served, "--rpc", str(tmp_path / "get-data.xml"))
    assert got.returncode == 0, got.stderr
    assert [leaf.text for leaf in etree.fromstring(got.stdout.encode()).iterfind(".//n:mtu", NC)] == ["1500"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_netconf_console_speaks_both_versions(served: Served, version: str) -> None:
    got = await console(served, "-v", version, "--get-schema", "example-network")
    assert got.returncode == 0, got.stderr
    assert "module example-network" in got.stdout


async def test_netconf_console_shows_our_errors(served: Served, tmp_path: Path) -> None:
    (tmp_path / "edit.xml").write_text(NETWORK_C.replace("</peer>", "<mtu>1</mtu></peer>"))
    edited = await console(served, "--db", "running", "--edit-config", str(tmp_path / "edit.xml"))
    assert "invalid-value" in edited.stdout + edited.stderr


# The netconf package's client.


async def test_the_netconf_packages_client_gets_and_edits(served: Served) -> None:
    def work() -> tuple[list[str], list[str], str]:
        session = NetconfSession("127.0.0.1", served.port, "alice", PASSWORD)
        try:
            session.edit_config(newconf=ADD_C.replace("<config", "<nc:config").replace("</config", "</nc:config"))
            everything = session.get_config()
            selection = f'<network xmlns="{NET}"><peer><name>c</name></peer></network>'
            one = session.get(selection)
            with pytest.raises(NetconfRPCError) as caught:
                session.send_rpc("<nc:bogus/>")
            error: Any = caught.value
            return peers_of(everything), peers_of(one), error.get_error_tag()
        finally:
            session.close()

    everything, one, tag = await served.blocking(work)
    assert everything == ["a", "b", "c"]
    assert one == ["c"]
    assert tag == "operation-not-supported"


def test_the_secrets_that_must_not_be_seen_are_loaded() -> None:
    assert SECRET.decode() in PEERS
