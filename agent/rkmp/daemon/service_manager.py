"""Tells the service manager how the agent is: sd_notify(3) over the datagram socket that the environment names.

Without such a socket nothing is told, and nothing else is different. A watchdog is fed from the event loop, so that
what is found to be alive is what does the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping

_log = logging.getLogger(__name__)

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Who started the process, as ``environment`` says: NOTIFY_SOCKET, and WATCHDOG_USEC with WATCHDOG_PID."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog = _watchdog_seconds(environment, pid)
        self._feeding: asyncio.Task[None] | None = None

    def ready(self, status: str) -> None:
        """The agent serves; ``status`` is one line for ``systemctl status``. Needs a running event loop."""
        self._tell("READY=1", f"STATUS={status}")
        if self._watchdog is not None and self._address is not None and self._feeding is None:
            self._feeding = asyncio.create_task(self._feed(self._watchdog / 2), name="watchdog")

    def reloading(self) -> None:
        """The agent takes up what has changed outside of it; ``ready`` says when that is done."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(time.monotonic() * _MICROSECONDS)}")

    async def stopping(self) -> None:
        """The agent ends in good order."""
        self._tell("STOPPING=1")
        if self._feeding is not None:
            self._feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._feeding

    async def _feed(self, interval: float) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(interval)

    def _tell(self, *assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
                notify.setblocking(False)
                notify.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            _log.warning("the service manager cannot be told: %s", os.strerror(error.errno or 0))


def _address(name: str) -> str | None:
    """Return the address of a socket that sd_notify(3) knows: a path, or a name in the abstract namespace after @."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    """Return within how many seconds the manager wants to hear of ``pid``, None for never: sd_watchdog_enabled(3)."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(microseconds) / _MICROSECONDS or None
