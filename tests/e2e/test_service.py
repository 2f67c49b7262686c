"""An agent as a service: what its manager hears, what signals do, and its state carried to another machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ncclient import NCClientError
from tests.e2e.agents import (
    KEY_TABLE,
    NAMESPACES,
    NETCONF,
    RKMP,
    AgentProcess,
    make_user_key,
    peer_configuration,
    wait_for,
)

KEYS = f'<key-table xmlns="{KEY_TABLE}"/>'


def rkmpd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rkmp.daemon", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def fingerprints(agent: AgentProcess) -> set[str]:
    with agent.connect() as session:
        found = agent.get(session, KEYS).xpath("//ckt:fingerprint/text()", namespaces=NAMESPACES)
    return {str(each) for each in found}


def test_the_service_manager_hears_and_a_hangup_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_log = tmp_path / "keys"
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    agent.options = ("--key-log", str(key_log))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind("\0rkmp-" + os.urandom(8).hex())
        notify.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + notify.getsockname()[1:].decode())
        agent.start()
        try:
            ready = notify.recv(4096).decode()
            assert ready == f"READY=1\nSTATUS=netconf=127.0.0.1:{agent.netconf_port} ike=127.0.0.1:{agent.ike_port}"
            key_log.rename(tmp_path / "keys.1")
            os.kill(agent.pid, signal.SIGHUP)
            assert notify.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert notify.recv(4096).decode() == ready
            assert key_log.exists()
            assert agent.stop() == 0
            assert notify.recv(4096) == b"STOPPING=1"
        finally:
            agent.kill()


def test_a_hangup_does_not_end_an_agent_that_starts(tmp_path: Path) -> None:
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    command = [sys.executable, "-m", "rkmp.daemon", "--state-dir", str(agent.directory), "--log-format", "json"]
    addresses = ["--netconf-listen", "127.0.0.1:0", "--ike-listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *addresses], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if " starts, with the state in " in line:
                    process.send_signal(signal.SIGHUP)
                if "rkmpd ready" in line:
                    process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_hangup_that_finds_no_file_to_open_keeps_the_one_of_before(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    agent.options = ("--key-log", str(folder / "log"))
    agent.start()
    try:
        folder.rename(tmp_path / "moved")
        os.kill(agent.pid, signal.SIGHUP)
        wait_for("the log says so", lambda: "the one of before goes on" in agent.log.read_text())
        held = [str(each.readlink()) for each in Path(f"/proc/{agent.pid}/fd").iterdir() if each.is_symlink()]
        assert str(tmp_path / "moved" / "log") in held
        folder.mkdir()
        os.kill(agent.pid, signal.SIGHUP)
        wait_for("the new file", lambda: (folder / "log").exists())
        assert agent.stop() == 0
    finally:
        agent.kill()


def commit_until_it_ends(agent: AgentProcess, acknowledged: list[str]) -> None:
    """Commit one policy after the other, and note each that was answered with ok."""
    with contextlib.suppress(NCClientError, OSError), agent.connect() as session:
        for number in range(10_000):
            name = f"policy-{number:05}"
            policy = f'<rkmp xmlns="{RKMP}"><ike-policy><name>{name}</name></ike-policy></rkmp>'
            session.edit_config(target="running", config=f'<config xmlns="{NETCONF}">{policy}</config>')
            acknowledged.append(name)


def test_a_stop_in_the_middle_of_everything_finishes_what_was_acknowledged(
    pair: tuple[AgentProcess, AgentProcess],
) -> None:
    r1, r2 = pair
    with r1.connect() as one, r2.connect() as two:
        two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
    wait_for("a key", lambda: bool(fingerprints(r1)))
    acknowledged: list[str] = []
    committing = threading.Thread(target=commit_until_it_ends, args=(r1, acknowledged))
    committing.start()
    wait_for("commits", lambda: len(acknowledged) > 10, interval=0.01)
    assert r1.run_client("rekey", "r2", "bgp").returncode == 0
    # The second one comes while the first is followed.
    os.kill(r1.pid, signal.SIGTERM)
    assert r1.stop() == 0
    committing.join(30)
    assert not committing.is_alive()
    assert "Traceback" not in r1.log.read_text()

    r1.start()
    with r1.connect() as session:
        running = session.get_config("running").data_xml
    assert [name for name in acknowledged if name not in running] == []
    events = r1.run_client("show", "events", "--xml", "--hours", "1").stdout
    assert [name for name in acknowledged if name not in events] == []
    wait_for("the same keys on both sides", lambda: bool(fingerprints(r1)) and fingerprints(r1) == fingerprints(r2))


def test_a_backup_of_a_running_agent_becomes_another_that_negotiates_anew(
    pair: tuple[AgentProcess, AgentProcess], tmp_path: Path
) -> None:
    r1, r2 = pair
    backup = tmp_path / "r1.tar"
    with r1.connect() as one, r2.connect() as two:
        two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
    wait_for("a key", lambda: bool(fingerprints(r1)))
    before = fingerprints(r1)

    done = rkmpd("backup", "--state-dir", r1.directory, "--output", backup)
    assert (done.returncode, done.stderr) == (0, "")
    assert fingerprints(r1) == before, "the agent goes on"
    again = rkmpd("backup", "--state-dir", r1.directory, "--output", backup)
    assert again.returncode == 2
    assert "File exists" in again.stderr

    r1.kill()
    restored = AgentProcess("r1", tmp_path / "restored", r1.user_key)
    done = rkmpd("restore", "--state-dir", restored.directory, "--input", backup)
    assert (done.returncode, done.stderr) == (0, "")
    restored.netconf_port, restored.ike_port = r1.netconf_port, r1.ike_port
    restored.start()
    try:
        wait_for("a new key", lambda: bool(fingerprints(restored) - before))
        wait_for("the same on both sides", lambda: fingerprints(restored) <= fingerprints(r2))
        assert not fingerprints(restored) & before
    finally:
        restored.kill()
