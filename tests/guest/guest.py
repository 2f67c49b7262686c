"""A Linux of its own for a test: a user-mode kernel with TCP-AO, and the BIRD beside it, built by ``build-guest``.

The guest sees the files of the host, this Python and this checkout among them, read-only; it is root in a kernel that
has network namespaces and links, and no way out. Where it idles its time may skip, so that hours pass in seconds.
"""

from __future__ import annotations

import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
MEMORY = "768M"


class Unavailable(Exception):
    """The guest cannot be started here; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command in the guest ended: its exit status and what it printed."""

    status: int
    output: str


def folder() -> Path:
    """Return where ``build-guest`` has put kernel and BIRD."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RKMP_GUEST") or cache / "rkmp-guest")


def bird_program(name: str) -> list[str]:
    """Return the command that starts ``bird`` or ``birdc``: it is of a newer Debian, so it comes with its libraries."""
    root = folder() / "bird"
    libraries = root / f"usr/lib/{platform.machine()}-linux-gnu"
    loader = root / "usr/lib64/ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(libraries), str(root / "usr/sbin" / name)]


def run(
    command: list[str], *, time_travel: bool = True, seconds: float = 240, environment: dict[str, str] | None = None
) -> Outcome:
    """Boot a guest, run ``command`` in it, and return how that ended; ``seconds`` are those of the host.

    Raises :class:`Unavailable` where there is no guest, or it does not boot.
    """
    kernel = folder() / "linux"
    if not kernel.exists():
        raise Unavailable(f"there is no {kernel}: tests/guest/build-guest FOLDER makes one, and RKMP_GUEST names it")
    with tempfile.TemporaryDirectory(prefix="rkmp-guest-", dir=_place_for_memory()) as directory:
        out = Path(directory)
        settings = {"PYTHONPATH": str(REPOSITORY / "agent"), "RKMP_GUEST": str(folder()), **(environment or {})}
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        (out / "command").write_text(f"{exports}cd {shlex.quote(str(REPOSITORY))}\nexec {shlex.join(command)}\n")
        log = _boot(kernel, out, time_travel, seconds)
        output = (out / "output").read_text(errors="replace") if (out / "output").exists() else ""
        if not (out / "status").exists():
            if output:
                return Outcome(-1, f"{output}\nthe guest did not end within {seconds:g} s, or broke down: {log}")
            raise Unavailable(f"the guest does not boot: {log.strip() or 'it says nothing'}")
        return Outcome(int((out / "status").read_text()), output)


def _place_for_memory() -> str | None:
    """Return a folder for the file that is the guest's memory, which has to be executable: in memory where possible."""
    shared = Path("/dev/shm")
    if shared.is_dir():
        file_system = os.statvfs(shared)
        if not file_system.f_flag & os.ST_NOEXEC and file_system.f_bavail * file_system.f_frsize > 2**30:
            return str(shared)
    return None


def _boot(kernel: Path, out: Path, time_travel: bool, seconds: float) -> str:
    """Run the kernel to its end, or to that of ``seconds``, and return what it printed."""
    arguments = [
        *(str(kernel), f"mem={MEMORY}", f"uml_dir={out}", "umid=uml", "rootfstype=hostfs", "rootflags=/", "ro"),
        *(f"init={HERE / 'init'}", "con0=fd:0,fd:1", "con=null", "ssl=null", "quiet"),
        *(f"RKMP_OUT={out}", f"RKMP_PYTHON={sys.executable}"),
        *(["time-travel"] if time_travel else []),
    ]
    environment = {
        **os.environ,
        # Guest memory is a file that has to be executable.
        "TMPDIR": str(out),
        # The kernel's helper processes inherit the registration of glibc, which then points nowhere.
        "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
    }
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0] + f"\nstopped after {seconds:g} s"
