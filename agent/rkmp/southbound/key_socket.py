"""The local key API's socket: who may connect, and one session for each program that does.

A program is known by the user and groups that the kernel says it runs as (SO_PEERCRED), held against configuration;
the socket itself can be opened by everybody, so that the answer to others is an error that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from rkmp.southbound.configuration import KeySocketConfiguration
from rkmp.southbound.key_session import KeySession
from rkmp.southbound.messages import MOST_OCTETS, encoded

_log = logging.getLogger(__name__)

_UCRED = struct.Struct("=iII")
RETRY_SECONDS = 5.0
MOST_SESSIONS = 256
LAST_WORDS_SECONDS = 1.0

MakeSession = Callable[[asyncio.StreamReader, asyncio.StreamWriter], KeySession]


class KeySocket:
    """Listens as configured, again and again where that does not succeed, until :meth:`close`."""

    def __init__(self, configuration: KeySocketConfiguration, make_session: MakeSession) -> None:
        self.configuration = configuration
        self.sessions: set[KeySession] = set()
        self.last_error: str | None = None
        self.is_listening = False
        self._make_session = make_session
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Let go of socket and sessions."""
        for task in (self._task, *self._tasks):
            task.cancel()
        await asyncio.gather(self._task, *self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            self._server = None
            _remove(Path(self.configuration.path))
        self.is_listening = False

    async def _listen(self) -> None:
        while True:
            try:
                bound = _bound(Path(self.configuration.path))
                self._server = await asyncio.start_unix_server(self._connected, sock=bound, limit=MOST_OCTETS)
            except OSError as error:
                reason = f"cannot listen on {self.configuration.path}: {error.strerror or error}"
                if reason != self.last_error:
                    _log.error("key socket: %s; trying again", reason)
                self.last_error = reason
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.is_listening, self.last_error = True, None
            return

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own, since one of asyncio's that is cancelled is reported as a fault.
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            refusal = self._refusal(writer)
            if refusal is not None:
                _log.warning("key socket: %s", refusal)
                writer.write(encoded("error", reason=refusal))
            else:
                session = self._make_session(reader, writer)
                self.sessions.add(session)
                try:
                    await session.run()
                finally:
                    self.sessions.discard(session)
            await _hear_out(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _refusal(self, writer: asyncio.StreamWriter) -> str | None:
        if len(self.sessions) >= MOST_SESSIONS:
            return "there are too many programs already"
        connection: socket.socket = writer.get_extra_info("socket")
        pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if may_connect(self.configuration, uid, gid):
            return None
        return f"process {pid} of user {uid} is not permitted"


async def _hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more comes and read what is still said: who is cut off while speaking misses the last answer."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            writer.write_eof()
            while await reader.read(MOST_OCTETS):
                pass


def may_connect(configuration: KeySocketConfiguration, uid: int, gid: int) -> bool:
    """Whether a program that runs as ``uid`` and ``gid`` is permitted; a user's other groups count too."""
    name, groups = _user(uid, gid)
    if name in configuration.permitted_users:
        return True
    wanted = set()
    for group in configuration.permitted_groups:
        with contextlib.suppress(KeyError):
            wanted.add(grp.getgrnam(group).gr_gid)
    return not wanted.isdisjoint(groups)


def _user(uid: int, gid: int) -> tuple[str, set[int]]:
    """Return the user's name, a number where it has none, and its groups."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid), {gid}
    return name, {gid, *os.getgrouplist(name, gid)}


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _bound(path: Path) -> socket.socket:
    """Return a listening socket at ``path``, in the place of one that an earlier process left; raises OSError."""
    _remove(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.bind(str(path))
        # Everybody may ask; who is answered is decided by credentials.
        path.chmod(0o666)
    except OSError:
        bound.close()
        raise
    return bound
