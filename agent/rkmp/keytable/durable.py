"""Negotiated keys on the disk: one database row each, the key itself sealed and bound to everything else in its row.

Whoever can write to the file but lacks the key-encryption key can therefore neither swap two keys nor lengthen a
lifetime: such a row no longer opens, and the agent says so instead of using it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rkmp.errors import CorruptStoreError, KeyTableError, StorageError
from rkmp.instant import Random
from rkmp.keytable.row import Direction, KeyRow, Lifetime, Provenance
from rkmp.secret import Secret
from rkmp.storage import BoundField, Database, Migration, Sealer, Transaction

_COLUMNS = (
    *("admin_key_name", "local_key_name", "peer_key_name", "peers", "interfaces", "protocol", "ignore_tcp_options"),
    *("kdf", "alg_id", "direction", "send_start", "send_end", "accept_start", "accept_end"),
    *("peer", "association", "ike_spi_local", "ike_spi_remote", "negotiated_at", "role"),
)
"""Every column that each row has but the sealed key, in the order in which they are bound to it: part of the format on
the disk. ``extended_from`` is bound as one more where it is not NULL."""

# Instants are microseconds since 1970 in UTC, a lifetime without an end has none here, sets are JSON arrays.
_TABLE = """
CREATE TABLE negotiated_keys (
    admin_key_name TEXT PRIMARY KEY NOT NULL,
    local_key_name TEXT NOT NULL,
    peer_key_name TEXT NOT NULL,
    peers TEXT NOT NULL,
    interfaces TEXT NOT NULL,
    protocol TEXT NOT NULL,
    ignore_tcp_options INTEGER NOT NULL,
    kdf TEXT NOT NULL,
    alg_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    send_start INTEGER NOT NULL,
    send_end INTEGER,
    accept_start INTEGER NOT NULL,
    accept_end INTEGER,
    peer TEXT NOT NULL,
    association TEXT NOT NULL,
    ike_spi_local BLOB NOT NULL,
    ike_spi_remote BLOB NOT NULL,
    negotiated_at INTEGER NOT NULL,
    role TEXT NOT NULL,
    sealed_key BLOB NOT NULL
) WITHOUT ROWID"""
_EXTENSION = "ALTER TABLE negotiated_keys ADD COLUMN extended_from INTEGER"
_MIGRATIONS = (Migration(1, (_TABLE,)), Migration(2, (_EXTENSION,)))

_ALL_COLUMNS = ", ".join((*_COLUMNS, "extended_from", "sealed_key"))
_READ = f"SELECT {_ALL_COLUMNS} FROM negotiated_keys ORDER BY negotiated_at, admin_key_name"  # noqa: S608
_WRITE = f"REPLACE INTO negotiated_keys ({_ALL_COLUMNS}) VALUES ({', '.join('?' * 22)})"  # noqa: S608
_REMOVE = "DELETE FROM negotiated_keys WHERE admin_key_name = ?"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class DurableRows:
    """The table of negotiated keys in ``database``."""

    def __init__(self, database: Database, sealer: Sealer, random: Random) -> None:
        self._database = database
        self._sealer = sealer
        self._random = random
        database.migrate("keytable", _MIGRATIONS)

    def read(self) -> Iterator[KeyRow]:
        """Return every row, oldest first; raise :class:`CorruptStoreError` for one that was altered."""
        for *fields, extended_from, sealed in self._database.rows(_READ):
            try:
                key = self._sealer.open(sealed, _bound(fields, extended_from))
                yield _row(fields, extended_from, key)
            except (StorageError, KeyTableError) as error:
                raise CorruptStoreError(
                    f"{self._database.path}: the stored key {fields[0]!r} cannot be used: {error}; restore a backup"
                ) from error

    def write(self, transaction: Transaction, row: KeyRow, provenance: Provenance) -> None:
        """Add ``row`` or change it."""
        fields, extended_from = _fields(row, provenance), _microseconds(row.extended_from)
        sealed = self._sealer.seal(row.key, _bound(fields, extended_from), self._random)
        transaction.execute(_WRITE, (*fields, extended_from, sealed))

    def remove(self, transaction: Transaction, admin_key_name: str) -> None:
        """Take out the row of that name."""
        transaction.execute(_REMOVE, (admin_key_name,))


def _fields(row: KeyRow, provenance: Provenance) -> tuple[BoundField, ...]:
    """Return the values of :data:`_COLUMNS`."""
    return (
        row.admin_key_name,
        row.local_key_name,
        row.peer_key_name,
        json.dumps(row.peers),
        json.dumps(row.interfaces),
        row.protocol,
        int(row.ignore_tcp_options),
        row.kdf,
        row.alg_id,
        row.direction.value,
        _microseconds(row.send_lifetime.start),
        _microseconds(row.send_lifetime.end),
        _microseconds(row.accept_lifetime.start),
        _microseconds(row.accept_lifetime.end),
        provenance.peer,
        provenance.association,
        provenance.ike_spi_local,
        provenance.ike_spi_remote,
        _microseconds(provenance.negotiated_at),
        provenance.role,
    )


def _bound(fields: Sequence[BoundField], extended_from: int | None) -> Sequence[BoundField]:
    """Return what the sealed key is bound to; without an extension it is what it was before there were any."""
    return fields if extended_from is None else (*fields, extended_from)


def _row(fields: Sequence[Any], extended_from: int | None, key: Secret) -> KeyRow:
    """Return the row that :func:`_fields` took apart; the seal has shown that these are its very values."""
    values = dict(zip(_COLUMNS, fields, strict=True))
    return KeyRow(
        admin_key_name=values["admin_key_name"],
        local_key_name=values["local_key_name"],
        peer_key_name=values["peer_key_name"],
        peers=tuple(json.loads(values["peers"])),
        protocol=values["protocol"],
        ignore_tcp_options=bool(values["ignore_tcp_options"]),
        kdf=values["kdf"],
        alg_id=values["alg_id"],
        key=key,
        direction=Direction(values["direction"]),
        send_lifetime=_lifetime(values["send_start"], values["send_end"]),
        accept_lifetime=_lifetime(values["accept_start"], values["accept_end"]),
        interfaces=tuple(json.loads(values["interfaces"])),
        provenance=Provenance(
            peer=values["peer"],
            association=values["association"],
            ike_spi_local=values["ike_spi_local"],
            ike_spi_remote=values["ike_spi_remote"],
            negotiated_at=_instant(values["negotiated_at"]),
            role=values["role"],
        ),
        extended_from=None if extended_from is None else _instant(extended_from),
    )


def _microseconds(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _lifetime(start: int, end: int | None) -> Lifetime:
    return Lifetime(_instant(start), None if end is None else _instant(end))
