"""BIRD as a consumer of keys: one BGP protocol's file of keys, and ``configure`` after each step.

The three steps of a rollover without a drop are BIRD's own: the new key beside the preferred old one; the new one
preferred and the old one deprecated; the old one gone. BIRD asks its peer for the key that is preferred, and shows in
``show protocols all`` when the peer has done the same, which is what the next step waits for.
"""

from __future__ import annotations

from pathlib import Path

from rkmp.errors import SouthboundError, TcpAoUnavailable
from rkmp.southbound import bird_files
from rkmp.southbound.bird_control import ControlSocket, session_keys
from rkmp.southbound.steps import Add, Holding, Step, Usage
from rkmp.southbound.tcp_ao import require_tcp_ao

BIRD_SECONDS = 30.0
"""Within which BIRD is to have taken a configuration, however long it is."""


class BirdConsumer:
    """The BGP protocol ``protocol`` of the BIRD named ``name``; ``control`` is shared by its protocols."""

    timeout = BIRD_SECONDS

    def __init__(self, name: str, protocol: str, directory: Path, control: ControlSocket) -> None:
        self.name = name
        self._protocol = protocol
        self._path = directory / f"{protocol}.conf"
        self._control = control
        # What BIRD has read for certain.
        self._text: str | None = None
        self._fault: str | None = None

    async def holding(self) -> Holding:
        """Return what the file holds, once BIRD has read it; make the file of a closed protocol where there is none."""
        holding = bird_files.read(self._path)
        if holding is None:
            holding = Holding()
            bird_files.write(self._path, bird_files.written(holding, self._protocol))
        await self._control.reload()
        self._text = None
        return holding

    async def apply(self, step: Step, result: Holding) -> None:
        """Write the file anew and have BIRD read it."""
        if isinstance(step, Add):
            bird_files.require_expressible(step.key)
        text = bird_files.written(result, self._protocol)
        if text != self._text:
            self._text = None
            bird_files.write(self._path, text)
            await self._control.reload()
            self._text = text

    async def usage(self, holding: Holding, /) -> Usage | None:
        """Return what BIRD shows of the session."""
        seen = session_keys(await self._control.ask(f"show protocols all {self._protocol}"))
        self._fault = seen.fault
        if not seen.is_established:
            return Usage(connections=0)
        names = frozenset(held.key.name for held in holding.keys if held.key.send_id == seen.current)
        return Usage(names, connections=1, good=seen.good, bad=seen.bad)

    async def keep(self, holding: Holding, /) -> None:
        """Say so where BIRD has keys and has given the session up: no step mends that, and no key either."""
        if holding.keys and self._fault is not None:
            raise SouthboundError(f"BIRD has given up {self._protocol}: {self._fault}{_lack_of_kernel()}")


def _lack_of_kernel() -> str:
    """Return what this kernel lacks, which is BIRD's as well: it speaks of a failed authentication alone."""
    try:
        require_tcp_ao()
    except TcpAoUnavailable as error:
        return f" ({error})"
    return ""
