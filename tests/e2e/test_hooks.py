"""Hooks of a whole agent: programs that do as they should, fail, hang, print without end, and show keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.e2e.agents import NETCONF, RKMP, AgentProcess, make_user_key, peer_configuration, wait_for

AGENT = "urn:rkmp:yang:rkmp-agent"
NEIGHBOR = "127.0.0.1"
HELLOS = """<proposal><name>hellos</name><security-protocol>ldp-discovery</security-protocol>
  <transform><name>t</name><auth-alg>hmac-sha-256</auth-alg></transform></proposal>"""
ASSOCIATIONS = """<overlap>6</overlap></association>
  <association><protocol>ldp-discovery</protocol><proposal>hellos</proposal>"""
REKEY = f"""<action xmlns="urn:ietf:params:xml:ns:yang:1"><rkmp xmlns="{RKMP}"><peer><name>r2</name>
  <association><protocol>bgp</protocol><rekey/></association></peer></rkmp></action>"""
MOST_GROWTH_KIB = 64 * 1024

RECORDS = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
told = json.load(sys.stdin)
with (folder / "steps").open("a") as log:
    log.write(json.dumps(told) + "\\n")
"""
FAILS = (
    RECORDS
    + """
if told["step"] == "add" and not (folder / "mended").exists():
    print(told)
    sys.exit(7)
"""
)
HANGS = (
    RECORDS
    + """
if told["step"] == "add":
    import time
    time.sleep(600)
"""
)
# Without end for the question, and much of it for a step; above all the key that it was given.
FLOODS = (
    RECORDS
    + """
text = str(told) * 1000
for _ in range(100 if told["step"] == "add" else 10**9 * (told["step"] == "usage")):
    print(text)
    print(text, file=sys.stderr)
"""
)
# The name of a key that it says it has is the key.
TELLS = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
told = json.load(sys.stdin)
with (folder / "steps").open("a") as log:
    log.write(json.dumps(told) + "\\n")
if told["step"] == "add":
    (folder / "key").write_text(told["key"]["secret"])
    sys.exit(9)
if told["step"] == "holds" and (folder / "key").exists():
    print(json.dumps([(folder / "key").read_text()]))
