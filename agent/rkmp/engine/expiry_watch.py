"""What ends at a moment of civil time, and is to be told of before: certificates and lists of what is revoked.

Time comes in as an argument; whoever keeps the watch asks for :attr:`ExpiryWatch.next_change` and comes back then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

AT_THE_END = timedelta(0)


class Ends(Protocol):
    """What ends, and is another when it does not compare equal."""

    @property
    def end(self) -> datetime:
        """When, in UTC."""


Name = TypeVar("Name", bound=Hashable)
Thing = TypeVar("Thing", bound=Ends)


@dataclass(slots=True)
class _Watched(Generic[Thing]):
    thing: Thing
    warnings: tuple[timedelta, ...]
    """How long before the end it is told of, the earliest first."""
    told: int = 0
    """How many of the warnings are over."""

    @property
    def next_change(self) -> datetime | None:
        if self.told == len(self.warnings):
            return None
        return self.thing.end - self.warnings[self.told]

    def pass_by(self, wall: datetime) -> bool:
        """Leave the warnings behind that are due; return whether there were any."""
        before = self.told
        while (due := self.next_change) is not None and due <= wall:
            self.told += 1
        return self.told > before


class ExpiryWatch(Generic[Name, Thing]):
    """Things by name, and what was told of each by ``tell``: once for all warnings that are due, and once for each."""

    def __init__(self, tell: Callable[[Name, Thing, datetime], None]) -> None:
        self._tell = tell
        self._warnings: tuple[timedelta, ...] = (AT_THE_END,)
        self._watched: dict[Name, _Watched[Thing]] = {}
        self.next_change: datetime | None = None

    def __iter__(self) -> Iterator[tuple[Name, Thing]]:
        return iter([(name, watched.thing) for name, watched in self._watched.items()])

    def warn(self, before_the_end: tuple[timedelta, ...], wall: datetime) -> None:
        """Tell this long before the end from now on, the earliest first, and at the end in any case."""
        warnings = (*before_the_end, AT_THE_END)
        if warnings != self._warnings:
            self._warnings = warnings
            for watched in self._watched.values():
                # What would have been told already is not told again because there are other times for it now.
                watched.warnings, watched.told = warnings, 0
                watched.pass_by(wall)

    def watch(self, wanted: Mapping[Name, Thing], wall: datetime) -> None:
        """Watch these besides, and tell at once what each has come to already."""
        for name, thing in wanted.items():
            known = self._watched.get(name)
            if known is None or known.thing != thing:
                self._watched[name] = _Watched(thing, self._warnings)
        self._find_next()
        self.handle_time(wall)

    def keep(self, wanted: Callable[[Name], bool]) -> None:
        """Watch these only."""
        self._watched = {name: watched for name, watched in self._watched.items() if wanted(name)}
        self._find_next()

    def forget(self, name: Name) -> None:
        """Watch this one no more."""
        self._watched.pop(name, None)

    def handle_time(self, wall: datetime) -> None:
        """Tell of what has come due."""
        if self.next_change is None or wall < self.next_change:
            return
        for name, watched in self._watched.items():
            if watched.pass_by(wall):
                self._tell(name, watched.thing, wall)
        self._find_next()

    def _find_next(self) -> None:
        moments = (watched.next_change for watched in self._watched.values())
        self.next_change = min((moment for moment in moments if moment is not None), default=None)


def seconds_left(end: datetime, wall: datetime) -> int:
    """Return the whole seconds until ``end``, 0 once it is over."""
    return max(0, int((end - wall).total_seconds()))
