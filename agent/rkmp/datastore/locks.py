"""Locks on whole datastores (RFC 6241 sections 7.5 and 7.6). Knows sessions by their number only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from rkmp.datastore import rejections


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that ``session_id`` has held ``since`` (an aware time, UTC)."""

    session_id: int
    since: datetime


class Locks:
    """The locks that are held, by the name of the datastore."""

    def __init__(self) -> None:
        self._held: dict[str, Lock] = {}

    def held(self) -> Mapping[str, Lock]:
        """The locks that are held, by the name of the datastore."""
        return MappingProxyType(self._held)

    def acquire(self, name: str, session_id: int, now: datetime) -> None:
        """Take the lock on a datastore. Raises RpcError (lock-denied) when any session has it."""
        held = self._held.get(name)
        if held is not None:
            raise rejections.lock_denied(f"{name} is locked already", held.session_id)
        self._held[name] = Lock(session_id, now)

    def release(self, name: str, session_id: int) -> None:
        """Give the lock back. Raises RpcError when the session does not hold it."""
        held = self._held.get(name)
        if held is None:
            raise rejections.not_locked(name)
        if held.session_id != session_id:
            raise rejections.lock_denied(f"{name} is locked by another session", held.session_id)
        del self._held[name]

    def release_all(self, session_id: int) -> tuple[str, ...]:
        """Give back every lock of a session that ends; return the names of the datastores."""
        names = tuple(name for name, lock in self._held.items() if lock.session_id == session_id)
        for name in names:
            del self._held[name]
        return names

    def require(self, names: Iterable[str], session_id: int) -> None:
        """Raise RpcError (in-use) when another session has a lock on one of the datastores."""
        for name in names:
            held = self._held.get(name)
            if held is not None and held.session_id != session_id:
                raise rejections.in_use(name, held.session_id)
