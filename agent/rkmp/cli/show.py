"""The ``show`` commands: a subtree of the agent's data, as a table for people or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import NETCONF, Session
from rkmp.cli.views import STYLES, VIEWS, View


def show(session: Session, subject: str, console: Console, *, as_json: bool, as_xml: bool) -> None:
    """Print ``subject`` (a key of :data:`VIEWS`)."""
    view = VIEWS[subject]
    if as_json or as_xml:
        answer = session.get(subtree(view.selection))
        if as_json:
            print(json.dumps(to_dictionary(answer), indent=2))
        else:
            print_document(console, document(answer, "data"))
        return
    data = to_dictionary(session.get(*map(subtree, (view.selection, *view.besides))))
    console.print(render_table(view, data))
    if view.below is not None:
        below = render_table(view.below, data)
        if below.row_count:
            console.print()
            console.print(below)


def render_table(
    view: View,
    data: Mapping[str, Any],
    *,
    title: str | None = None,
    now: datetime | None = None,
    most: int | None = None,
) -> Table:
    """Return ``data`` as the table of ``view`` at ``now``, by default the present, with ``most`` rows at most."""
    table = Table(*view.columns, title=title or view.title, title_justify="left", box=None, pad_edge=False)
    rows = view.rows(data, now or datetime.now(UTC))
    left_out = 0 if most is None or len(rows) <= most else len(rows) - most + 1
    for row in rows[: len(rows) - left_out]:
        # As it is: what peers and operators have written is no markup.
        table.add_row(*(Text(cell, STYLES.get(cell.partition(" ")[0], "")) for cell in row))
    if left_out:
        table.add_row(Text(f"and {left_out} more", "dim"))
    return table


def show_config(session: Session, source: str, console: Console, *, as_json: bool) -> None:
    """Print a configuration datastore, without the secrets that it holds."""
    data = session.get_config(source)
    if as_json:
        print(json.dumps(to_dictionary(data), indent=2))
    else:
        print_document(console, document(data, "config"))


def document(data: etree._Element, name: str) -> str:
    """Return what is in ``data`` as one element, as people write it, so that other tools and `rkmp apply` can read it.

    Elements have no prefixes: each that is of another namespace than what it is in declares its own.
    """
    root = etree.Element(f"{{{NETCONF}}}{name}", nsmap={**_prefixes_in_values(data), None: NETCONF})
    for top in data.iterchildren("*"):
        _append_copy(root, top)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode").rstrip()


def print_document(console: Console, text: str) -> None:
    """Print XML, on a terminal in colours."""
    if not console.is_terminal:
        print(text)
        return
    from rich.syntax import Syntax

    lines = Syntax(text, "xml", theme="ansi_dark", background_color="default").highlight(text)
    lines.rstrip()
    console.print(lines, soft_wrap=True)


def _append_copy(parent: etree._Element, element: etree._Element) -> None:
    namespace = etree.QName(element).namespace or ""
    bindings: dict[str | None, str] = {} if namespace == etree.QName(parent).namespace else {None: namespace}
    copy = etree.SubElement(parent, element.tag, element.attrib, nsmap=bindings)
    copy.text = element.text
    for child in element.iterchildren("*"):
        _append_copy(copy, child)


def _prefixes_in_values(data: etree._Element) -> dict[str | None, str]:
    """Return the prefixes of identityrefs in ``data`` and what they stand for."""
    prefixes = {(element.text or "").partition(":")[0] for element in data.iter("*") if not len(element)}
    return {prefix: namespace for prefix, namespace in data.nsmap.items() if prefix is not None and prefix in prefixes}


def subtree(path: tuple[str, ...]) -> etree._Element:
    """Return a subtree filter that selects the node at ``path``, Clark tags from the top-level node down."""
    root = etree.Element(path[0], nsmap={None: etree.QName(path[0]).namespace or ""})
    element = root
    for tag in path[1:]:
        element = etree.SubElement(element, tag)
    return root
