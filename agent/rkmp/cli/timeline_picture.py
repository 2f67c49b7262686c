"""The lives of keys as SVG: a bar a key, which says everything about it when one points at it."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from rkmp.cli.lifetimes import Axis, KeyLife, Session, Span

SVG = "http://www.w3.org/2000/svg"

WIDTH = 960
LABEL = 280
"""Pixels of the picture, and of what its names take of that."""
ROW, BAR, HEAD, FOOT = 26, 14, 34, 64
LONGEST_NAME = 38
"""Characters of a name that have room."""

_STYLE = """
text { font: 12px sans-serif; fill: #333 } .session { font-weight: bold } .small { font-size: 11px; fill: #666 }
.accept { fill: #9ecae1 } .send { fill: #3182bd } .sending { fill: #08519c } .expired { fill: #bbb }
.extension { fill: #fdae6b }
.grid { stroke: #ddd } .now { stroke: #d94801; stroke-width: 2 } .rollover { fill: #d94801 } .ground { fill: #fff }
"""


def picture(found: Sequence[Session], axis: Axis) -> etree._Element:
    """Return the ``svg`` element."""
    rows = sum(len(session.keys) for session in found)
    height = rows * ROW + len(found) * HEAD + FOOT
    root = etree.Element(
        f"{{{SVG}}}svg",
        nsmap={None: SVG},
        width=str(WIDTH),
        height=str(height),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
    )
    _add(root, "title").text = "Lifetimes of keys"
    _add(root, "style").text = _STYLE
    _add(root, "rect", width=WIDTH, height=height, **{"class": "ground"})
    bottom = height - FOOT
    for mark in axis.marks(6):
        x = _x(axis.share(mark))
        _add(root, "line", x1=x, x2=x, y1=8, y2=bottom, **{"class": "grid"})
        _text(root, x, bottom + 18, mark.strftime("%Y-%m-%d %H:%M"), "small", anchor="middle")
    y = 0
    for session in found:
        y += HEAD
        _text(root, 8, y - 8, f"{session.protocol} with {session.neighbors or 'nobody'}", "session")
        if session.rolls_at is not None:
            x = _x(axis.share(session.rolls_at))
            arrow = _add(root, "path", d=f"M{x - 5} {y - 14} h10 l-5 9 z", **{"class": "rollover"})
            _add(arrow, "title").text = f"next rollover at {session.rolls_at.isoformat()}"
        for life in session.keys:
            _bar(root, life, axis, y)
            y += ROW
    now = _x(axis.share(axis.now))
    _add(root, "line", x1=now, x2=now, y1=8, y2=bottom, **{"class": "now"})
    legend = "light: accepted; dark: sent with; orange: the same past its life, if nothing replaces it"
    _text(root, 8, height - 12, f"now is {axis.now:%Y-%m-%d %H:%M:%S} UTC; {legend}", "small")
    return root


def _bar(root: etree._Element, life: KeyLife, axis: Axis, y: int) -> None:
    name = life.name if len(life.name) <= LONGEST_NAME else f"{life.name[: LONGEST_NAME - 1]}…"
    group = _add(root, "g")
    extension = "" if life.extended_from is None else f"\nextended from {life.extended_from.isoformat()} on"
    told = f"{life.name}: {life.state}\nsent with {_told(life.send)}{extension}\naccepted {_told(life.accept)}"
    _add(group, "title").text = told
    _text(group, 16, y + BAR, name)
    is_over = life.state in ("expired", "disabled")
    sending = "sending" if life.is_sending else "send"
    for span, kind in ((life.accept, "accept"), (life.send, sending), (life.extension, "extension")):
        reach = None if span is None else axis.reach(span)
        if reach is not None:
            start, end = map(_x, reach)
            kind = "expired" if is_over else kind
            _add(group, "rect", x=start, y=y + 2, width=max(end - start, 1), height=BAR, rx=2, **{"class": kind})


def _told(span: Span | None) -> str:
    if span is None:
        return "never"
    start = "always" if span.start is None else span.start.isoformat()
    return f"from {start} to {'for ever' if span.end is None else span.end.isoformat()}"


def _x(share: float) -> float:
    return round(LABEL + share * (WIDTH - LABEL - 60), 1)


def _text(parent: etree._Element, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
    _add(parent, "text", x=x, y=y, **{"class": kind, "text-anchor": anchor}).text = _xml(text)


def _xml(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _add(parent: etree._Element, name: str, **attributes: object) -> etree._Element:
    found = {key: str(value) for key, value in attributes.items() if value != ""}
    return etree.SubElement(parent, f"{{{SVG}}}{name}", found)
