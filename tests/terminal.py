"""A program on a terminal of its own, as people use it: what it shows is read, and keys are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

PATIENCE = 30.0
"""Seconds to wait for what is to be shown."""
CONTROL_C = "\x03"

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78cM])")


class Terminal:
    """A child process that has a terminal (40 lines of 200 characters); use it as a context manager."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, term: str = "xterm") -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        """All that the program has written, with control sequences."""
        self.resize(40, 200, tell=False)
        without_size = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        # The terminal is the controlling one, so that its keys are signals and /dev/tty is it.
        self._process = subprocess.Popen(
            command,
            env={**without_size, "TERM": term},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """What was written, without control sequences."""
        return _SEQUENCE.sub("", self.shown)

    def resize(self, lines: int, columns: int, *, tell: bool = True) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if tell:
            self._process.send_signal(signal.SIGWINCH)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def expect(self, pattern: str, *, after: int = 0, seconds: float = PATIENCE) -> re.Match[str]:
        """Read until ``pattern`` is in :attr:`text`, from the place ``after`` on; fail if it never is."""
        deadline = time.monotonic() + seconds
        compiled = re.compile(pattern, re.MULTILINE)
        while (found := compiled.search(self.text, after)) is None:
            is_there = self._read(deadline - time.monotonic())
            assert is_there, f"no {pattern!r} within {seconds:.0f} s in:\n{self.text[after:]}"
        return found

    def end(self, seconds: float = PATIENCE) -> int:
        """Read what is left and return the exit status."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"still there after {seconds:.0f} s:\n{self.text}"
            self._read(0.1)
        while self._read(0.1):
            pass
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        """Read what there is; False where nothing came."""
        ready, _, _ = select.select([self._ours], [], [], max(seconds, 0))
        octets = b""
        if ready:
            # Where the program is gone, there is no other end.
            with contextlib.suppress(OSError):
                octets = os.read(self._ours, 65536)
        self.shown += octets.decode(errors="replace")
        return bool(octets)
