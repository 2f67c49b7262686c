"""The key socket of a whole agent: permissions over NETCONF, refusals as operators see them, counters of a program."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient.operations import RPCError

from rkmp.errors import KeyApiRefusal
from rkmp.southbound import KeyClient, Subscription, Usage
from tests.e2e.agents import KEY_TABLE, NETCONF, AgentProcess, make_user_key, wait_for
from tests.e2e.test_metrics import configure_metrics, free_port, row, scrape

AGENT = "urn:rkmp:yang:rkmp-agent"
ME = pwd.getpwuid(os.geteuid()).pw_name
OURS, THEIRS = "192.0.2.2", "198.51.100.2"


def key(name: str, number: int, neighbor: str) -> str:
    return f"""<key-table xmlns="{KEY_TABLE}"><key><admin-key-name>{name}</admin-key-name>
      <local-key-name>{number:02x}</local-key-name><peer-key-name>{number:02x}</peer-key-name>
      <peer>{neighbor}</peer><protocol>bgp</protocol><kdf>hmac-sha-1</kdf><alg-id>hmac-sha-1-96</alg-id>
      <keystring>what only this test knows</keystring><direction>both</direction></key></key-table>"""


class World:
    """An agent with a key for each of two neighbors, and a key socket."""

    def __init__(self, agent: AgentProcess, directory: Path) -> None:
        self.agent = agent
        self.path = directory / "keys.sock"

    def edit(self, *tops: str) -> None:
        with self.agent.connect() as session:
            session.edit_config(target="running", config=f'<config xmlns="{NETCONF}">{"".join(tops)}</config>')

    def permit(self, permissions: str) -> None:
        self.edit(
            f"""<agent xmlns="{AGENT}" xmlns:nc="{NETCONF}"><southbound><key-socket nc:operation="replace">
              <path>{self.path}</path>{permissions}</key-socket></southbound></agent>"""
        )

    def shown(self, path: str) -> list[str]:
        with self.agent.connect() as session:
            data = self.agent.get(session, f'<agent xmlns="{AGENT}"><southbound><key-socket/></southbound></agent>')
        return [str(text) for text in data.xpath(f"//a:key-socket/{path}/text()", namespaces={"a": AGENT})]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("key-socket")
    agent = AgentProcess("r1", directory / "r1", make_user_key(directory))
    try:
        agent.initialise()
        agent.start()
        found = World(agent, directory)
        found.edit(key("ours", 1, OURS))
        found.edit(key("theirs", 2, THEIRS))
        found.permit(f"<permission><name>ours</name><user>{ME}</user><neighbor>192.0.2.0/24</neighbor></permission>")
        wait_for("the socket", lambda: found.shown("a:status") == ["listening"])
        yield found
    finally:
        agent.kill()


def take(client: KeyClient, subscription: Subscription) -> list[str]:
    """Do what is to be done; return the kinds of steps."""
    done: list[str] = []
    deadline = time.monotonic() + 10
    while not subscription.is_synchronised:
        assert time.monotonic() < deadline
        for told in client.wait(0.1):
            client.acknowledge(told)
            done.append(type(told.step).__name__)
    return done


def test_a_program_reads_what_it_may_and_is_refused_the_rest_aloud(world: World) -> None:
    with world.agent.connect() as session, KeyClient(str(world.path), "bgpd") as client:
        session.create_subscription()
        subscription = client.subscribe("bgp", OURS)
        assert take(client, subscription) == ["Add", "Prefer"]
        with pytest.raises(KeyApiRefusal, match=f"keys of bgp with {THEIRS}") as refused:
            client.look_up("bgp", THEIRS)
        assert refused.value.code == "not-permitted"
        told = etree.fromstring(session.take_notification(timeout=20).notification_xml.encode())
        (event,) = told.iter(f"{{{AGENT}}}key-access-refused")
        assert {etree.QName(leaf).localname: leaf.text for leaf in event} == {
            "user": ME,
            "process": str(os.getpid()),
            "client": "bgpd",
            "protocol": "bgp",
            "neighbor": THEIRS,
        }
        assert world.shown("a:refusals") == ["1"]

        # Whose keys it may read changes while it is connected.
        everything = f"<permission><name>all</name><user>{ME}</user></permission>"
        world.permit(everything)
        wait_for("it may", lambda: may_read(client, THEIRS))
        assert take(client, subscription) == []
        world.permit("")
        with pytest.raises(KeyApiRefusal, match=f"of user {ME} is not permitted"):
            client.wait(10)
        world.permit(everything)


def may_read(client: KeyClient, neighbor: str) -> bool:
    try:
        return client.look_up("bgp", neighbor)[1] == "theirs"
    except KeyApiRefusal:
        return False


def test_what_a_program_counts_is_in_state_and_metrics(world: World) -> None:
    port = free_port()
    with world.agent.connect() as session:
        configure_metrics(session, f"<enabled>true</enabled><port>{port}</port>")
    with KeyClient(str(world.path), "bgpd") as client:
        subscription = client.subscribe("bgp", OURS)
        take(client, subscription)
        usage = Usage(frozenset({"ours"}), 1, good=10, bad=1, key_not_found=2, unsigned=3, dropped_icmps=4)
        client.report(subscription, usage)
        wait_for("it is seen", lambda: world.shown("a:subscription/a:sending-key") == ["ours"])
        names = ("good-segments", "bad-segments", "key-not-found-segments", "unsigned-segments", "dropped-icmps")
        assert [world.shown(f"a:subscription/a:{name}") for name in names] == [["10"], ["1"], ["2"], ["3"], ["4"]]
        samples = scrape(port)
    whose = {"consumer": "bgpd", "neighbor": OURS, "protocol": "bgp"}
    segments = samples["rkmp_consumer_segments_total"]
    results = ("good", "bad", "key-not-found", "unsigned")
    assert [segments[row(**whose, result=result)] for result in results] == [10, 1, 2, 3]
    assert samples["rkmp_consumer_dropped_icmps_total"][row(**whose)] == 4
    assert samples["rkmp_key_access_refusals_total"][row()] >= 1


def test_a_permission_that_names_nobody_is_refused_with_its_place(world: World) -> None:
    with pytest.raises(RPCError) as refused:
        world.permit("<permission><name>nobody</name><protocol>bgp</protocol></permission>")
    assert refused.value.tag == "operation-failed"
    assert "a permission names a user or a group" in str(refused.value.message)
    assert "permission[" in str(refused.value.path)
    # Nothing has changed.
    assert world.shown("a:permission/a:name") == ["all"]
