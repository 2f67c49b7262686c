"""The pages on the client and on trouble say what is so, and their commands work as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rkmp.capture import Verdict
from rkmp.cli.commands import COMMANDS
from rkmp.cli.doctor.causes import Cause
from rkmp.cli.exit_status import MEANINGS
from rkmp.cli.profiles import profile_names
from tests.docs.test_tutorial import PORTS, free_port

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "cli.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.DOTALL)

CAPTURE = """
import json, time
from dataclasses import replace
from rkmp.cli.key_documents import keys_of
from tests.capture.files import pcap, timed
from tests.capture.sessions import Session
key = keys_of(json.load(open("lab/keys.json")))[-1]
key = replace(key, name="sha1" if key.kdf == "hmac-sha-1" else "aes")
session = Session(local="127.0.0.1", remote="127.0.0.1")
packets = [*session.handshake(key), session.segment(key, payload=b"keepalive")]
open("lab/bgp.pcap", "wb").write(pcap(timed(packets, start=time.time())))
"""


def rows(heading: str) -> dict[str, str]:
    """Return the table below a heading: the second column by the first, without the head."""
    section = REFERENCE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `?([^|`]+?)`? \| (.+) \|$", section, re.MULTILINE)
    return dict(found[2:])


def test_the_reference_has_every_status_verdict_and_cause() -> None:
    assert rows("Exit status") == {str(status): meaning for status, meaning in MEANINGS.items()}
    assert set(rows("What verify finds")) == {verdict.value for verdict in Verdict}
    assert rows("What doctor finds") == {cause.label: cause.advice for cause in Cause}


def test_the_reference_has_every_command() -> None:
    commands = REFERENCE.split("## Exit status")[0]
    assert {word for word in COMMANDS if not re.search(rf"`{word}\b", commands)} == set()


def test_the_profile_of_the_reference_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", REFERENCE, re.DOTALL)
    (tmp_path / "rkmp").mkdir()
    (tmp_path / "rkmp" / "config.toml").write_text(example)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profile_names() == ["r1"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_trouble_is_found_as_it_is_written(tmp_path: Path) -> None:
    page = (DOCS / "how-to" / "troubleshoot.md").read_text(encoding="utf-8")
    tutorial = BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8"))
    blocks = BLOCK.findall(page)
    assert len(blocks) == page.count("```sh"), "every command is run"
    # The agents of the tutorial, up to where both have a key.
    made = tutorial[: next(number for number, block in enumerate(tutorial) if "show keys" in block) + 1]
    before_verifying = next(number for number, block in enumerate(blocks) if "verify" in block)
    blocks.insert(before_verifying, f'"{sys.executable}" - <<EOF\n{CAPTURE}EOF\n')
    script = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\nset -e\n" + "\n".join([*made, *blocks])
    for port in PORTS:
        script = re.sub(rf"\b{port}\b", free_port(), script)
    environment = dict(os.environ, HOME=str(tmp_path), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    environment["PYTHONPATH"] = os.pathsep.join([str(DOCS.parent), *sys.path])
    for name in ("XDG_CONFIG_HOME", "COLUMNS"):
        environment.pop(name, None)
    done = subprocess.run(
        ["timeout", "220", "bash", "-m", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    out = done.stdout
    assert done.returncode == 0, out + done.stderr
    well, guessed, certain, key_log = re.findall(
        r"^nothing is wrong that can be seen|^psk-differs .*|^key-log .*", out, re.MULTILINE
    )
    assert well.startswith("nothing is wrong")
    assert guessed.startswith("psk-differs  agent peer r2 bgp: rejected by the peer")
    assert certain.startswith("psk-differs  peer's agent called by 127.0.0.1: ")
    assert "wrong pre-shared key" in certain
    assert "ikev2_decryption_table" in key_log
    assert out.count("doctor says 4") == 3
    assert "IKE_AUTH request, message ID" in out
    assert "TCP options protected" in out
    assert "packet 4, 127.0.0.1:40000 to 127.0.0.1:179: verified" in out
    assert "sent with and accepted" in out
    assert (tmp_path / "lab" / "keys.svg").read_text().startswith("<svg")
