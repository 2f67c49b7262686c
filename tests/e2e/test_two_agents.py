"""Two agents, each its own process, configured over NETCONF by clients that know nothing of rkmp."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree
from ncclient.manager import Manager
from ncclient.operations.rpc import RPCError

from tests.e2e.agents import KEY_TABLE, NAMESPACES, RKMP, USER, AgentProcess, peer_configuration, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
PEER = f'<rkmp xmlns="{RKMP}"><peer/></rkmp>'
KEYS = f'<key-table xmlns="{KEY_TABLE}"/>'


def text(data: etree._Element, path: str) -> str | None:
    found = data.xpath(path, namespaces=NAMESPACES)
    return str(found[0].text) if found else None


def association_state(agent: AgentProcess, session: Manager) -> str | None:
    return text(agent.get(session, PEER), "//rkmp:association/rkmp:state")


def is_established(agent: AgentProcess, session: Manager) -> bool:
    return association_state(agent, session) == "established"


def bring_up(r1: AgentProcess, r2: AgentProcess, one: Manager, two: Manager) -> None:
    one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
    two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
    for agent, session in ((r1, one), (r2, two)):
        wait_for("established", functools.partial(is_established, agent, session))


def test_the_ncclient_example_gives_both_routers_the_same_key(pair: tuple[AgentProcess, AgentProcess]) -> None:
    arguments = ["--user", USER, "--key", str(pair[0].user_key)]
    for agent in pair:
        arguments += ["--router", f"{agent.name},127.0.0.1:{agent.netconf_port},127.0.0.1:{agent.ike_port}"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "ncclient" / "two_routers.py"), "--any-host-key", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "both hold the same key" in done.stdout


def test_get_shows_peer_ike_sa_association_and_key_of_both_sides(pair: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = pair
    with r1.connect() as one, r2.connect() as two:
        bring_up(r1, r2, one, two)
        data = [r1.get(one, PEER, KEYS), r2.get(two, PEER, KEYS)]
    for side in data:
        assert text(side, "//rkmp:peer/rkmp:ike-sa/rkmp:state") == "established"
        current = text(side, "//rkmp:association/rkmp:current-key")
        assert text(side, f"//ckt:key[ckt:admin-key-name='{current}']/ckt:state") == "active"
        assert text(side, f"//ckt:key[ckt:admin-key-name='{current}']/ckt:selected-for-sending") == "true"
        assert text(side, "//ckt:key/ckt:protocol") is not None
    spis = [[text(side, f"//rkmp:ike-sa/rkmp:{name}") for name in ("local-spi", "remote-spi")] for side in data]
    assert spis[0] == spis[1][::-1]
    ids = [[text(side, f"//rkmp:association/rkmp:{name}") for name in ("send-id", "recv-id")] for side in data]
    assert ids[0] == ids[1][::-1]
    assert text(data[0], "//ckt:key/ckt:fingerprint") == text(data[1], "//ckt:key/ckt:fingerprint")


def test_no_reply_holds_a_secret(pair: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = pair
    with r1.connect() as one, r2.connect() as two:
        bring_up(r1, r2, one, two)
        replies = [one.get().data_xml, one.get_config("running").data_xml]
    for reply in replies:
        assert "a shared secret that only a test would use" not in reply
        assert "keystring" not in reply
        assert "hexadecimal-string" not in reply
    assert "a shared secret" not in r1.log.read_text()


def test_a_subscriber_hears_of_the_ike_sa_the_keys_and_the_rollover(pair: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = pair
    with r1.connect() as listener, r1.connect() as one, r2.connect() as two:
        listener.create_subscription()
        short = "<key-lifetime>60</key-lifetime><rollover-lead>20</rollover-lead><overlap>2</overlap>"
        config = peer_configuration("r1", "r2", port=r2.ike_port, association=short)
        one.edit_config(target="running", config=config)
        config = peer_configuration("r2", "r1", port=r1.ike_port, initiate="never", association=short)
        two.edit_config(target="running", config=config)
        wait_for("established", lambda: is_established(r1, one))
        done = r1.run_client("--json", "rekey", "r2", "bgp")
        assert done.returncode == 0, done.stderr
        new_key = json.loads(done.stdout)["admin-key-name"]
        heard: list[str] = []
        completed = None

        def rollover_completed() -> bool:
            nonlocal completed
            while (notification := listener.take_notification(block=False)) is not None:
                event = notification.notification_ele[1]
                heard.append(etree.QName(event).localname)
                if heard[-1] == "rollover-completed":
                    completed = event
            return completed is not None

        wait_for("rollover-completed", rollover_completed)
    assert {"ike-sa-up", "key-installed", "key-activated", "association-state-change"} <= set(heard)
    assert heard.index("ike-sa-up") < heard.index("rollover-started") < heard.index("rollover-completed")
    assert heard.index("key-installed") < heard.index("key-activated") < heard.index("rollover-completed")
    assert completed is not None
    assert new_key in etree.tostring(completed, encoding="unicode")


@pytest.mark.parametrize("target", ["running", "candidate"])
def test_a_bad_edit_changes_neither_datastore_nor_engine(make_agent, target: str) -> None:  # type: ignore[no-untyped-def]
    r1 = make_agent("r1")
    with r1.connect() as session:
        session.edit_config(target="running", config=peer_configuration("r1", "r2", port=9, initiate="never"))
        before = session.get_config("running").data_xml
        bad = peer_configuration("r1", "r3", port=10, proposal="there-is-no-such-proposal")
        if target == "candidate":
            session.edit_config(target="candidate", config=bad)
            with pytest.raises(RPCError) as refusal:
                session.commit()
        else:
            with pytest.raises(RPCError) as refusal:
                session.edit_config(target="running", config=bad)
        assert refusal.value.tag == "data-missing"
        assert "r3" in (refusal.value.path or "")
        if target == "candidate":
            session.discard_changes()
        assert session.get_config("running").data_xml == before
        peers = r1.get(session, PEER).xpath("//rkmp:peer/rkmp:name/text()", namespaces=NAMESPACES)
        assert peers == ["r2"]


def test_an_address_that_cannot_be_bound_is_refused_as_a_whole(make_agent) -> None:  # type: ignore[no-untyped-def]
    r1 = make_agent("r1")
    with r1.connect() as session:
        before = session.get_config("running").data_xml
        listen = "<listen><name>there</name><address>192.0.2.77</address><port>500</port></listen>"
        config = peer_configuration("r1", "r2", port=9, initiate="never", top=listen)
        with pytest.raises(RPCError) as refusal:
            session.edit_config(target="running", config=config)
        assert refusal.value.tag == "operation-failed"
        assert "192.0.2.77" in (refusal.value.message or "")
        assert session.get_config("running").data_xml == before


def test_show_events_reads_the_log_of_what_happened_before(make_agent) -> None:  # type: ignore[no-untyped-def]
    r1 = make_agent("r1")
    with r1.connect() as session:
        config = peer_configuration("r1", "r2", port=9, ike_policy="<retransmission><tries>1</tries></retransmission>")
        session.edit_config(target="running", config=config)
        wait_for("the negotiation failed", lambda: "failed" in r1.run_client("show", "associations").stdout)
    r1.kill()
    r1.start()
    shown = r1.run_client("show", "events")
    assert shown.returncode == 0, shown.stderr
    assert "negotiation-failure" in shown.stdout
    assert "netconf-config-change" in shown.stdout
    lines = r1.run_client("--json", "show", "events", "--hours", "1").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event-time"] for event in events] == sorted(event["event-time"] for event in events)
    assert "negotiation-failure" in [event["event"] for event in events]
    assert r1.run_client("show", "events", "--hours", "-1").returncode == 2
