"""Rows, tables and instants for the tests of this room."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from rkmp.keytable import Direction, KeyEvent, KeyRow, KeyTable, Lifetime, Provenance
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET_OCTETS = bytes.fromhex("5ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7")
PEER = "192.0.2.2"


def after(seconds: float) -> datetime:
    """Return the instant ``seconds`` after noon."""
    return NOON + timedelta(seconds=seconds)


def lifetime(start: float, end: float | None = None) -> Lifetime:
    """Return the lifetime between two instants, in seconds after noon."""
    return Lifetime(after(start), None if end is None else after(end))


def provenance(**changes: Any) -> Provenance:
    fields: dict[str, Any] = {
        "peer": "r2",
        "association": "bgp",
        "ike_spi_local": bytes(range(8)),
        "ike_spi_remote": bytes(range(8, 16)),
        "negotiated_at": NOON,
        "role": "initiator",
    }
    return Provenance(**(fields | changes))


def manual_row(name: str = "manual", **changes: Any) -> KeyRow:
    """Return a valid manual key, used from noon on for ever."""
    fields: dict[str, Any] = {
        "admin_key_name": name,
        "local_key_name": "01",
        "peer_key_name": "02",
        "peers": (PEER,),
        "protocol": "bgp",
        "ignore_tcp_options": False,
        "kdf": "hmac-sha-1",
        "alg_id": "hmac-sha-1-96",
        "key": Secret(SECRET_OCTETS),
        "direction": Direction.BOTH,
        "send_lifetime": lifetime(0),
        "accept_lifetime": lifetime(0),
    }
    return KeyRow(**(fields | changes))


def negotiated_row(name: str = "negotiated", **changes: Any) -> KeyRow:
    """Return a valid negotiated key for an hour from noon."""
    return manual_row(
        name,
        **(
            {"send_lifetime": lifetime(0, 3600), "accept_lifetime": lifetime(0, 3660), "provenance": provenance()}
            | changes
        ),
    )


def key_encryption_key(octet: int = 1) -> KeyEncryptionKey:
    return KeyEncryptionKey(Secret(bytes([octet]) * 32))


def open_table(database: Database) -> KeyTable:
    return KeyTable(database, Sealer(key_encryption_key(), "key-table"), os.urandom)


def memory_table() -> KeyTable:
    return open_table(Database(IN_MEMORY))


def recorded(table: KeyTable) -> list[KeyEvent]:
    """Return a list that collects the events of ``table`` from now on."""
    events: list[KeyEvent] = []
    table.subscribe(events.append)
    return events
