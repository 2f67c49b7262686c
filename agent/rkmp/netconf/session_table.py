"""The sessions that live now: their ids, their number, who may still come in (RFC 6241 section 7.9, RFC 6022 2.1.4)."""

from __future__ import annotations

from collections.abc import Iterator

from rkmp.errors import RkmpError
from rkmp.netconf.session import Session

LARGEST_SESSION_ID = 2**32 - 1


class SessionRefused(RkmpError):
    """No session can be opened now; the message says why."""


class SessionTable:
    """Sessions by id. Ids are never zero (RFC 6241 section 8.1), and not used again before all others were."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: int) -> Session | None:
        """Return the session of that id, if it lives."""
        return self._sessions.get(session_id)

    def next_id(self) -> int:
        """Return an id that no session has."""
        while True:
            self._last_id = self._last_id % LARGEST_SESSION_ID + 1
            if self._last_id not in self._sessions:
                return self._last_id

    def add(self, session: Session) -> None:
        """Let ``session`` in, under the id that it was given."""
        self._sessions[session.id] = session

    def remove(self, session: Session) -> None:
        """Forget ``session``."""
        self._sessions.pop(session.id, None)
