"""The local key API's socket: who may connect, and one session for each program that does.

A program is known by the user and groups that the kernel says it runs as (:mod:`rkmp.southbound.permissions`); the
socket itself can be opened by everybody, so that the answer to others is an error that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from rkmp.southbound.configuration import KeySocketConfiguration
from rkmp.southbound.key_session import KeySession
from rkmp.southbound.messages import MOST_OCTETS, ErrorCode, encoded
from rkmp.southbound.permissions import Credentials, KeyAccessRefused, Permitted

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
MOST_SESSIONS = 256
LAST_WORDS_SECONDS = 1.0
MOST_PARTING = 16

MakeSession = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Permitted], KeySession]


class KeySocket:
    """Listens as configured, again and again where that does not succeed, until :meth:`close`."""

    def __init__(
        self,
        configuration: KeySocketConfiguration,
        make_session: MakeSession,
        refused: Callable[[KeyAccessRefused], None],
    ) -> None:
        self.configuration = configuration
        self.sessions: set[KeySession] = set()
        self._refused = refused
        self._parting = 0
        self.last_error: str | None = None
        self.is_listening = False
        self._inode: tuple[int, int] | None = None
        self._make_session = make_session
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._task = asyncio.get_running_loop().create_task(self._listen())

    def permit(self, configuration: KeySocketConfiguration) -> None:
        """Go on at the same path with other permissions: a program that may read other keys now has to come again."""
        self.configuration = configuration
        for session in self.sessions:
            if session.permitted != Permitted.to(configuration.permissions, session.permitted.credentials):
                session.end()

    async def close(self) -> None:
        """Let go of socket and sessions."""
        for task in (self._task, *self._tasks):
            task.cancel()
        await asyncio.gather(self._task, *self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            self._server = None
            # Another one may be there by now, for the next configuration.
            if self._inode == _inode(self._path):
                _remove(self._path)
        self.is_listening = False

    @property
    def _path(self) -> Path:
        return Path(self.configuration.path)

    async def _listen(self) -> None:
        while True:
            try:
                bound = _bound(self._path)
                self._inode = _inode(self._path)
                # Known before it is waited for, so that it can be closed meanwhile.
                self._server = await asyncio.start_unix_server(
                    self._connected, sock=bound, limit=MOST_OCTETS, start_serving=False
                )
                await self._server.start_serving()
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
            connection: socket.socket = writer.get_extra_info("socket")
            permitted = Permitted.to(self.configuration.permissions, Credentials.of(connection))
            if not permitted.permissions:
                refusal = KeyAccessRefused(permitted.credentials)
                self._refused(refusal)
                writer.write(encoded("error", code=ErrorCode.NOT_PERMITTED, reason=refusal.reason))
            elif len(self.sessions) >= MOST_SESSIONS:
                writer.write(encoded("error", code=ErrorCode.TOO_MANY, reason="there are too many programs already"))
            else:
                await self._converse(self._make_session(reader, writer, permitted))
            await self._part(reader, writer)
        finally:
            await _close(writer)

    async def _part(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a program hear the last answer, unless so many do not want to that descriptors run out."""
        if self._parting >= MOST_PARTING or writer.is_closing():
            return
        self._parting += 1
        try:
            await _hear_out(reader, writer)
        finally:
            self._parting -= 1

    async def _converse(self, session: KeySession) -> None:
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)


async def _hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more comes and read what is still said: who is cut off while speaking misses the last answer."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            writer.write_eof()
            while await reader.read(MOST_OCTETS):
                pass


async def _close(writer: asyncio.StreamWriter) -> None:
    """Let go of a connection, and soon even where the program does not read what it was sent."""
    try:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _open_to_all(path: Path) -> None:
    """Have everybody ask: who is answered is decided by credentials. Raises OSError.

    What is no socket any more is left as it is: whoever may write to the directory could put a link in its place.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EEXIST, "something else has taken its place")
        Path(f"/proc/self/fd/{descriptor}").chmod(0o666)
    finally:
        os.close(descriptor)


def _bound(path: Path) -> socket.socket:
    """Return a listening socket at ``path``, in the place of one that an earlier process left; raises OSError."""
    _remove(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.bind(str(path))
        _open_to_all(path)
    except OSError:
        bound.close()
        raise
    return bound
