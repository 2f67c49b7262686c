"""Draws panels with their lines as SVG, laid out as Grafana does: numbers as they are last, and curves over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from lxml import etree

from tests.docs.dashboard.panels import Line, Panel

SVG = "http://www.w3.org/2000/svg"
COLUMN, ROW = 48, 27
"""Pixels of a cell of the grid, which has 24 columns."""
GAP, HEAD, FOOT, LABEL = 4, 26, 18, 46
"""Pixels around a panel, of its title, of its times and of the labels of its values."""
LEGEND_ROW, LEGEND_CHARACTER = 16, 6.2
COLOURS = ("#1f77b4", "#d94801", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#17a2b8")
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))

_STYLE = """
text { font: 11px sans-serif; fill: #444 } .title { font-size: 12px; font-weight: bold } .value { font-size: 20px }
.panel { fill: #fff; stroke: #ddd } .grid { stroke: #eee } .ground { fill: #f4f5f5 }
.line { fill: none; stroke-width: 1.5 }
"""


def draw(drawn: Sequence[tuple[Panel, Sequence[Line]]], start: float, end: float) -> etree._Element:
    """Return the ``svg`` element; curves are drawn between two moments (Unix time)."""
    width = 24 * COLUMN
    height = max(panel.y + panel.height for panel, _ in drawn) * ROW
    root = etree.Element(f"{{{SVG}}}svg", nsmap={None: SVG}, viewBox=f"0 0 {width} {height}", role="img")
    _add(root, "title").text = "The dashboard of rkmp"
    _add(root, "style").text = _STYLE
    _add(root, "rect", "ground", width=width, height=height)
    for panel, lines in drawn:
        place = _add(root, "g", transform=f"translate({panel.x * COLUMN + GAP} {panel.y * ROW + GAP})")
        inside = panel.width * COLUMN - 2 * GAP, panel.height * ROW - 2 * GAP
        _add(place, "rect", "panel", width=inside[0], height=inside[1], rx=3)
        _text(place, 8, 17, panel.title, "title")
        if panel.kind == "stat":
            _numbers(place, panel, lines, inside[0])
        else:
            _curves(place, panel, lines, inside, (start, end))
    return root


def _numbers(place: etree._Element, panel: Panel, lines: Sequence[Line], width: int) -> None:
    columns = 1 if len(lines) < 4 else 2
    for number, line in enumerate(lines):
        x, y = 8 + number % columns * (width // columns), HEAD + 22 + number // columns * 28
        text = written(line.points[-1][1], panel.unit)
        _text(place, x, y, text, "value")
        _text(place, x + 8 + 12 * len(text), y, line.legend)


def _curves(
    place: etree._Element, panel: Panel, lines: Sequence[Line], size: tuple[int, int], span: tuple[float, float]
) -> None:
    width, height = size[0] - LABEL - 10, size[1] - HEAD - FOOT
    height -= _legend(place, lines, size)
    values = [value for line in lines for _, value in line.points]
    top, bottom = max([*values, 0.0]) or 1.0, min([*values, 0.0])
    for step in range(4):
        value = bottom + (top - bottom) * step / 3
        y = HEAD + height * (1 - step / 3)
        _add(place, "line", "grid", x1=LABEL, x2=LABEL + width, y1=_px(y), y2=_px(y))
        _text(place, LABEL - 4, y + 4, written(value, panel.unit), anchor="end")
    for step in range(5):
        seconds = round((span[1] - span[0]) * step / 4)
        x = LABEL + width * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        _text(place, x, HEAD + height + 14, f"{seconds // 60}:{seconds % 60:02}", anchor=anchor)
    for number, line in enumerate(lines):
        for part in _without_gaps(line.points):
            path = " ".join(
                f"{_px(LABEL + width * (at - span[0]) / (span[1] - span[0]))},"
                f"{_px(HEAD + height * (1 - (value - bottom) / (top - bottom)))}"
                for at, value in part
            )
            _add(place, "polyline", "line", points=path, stroke=COLOURS[number % len(COLOURS)])


def _without_gaps(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the parts between which nothing was known: where the time is more than twice the usual one."""
    steps = [later[0] - earlier[0] for earlier, later in pairwise(points)]
    parts = [[points[0]]]
    for step, point in zip(steps, points[1:], strict=True):
        if step > 2 * min(steps):
            parts.append([])
        parts[-1].append(point)
    return parts


def _legend(place: etree._Element, lines: Iterable[Line], size: tuple[int, int]) -> int:
    """Write the legends from the bottom up and return the pixels that they take."""
    rows: list[list[tuple[float, int, str]]] = [[]]
    x = 10.0
    for number, line in enumerate(lines):
        wide = 20 + LEGEND_CHARACTER * len(line.legend)
        if rows[-1] and x + wide > size[0]:
            rows.append([])
            x = 10.0
        rows[-1].append((x, number, line.legend))
        x += wide
    for up, row in enumerate(reversed(rows)):
        y = size[1] - 6 - up * LEGEND_ROW
        for at, number, legend in row:
            _add(place, "rect", x=_px(at), y=y - 8, width=8, height=8, fill=COLOURS[number % len(COLOURS)])
            _text(place, at + 12, y, legend)
    return len(rows) * LEGEND_ROW


def written(value: float, unit: str) -> str:
    """Return a value as people read it."""
    if unit == "s" and value:
        size, name = next((each for each in UNITS if abs(value) >= each[0]), UNITS[-1])
        return f"{_short(value / size)} {name}"
    return f"{_short(value)}/s" if unit == "pps" else _short(value)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2g}"


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add(parent: etree._Element, name: str, kind: str = "", **attributes: object) -> etree._Element:
    element = etree.SubElement(parent, f"{{{SVG}}}{name}", {key: str(each) for key, each in attributes.items()})
    if kind:
        element.set("class", kind)
    return element


def _text(parent: etree._Element, x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> None:
    attributes = {} if anchor == "start" else {"text-anchor": anchor}
    _add(parent, "text", kind, x=_px(x), y=_px(y), **attributes).text = content
