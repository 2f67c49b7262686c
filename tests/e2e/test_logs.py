"""What an operator reads of the life of an agent: all that happens, with who is concerned, and never a secret."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.dashboard.scene import SECRETS, introduce, negotiated_keys, serve_metrics
from tests.e2e.agents import NETCONF, RKMP, AgentProcess, make_user_key, wait_for
from tests.e2e.test_metrics import AGENT

PASSWORD = "a password that nobody may read"
PRIORITY = re.compile(r"<[0-7]>.")
DATAGRAMS = 300

BROKEN_HOOK = f"""<agent xmlns="{AGENT}"><southbound><hook><name>broken</name><command>/bin/false</command>
    <neighbor><address>127.0.0.1</address><protocol>bgp</protocol></neighbor></hook></southbound></agent>"""
OTHER_SECRET = f"""<rkmp xmlns="{RKMP}"><credentials><pre-shared-key><name>k</name>
    <secret><keystring>{SECRETS[0]} again</keystring></secret></pre-shared-key></credentials></rkmp>"""
USER = f"""<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication><user><name>other</name>
    <password>$0${PASSWORD}</password></user></authentication></system>"""

LIFE = (
    r"rkmpd \S+ starts, with the state in ",
    r"session 1 of operator begins: netconf-ssh from 127\.0\.0\.1",
    r"certificate-expiring trust-anchor=root subject=",
    r"the NETCONF certificate server \(CN=server\) expires in \d+ seconds",
    r"session 1 of operator has changed the running configuration: agent, rkmp",
    r"session 1 of operator has changed the running configuration: nacm",
    r"session 1 of operator ended: closed",
    r"key-installed protocol=bgp peer=r2 admin-key-name=r2-bgp-",
    r"ike-sa-up peer=r2 .*role=initiator remote-identity=r2\.example\.net seconds=",
    r"negotiation-success peer=r2 protocol=bgp key-name=\S+ replaces=False seconds=",
    r"rollover-started peer=r2 protocol=bgp key-name=\S+ reason=request",
    r"negotiation-success peer=r2 protocol=bgp key-name=\S+ replaces=True seconds=",
    r"consumer broken, bgp with 127\.0\.0\.1 does not respond: /bin/false exits with 1",
    r"told to reload by SIGHUP",
    r"authentication-failure peer=r2 address=127\.0\.0\.1 .*reason=",
    r"told to stop by SIGTERM",
    r"stopped",
)
"""What the first agent says, in this order."""


def edit(agent: AgentProcess, content: str) -> None:
    with agent.connect() as session:
        session.edit_config(target="running", config=f'<config xmlns="{NETCONF}">{content}</config>')


def says(agent: AgentProcess, pattern: str) -> Callable[[], bool]:
    return lambda: re.search(pattern, agent.log.read_text()) is not None


def knock(port: int) -> None:
    """Send what a stranger may send: no IKE at all, and first messages without anything in them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(DATAGRAMS):
            opening = number.to_bytes(8, "big") + bytes(8) + b"\x21\x20\x22\x08" + bytes(4) + (28).to_bytes(4, "big")
            stranger.sendto(opening if number % 2 else os.urandom(100), ("127.0.0.1", port))


def live(r1: AgentProcess, r2: AgentProcess) -> list[str]:
    """Let the agents live and die; return the negotiated keys, in hexadecimal."""
    serve_metrics(r1, r2)
    introduce(r1, r2)
    wait_for("a key", says(r1, "negotiation-success"))
    assert r1.run_client("rekey", "r2", "bgp").returncode == 0
    keys = negotiated_keys(r1)
    assert len(keys) == 2
    edit(r1, BROKEN_HOOK)
    wait_for("a consumer that fails", says(r1, "does not respond"))
    os.kill(r1.pid, signal.SIGHUP)
    edit(r1, USER)
    knock(r1.ike_port)
    edit(r2, OTHER_SECRET)
    assert r1.run_client("clear", "r2").returncode == 0
    wait_for("a peer that is not believed", says(r1, "authentication-failure"))
    assert (r1.stop(), r2.stop()) == (0, 0)
    return keys


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the first agent, for the journal, those of the second, in JSON, and all secrets."""
    directory = tmp_path_factory.mktemp("logs")
    key = make_user_key(directory)
    r1, r2 = (AgentProcess(name, directory / name, key) for name in ("r1", "r2"))
    r1.options, r2.options = ("--trace",), ("--log-format", "json", "--trace")
    r1.log.touch()
    status = r1.log.stat()
    with pytest.MonkeyPatch.context() as patch:
        # What systemd says to a service whose standard error is the journal's.
        patch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        try:
            for agent in (r1, r2):
                agent.initialise()
                agent.start()
            secrets = [*live(r1, r2), *key_encryption_keys(r1, r2), *SECRETS, PASSWORD]
        finally:
            for agent in (r1, r2):
                agent.kill()
    return r1.log.read_text().splitlines(), r2.log.read_text().splitlines(), secrets


def key_encryption_keys(*agents: AgentProcess) -> list[str]:
    keys = [(Path(agent.directory) / "key-encryption-key").read_bytes() for agent in agents]
    return [text for key in keys for text in (key.hex(), base64.b64encode(key).decode())]


def test_the_journal_gets_the_life_of_an_agent_in_order(logs: tuple[list[str], list[str], list[str]]) -> None:
    lines = iter(logs[0])
    for pattern in LIFE:
        assert any(re.search(pattern, line) for line in lines), pattern


def test_every_line_of_the_journal_has_a_priority_and_nothing_is_an_error(
    logs: tuple[list[str], list[str], list[str]],
) -> None:
    priorities = [PRIORITY.match(line) for line in logs[0]]
    assert all(priorities), [line for line, found in zip(logs[0], priorities, strict=True) if found is None]
    grave = [line for line in logs[0] if line[1] in "0123"]
    assert not grave


def test_strangers_leave_no_lines(logs: tuple[list[str], list[str], list[str]]) -> None:
    said = [line for line in logs[0] if re.match(r"<.>rkmp\.(?!trace)", line)]
    assert len(said) < 100, f"{DATAGRAMS} datagrams of a stranger, and {len(said)} lines in all"


def test_collectors_get_objects_that_name_peer_association_key_and_session(
    logs: tuple[list[str], list[str], list[str]],
) -> None:
    entries: list[dict[str, Any]] = [json.loads(line) for line in logs[1]]
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    events = {entry["event"]: entry for entry in reversed(entries) if "event" in entry}
    assert events["key-installed"]["peer"] == events["ike-sa-up"]["peer"] == "r1"
    assert events["key-installed"]["admin-key-name"].startswith("r1-bgp-")
    assert events["rollover-started"].items() >= {"peer": "r1", "protocol": "bgp", "reason": "peer"}.items()
    assert events["running-changed"].items() >= {"session": 1, "user": "operator"}.items()
    assert events["authentication-failure"]["level"] == "warning"
    begun = next(entry for entry in entries if " begins: " in entry["message"])
    assert (begun["session"], begun["user"]) == (1, "operator")


def test_no_line_of_either_holds_a_secret(logs: tuple[list[str], list[str], list[str]]) -> None:
    text = "\n".join((*logs[0], *logs[1]))
    assert len(logs[2]) == 2 + 4 + 3, "the negotiated keys, those that seal them, and what was configured"
    assert not [secret for secret in logs[2] if secret.lower() in text.lower()]
