"""What ``show`` shows as tables: how the agent's data becomes rows for people, one view a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"

Row = Sequence[str]
Path = tuple[str, ...]
"""Clark tags of a subtree filter, from the top-level node down."""

PEERS: Path = (f"{{{RKMP}}}rkmp", f"{{{RKMP}}}peer")
KEYS: Path = (f"{{{KEY_TABLE}}}key-table", f"{{{KEY_TABLE}}}key")


@dataclass(frozen=True, slots=True)
class View:
    """One ``show`` subject: what to ask for, and how its data becomes rows.

    ``selection`` is what ``--json`` prints as well; ``besides`` is what only the table looks at.
    """

    title: str
    selection: Path
    columns: tuple[str, ...]
    rows: Callable[[Mapping[str, Any], datetime], list[Row]]
    besides: tuple[Path, ...] = ()
    below: View | None = None
    """What is shown below it, where that has any rows."""


def _peers(data: Mapping[str, Any], _now: datetime) -> list[Row]:
    rows: list[Row] = []
    for peer in entries(data, "rkmp", "peer"):
        associations = entries(peer, "association")
        up = [sa for sa in entries(peer, "ike-sa") if sa.get("state") == "established"]
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
            _rolls_in(entry.get("next-rollover-at"), now),
            entry.get("rollovers", "0"),
            entry.get("last-error", "-"),
        )
        for peer in entries(data, "rkmp", "peer")
        for entry in entries(peer, "association")
    ]


def _consumers(data: Mapping[str, Any], _now: datetime) -> list[Row]:
    return [
        (
            peer["name"],
            entry["protocol"],
            f"{consumer.get('kind', '-')} {consumer.get('name', '')}".rstrip(),
            consumer.get("state", "-"),
            ", ".join(entries(consumer, "sending-key")) or "-",
            ", ".join(entries(consumer, "accepted-key")) or "-",
            f"{consumer.get('last-step', '-')} {consumer.get('last-step-key', '')}".rstrip(),
            consumer.get("consumer-error", "-"),
        )
        for peer in entries(data, "rkmp", "peer")
        for entry in entries(peer, "association")
        for consumer in entries(entry, "consumer")
    ]


def _keys(data: Mapping[str, Any], now: datetime) -> list[Row]:
    rolls = {
        entry["current-key"]: entry.get("next-rollover-at")
        for peer in entries(data, "rkmp", "peer")
        for entry in entries(peer, "association")
        if "current-key" in entry
    }
    return [
        (
            key["admin-key-name"],
            identity(key.get("protocol", "-")),
            ", ".join(entries(key, "peer")) or "-",
            f"{key.get('peer-key-name', '-')}/{key.get('local-key-name', '-')}",
            identity(key.get("alg-id", "-")),
            state_of(key) + (" *" if key.get("selected-for-sending") == "true" else ""),
            _rolls_in(rolls.get(key["admin-key-name"]), now),
            lasts(key.get("extended-from"), (key.get("send-lifetime") or {}).get("end"), now),
            time_left((key.get("accept-lifetime") or {}).get("end"), now),
            "negotiated" if "rkmp" in key else "manual",
            key.get("fingerprint", "-"),
        )
        for key in sorted(entries(data, "key-table", "key"), key=_place)
    ]


def _place(key: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Where a key stands among others: with those of its session, in the order in which they take over."""
    start = (key.get("send-lifetime") or {}).get("start", "")
    return identity(key.get("protocol", "")), ",".join(entries(key, "peer")), start, key["admin-key-name"]


def state_of(key: Mapping[str, Any]) -> str:
    """Return the state of a key as people are told it: one that only policy keeps alive is called so."""
    return "extended" if key.get("extended") == "true" else str(key.get("state", "-"))


def lasts(extended_from: str | None, end: str | None, now: datetime) -> str:
    """Return how long a key is still sent with, or for how long it has been ``over`` while its life is extended.

    The moments are those of the end of its life, where that may be extended, and of its last lifetime.
    """
    life, last = (None if moment is None else datetime.fromisoformat(moment) for moment in (extended_from, end))
    if life is None or (last is not None and last < max(life, now)):
        return time_left(end, now)
    return time_left(extended_from, now) if now <= life else f"{_length(int((now - life).total_seconds()))} over"


def _rolls_in(moment: str | None, now: datetime) -> str:
    left = time_left(moment, now)
    return "due" if left == "past" else left


def time_left(moment: str | None, now: datetime) -> str:
    """Return how long until a yang:date-and-time, as ``2d03h``, ``3h05m``, ``4m10s`` or ``7s``; ``-`` for never."""
    if moment is None:
        return "-"
    seconds = int((datetime.fromisoformat(moment) - now).total_seconds())
    return "past" if seconds < 0 else _length(seconds)


def _length(seconds: int) -> str:
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


def entries(data: Mapping[str, Any], *path: str) -> list[Any]:
    """Return the entries of the list at ``path``, none where it is not there."""
    value: Any = data
    for name in path:
        value = (value or {}).get(name)
    return value or []


STYLES: Mapping[str, str] = {
    "up": "green",
    "established": "green",
    "active": "green",
    "down": "yellow",
    "synchronised": "green",
    "not-responding": "bold red",
    "awaiting-peer": "cyan",
    "changing": "cyan",
    "without-keys": "yellow",
    "pending": "cyan",
    "negotiating": "cyan",
    "rolling-over": "cyan",
    "extended": "bold red",
    "accept-only": "yellow",
    "failed": "bold red",
    "expired": "dim",
    "disabled": "dim",
}
"""How a terminal shows cells that begin with a state."""

CONSUMERS = View(
    "Consumers of their keys",
    PEERS,
    ("PEER", "PROTOCOL", "CONSUMER", "STATE", "SENDS WITH", "ACCEPTS", "LAST STEP", "LAST ERROR"),
    _consumers,
)

VIEWS: dict[str, View] = {
    "peers": View(
        "Peers",
        PEERS,
        ("PEER", "ADDRESS", "IKE SA", "ASSOCIATIONS", "LAST ERROR"),
        _peers,
    ),
    "associations": View(
        "Associations",
        PEERS,
        ("PEER", "PROTOCOL", "STATE", "CURRENT KEY", "NEXT KEY", "SEND/RECV", "ROLLS IN", "ROLLED", "LAST ERROR"),
        _associations,
        below=CONSUMERS,
    ),
    "keys": View(
        "Keys (* sends)",
        KEYS,
        (
            "NAME",
            "PROTOCOL",
            "NEIGHBOR",
            "SEND/RECV",
            "ALGORITHM",
            "STATE",
            "ROLLS IN",
            "SENDS FOR",
            "ACCEPTED FOR",
            "ORIGIN",
            "FINGERPRINT",
        ),
        _keys,
        (PEERS,),
    ),
}
