"""A shell that executes the blocks of pages one after the other, as somebody types them, and ends what they start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.docs.pages import REPOSITORY, Page

PORTS = ("8301", "8302", "8303", "5001", "5002", "5003")
"""What the agents of the tutorial listen on; free ones of the machine take their places."""
_END = "the block has ended"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Shell:
    """A shell in an empty directory, for which all that was installed is on the path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ports = {port: free_port() for port in PORTS}
        self._number = 0
        environment = dict(os.environ, HOME=str(directory), PYTHONPATH=os.pathsep.join([str(REPOSITORY), *sys.path]))
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        for name in ("XDG_CONFIG_HOME", "COLUMNS"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        # With job control, as at a prompt: agents are jobs.
        self._say("set -em")

    def run(self, *blocks: str) -> str:
        """Execute blocks and return what they printed; a command that fails fails the test."""
        return "".join(self._run(block) for block in blocks)

    def _run(self, block: str) -> str:
        self._number += 1
        script = self.directory / f".block-{self._number}"
        script.write_text(re.sub(rf"\b({'|'.join(PORTS)})\b", lambda port: self._ports[port[1]], block))
        self._say(f"source {script} < /dev/null\necho '{_END}'")
        printed: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == f"{_END}\n":
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"{block}\nprinted, and failed:\n{''.join(printed)}")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the shell and all that runs in its session, of which each job is a group of its own."""
        for process in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                pid = int(process.name)
                # After the name, which may have anything in it: state, parent, group, session.
                session = int((process / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self._process.pid and pid != session:
                    os.kill(pid, signal.SIGTERM)
        self._process.kill()
        self._process.communicate()


@contextmanager
def shell_in(directory: Path) -> Iterator[Shell]:
    """Give a shell, and end whatever runs in it."""
    shell = Shell(directory)
    try:
        yield shell
    finally:
        shell.close()


def with_two_agents(shell: Shell) -> str:
    """Execute the tutorial up to where both of its agents have a key; return what was printed."""
    blocks = Page("docs/tutorial.md", ()).blocks("sh")
    return shell.run(*blocks[: next(number for number, block in enumerate(blocks) if "show keys" in block) + 1])
