"""Any daemon as a consumer of keys, through a program that knows how to give it some.

The program is run once a step with one JSON object on standard input, and has done the step when it exits with 0:
``{"version": 1, "step": "add", "neighbor": ..., "protocol": ..., "key": {...}, "holds": [...]}``. For ``prefer``,
``retire`` and ``remove`` the key is a name; ``holds`` names what the daemon has after the step, which may come twice.

Two more it answers on standard output: ``holds`` with a JSON list of the names that the daemon has, so that a restart
goes on from there, and ``usage`` with an object of ``sending`` (names), ``connections``, ``good`` and the others that
the key API has. No output says that it cannot tell.

What else it prints goes nowhere, since it may be the key that it was given. An answer is read up to a bound, and one
that has a key in the place of a name is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from typing import Any

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyTable
from rkmp.southbound.configuration import HookConfiguration
from rkmp.southbound.keys import ConsumerKey, consumer_key, unknown_key
from rkmp.southbound.messages import VERSION, MessageError, counters, is_name, written_key
from rkmp.southbound.steps import Add, HeldKey, Holding, Step, Usage

MOST_OCTETS = 65536
MOST_AT_ONCE = 16
"""Processes of one hook: each takes descriptors and memory of the agent, and there may be thousands of neighbors."""
LAST_WORDS_SECONDS = 1.0
"""Within which the pipes of a program that was killed are closed, if nobody else holds them."""
_LIKE_A_KEY = re.compile(r"[0-9A-Fa-f]{32}")
"""A key of 16 octets or more as the program is told it; no name of a key that the agent has negotiated is so."""
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class HookConsumer:
    """The program of ``configuration`` for one neighbor and protocol; ``turns`` are shared by all its neighbors."""

    def __init__(
        self,
        configuration: HookConfiguration,
        neighbor: str,
        protocol: str,
        table: KeyTable,
        turns: asyncio.Semaphore,
    ) -> None:
        self.name = configuration.name
        self._seconds = configuration.timeout
        self._turns = turns
        self._command = configuration.command
        self._scope = {"neighbor": neighbor, "protocol": protocol}
        self._table = table

    @property
    def timeout(self) -> None:
        """The time is that of a process, which may have to wait for its turn before."""

    async def holding(self) -> Holding:
        """Ask for the names of what the daemon has; nothing is preferred before it is said again."""
        names = await self._ask("holds", list)
        if names is None:
            return Holding()
        return Holding(tuple(HeldKey(self._key(name)) for name in self._names(names, "holds")))

    async def apply(self, step: Step, result: Holding) -> None:
        """Run the program."""
        key: object = written_key(step.key) if isinstance(step, Add) else step.name
        holds = [held.key.name for held in result.keys]
        await self._run({"step": type(step).__name__.lower(), "key": key, "holds": holds})

    async def usage(self, _holding: Holding, /) -> Usage | None:
        """Ask what the daemon's connections use."""
        said = await self._ask("usage", dict)
        if said is None:
            return None
        sending = self._names(said.get("sending"), "usage")
        try:
            return Usage(frozenset(sending), **counters(said))
        except MessageError as error:
            raise SouthboundError(f"{self._command[0]} answers usage with something else: {error}") from None

    def _key(self, name: str) -> ConsumerKey:
        row = self._table.get(name)
        return (consumer_key(row) if row is not None else None) or unknown_key(name)

    async def _ask(self, question: str, wanted: type) -> Any:
        output = await self._run({"step": question}, is_question=True)
        if not output.strip():
            return None
        try:
            answer = json.loads(output)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, wanted):
            raise SouthboundError(
                f"{self._command[0]} answers {question} with something else than JSON's {wanted.__name__}"
            )
        return answer

    def _names(self, said: object, question: str) -> list[str]:
        """Return names of keys that the program says; one that may be a key itself would be shown and logged."""
        if not isinstance(said, list) or not all(is_name(name) for name in said):
            raise SouthboundError(f"{self._command[0]} answers {question} with something else than names")
        rows = self._table.rows_for(self._scope["neighbor"], self._scope["protocol"])
        known = {row.key.reveal().hex() for row in rows}
        for name in said:
            if self._table.get(name) is None and (name.lower() in known or _LIKE_A_KEY.search(name)):
                raise SouthboundError(f"{self._command[0]} answers {question} with a key in the place of a name")
        return said

    async def _run(self, fields: dict[str, object], *, is_question: bool = False) -> bytes:
        """Run the program and return what it answers to a question; raises :class:`SouthboundError` unless it exits
        with 0 in time, and where it prints more than an answer.
        """
        async with self._turns:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._run_now(fields, is_question=is_question)
            except TimeoutError:
                raise SouthboundError(f"no answer within {self._seconds:g} s") from None

    async def _run_now(self, fields: dict[str, object], *, is_question: bool) -> bytes:
        message = json.dumps({"version": VERSION, **fields, **self._scope}).encode()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if is_question else asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SouthboundError(f"cannot run {self._command[0]}: {error.strerror}") from error
        try:
            await _tell(process, message)
            output = await _answer(process.stdout)
            if len(output) <= MOST_OCTETS:
                await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)
        if len(output) > MOST_OCTETS:
            raise SouthboundError(f"{self._command[0]} prints more than {MOST_OCTETS} octets for {fields['step']}")
        if process.returncode:
            raise SouthboundError(f"{self._command[0]} exits with {process.returncode} for {fields['step']}")
        return output


async def _tell(process: asyncio.subprocess.Process, message: bytes) -> None:
    """Write the message; a program that does not want to read it need not."""
    assert process.stdin is not None  # noqa: S101 - narrows what a pipe was asked for
    # uvloop says by a RuntimeError that the program has ended already.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, RuntimeError):
        process.stdin.write(message)
        await process.stdin.drain()
    process.stdin.close()


async def _answer(stdout: asyncio.StreamReader | None) -> bytes:
    """Return what a program prints; of more than MOST_OCTETS one more."""
    if stdout is None:
        return b""
    try:
        return await stdout.readexactly(MOST_OCTETS + 1)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program that took or said too much, or because the agent stops, with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            while process.stdout is not None and await process.stdout.read(MOST_OCTETS):
                pass
            await process.wait()
