"""A router's NETCONF session as asyncio sees it: one deed at a time, each in a thread, never in the event loop's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from rkmp.errors import SouthboundError
from rkmp.southbound.configuration import NetconfServerConfiguration

if TYPE_CHECKING:
    from rkmp.southbound.netconf_client import RouterClient

Result = TypeVar("Result")


class LinkStatus(Enum):
    """How it stands with the session."""

    CONNECTING = "connecting"
    """There is none yet."""
    CONNECTED = "connected"
    """There is one."""
    FAILED = "failed"
    """There was none to be had, or it has broken; tried again."""


class RouterLink:
    """The session with the server of ``configuration``, shared by all its neighbors; opened when it is needed.

    ``lost`` is called in the event loop when an open session ends by itself.
    """

    def __init__(
        self, configuration: NetconfServerConfiguration, clock: Callable[[], datetime], lost: Callable[[], None]
    ) -> None:
        self.configuration = configuration
        self.status = LinkStatus.CONNECTING
        self.last_error: str | None = None
        """Why the last deed was not done; None when it was."""
        self.last_pushed: datetime | None = None
        """When the router has last taken a change."""
        self._clock = clock
        self._lost = lost
        self._turn = asyncio.Lock()
        self._client: RouterClient | None = None
        self._is_closed = False

    async def run(self, deed: Callable[[RouterClient], Result]) -> Result:
        """Return what ``deed`` makes of an open session; raises :class:`SouthboundError`."""
        async with self._turn:
            client = self._client
            if client is None or not client.is_open:
                if client is not None:
                    # It has ended by itself: whoever is behind it may not be as before.
                    self._lost()
                client = self._client = self._new_client()
            try:
                result = await _in_thread(lambda: _done(client, deed))
            except asyncio.CancelledError:
                # Its thread may be anywhere in the deed: nobody else can have this session.
                self._let_go()
                raise
            except SouthboundError as error:
                self.last_error = str(error)
                if not client.is_open:
                    self._client = None
                    self.status = LinkStatus.FAILED
                raise
            self.last_error = None
            self.status = LinkStatus.CONNECTED
        if not client.is_open:
            # Lost while nobody could be told of it.
            self._note_loss(client)
        return result

    def pushed(self) -> None:
        """Note that the router has taken a change."""
        self.last_pushed = self._clock()

    def close(self) -> None:
        """Break the session off; what the router has, it keeps."""
        self._is_closed = True
        self._let_go()

    def _let_go(self) -> None:
        client, self._client = self._client, None
        self.status = LinkStatus.CONNECTING
        if client is not None:
            client.abandon()

    def _new_client(self) -> RouterClient:
        if self._is_closed:
            raise SouthboundError("the session is no longer wanted")
        # Not before there is a router: programs that import this package for the key API need no client of NETCONF.
        from rkmp.southbound.netconf_client import RouterClient

        loop = asyncio.get_running_loop()
        client: RouterClient

        def lost() -> None:
            # From a thread of ncclient's; the loop may be gone when the agent stops.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._note_loss, client)

        client = RouterClient(self.configuration, lost)
        return client

    def _note_loss(self, client: RouterClient) -> None:
        if client is self._client and not self._turn.locked():
            self._client = None
            self.status = LinkStatus.CONNECTING
            self._lost()


def _done(client: RouterClient, deed: Callable[[RouterClient], Result]) -> Result:
    client.begin()
    return deed(client)


async def _in_thread(work: Callable[[], Result]) -> Result:
    """Return what ``work`` does in a thread that nobody waits for when the agent stops."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it goes to whoever waits
            fault = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=run, name="netconf", daemon=True).start()
    return await outcome
