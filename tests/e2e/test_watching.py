"""An agent that is watched: a trace in its log that tells everything but secrets, and a key log that is no secret."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.agents import RKMP, AgentProcess, make_user_key, peer_configuration, wait_for

PSK = "a shared secret that only a test would use"
LINE = re.compile(
    r'[0-9a-f]{16},[0-9a-f]{16},([0-9a-f]+),([0-9a-f]+),"AES-[^"]+ \[RFC\d+\]",([0-9a-f]*),([0-9a-f]*),"[^"]+"'
)


def test_a_trace_tells_every_message_and_a_key_log_every_key(
    make_agent: Callable[[str], AgentProcess], tmp_path: Path
) -> None:
    watched = AgentProcess("r1", tmp_path / "watched", make_user_key(tmp_path))
    keys = tmp_path / "ikev2_decryption_table"
    watched.options = ("--trace", "--key-log", str(keys))
    watched.initialise()
    watched.start()
    other = make_agent("r2")
    try:
        for one, peer, initiate in ((other, watched, "never"), (watched, other, "on-demand")):
            with one.connect() as session:
                config = peer_configuration(one.name, peer.name, port=peer.ike_port, initiate=initiate)
                session.edit_config(target="running", config=config)
        wait_for("keys in the log", lambda: keys.read_text() != "")
        with watched.connect() as session:
            state = watched.get(session, f'<rkmp xmlns="{RKMP}"><key-log/></rkmp>')
        assert [leaf.text for leaf in state.iter(f"{{{RKMP}}}key-log")] == [str(keys)]
        with other.connect() as session:
            state = other.get(session, f'<rkmp xmlns="{RKMP}"><key-log/></rkmp>')
        assert not list(state.iter(f"{{{RKMP}}}key-log"))
        wait_for("an established association", lambda: "after=established" in watched.log.read_text())
        watched.stop()
    finally:
        watched.kill()
    log = watched.log.read_text()
    assert "WARNING rkmp.daemon.watching: DANGER" in log
    assert str(keys) in log
    for words in ("IKE_SA_INIT request, message ID 0", "IKE_AUTH response", "fqdn:r2.example.net", "DELETE, 8 octets"):
        assert words in log
    assert "IKE_SA_INIT" not in other.log.read_text()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    logged = [LINE.fullmatch(line) for line in keys.read_text().splitlines()]
    assert logged
    for match in logged:
        assert match is not None
        assert not any(key in log for key in match.groups() if key)
    assert PSK not in log


def test_a_key_log_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for target, reason in ((tmp_path / "nowhere" / "keys", "No such file"), (link, "symbolic links")):
        result = subprocess.run(
            [sys.executable, "-m", "rkmp.daemon", "--state-dir", str(agent.directory), "--key-log", str(target)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 2
        assert reason in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "elsewhere").exists()
