"""``rkmp keys timeline``: the lives of keys as text for a terminal, or as a picture (SVG)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lxml import etree
from rich.console import Console
from rich.text import Text

from rkmp.cli.documents import to_dictionary
from rkmp.cli.lifetimes import Axis, KeyLife, Session, Span, axis_of, sessions
from rkmp.cli.session import Session as NetconfSession
from rkmp.cli.show import subtree
from rkmp.cli.timeline_picture import picture
from rkmp.cli.views import KEYS, PEERS, STYLES, lasts, time_left
from rkmp.errors import CommandError

SEND, EXTENSION, ACCEPT, NOW, ROLLOVER = "█", "▒", "░", "│", "▼"
LEGEND = (
    f"{SEND} sent with and accepted   {EXTENSION} the same past its life, if nothing replaces it   {ACCEPT} accepted   "
    f"{NOW} now   {ROLLOVER} next rollover   times are UTC"
)

FINE = timedelta(minutes=5)
"""Up to here an axis has seconds, and above it days."""
NARROWEST = 20
"""Characters of a bar, however narrow the terminal is."""


def show(session: NetconfSession, console: Console, svg: Path | None, *, as_json: bool) -> None:
    """Draw the keys of the agent as they are now; ``svg`` names a file for the picture."""
    now = datetime.now(UTC)
    found = sessions(to_dictionary(session.get(subtree(KEYS), subtree(PEERS))))
    if svg is not None:
        try:
            svg.write_bytes(etree.tostring(picture(found, axis_of(found, now)), pretty_print=True))
        except OSError as error:
            raise CommandError(f"cannot write {svg}: {error.strerror}", 2) from error
        return
    if as_json:
        print(json.dumps({"now": now.isoformat(), "sessions": [_as_data(each) for each in found]}, indent=2))
        return
    for line in drawn(found, axis_of(found, now), console.width):
        console.print(line, no_wrap=True, crop=False)


def drawn(found: Sequence[Session], axis: Axis, width: int) -> list[Text]:
    """Return the lines of a drawing that is ``width`` characters wide."""
    if not found:
        return [Text("no keys")]
    label = max(len(f"  {life.name}") for session in found for life in session.keys)
    room = max(width - label - 2 - len(" 999d23h accept-only *"), NARROWEST)
    lines = []
    for session in found:
        rolls_in = time_left(_text(session.rolls_at), axis.now)
        rolls = "" if session.rolls_at is None else f", rolls over in {rolls_in}"
        lines.append(Text(f"{session.protocol} with {session.neighbors or 'nobody'}{rolls}", "bold"))
        lines += [_key_line(life, axis, label, room) for life in session.keys]
        lines.append(Text(" " * (label + 1) + _pointers(session, axis, room)))
    lines.append(Text(" " * (label + 1) + _scale(axis, room)))
    lines.append(Text(LEGEND, "dim"))
    return lines


def _key_line(life: KeyLife, axis: Axis, label: int, room: int) -> Text:
    bar = [" "] * room
    for span, mark in ((life.accept, ACCEPT), (life.send, SEND), (life.extension, EXTENSION)):
        reach = None if span is None else axis.reach(span)
        if reach is not None:
            first, last = (round(share * (room - 1)) for share in reach)
            bar[first : last + 1] = mark * (last + 1 - first)
    now = round(axis.share(axis.now) * (room - 1))
    if bar[now] == " ":
        bar[now] = NOW
    extended_from = None if life.extension is None else life.extended_from
    left = lasts(_text(extended_from), _text(_last_end(life)), axis.now)
    word = "extended" if life.is_extended else life.state
    state = (word + (" *" if life.is_sending else ""), STYLES.get(word, ""))
    return Text.assemble(f"  {life.name}".ljust(label), " ", "".join(bar), f" {left:>7} ", state)


def _last_end(life: KeyLife) -> datetime | None:
    spans = [span for span in (life.send, life.accept) if span is not None]
    ends = [span.end for span in spans]
    return None if not ends or None in ends else max(end for end in ends if end is not None)


def _pointers(session: Session, axis: Axis, room: int) -> str:
    line = [" "] * room
    line[round(axis.share(axis.now) * (room - 1))] = NOW
    if session.rolls_at is not None:
        line[round(axis.share(session.rolls_at) * (room - 1))] = ROLLOVER
    return "".join(line).rstrip()


def _scale(axis: Axis, room: int) -> str:
    line = [" "] * (room + len("12-31 23:59"))
    layout = "%m-%d %H:%M" if axis.end - axis.start > FINE else "%H:%M:%S"
    for mark in axis.marks(max(room // 16, 1)):
        text = mark.strftime(layout)
        place = round(axis.share(mark) * (room - 1))
        line[place : place + len(text)] = text
    return "".join(line).rstrip()


def _as_data(session: Session) -> dict[str, object]:
    return {
        "protocol": session.protocol,
        "neighbors": session.neighbors,
        "rolls-at": _text(session.rolls_at),
        "keys": [
            {
                "admin-key-name": life.name,
                "state": life.state,
                "selected-for-sending": life.is_sending,
                "extended": life.is_extended,
                "extended-from": _text(life.extended_from),
                "send": _span_data(life.send),
                "accept": _span_data(life.accept),
            }
            for life in session.keys
        ],
    }


def _span_data(span: Span | None) -> dict[str, str | None] | None:
    return None if span is None else {"start": _text(span.start), "end": _text(span.end)}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
