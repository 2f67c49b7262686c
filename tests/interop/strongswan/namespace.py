"""A network of its own for one test: a loopback interface on which every port is free, port 500 among them.

It needs no privileges, because a user namespace comes with it, and it is gone with the last process and socket in it.
Nothing outside can reach in, and an IKE daemon of the machine's own is not in the way.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

HOLDER = Path(__file__).with_name("namespace_holder.py")
PATIENCE = 10.0


class Unavailable(Exception):
    """A real part of the test cannot be started here; says why."""


def find_program(name: str, package: str) -> str:
    """Return the path of a program; raise :class:`Unavailable` where it is not installed."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise Unavailable(f"{name} is not installed (Debian: apt install {package})")
    return path


class NetworkNamespace:
    """A new network namespace with its loopback up; close it when done."""

    def __init__(self) -> None:
        unshare = find_program("unshare", "util-linux")
        self._nsenter = find_program("nsenter", "util-linux")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        with theirs:
            self._holder = subprocess.Popen(
                [
                    *(unshare, "--user", "--map-root-user", "--net"),
                    *(sys.executable, "-I", "-S", str(HOLDER), str(theirs.fileno())),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        if self._answer() != b"ready":
            self._control.close()
            _, complaint = self._holder.communicate(timeout=PATIENCE)
            raise Unavailable(f"no network namespace can be made: {complaint.strip()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs ``arguments`` inside, as the very process that is started."""
        return [
            *(self._nsenter, f"--target={self.pid}", "--user", "--net", "--preserve-credentials"),
            *arguments,
        ]

    def udp_socket(self, address: str, port: int = 0) -> socket.socket:
        """Return a socket inside, bound to ``address``; 0 for a port takes any."""
        self._control.send(f"{address} {port}".encode())
        word, descriptors, _, _ = socket.recv_fds(self._control, 256, 1)
        if not descriptors:
            raise OSError(f"cannot bind {address} port {port}: {word.decode()}")
        return socket.socket(fileno=descriptors[0])

    def close(self) -> None:
        """End the holder, which ends by itself too when this process dies."""
        self._control.close()
        self._holder.communicate(timeout=PATIENCE)

    def _answer(self) -> bytes:
        try:
            return self._control.recv(256)
        except ConnectionError:
            return b""
