"""ncclient is pushed the keys of a whole agent, and the example of a collector writes them down."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient.manager import Manager
from ncclient.operations.rpc import RPCError

from tests.e2e.agents import KEY_TABLE, NAMESPACES, NETCONF, RKMP, USER, AgentProcess, make_user_key, peer_configuration
from tests.netconf.subscriptions.receiver import Receiver
from tests.netconf.subscriptions.requests import SN, YP, delete, kill, modify, on_change, periodic, push, resync, stream
from tests.northbound.world import schema

KEYS = f'<yp:datastore-subtree-filter><key-table xmlns="{KEY_TABLE}"><key/></key-table></yp:datastore-subtree-filter>'
COLLECTOR = Path(__file__).parents[2] / "examples" / "telemetry" / "collector.py"
PATIENCE = 20


def call(session: Manager, operation: str) -> etree._Element:
    """Send an operation as ncclient sends what it does not know."""
    return etree.fromstring(session.dispatch(etree.fromstring(operation)).xml.encode())


def establish(session: Manager, operation: str) -> int:
    return int(call(session, operation).findtext(f"{{{SN}}}id", ""))


def told(session: Manager) -> etree._Element:
    """Return the next notification's event."""
    notification = session.take_notification(timeout=PATIENCE)  # type: ignore[no-untyped-call]
    assert notification is not None, "nothing was told"
    event: etree._Element = notification.notification_ele[1]
    return event


def told_until(session: Manager, condition: Callable[[etree._Element], object]) -> list[etree._Element]:
    """Return the events up to the first for which ``condition`` holds."""
    events = [told(session)]
    while not condition(events[-1]):
        events.append(told(session))
    return events


def configuration(content: str) -> str:
    return f'<config xmlns="{NETCONF}">{content}</config>'


def local(event: etree._Element) -> str:
    return etree.QName(event).localname


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AgentProcess, AgentProcess]]:
    """Two agents, of which the second waits for the first, which has no configuration of it yet."""
    directory = tmp_path_factory.mktemp("push")
    key = make_user_key(directory)
    r1, r2 = agents = tuple(AgentProcess(name, directory / name, key) for name in ("r1", "r2"))
    try:
        for agent in agents:
            agent.initialise()
            agent.start()
        with r2.connect() as two:
            waiting = peer_configuration("r2", "r1", port=r1.ike_port, initiate="never")
            two.edit_config(target="running", config=waiting)
        yield r1, r2
    finally:
        for agent in agents:
            agent.kill()


def test_ncclient_is_pushed_keys_and_events_and_manages_its_subscriptions(
    running: tuple[AgentProcess, AgentProcess],
) -> None:
    r1, r2 = running
    with r1.connect() as session, r1.connect() as operator:
        # Refused with a hint, taken with it.
        with pytest.raises(RPCError) as refusal:
            call(session, push(periodic(1), KEYS))
        assert refusal.value.app_tag == "ietf-yang-push:period-unsupported"
        hint = re.search(r"period-hint[^>]*>(\d+)<", refusal.value.info or "")
        assert hint is not None
        often = establish(session, push(periodic(int(hint[1])), KEYS))
        assert local(told(session)) == "push-update"
        call(session, modify(often, periodic(360_000)))

        changing = establish(session, push(on_change(), KEYS))
        events = establish(
            session, stream(f'<stream-subtree-filter><ike-sa-up xmlns="{RKMP}"/></stream-subtree-filter>')
        )
        assert len({often, changing, events}) == 3
        operator.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
        receiver = Receiver(schema())
        fingerprint, waited_for = f"{{{KEY_TABLE}}}fingerprint", {"ike-sa-up", "fingerprint"}

        def is_last(event: etree._Element) -> bool:
            waited_for.difference_update({local(event)} | {local(each) for each in event.iter(fingerprint)})
            return not waited_for

        seen = told_until(session, is_last)
        for event in seen:
            if event.findtext(f"{{{YP}}}id") == str(changing):
                receiver.receive(event)
        path = "//ckt:key/ckt:fingerprint/text()"
        pushed = receiver.tree.xpath(path, namespaces=NAMESPACES)
        assert pushed == r1.get(operator, f'<key-table xmlns="{KEY_TABLE}"/>').xpath(path, namespaces=NAMESPACES)
        assert b"hexadecimal" not in b"".join(map(etree.tostring, seen))

        call(session, resync(changing))
        assert told_until(session, lambda event: local(event) == "push-update")
        call(session, delete(changing))
        call(operator, kill(events))
        last = told_until(session, lambda event: local(event) == "subscription-terminated")[-1]
        assert last.findtext(f"{{{SN}}}reason") == "no-such-subscription"
        left = r1.get(operator, f'<subscriptions xmlns="{SN}"/>')
        assert [each.text for each in left.iter(f"{{{SN}}}id")] == [str(often)]


def test_the_collector_writes_down_what_becomes_of_keys(running: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = running
    arguments = ["--host", "127.0.0.1", "--port", str(r1.netconf_port), "--user", USER, "--key", str(r1.user_key)]
    collectors = [
        subprocess.Popen(
            [sys.executable, str(COLLECTOR), *arguments, "--any-host-key", "--router", "r1", "--format", form],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for form in ("json", "line")
    ]
    try:
        with r1.connect() as session:
            session.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
            as_json, as_line = (collector.stdout for collector in collectors)
            assert as_json is not None
            assert as_line is not None
            key = json.loads(as_json.readline())
            assert (key["router"], key["protocol"], key["state"]) == ("r1", "bgp", "active")
            data = r1.get(session, f'<key-table xmlns="{KEY_TABLE}"/>')
            assert [key["fingerprint"]] == data.xpath("//ckt:key/ckt:fingerprint/text()", namespaces=NAMESPACES)
            assert re.fullmatch(
                rf'rkmp_key,router=r1,key={re.escape(key["key"])},protocol=bgp,.*state="active",.*'
                rf'fingerprint="{key["fingerprint"]}".* \d{{19}}\n',
                as_line.readline(),
            )
            peer = f'<peer xmlns:nc="{NETCONF}" nc:operation="delete"><name>r2</name></peer>'
            session.edit_config(target="running", config=configuration(f'<rkmp xmlns="{RKMP}">{peer}</rkmp>'))
            while (last := json.loads(as_json.readline()))["state"] != "removed":
                pass
            assert last["key"] == key["key"]
        r1.stop()
        assert [collector.wait(timeout=PATIENCE) for collector in collectors] == [1, 1]
    finally:
        for collector in collectors:
            collector.kill()
            collector.communicate()