"""
PROGRAMS = {"records": RECORDS, "fails": FAILS, "hangs": HANGS, "floods": FLOODS, "tells": TELLS}


@dataclass(frozen=True)
class Hooked:
    """A router with hooks, and their folders."""

    r1: AgentProcess
    folder: Path
    growth: list[int]

    def steps(self, hook: str, *wanted: str) -> list[dict[str, Any]]:
        """Return what the program of that name was told, but questions."""
        log = self.folder / hook / "steps"
        told = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [each for each in told if each["step"] in (wanted or ("add", "prefer", "retire", "remove"))]

    def shown(self, hook: str, name: str) -> str | None:
        with self.r1.connect() as session:
            data = self.r1.get(
                session, f'<agent xmlns="{AGENT}"><southbound><hook><name>{hook}</name></hook></southbound></agent>'
            )
        return data.findtext(f".//{{{AGENT}}}neighbor/{{{AGENT}}}{name}")

    def memory(self) -> int:
        """Return the most that the agent has ever had, in KiB."""
        (line,) = [
            line for line in Path(f"/proc/{self.r1.pid}/status").read_text().splitlines() if line.startswith("VmHWM")
        ]
        return int(line.split()[1])


def hook_configuration(folder: Path) -> str:
    hooks = ""
    for name, program in [*PROGRAMS.items(), ("hellos", RECORDS)]:
        (folder / name).mkdir()
        (folder / f"{name}.py").write_text(program)
        hooks += f"""<hook><name>{name}</name><command>{sys.executable}</command><argument>{folder}/{name}.py</argument>
          <argument>{folder}/{name}</argument><timeout>{2 if name == "hangs" else 20}</timeout>
          <neighbor><address>{NEIGHBOR}</address><protocol>{"ldp-discovery" if name == "hellos" else "bgp"}</protocol>
          </neighbor></hook>"""
    return f'<config xmlns="{NETCONF}"><agent xmlns="{AGENT}"><southbound>{hooks}</southbound></agent></config>'


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooked]:
    """Two routers that have keys, of which one has hooks."""
    directory = tmp_path_factory.mktemp("hooks")
    key = make_user_key(directory)
    agents = [AgentProcess(name, directory / name, key) for name in ("r1", "r2")]
    folder = directory / "programs"
    folder.mkdir()
    try:
        for agent in agents:
            agent.initialise()
            agent.start()
        found = Hooked(agents[0], folder, [])
        for one, other, initiate in ((agents[1], agents[0], "never"), (agents[0], agents[1], "on-demand")):
            with one.connect() as session:
                parameters = {"initiate": initiate, "association": ASSOCIATIONS, "top": HELLOS}
                config = peer_configuration(one.name, other.name, port=other.ike_port, **parameters)
                session.edit_config(target="running", config=config)
        found.growth.append(found.memory())
        with agents[0].connect() as session:
            session.edit_config(target="running", config=hook_configuration(folder))
        yield found
    finally:
        for agent in agents:
            agent.kill()


def test_a_program_is_told_a_rollover_step_by_step(hooked: Hooked) -> None:
    wait_for("a first key", lambda: len(hooked.steps("records")) == 2)
    with hooked.r1.connect() as session:
        session.dispatch(etree.fromstring(REKEY))
    wait_for("a rollover", lambda: len(hooked.steps("records")) >= 6)
    told = hooked.steps("records")
    assert [each["step"] for each in told] == ["add", "prefer", "add", "prefer", "retire", "remove"]
    assert {(each["neighbor"], each["protocol"]) for each in told} == {(NEIGHBOR, "bgp")}
    old, new = (told[place]["key"]["name"] for place in (0, 2))
    assert [each["key"] for each in told if each["step"] != "add"] == [old, new, old, old]
    assert told[-1]["holds"] == [new]
    assert hooked.shown("records", "state") == "synchronised"
    assert hooked.shown("records", "accepted-key") == hooked.shown("records", "preferred-key") == new


def test_keys_of_hellos_reach_their_program(hooked: Hooked) -> None:
    wait_for("a key", lambda: len(hooked.steps("hellos")) == 2)
    key = hooked.steps("hellos")[0]["key"]
    assert (key["security-protocol"], key["algorithm"], key["kdf"]) == ("ldp-discovery", "hmac-sha-256", "none")
    assert len(bytes.fromhex(key["secret"])) == 32
    assert min(key["send-id"], key["recv-id"]) > 255


def test_a_program_that_fails_is_reported_until_it_does_not(hooked: Hooked) -> None:
    wait_for("a report", lambda: hooked.shown("fails", "state") == "not-responding")
    assert "exits with 7 for add" in (hooked.shown("fails", "consumer-error") or "")
    with hooked.r1.connect() as session:
        session.create_subscription()
        (hooked.folder / "fails" / "mended").touch()
        while True:
            told = etree.fromstring(session.take_notification(timeout=40).notification_xml.encode())
            if told.findtext(f"{{{AGENT}}}consumer-responding/{{{AGENT}}}consumer") == "fails":
                break
    wait_for("what it has missed", lambda: hooked.shown("fails", "state") == "synchronised")


def test_a_program_that_hangs_is_ended(hooked: Hooked) -> None:
    wait_for("a report", lambda: hooked.shown("hangs", "state") == "not-responding")
    assert hooked.shown("hangs", "consumer-error") == "no answer within 2 s"
    # It is tried again, so the one before is gone.
    wait_for("another try", lambda: len(hooked.steps("hangs", "add")) >= 2)
    mine = str(hooked.folder / "hangs.py").encode()
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mine in read(path)]
    assert len(running) <= 1


def test_what_a_program_prints_without_end_is_not_taken_in(hooked: Hooked) -> None:
    """It goes nowhere for a step; for a question it is a fault, and the program is ended."""
    wait_for("a report", lambda: hooked.shown("floods", "state") == "not-responding")
    assert "prints more than 65536 octets for usage" in (hooked.shown("floods", "consumer-error") or "")
    assert hooked.memory() - hooked.growth[0] < MOST_GROWTH_KIB


def test_no_key_that_a_program_prints_is_shown_or_logged(hooked: Hooked) -> None:
    wait_for("a report", lambda: "a key in the place" in (hooked.shown("tells", "consumer-error") or ""))
    secrets = {step["key"]["secret"] for hook in PROGRAMS for step in hooked.steps(hook, "add")}
    assert secrets
    with hooked.r1.connect() as session:
        everything = etree.tostring(hooked.r1.get(session, f'<agent xmlns="{AGENT}"/>')).decode()
    for text in (everything, hooked.r1.log.read_text()):
        assert "fails" in text
        assert not any(secret in text for secret in secrets)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
