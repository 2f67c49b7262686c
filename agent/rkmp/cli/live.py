"""``rkmp watch`` on a terminal: peers, associations and keys with the time they have left, and events as they come.

Where standard output is no terminal, :mod:`rkmp.cli.watch` prints events line by line instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import Session
from rkmp.cli.show import render_table, subtree
from rkmp.cli.views import KEYS, PEERS, VIEWS
from rkmp.cli.watch import render

REFRESH_SECONDS = 1.0
"""How often the time left is drawn anew."""
REREAD_EVERY = 5
"""After so many refreshes state is asked for again, even if nothing was told of."""
SHOWN = ("peers", "associations", "keys")
FEWEST_EVENTS = 3


class Screen:
    """What is on the screen: the last state that was read, and the events since."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._data: Mapping[str, Any] = {}
        self._events: deque[str] = deque(maxlen=200)

    def note_state(self, data: Mapping[str, Any]) -> None:
        """Take what the agent says of itself."""
        self._data = data

    def note_event(self, notification: etree._Element) -> None:
        """Take a notification."""
        self._events.append(render(notification, as_json=False))

    def drawn(self, now: datetime, height: int) -> RenderableType:
        """Return the screen at ``now``, cut to ``height`` lines: events get what the tables leave them."""
        tables = [render_table(VIEWS[subject], self._data, now=now) for subject in SHOWN]
        # A title, a head and an empty line each, and the first line and the head of the events.
        used = sum(table.row_count + 3 for table in tables) + 2
        events = list(self._events)[-max(height - used, FEWEST_EVENTS) :]
        parts: list[RenderableType] = [Text(f"{self._name}   {now:%Y-%m-%d %H:%M:%S} UTC   Ctrl-C ends", "dim")]
        for table in tables:
            parts += [table, Text("")]
        parts.append(Text("Events", "italic"))
        parts += [Text(event, no_wrap=True, overflow="ellipsis") for event in events or ["none yet"]]
        return Group(*parts)


def watch(session: Session, console: Console, name: str) -> None:
    """Keep the screen up to date until interrupted or until the agent ends the session."""
    screen = Screen(name)
    session.subscribe()
    waited = REREAD_EVERY
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            if waited >= REREAD_EVERY:
                screen.note_state(to_dictionary(session.get(subtree(PEERS), subtree(KEYS))))
                waited = 0
            live.update(screen.drawn(datetime.now(UTC), console.height), refresh=True)
            notification = session.next_notification(timeout=REFRESH_SECONDS)
            waited += 1
            while notification is not None:
                screen.note_event(notification)
                # What has happened has changed state.
                waited = REREAD_EVERY
                notification = session.next_notification(timeout=0)
