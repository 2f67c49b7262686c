"""The stored configuration into force at start, and again every few seconds while it cannot be.

An agent whose configured address is not there yet, after a reboot perhaps, has to be reachable all the more: NETCONF
is served, the log says what is wrong, and whoever changes the configuration sees it tried again at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from rkmp.datastore.edits import Edit
from rkmp.errors import EngineRefusal

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class FirstConfiguration:
    """Calls ``start``, which raises EngineRefusal while the configuration cannot be carried out, until it succeeds.

    Needs a running event loop; ``close`` ends it.
    """

    def __init__(self, start: Callable[[], None], retry_seconds: float = RETRY_SECONDS) -> None:
        self._start = start
        self._retry_seconds = retry_seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.refusal: EngineRefusal | None = None
        """Why the configuration is not in force yet; None when it is."""
        self.attempt()

    def attempt(self) -> None:
        """Try now."""
        self._cancel()
        before = self.refusal
        try:
            self._start()
        except EngineRefusal as refusal:
            self.refusal = refusal
            # Once for each reason: a line every few seconds would bury the rest of the log.
            if before is None or before.reason != refusal.reason:
                _log.error("the stored configuration is not in force: %s; trying again", refusal.reason)
            self._timer = self._loop.call_later(self._retry_seconds, self.attempt)
        else:
            self.refusal = None
            if before is not None:
                _log.info("the stored configuration is in force now")

    def running_changed(self, _session_id: int | None, _edits: Sequence[Edit]) -> None:
        """Try now if there is still something to try: the change may be what it takes (a commit listener)."""
        if self.refusal is not None and not self._closed:
            self.attempt()

    def close(self) -> None:
        """Try no more."""
        self._closed = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
