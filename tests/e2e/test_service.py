"""An agent as a service: what its manager hears, what signals do, and its state carried to another machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.agents import KEY_TABLE, NAMESPACES, AgentProcess, make_user_key, peer_configuration, wait_for

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
