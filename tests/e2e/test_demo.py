"""``rkmp demo``: the main job, start to finish, and nothing left behind when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "rkmp.cli", "demo"]


def processes_of(directory: Path) -> list[int]:
    """Return the agents that run with their state below ``directory``, by pid."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(str(directory).encode()) for word in words) and b"rkmp.daemon" in words:
                found.append(int(entry.name))
    return found


def test_every_step_of_the_demonstration_is_checked_true(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--json"], env=dict(os.environ, TMPDIR=str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    checked = "\n".join(line for step in steps for line in step["checked"])
    for promise in ("fingerprint", "mirror", "without being asked", "kept its configuration", "kept the key"):
        assert promise in checked
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demonstration_that_is_cut_short_leaves_no_processes(tmp_path: Path, number: signal.Signals) -> None:
    # A shell starts background jobs with SIGINT ignored, and children inherit that: not what is tested here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = subprocess.Popen(
        DEMO, env=dict(os.environ, TMPDIR=str(tmp_path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while len(processes_of(tmp_path)) < 2:
            assert demo.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        demo.send_signal(number)
        assert demo.wait(20) != 0
    finally:
        demo.kill()
        demo.wait()
    deadline = time.monotonic() + 15
    while processes_of(tmp_path):
        assert time.monotonic() < deadline, "agents outlive the demonstration"
        time.sleep(0.1)


def test_a_demonstration_that_cannot_be_checked_true_says_so(tmp_path: Path) -> None:
    """With an agent that cannot start, the exit status is not 0."""
    broken = dict(os.environ, TMPDIR=str(tmp_path / "does" / "not" / "exist"))
    done = subprocess.run(
        [*DEMO, "--keep", "/proc/rkmp"], env=broken, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
