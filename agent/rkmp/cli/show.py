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
        print(json.dumps(to_dictionary(answer), indent=2) if as_json else _document(answer, "data"))
        return
    data = to_dictionary(session.get(*map(subtree, (view.selection, *view.besides))))
    console.print(render_table(view, data))


def render_table(
    view: View, data: Mapping[str, Any], *, title: str | None = None, now: datetime | None = None
) -> Table:
    """Return ``data`` as the table of ``view`` at ``now``, by default the present."""
    table = Table(*view.columns, title=title or view.title, title_justify="left", box=None, pad_edge=False)
    for row in view.rows(data, now or datetime.now(UTC)):
        # As it is: what peers and operators have written is no markup.
        table.add_row(*(Text(cell, STYLES.get(cell.partition(" ")[0], "")) for cell in row))
    return table


def show_config(session: Session, source: str, *, as_json: bool) -> None:
    """Print a configuration datastore, without the secrets that it holds."""
    data = session.get_config(source)
    if as_json:
        print(json.dumps(to_dictionary(data), indent=2))
        return
    print(_document(data, "config"))


def _document(data: etree._Element, name: str) -> str:
    """Return what is in ``data`` as one element, so that other tools, and `rkmp apply`, can read it."""
    root = etree.Element(f"{{{NETCONF}}}{name}", nsmap={**data.nsmap, None: NETCONF})
    root.extend(list(data))
    etree.cleanup_namespaces(root, keep_ns_prefixes=_prefixes_in_values(root))
    etree.indent(root)
    return etree.tostring(root, encoding="unicode").rstrip()


def _prefixes_in_values(config: etree._Element) -> list[str]:
    """Return the prefixes of identityrefs in ``config``, which no element or attribute may use."""
    prefixes = {(element.text or "").partition(":")[0] for element in config.iter("*") if not len(element)}
    return [prefix for prefix in config.nsmap if prefix is not None and prefix in prefixes]


def subtree(path: tuple[str, ...]) -> etree._Element:
    """Return a subtree filter that selects the node at ``path``, Clark tags from the top-level node down."""
    root = etree.Element(path[0], nsmap={None: etree.QName(path[0]).namespace or ""})
    element = root
    for tag in path[1:]:
        element = etree.SubElement(element, tag)
    return root
