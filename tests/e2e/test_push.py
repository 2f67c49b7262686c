"""ncclient is pushed the keys of a whole agent, and the example of a collector writes them down."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from line_protocol_parser import parse_line  # type: ignore[attr-defined]
from lxml import etree
from ncclient.manager import Manager
from ncclient.operations.rpc import RPCError

from tests.docs.pages import Page
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


def as_written(command: Sequence[str], agent: AgentProcess) -> list[str]:
    """Return a command of the page on telemetry for an agent of the test in the place of the page's router."""
    here = {
        "python": sys.executable,
        "192.0.2.1": "127.0.0.1",
        "ops": USER,
        command[command.index("--key") + 1]: str(agent.user_key),
    }
    words = [str(COLLECTOR) if Path(word).name == COLLECTOR.name else here.get(word, word) for word in command]
    return [*words, "--port", str(agent.netconf_port), "--any-host-key", "--router", "r 1,="]


@pytest.mark.page("docs/how-to/telemetry.md", "sh", "json", "toml")
def test_the_collector_writes_down_what_becomes_of_keys(running: tuple[AgentProcess, AgentProcess], page: Page) -> None:
    r1, r2 = running
    (shell,), (shown,), (telegraf,) = map(page.blocks, ("sh", "json", "toml"))
    (execd,) = tomllib.loads(telegraf)["inputs"]["execd"]
    collectors = [
        subprocess.Popen(as_written(command, r1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in (shlex.split(shell), execd["command"])
    ]
    written: list[str] = []

    def line(collector: subprocess.Popen[str]) -> str:
        assert collector.stdout is not None
        written.append(collector.stdout.readline())
        return written[-1]

    try:
        as_json, as_line = collectors
        with r1.connect() as session:
            session.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
            key = json.loads(line(as_json))
            assert key.keys() == json.loads(shown).keys()
            assert (key["router"], key["protocol"], key["state"]) == ("r 1,=", "bgp", "active")
            data = r1.get(session, f'<key-table xmlns="{KEY_TABLE}"/>')
            assert [key["fingerprint"]] == data.xpath("//ckt:key/ckt:fingerprint/text()", namespaces=NAMESPACES)
            # What another implementation of the line protocol makes of it.
            parsed = parse_line(line(as_line).rstrip("\n"))
            assert parsed["measurement"] == "rkmp_key"
            tags = {name: parsed["tags"][name] for name in ("router", "key", "protocol")}
            assert tags == {name: key[name] for name in tags}
            assert parsed["fields"]["state"] == "active"
            assert parsed["fields"]["fingerprint"] == key["fingerprint"]
            assert isinstance(parsed["fields"]["selected-for-sending"], bool)
            assert abs(parsed["time"] / 1e9 - time.time()) < 120, "nanoseconds"

        # Another session, once the router is there again: what is as it was is not told twice.
        r1.kill()
        r1.start()
        for collector in collectors:
            assert collector.stderr is not None
            assert "trying again in 1 s" in collector.stderr.readline()
        with r1.connect() as session:
            peer = f'<peer xmlns:nc="{NETCONF}" nc:operation="delete"><name>r2</name></peer>'
            session.edit_config(target="running", config=configuration(f'<rkmp xmlns="{RKMP}">{peer}</rkmp>'))
        while (last := json.loads(line(as_json)))["state"] != "removed":
            pass
        assert last["key"] == key["key"]
        while (parsed := parse_line(line(as_line).rstrip("\n")))["fields"]["state"] != "removed":
            pass
        assert parsed["tags"]["key"] == key["key"]
        assert not re.search(r"hexadecimal|keystring|secret|\b[0-9a-f]{32,}\b", "".join(written))
    finally:
        for collector in collectors:
            collector.kill()
            collector.communicate()


def test_the_collector_ends_where_it_is_told_to(running: tuple[AgentProcess, AgentProcess], tmp_path: Path) -> None:
    r1, _ = running
    where = ["--host", "127.0.0.1", "--port", str(r1.netconf_port), "--user", USER]

    def ended(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(COLLECTOR), *where, *arguments],
            env=dict(os.environ, HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    status, told = ended("--key", str(r1.user_key))
    assert status == 1
    assert "Unknown host key" in told
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    assert ended("--key", str(make_user_key(stranger)), "--any-host-key")[0] == 1
    where[3] = "1"
    status, told = ended("--key", str(r1.user_key), "--any-host-key", "--once")
    assert (status, told.startswith("there is no session: ")) == (1, True)
