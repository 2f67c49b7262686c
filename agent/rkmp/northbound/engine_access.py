"""What the northbound needs of whoever runs the engine: the asyncio driver, or something simpler in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.events import EngineEvent
from rkmp.engine.state import PeerSnapshot


class PreparedEngine(Protocol):
    """A configuration that the engine has agreed to; exactly one of its methods is called."""

    @property
    def apply(self) -> Callable[[], None]:
        """Carry it out; cannot fail."""

    @property
    def abort(self) -> Callable[[], None]:
        """Forget it."""


class EngineAccess(Protocol):
    """A running engine (:class:`rkmp.engine.driver.EngineDriver` says what each method does)."""

    def prepare(self, configuration: EngineConfiguration) -> PreparedEngine:
        """Check a configuration; raises EngineRefusal."""

    async def rekey(self, peer: str, protocol: int) -> str:
        """Replace a key and return the new one's AdminKeyName; raises EngineRefusal."""

    def initiate(self, peer: str) -> None:
        """Negotiate now what a peer lacks; raises EngineRefusal."""

    def clear(self, peer: str) -> None:
        """Drop the IKE SAs and keys of a peer; raises EngineRefusal."""

    def addresses(self) -> Mapping[str, tuple[str, int]]:
        """Return where datagrams are taken in, by the name of the listener."""

    def peers(self) -> tuple[PeerSnapshot, ...]:
        """Return a snapshot of every peer."""

    def statistics(self) -> Mapping[str, int]:
        """Return the engine's own counters."""

    def peer(self, name: str) -> PeerSnapshot | None:
        """Return a snapshot of one peer."""

    def watch(self, watcher: Callable[[frozenset[str]], None]) -> None:
        """Call ``watcher`` with the names of peers whenever their state may not be what it was."""

    def subscribe(self, subscriber: Callable[[EngineEvent, datetime], None]) -> None:
        """Call ``subscriber`` with every event and the time at which it was reported."""
