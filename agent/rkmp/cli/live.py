"""``rkmp watch`` on a terminal: peers, associations and keys with the time they have left, and events as they come.

Where standard output is no terminal, :mod:`rkmp.cli.watch` prints events line by line instead.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import NO_SESSION
from rkmp.cli.session import Session
from rkmp.cli.show import render_table, subtree
from rkmp.cli.views import KEYS, PEERS, VIEWS
from rkmp.cli.watch import ANSWER_SECONDS, render
from rkmp.errors import CommandError

REFRESH_SECONDS = 1.0
"""How often the time left is drawn anew."""
REREAD_EVERY = 5
"""After so many refreshes state is asked for again, even if nothing was told of."""
SHOWN = ("peers", "associations", "keys")
FEWEST_EVENTS = 3


RETRY_SECONDS = 2.0
"""How long after an agent has gone it is looked for again, and again."""


class Screen:
    """What is on the screen: the last state that was read, the events since, and whether the agent is there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._data: Mapping[str, Any] = {}
        self._events: deque[str] = deque(maxlen=200)
        self._heard: datetime | None = None
        self._gone = ""

    def note_state(self, data: Mapping[str, Any], now: datetime) -> None:
        """Take what the agent says of itself at ``now``."""
        self._data = data
        self._heard = now
        self._gone = ""

    def note_event(self, notification: etree._Element) -> None:
        """Take a notification."""
        self._events.append(render(notification, as_json=False))

    def note_gone(self, reason: str) -> None:
        """Take it that the agent does not answer; what it said last stays."""
        since = "" if self._heard is None else f" since {self._heard:%Y-%m-%d %H:%M:%S} UTC"
        self._gone = f"no answer{since}, trying again: {reason}"

    def drawn(self, now: datetime, height: int) -> RenderableType:
        """Return the screen at ``now``, cut to ``height`` lines: events get what the tables leave them."""
        # The first line, that of an agent that is gone, the head of the events; a title, a head and an empty line each.
        fixed = 2 + bool(self._gone) + 3 * len(SHOWN)
        counts = [len(VIEWS[subject].rows(self._data, now)) for subject in SHOWN]
        shares = _shares(counts, max(height - fixed - FEWEST_EVENTS, len(SHOWN)))
        events = list(self._events)[-max(height - fixed - sum(shares), FEWEST_EVENTS) :]
        parts: list[RenderableType] = [Text(f"{self._name}   {now:%Y-%m-%d %H:%M:%S} UTC   Ctrl-C ends", "dim")]
        if self._gone:
            parts.append(Text(self._gone, "bold red", no_wrap=True, overflow="ellipsis"))
        for subject, share in zip(SHOWN, shares, strict=True):
            parts += [render_table(VIEWS[subject], self._data, now=now, most=share), Text("")]
        parts.append(Text("Events", "italic"))
        parts += [Text(event, no_wrap=True, overflow="ellipsis") for event in events or ["none yet"]]
        return Group(*parts)


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many lines each gets of ``room``: what it wants, or as much as the others that want more."""
    shares = [0] * len(wanted)
    for place in sorted(range(len(wanted)), key=lambda each: wanted[each]):
        left = sum(1 for other, share in enumerate(shares) if wanted[other] >= wanted[place] and share == 0)
        shares[place] = min(wanted[place], max(room // max(left, 1), 1))
        room -= shares[place]
    return shares


def watch(connect: Callable[[], Session], console: Console, name: str) -> None:
    """Keep the screen up to date until interrupted; an agent that goes away is waited for."""
    screen = Screen(name)
    # Before there is a screen: something may be asked, and an agent that was never there is an error.
    session = connect()
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def draw() -> None:
            live.update(screen.drawn(datetime.now(UTC), console.height), refresh=True)

        while True:
            try:
                with session:
                    _follow(session, screen, draw)
            except CommandError as error:
                if error.exit_status != NO_SESSION:
                    raise
                screen.note_gone(str(error))
            session = _again(connect, screen, draw)


def _follow(session: Session, screen: Screen, draw: Callable[[], None]) -> None:
    session.answer_within(ANSWER_SECONDS)
    session.subscribe()
    waited = REREAD_EVERY
    while True:
        if waited >= REREAD_EVERY:
            # The question, too, whether it still is there: a link that is cut says nothing of it.
            screen.note_state(to_dictionary(session.get(subtree(PEERS), subtree(KEYS))), datetime.now(UTC))
            waited = 0
        draw()
        notification = session.next_notification(timeout=REFRESH_SECONDS)
        waited += 1
        while notification is not None:
            screen.note_event(notification)
            # What has happened has changed state.
            waited = REREAD_EVERY
            notification = session.next_notification(timeout=0)


def _again(connect: Callable[[], Session], screen: Screen, draw: Callable[[], None]) -> Session:
    """Try to connect until it works."""
    while True:
        draw()
        time.sleep(RETRY_SECONDS)
        try:
            return connect()
        except CommandError as error:
            if error.exit_status != NO_SESSION:
                raise
            screen.note_gone(str(error))
