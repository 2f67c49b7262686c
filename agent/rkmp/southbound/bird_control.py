"""BIRD's control socket: one command, its reply, and what a reply says of a BGP session.

A reply is lines of a four-digit code, then ``-`` where more follow or a space before the last; a line that begins
with a space goes on under the code before it. Codes from 8000 on are errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from rkmp.errors import SouthboundError

_CODED = re.compile(r"(\d{4})([- ])(.*)")
FIRST_ERROR = 8000
MOST_LINES = 10_000
MOST_QUESTIONS = 4
"""At once: few connections wait for BIRD to accept them, and more are refused."""
PAUSE_SECONDS = 0.1
"""Between two configurations of one BIRD."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What ``show protocols all`` tells: whether the session is established, its keys, its counters of segments.

    ``fault`` is why BIRD has given the session up, for ever as it seems to it.
    """

    is_established: bool
    current: int | None = None
    rnext: int | None = None
    good: int = 0
    bad: int = 0
    fault: str | None = None


async def command(socket_path: Path, text: str) -> list[str]:
    """Send one command and return the lines of its reply, without codes.

    Raises :class:`SouthboundError` when BIRD is not there or refuses.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
    except OSError as error:
        raise SouthboundError(f"BIRD does not answer on {socket_path}: {error.strerror or error}") from error
    try:
        await _reply(reader)
        writer.write(text.encode() + b"\n")
        await writer.drain()
        return await _reply(reader)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise SouthboundError(f"BIRD on {socket_path} broke off") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _reply(reader: asyncio.StreamReader) -> list[str]:
    lines: list[str] = []
    while len(lines) < MOST_LINES:
        line = (await reader.readuntil(b"\n")).decode(errors="replace").rstrip("\n")
        coded = _CODED.fullmatch(line)
        if coded is None:
            lines.append(line[1:])
            continue
        code, more, text = int(coded[1]), coded[2] == "-", coded[3]
        if code >= FIRST_ERROR and not more:
            raise SouthboundError(f"BIRD: {text}")
        lines.append(text)
        if not more:
            return lines
    raise SouthboundError("BIRD answers without end")


class ControlSocket:
    """The BIRD behind one control socket, for all of its protocols."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._questions = asyncio.Semaphore(MOST_QUESTIONS)
        self._turn = asyncio.Lock()
        self._asked = 0
        self._served = 0

    async def ask(self, question: str) -> list[str]:
        """Return the lines of the reply to a command that changes nothing; raises :class:`SouthboundError`."""
        async with self._questions:
            return await command(self._socket_path, question)

    async def reload(self) -> None:
        """Return when BIRD has read what was written before this was called; raises :class:`SouthboundError`.

        It reads once for all who have asked for that meanwhile.
        """
        self._asked += 1
        ticket = self._asked
        async with self._turn:
            if self._served >= ticket:
                return
            asked = self._asked
            await command(self._socket_path, "configure")
            self._served = asked
            # BIRD 3.4 goes on in other threads and may break an assertion of its own when the next one comes at once.
            await asyncio.sleep(PAUSE_SECONDS)


def session_keys(lines: list[str]) -> SessionKeys:
    """Read the reply to ``show protocols all NAME``."""
    text = "\n".join(lines)

    def number(label: str) -> int | None:
        found = re.search(rf"^\s*{label}:\s+(\d+)\s*$", text, re.MULTILINE)
        return int(found[1]) if found else None

    fault = re.search(r"^\S+\s+BGP\s+\S+\s+down\s+.*?\bError: (.+)$", text, re.MULTILINE)
    return SessionKeys(
        is_established=re.search(r"^\s*BGP state:\s+Established\s*$", text, re.MULTILINE) is not None,
        current=number("Current key"),
        rnext=number("RNext key"),
        good=number("Good packets") or 0,
        bad=number("Bad packets") or 0,
        fault=fault[1].strip() if fault else None,
    )
