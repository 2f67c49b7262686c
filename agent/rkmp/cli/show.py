"""The ``show`` commands: a subtree of the agent's data, as a table for people or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from rich.console import Console
from rich.table import Table

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import NETCONF, Session

RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class View:
    """One ``show`` subject: what to ask for, and how its data becomes rows.

    ``selection`` is the path of Clark tags of the subtree filter, from the top-level node down.
    """

    title: str
    selection: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Callable[[Mapping[str, Any], datetime], list[Row]]


def show(session: Session, subject: str, console: Console, *, as_json: bool) -> None:
    """Print ``subject`` (a key of :data:`VIEWS`)."""
    view = VIEWS[subject]
    data = to_dictionary(session.get(subtree(view.selection)))
    if as_json:
        print(json.dumps(data, indent=2))
        return
    console.print(render_table(view, data))


def render_table(view: View, data: Mapping[str, Any], *, title: str | None = None) -> Table:
    """Return ``data`` as the table of ``view``."""
    table = Table(*view.columns, title=title or view.title, title_justify="left", box=None, pad_edge=False)
    for row in view.rows(data, datetime.now(UTC)):
        table.add_row(*row)
    return table


def show_config(session: Session, source: str, *, as_json: bool) -> None:
    """Print a configuration datastore, without the secrets that it holds."""
    data = session.get_config(source)
    if as_json:
        print(json.dumps(to_dictionary(data), indent=2))
        return
    # One element, so that what is printed is a document that other tools, and `rkmp apply`, can read.
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={**data.nsmap, None: NETCONF})
    config.extend(list(data))
    etree.cleanup_namespaces(config, keep_ns_prefixes=_prefixes_in_values(config))
    etree.indent(config)
    print(etree.tostring(config, encoding="unicode").rstrip())


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


def _peers(data: Mapping[str, Any], _now: datetime) -> list[Row]:
    rows: list[Row] = []
    for peer in _list(data, "rkmp", "peer"):
        associations = _list(peer, "association")
        up = [sa for sa in _list(peer, "ike-sa") if sa.get("state") == "established"]
        errors = [entry["last-error"] for entry in associations if entry.get("last-error")]
        states = [f"{entry['protocol']} {entry.get('state', '-')}" for entry in associations]
        rows.append(
            (
                peer["name"],
                f"{peer.get('address', '-')}:{peer.get('port', '500')}",
                "up" if up else "down",
                ", ".join(states) or "-",
                "; ".join(dict.fromkeys(errors)) or "-",
            )
        )
    return rows


def _associations(data: Mapping[str, Any], now: datetime) -> list[Row]:
    return [
        (
            peer["name"],
            entry["protocol"],
            entry.get("state", "-"),
            entry.get("current-key", "-"),
            entry.get("next-key", "-"),
            f"{entry.get('send-id', '-')}/{entry.get('recv-id', '-')}",
            time_left(entry.get("next-rollover-at"), now),
            entry.get("rollovers", "0"),
            entry.get("last-error", "-"),
        )
        for peer in _list(data, "rkmp", "peer")
        for entry in _list(peer, "association")
    ]


def _keys(data: Mapping[str, Any], now: datetime) -> list[Row]:
    return [
        (
            key["admin-key-name"],
            identity(key.get("protocol", "-")),
            ", ".join(_list(key, "peer")) or "-",
            f"{key.get('peer-key-name', '-')}/{key.get('local-key-name', '-')}",
            identity(key.get("alg-id", "-")),
            key.get("state", "-") + (" *" if key.get("selected-for-sending") == "true" else ""),
            time_left((key.get("send-lifetime") or {}).get("end"), now),
            time_left((key.get("accept-lifetime") or {}).get("end"), now),
            "negotiated" if "rkmp" in key else "manual",
            key.get("fingerprint", "-"),
        )
        for key in _list(data, "key-table", "key")
    ]


def time_left(moment: str | None, now: datetime) -> str:
    """Return how long until a yang:date-and-time, as ``2d03h``, ``3h05m``, ``4m10s`` or ``7s``; ``-`` for never."""
    if moment is None:
        return "-"
    seconds = int((datetime.fromisoformat(moment) - now).total_seconds())
    if seconds < 0:
        return "past"
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hours}h{minute:02}m"
    return f"{minutes}m{second:02}s" if minutes else f"{second}s"


def identity(value: str) -> str:
    """Return an identityref's name without its prefix, which people do not need."""
    return value.rpartition(":")[2]


def _list(data: Mapping[str, Any], *path: str) -> list[Any]:
    value: Any = data
    for name in path:
        value = (value or {}).get(name)
    return value or []


VIEWS: dict[str, View] = {
    "peers": View(
        "Peers",
        (f"{{{RKMP}}}rkmp", f"{{{RKMP}}}peer"),
        ("PEER", "ADDRESS", "IKE SA", "ASSOCIATIONS", "LAST ERROR"),
        _peers,
    ),
    "associations": View(
        "Associations",
        (f"{{{RKMP}}}rkmp", f"{{{RKMP}}}peer"),
        ("PEER", "PROTOCOL", "STATE", "CURRENT KEY", "NEXT KEY", "SEND/RECV", "ROLLS IN", "ROLLED", "LAST ERROR"),
        _associations,
    ),
    "keys": View(
        "Keys (* sends)",
        (f"{{{KEY_TABLE}}}key-table", f"{{{KEY_TABLE}}}key"),
        (
            "NAME",
            "PROTOCOL",
            "NEIGHBOR",
            "SEND/RECV",
            "ALGORITHM",
            "STATE",
            "SENDS FOR",
            "ACCEPTED FOR",
            "ORIGIN",
            "FINGERPRINT",
        ),
        _keys,
    ),
}
