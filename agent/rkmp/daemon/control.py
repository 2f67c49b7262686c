"""The control socket of a running agent, in its state directory: what its own commands ask of it.

One request and one answer a connection, each a JSON object on a line. Whoever may use the state directory may ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

from rkmp.daemon.state_directory import EXIT_STATE, StateDirectory
from rkmp.errors import CommandError, StorageError
from rkmp.storage import Database

_log = logging.getLogger(__name__)

_LINE_OCTETS = 4096
_ASKING_SECONDS = 60.0
_COPY_NAME = re.compile(r"backup-[0-9]+\.db")


def ask(directory: StateDirectory, request: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the agent that runs on ``directory``; return its answer, None where none runs.

    Raises :class:`CommandError` for one that does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ASKING_SECONDS)
        try:
            with _address(directory) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            reason = error.strerror or str(error)
            raise CommandError(f"cannot ask the agent on {directory.path}: {reason}", EXIT_STATE) from error
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline(_LINE_OCTETS))
        except (OSError, ValueError) as error:
            raise CommandError("the agent that runs on the state directory does not answer", EXIT_STATE) from error
    return answer if isinstance(answer, dict) else {"error": "the agent's answer is none"}


@contextlib.contextmanager
def _address(directory: StateDirectory) -> Iterator[str]:
    """Give the address of the socket; that of a UNIX socket has 107 octets, and a path may have more (unix(7))."""
    descriptor = os.open(directory.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{directory.control_socket.name}"
    finally:
        os.close(descriptor)


class ControlSocket:
    """Serves the requests of commands; ``open`` and ``close`` belong to a running event loop."""

    def __init__(self, directory: StateDirectory, database: Database) -> None:
        self._directory = directory
        self._database = database
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; where that cannot be done, the log says so, and commands find nobody."""
        path = self._directory.control_socket
        before = os.umask(0o177)
        try:
            # The state directory is ours alone: what is there was left by an agent or a command that was killed.
            for left in (path, *self._directory.path.glob("backup-*.db")):
                left.unlink(missing_ok=True)
            with _address(self._directory) as address:
                self._server = await asyncio.start_unix_server(self._serve, address, limit=_LINE_OCTETS)
        except OSError as error:
            _log.warning("no command can ask this agent: %s: %s", path, error.strerror or error)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._directory.control_socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_ASKING_SECONDS):
                line = await reader.readline()
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            return {"error": "the request is not JSON"}
        name = request.get("copy-database") if isinstance(request, dict) else None
        if not isinstance(name, str) or _COPY_NAME.fullmatch(name) is None:
            return {"error": "the request is none that this release knows"}
        try:
            self._database.copy_to(self._directory.path / name)
        except StorageError as error:
            return {"error": str(error)}
        return {"copied": name}
