"""When the last good copy of the database is made: soon after a change, and not again and again.

A change that comes alone is in the copy a second later. While changes go on there is a copy a minute, since making one
takes time in proportion to all that is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rkmp.errors import StorageError

_log = logging.getLogger(__name__)

SOON_SECONDS = 1.0
APART_SECONDS = 60.0


class GoodCopies:
    """Calls ``keep`` after changes, which may raise StorageError; ``close`` ends it, with a last copy if one is due.

    Needs a running event loop. Times go by its monotonic clock.
    """

    def __init__(self, keep: Callable[[], None]) -> None:
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._is_closed = False

    def changed(self, *_what: object) -> None:
        """Note that something was committed; a listener of anything."""
        if self._timer is None and not self._is_closed:
            at = max(self._loop.time() + SOON_SECONDS, self._next)
            self._timer = self._loop.call_at(at, self._copy)

    def close(self) -> None:
        """Make the copy that is due, and no other."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._copy()

    def _copy(self) -> None:
        self._timer = None
        self._next = self._loop.time() + APART_SECONDS
        try:
            self._keep()
        except StorageError as error:
            _log.warning("there is no new copy of the database to start from: %s", error)
