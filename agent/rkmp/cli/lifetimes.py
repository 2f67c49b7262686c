"""When keys are sent with and accepted, as spans of time on one axis: what ``rkmp keys timeline`` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rkmp.cli.views import entries, identity

MARGIN = 0.04
"""What is left free at both ends of the axis, as a share of it."""
SHORTEST_AXIS = timedelta(minutes=1)

STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(10, 30, 60, 300, 900, 1800),
        *(3600, 3 * 3600, 6 * 3600, 12 * 3600),
        *(86400, 2 * 86400, 4 * 86400, 7 * 86400, 14 * 86400, 30 * 86400, 90 * 86400, 365 * 86400),
    )
)
"""How far apart the marks of an axis may be."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to ``end``, in UTC; None is without a beginning, or for ever."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class KeyLife:
    """One key: ``send`` and ``accept`` are None where its direction has no use for them.

    ``extended_from`` is where in ``send`` an extension of its life begins, None where there is none.
    """

    name: str
    state: str
    is_sending: bool
    send: Span | None
    accept: Span | None
    extended_from: datetime | None
    is_extended: bool

    @property
    def extension(self) -> Span | None:
        """The part of ``send`` in which it is only sent with where nothing has taken its place."""
        if self.extended_from is None or self.send is None:
            return None
        end = self.send.end
        return Span(self.extended_from, end) if end is None or end > self.extended_from else None


@dataclass(frozen=True, slots=True)
class Session:
    """The keys of one protocol with the same neighbors, in the order in which they take over."""

    protocol: str
    neighbors: str
    keys: tuple[KeyLife, ...]
    rolls_at: datetime | None


@dataclass(frozen=True, slots=True)
class Axis:
    """The time that is drawn, with ``now`` in it."""

    start: datetime
    end: datetime
    now: datetime

    def share(self, moment: datetime) -> float:
        """Return how far along a moment is: 0 at the start, 1 at the end, and no further either way."""
        return min(max((moment - self.start) / (self.end - self.start), 0.0), 1.0)

    def reach(self, span: Span) -> tuple[float, float] | None:
        """Return where on the axis a span begins and ends, or None where it is not on it."""
        start = self.start if span.start is None else span.start
        end = self.end if span.end is None else span.end
        if end < self.start or start > self.end:
            return None
        return self.share(start), self.share(end)

    def marks(self, most: int) -> list[datetime]:
        """Return at most ``most`` round moments on the axis."""
        length = self.end - self.start
        step = next((step for step in STEPS if length / step <= most), length)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        first = epoch + -((epoch - self.start) // step) * step
        return [moment for number in range(most + 1) if (moment := first + number * step) <= self.end]


def sessions(data: Mapping[str, Any]) -> list[Session]:
    """Return the keys of ``data``, of which ``rkmp`` tells when they roll over."""
    rolls = {
        entry["current-key"]: _moment(entry.get("next-rollover-at"))
        for peer in entries(data, "rkmp", "peer")
        for entry in entries(peer, "association")
        if "current-key" in entry
    }
    grouped: dict[tuple[str, str], list[tuple[str, KeyLife]]] = {}
    for key in entries(data, "key-table", "key"):
        place = (identity(key.get("protocol", "-")), ", ".join(entries(key, "peer")))
        start = (key.get("send-lifetime") or {}).get("start", "")
        grouped.setdefault(place, []).append((start, _life(key)))
    found = []
    for (protocol, neighbors), keys in sorted(grouped.items()):
        ordered = tuple(life for _, life in sorted(keys, key=lambda each: (each[0], each[1].name)))
        moments = [rolls[life.name] for life in ordered if rolls.get(life.name) is not None]
        found.append(Session(protocol, neighbors, ordered, moments[0] if moments else None))
    return found


def axis_of(found: Sequence[Session], now: datetime) -> Axis:
    """Return an axis that all ends of ``found`` are on, and ``now``."""
    moments = [now, *(session.rolls_at for session in found if session.rolls_at is not None)]
    for session in found:
        for life in session.keys:
            for span in (life.send, life.accept):
                if span is not None:
                    moments += [moment for moment in (span.start, span.end) if moment is not None]
            if life.extension is not None and life.extension.start is not None:
                moments.append(life.extension.start)
    length = max(max(moments) - min(moments), SHORTEST_AXIS)
    return Axis(min(moments) - MARGIN * length, min(moments) + (1 + MARGIN) * length, now)


def _life(key: Mapping[str, Any]) -> KeyLife:
    direction = key.get("direction", "both")
    return KeyLife(
        key["admin-key-name"],
        key.get("state", "-"),
        key.get("selected-for-sending") == "true",
        _span(key.get("send-lifetime")) if direction in ("out", "both") else None,
        _span(key.get("accept-lifetime")) if direction in ("in", "both") else None,
        _moment(key.get("extended-from")),
        key.get("extended") == "true",
    )


def _span(lifetime: Mapping[str, str] | None) -> Span:
    return Span(_moment((lifetime or {}).get("start")), _moment((lifetime or {}).get("end")))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
