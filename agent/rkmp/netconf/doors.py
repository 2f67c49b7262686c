"""The doors of an agent: on which addresses NETCONF is served, as configuration has it, without losing the last one.

Configuration changes and addresses come and go; each is followed in turn by one task. A door that cannot be opened is
tried again every few seconds, and says why. While none of them is open, the one of last resort is. What came in by a
door stays when it closes. It must not know where configuration comes from.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from rkmp.netconf.tls_context import TlsIdentity
from rkmp.netconf.transport import TransportServer
from rkmp.secret import Secret

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SshIdentity:
    """Who an SSH server is: its host keys, PEM, best first; without any, those of the agent itself."""

    host_keys: tuple[Secret, ...] = ()


Identity: TypeAlias = SshIdentity | TlsIdentity


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """An address to serve NETCONF on, and over what."""

    name: str
    address: str
    port: int
    identity: Identity


class DoorStatus(Enum):
    """Whether clients can come in."""

    OPENING = "opening"
    LISTENING = "listening"
    FAILED = "failed"


class _Door:
    """One address with its server."""

    def __init__(self, settings: DoorSettings, server: TransportServer) -> None:
        self.settings = settings
        self.server = server
        self.status = DoorStatus.OPENING
        self.error: str | None = None
        self.is_taken = False
        """Whether somebody else has the address, which may be the door of last resort."""
        self._failure: str | None = None

    async def open(self) -> bool:
        """Listen; return whether that could be done. Where it could not, :meth:`tell` says so."""
        settings = self.settings
        try:
            await self.server.listen(settings.address, settings.port)
        except (OSError, ValueError) as error:
            self._failure = getattr(error, "strerror", None) or str(error)
            self.is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            self.status = DoorStatus.FAILED
            return False
        self.status, self.error = DoorStatus.LISTENING, None
        host, port = self.server.address
        _log.info("NETCONF endpoint %s listens on %s port %d", settings.name, host, port)
        return True

    def tell(self) -> None:
        """Log why it cannot be opened, once."""
        if self._failure != self.error:
            _log.error("NETCONF endpoint %s cannot be opened: %s; trying again", self.settings.name, self._failure)
            self.error = self._failure

    def may_be_in_the_way_of(self, other: _Door) -> bool:
        """Whether ``other`` may have failed for this one, which listens where it wants to."""
        return other.is_taken and self.server.address[1] == other.settings.port


class Doors:
    """Opens and closes; needs a running event loop, and ``close`` ends it.

    ``make_server`` makes the server of an identity, ``retire`` takes one back whose connections may go on.
    """

    def __init__(
        self,
        make_server: Callable[[Identity], TransportServer],
        retire: Callable[[TransportServer], None],
        last_resort: DoorSettings,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._make_server = make_server
        self._retire = retire
        self._retry_seconds = retry_seconds
        self._wanted: Mapping[str, DoorSettings] = {}
        self._doors: dict[str, _Door] = {}
        self._last_resort = last_resort
        self._last: _Door | None = None
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, settings: Iterable[DoorSettings] = ()) -> None:
        """Open what is wanted, or the door of last resort; from now on, wishes are followed.

        Raises OSError or ValueError where not even that one can be opened.
        """
        self._wanted = {each.name: each for each in settings}
        await self._follow()
        if self._last is not None and self._last.status is DoorStatus.FAILED:
            raise OSError(self._last.error)
        self._settled.set()
        self._task = asyncio.create_task(self._keep_following(), name="netconf doors")

    def want(self, settings: Iterable[DoorSettings]) -> None:
        """Have other doors, soon."""
        self._wanted = {each.name: each for each in settings}
        self._settled.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Return when what was wanted last has been tried."""
        await self._settled.wait()

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where clients can come in now; the door of last resort, where it is open, stands first."""
        doors = [*([] if self._last is None else [self._last]), *self._doors.values()]
        return [door.server.address for door in doors if door.status is DoorStatus.LISTENING]

    def status(self, name: str) -> tuple[DoorStatus, str | None]:
        """Return whether clients can come in by a door that is wanted, and why not."""
        door = self._doors.get(name)
        if door is None or door.settings != self._wanted.get(name):
            return DoorStatus.OPENING, None
        return door.status, door.error

    async def close(self) -> None:
        """Follow no more wishes; the servers are closed by whoever made them."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_following(self) -> None:
        while True:
            has_failures = any(door.status is DoorStatus.FAILED for door in self._all())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._retry_seconds if has_failures else None):
                    await self._wake.wait()
            self._wake.clear()
            await self._follow()
            if not self._wake.is_set():
                self._settled.set()

    def _all(self) -> Sequence[_Door]:
        return [*self._doors.values(), *([] if self._last is None else [self._last])]

    async def _follow(self) -> None:
        wanted = self._wanted
        for name, door in list(self._doors.items()):
            if wanted.get(name) != door.settings:
                # First of all: another one may want its address.
                self._retire(self._doors.pop(name).server)
        for name, settings in wanted.items():
            door = self._doors.get(name) or _Door(settings, self._make_server(settings.identity))
            self._doors[name] = door
            if door.status is DoorStatus.LISTENING:
                continue
            if await door.open():
                continue
            last = self._last
            if last is not None and last.status is DoorStatus.LISTENING and last.may_be_in_the_way_of(door):
                # The last resort is not needed once this one is open.
                self._drop_last()
                if await door.open():
                    continue
            door.tell()
        if any(door.status is DoorStatus.LISTENING for door in self._doors.values()):
            self._drop_last()
        elif self._last is None or self._last.status is DoorStatus.FAILED:
            last = self._last or _Door(self._last_resort, self._make_server(self._last_resort.identity))
            self._last = last
            if await last.open():
                # Whoever knows the port that was picked finds it again.
                self._last_resort = replace(self._last_resort, port=last.server.address[1])
            else:
                last.tell()

    def _drop_last(self) -> None:
        if self._last is not None:
            self._retire(self._last.server)
            self._last = None
