"""Notifications that a session takes out of several feeds, as fast as its client reads, each feed in its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Feed(Protocol):
    """Where notifications come from."""

    def take(self) -> bytes | None:
        """Return the next one, None where there is none now, no octets where it is to be asked again."""

    @property
    def is_over(self) -> bool:
        """Whether there will never be one again."""

    def discard(self) -> None:
        """Take note that nobody takes anything any more."""


class Feeds:
    """The feeds of one session; one that is over is dropped."""

    def __init__(self) -> None:
        self._feeds: deque[Feed] = deque()
        self._changed = asyncio.Event()

    def add(self, feed: Feed) -> None:
        """Take notifications from ``feed`` as well."""
        self._feeds.append(feed)
        self._changed.set()

    def clear(self) -> None:
        """Take no more from any."""
        while self._feeds:
            self._feeds.popleft().discard()

    def changed(self) -> None:
        """Take note that a feed has something to take."""
        self._changed.set()

    async def next(self) -> bytes:
        """Return the next notification, waiting until there is one. Others on the event loop have their turn."""
        while True:
            await asyncio.sleep(0)
            self._changed.clear()
            message = self._take()
            if message:
                return message
            if message is None:
                await self._changed.wait()

    def _take(self) -> bytes | None:
        for _ in range(len(self._feeds)):
            feed = self._feeds.popleft()
            message = feed.take()
            if not feed.is_over:
                self._feeds.append(feed)
            if message is not None:
                return message
        return None
