"""Keeps the log from filling the disk: what repeats itself without end, because somebody outside makes it, is thinned.

Lines of one kind, about one peer or user where it is known, may come in a burst, and then one at a time; the next one
that is let through says how many were left out. Who asked for a trace gets all of it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rkmp.log_context import EVENT

BURST = 200
"""Lines of a kind that may come at once."""
SECONDS = 5.0
"""After a burst, one line comes in so many: some 17,000 a day, 3 megabytes."""
KINDS = 20_000
"""Kinds that are remembered; nobody outside can make more, but by being a configured peer."""
UNLIMITED = "rkmp.trace"


@dataclass(slots=True)
class _Kind:
    tokens: float
    at: float
    left_out: int = 0


class FloodFilter(logging.Filter):
    """For the handler that writes; ``clock`` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: OrderedDict[tuple[object, ...], _Kind] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; one that is says what was left out before it."""
        if record.name == UNLIMITED:
            return True
        now, kind = self._clock(), self._kind(record)
        kind.tokens = min(kind.tokens + (now - kind.at) / SECONDS, BURST)
        kind.at = now
        if kind.tokens < 1:
            kind.left_out += 1
            return False
        kind.tokens -= 1
        if kind.left_out:
            record.msg = f"{record.getMessage()} (after {kind.left_out} more of the kind that were left out)"
            record.args = None
            setattr(record, EVENT, {**getattr(record, EVENT, {}), "left-out": kind.left_out})
            kind.left_out = 0
        return True

    def _kind(self, record: logging.LogRecord) -> _Kind:
        fields = getattr(record, EVENT, {})
        # What an event says is in its fields, and its words are made of them; of all others, words are the kind.
        # And nobody shall hide what another does behind a crowd of deeds of their own.
        named = (fields.get("event") or record.msg, fields.get("peer"), fields.get("user"), record.levelno)
        kind = self._kinds.get(named)
        if kind is None:
            kind = self._kinds[named] = _Kind(BURST, self._clock())
            if len(self._kinds) > KINDS:
                self._kinds.popitem(last=False)
        self._kinds.move_to_end(named)
        return kind
