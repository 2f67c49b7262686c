"""Any daemon as a consumer of keys, through a program that knows how to give it some.

The program is run once a step with one JSON object on standard input, and has done the step when it exits with 0:
``{"version": 1, "step": "add", "neighbor": ..., "protocol": ..., "key": {...}, "holds": [...]}``. For ``prefer``,
``retire`` and ``remove`` the key is a name; ``holds`` names what the daemon has after the step, which may come twice.

Two more it answers on standard output: ``holds`` with a JSON list of the names that the daemon has, so that a restart
goes on from there, and ``usage`` with an object of ``sending`` (names), ``connections``, ``good`` and ``bad``. No
output says that it cannot tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import Any

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyTable
from rkmp.southbound.configuration import HookConfiguration
from rkmp.southbound.keys import ConsumerKey, consumer_key, unknown_key
from rkmp.southbound.messages import VERSION, MessageError, counters, written_key
from rkmp.southbound.steps import Add, HeldKey, Holding, Step, Usage

MOST_OCTETS = 65536
LAST_WORDS_SECONDS = 1.0
"""Within which the pipes of a program that was killed are closed, if nobody else holds them."""
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class HookConsumer:
    """The program of ``configuration`` for one neighbor and protocol."""

    def __init__(self, configuration: HookConfiguration, neighbor: str, protocol: str, table: KeyTable) -> None:
        self.name = configuration.name
        self.timeout = configuration.timeout
        self._command = configuration.command
        self._scope = {"neighbor": neighbor, "protocol": protocol}
        self._table = table

    async def holding(self) -> Holding:
        """Ask for the names of what the daemon has; nothing is preferred before it is said again."""
        names = await self._ask("holds", list)
        if names is None:
            return Holding()
        if not all(isinstance(name, str) for name in names):
            raise SouthboundError(f"{self._command[0]} answers holds with something else than names")
        return Holding(tuple(HeldKey(self._key(name)) for name in names))

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
        sending = said.get("sending")
        if not isinstance(sending, list) or not all(isinstance(name, str) for name in sending):
            raise SouthboundError(f"{self._command[0]} answers usage with something else")
        try:
            return Usage(frozenset(sending), **counters(said))
        except MessageError as error:
            raise SouthboundError(f"{self._command[0]} answers usage with something else: {error}") from None

    def _key(self, name: str) -> ConsumerKey:
        row = self._table.get(name)
        return (consumer_key(row) if row is not None else None) or unknown_key(name)

    async def _ask(self, question: str, wanted: type) -> Any:
        output = await self._run({"step": question})
        if not output.strip():
            return None
        try:
            answer = json.loads(output)
        except ValueError:
            answer = None
        if not isinstance(answer, wanted):
            raise SouthboundError(
                f"{self._command[0]} answers {question} with something else than JSON's {wanted.__name__}"
            )
        return answer

    async def _run(self, fields: dict[str, object]) -> bytes:
        """Run the program and return what it printed; raises :class:`SouthboundError` for any status but 0."""
        message = json.dumps({"version": VERSION, **fields, **self._scope}).encode()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SouthboundError(f"cannot run {self._command[0]}: {error.strerror}") from error
        try:
            output, _ = await process.communicate(message)
        finally:
            if process.returncode is None:
                # It took too long, or the agent is stopping; what it has started goes with it.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.communicate(), LAST_WORDS_SECONDS)
        if process.returncode:
            raise SouthboundError(f"{self._command[0]} exits with {process.returncode} for {fields['step']}")
        return output[:MOST_OCTETS]
