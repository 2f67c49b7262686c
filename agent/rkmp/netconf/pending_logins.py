"""Connections that have not authenticated yet: bounded, so that whoever opens many stands in its own way first."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Generic, Protocol, TypeVar

_log = logging.getLogger(__name__)


class PendingLogin(Protocol):
    """A connection that has not authenticated yet."""

    @property
    def source_host(self) -> str:
        """The address it comes from."""

    def abort(self) -> None:
        """End the connection without a word."""


_Login = TypeVar("_Login", bound=PendingLogin)


class PendingLogins(Generic[_Login]):
    """At most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # In the order in which they came; a dict, because a set keeps none.
        self._pending: dict[_Login, None] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, login: _Login) -> None:
        """Let one more in, and end another where there are too many.

        The oldest of the address that has most of them: so a flood is in nobody's way for ever.
        """
        self._pending[login] = None
        if len(self._pending) <= self.limit:
            return
        hosts = Counter(login.source_host for login in self._pending)
        most = max(hosts.values())
        ended = next(login for login in self._pending if hosts[login.source_host] == most)
        _log.warning("connection from %s ended: too many logins under way", ended.source_host)
        del self._pending[ended]
        ended.abort()

    def remove(self, login: _Login) -> None:
        """Forget one that has authenticated or is gone."""
        self._pending.pop(login, None)
