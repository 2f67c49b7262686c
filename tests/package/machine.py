"""A Debian that has booted, with systemd as its first process, in namespaces of its own; gone when the test is done.

Its disk is a layer in memory over that of RKMP_DEBIAN, its network a loopback device that nobody else has.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.real_parts import lacking, program

BOOT_SECONDS = 180.0
COMMAND_SECONDS = 240.0
"""What takes longer hangs, even where other tests have the processors."""


def debian_root() -> Path:
    """Return where the system to start is; skip the test where there is none."""
    root = os.environ.get("RKMP_DEBIAN")
    if not root:
        lacking("RKMP_DEBIAN names no Debian to start (tests/package/build-root makes one)")
    if os.geteuid():
        lacking("a machine is started by root alone")
    return Path(root)


def _nspawn(root: Path, binds: Mapping[Path, str]) -> list[str]:
    return [
        *(program("systemd-nspawn", "systemd-container"), "--quiet", f"--directory={root}", "--volatile=overlay"),
        *("--register=no", "--keep-unit", "--console=pipe", f"--machine=rkmp-{os.getpid()}-{time.monotonic_ns()}"),
        *(f"--bind-ro={outside}:{inside}" for outside, inside in binds.items()),
    ]


def run_once(root: Path, script: str, *, binds: Mapping[Path, str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a script in the system, which does not boot and has the network of whoever asks; return status and output."""
    # By name only: anybody may read a command line, and an index of packages may have a password.
    variables = [f"--setenv={name}" for name in environment]
    done = subprocess.run(
        [*_nspawn(root, binds), "--as-pid2", *variables, "bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


class Machine:
    """One that runs."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def enter(self, command: Sequence[str], *, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root."""
        return subprocess.run(
            [program("nsenter", "util-linux"), f"--target={self._leader}", "--all", *command],
            input=text,
            env={"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def run(self, script: str, *, text: str = "") -> str:
        """Run a script in root's home and return what it prints; it must succeed."""
        done = self.enter(["bash", "-euo", "pipefail", "-c", f"cd /root\n{script}"], text=text)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}{self._journal()}"
        return done.stdout + done.stderr

    def fail(self, script: str) -> str:
        """Run a script that must not succeed and return what it prints."""
        done = self.enter(["bash", "-euo", "pipefail", "-c", f"cd /root\n{script}"])
        assert done.returncode != 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _journal(self) -> str:
        return self.enter(["journalctl", "--unit=rkmpd", "--no-pager", "--lines=20"]).stdout

    def put(self, name: str, content: str) -> None:
        """Write a file in root's home."""
        self.run(f"cat > '{name}'", text=content)


@contextmanager
def booted(root: Path, log: Path, binds: Mapping[Path, str]) -> Iterator[Machine]:
    """Start a machine and give it when its system is up."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [*_nspawn(root, binds), "--boot", "--private-network"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_until_up(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_apart(leader: str) -> bool:
    """Whether a process has a process tree of its own: whoever enters one that has not is still on this machine."""
    try:
        return Path(f"/proc/{leader}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    except OSError:
        return False


def _wait_until_up(process: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        for leader in filter(_is_apart, children):
            machine = Machine(int(leader))
            state = machine.enter(["systemctl", "is-system-running"]).stdout.strip()
            if state == "running":
                return machine
        time.sleep(0.2)
    raise AssertionError(f"the machine did not boot:\n{log.read_text(errors='replace')}")
