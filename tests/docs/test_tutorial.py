"""The tutorial's commands work, in their order, typed by somebody who has only the page."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
PORTS = ("8301", "8302", "5001", "5002")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = re.findall(r"<!-- run -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == PAGE.read_text(encoding="utf-8").count("```sh") - 1, "only the installation is not run here"
    # Whatever comes of it, the agents end with the test.
    script = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\nset -e\n" + "\n".join(blocks)
    for port in PORTS:
        script = re.sub(rf"\b{port}\b", free_port(), script)
    environment = dict(os.environ, HOME=str(tmp_path), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in ("XDG_CONFIG_HOME", "COLUMNS"):
        environment.pop(name, None)
    done = subprocess.run(
        ["timeout", "100", "bash", "-m", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "established" in done.stdout or "rolling-over" in done.stdout
    assert "new key" in done.stdout
    # The first key as r1 and as r2 show it, then both keys during the rollover.
    first, same, *both = re.findall(r"\b[0-9a-f]{16}$", done.stdout, re.MULTILINE)
    assert first == same
    assert len(set(both)) == 2
    assert first in both
