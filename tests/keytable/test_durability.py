"""Negotiated rows on the disk: whole or absent however the process ends, sealed, and refused once altered."""

from __future__ import annotations

import logging
import os
import signal
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from rkmp.errors import KeyTableError, StorageError
from rkmp.keytable import Direction, KeyRow, KeyTable
from rkmp.secret import Secret
from rkmp.storage import Database, Sealer, SqlValue
from tests.keytable.rows import (
    NOON,
    SECRET_OCTETS,
    after,
    key_encryption_key,
    lifetime,
    manual_row,
    negotiated_row,
    open_table,
    provenance,
    recorded,
)

ROWS_A_STEP = 3
LOOPS = 40


def step_rows(step: int) -> list[KeyRow]:
    """Return the rows that step ``step`` installs together."""
    return [
        negotiated_row(
            f"key-{step}-{part}",
            local_key_name=f"{(step * ROWS_A_STEP + part) % 256:02x}",
            peer_key_name=f"{(step * ROWS_A_STEP + part) % 256:02x}",
            key=Secret(struct.pack(">QQ", step, part)),
        )
        for part in range(ROWS_A_STEP)
    ]


def expected_rows(steps: int) -> set[KeyRow]:
    """Return what the table holds once ``steps`` steps are done: the last step's rows, and the one's before, ended."""
    if steps == 0:
        return set()
    older = step_rows(steps - 2) if steps > 1 else []
    return set(step_rows(steps - 1)) | {replace(row, send_lifetime=lifetime(0, 60)) for row in older}


def take_steps(table: KeyTable, first: int, acknowledge: Callable[[int], None]) -> None:
    step = first
    while True:
        with table.transaction(NOON) as change:
            for row in step_rows(step - 2) if step > 1 else []:
                change.remove(row.admin_key_name, "replaced")
            for row in step_rows(step - 1) if step > 0 else []:
                change.update(replace(row, send_lifetime=lifetime(0, 60)))
            for row in step_rows(step):
                change.install(row)
        step += 1
        acknowledge(step)


def run_and_kill(path: Path, first: int, seconds: float) -> int:
    """Let a child take steps from ``first`` on, kill it after ``seconds``, return how many it had acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            take_steps(open_table(Database(path)), first, lambda done: void(os.write(writing, struct.pack(">Q", done))))
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    acknowledged = b""
    while part := os.read(reading, 65536):
        acknowledged += part
    os.close(reading)
    assert len(acknowledged) % 8 == 0
    return int(struct.unpack(">Q", acknowledged[-8:])[0]) if acknowledged else first


def void(_: object) -> None:
    """Make a callable's result of no account."""


def test_kill_at_any_instant_loses_no_acknowledged_row_and_leaves_none_half_there(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    # The instants differ from run to run on purpose; a failure names the seed.
    seed = int.from_bytes(os.urandom(4), "big")
    chance = Random(seed)
    done, kills_amid_work, longest = 0, 0, 0.04
    for _ in range(LOOPS):
        acknowledged = run_and_kill(path, done, chance.uniform(0.002, longest))
        if acknowledged > done:
            kills_amid_work += 1
        else:
            # A machine with much else to do gets a child to its first step later.
            longest = min(longest * 1.5, 1.0)
        with Database(path) as database:
            found = set(open_table(database).rows())
        # The last step may have become durable without its acknowledgement.
        assert found in (expected_rows(acknowledged), expected_rows(acknowledged + 1)), f"seed {seed}"
        done = acknowledged if found == expected_rows(acknowledged) else acknowledged + 1
    assert kills_amid_work > LOOPS // 4


def altered(path: Path, statement: str) -> None:
    with Database(path) as database, database.transaction() as transaction:
        assert transaction.execute(statement) > 0


def two_keys(path: Path) -> tuple[KeyRow, KeyRow]:
    one = negotiated_row("one")
    two = negotiated_row("two", local_key_name="03", peer_key_name="04", key=Secret(b"another key"))
    with Database(path) as database, open_table(database).transaction(NOON) as change:
        change.install(one)
        change.install(two)
    return one, two


SWAP_KEYS = """
UPDATE negotiated_keys SET sealed_key =
    (SELECT other.sealed_key FROM negotiated_keys AS other WHERE other.admin_key_name != negotiated_keys.admin_key_name)
"""


@pytest.mark.parametrize(
    "statement",
    [
        SWAP_KEYS,
        "UPDATE negotiated_keys SET admin_key_name = 'three' WHERE admin_key_name = 'two'",
        "UPDATE negotiated_keys SET sealed_key = substr(sealed_key, 1, length(sealed_key) - 1)",
        "UPDATE negotiated_keys SET sealed_key = ''",
        "UPDATE negotiated_keys SET sealed_key = 'text'",
    ],
)
def test_a_key_that_was_moved_or_cut_does_not_open(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "rkmp.db"
    two_keys(path)
    altered(path, statement)
    with (
        Database(path) as database,
        pytest.raises(StorageError, match=r"stored key '.*' cannot be used.*restore a backup"),
    ):
        open_table(database)


def test_no_column_can_be_changed_under_a_key(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    two_keys(path)
    with Database(path) as database:
        columns = [name for (name,) in database.rows("SELECT name FROM pragma_table_info('negotiated_keys')")]
        rows = database.rows("SELECT * FROM negotiated_keys")
    assert len(columns) == 22
    for position, column in enumerate(columns):
        others: dict[type, SqlValue] = {str: "another", int: 12345, bytes: bytes(8), type(None): 1}
        other = others[type(rows[1][position])]
        with Database(path) as database:
            with database.transaction() as transaction:
                transaction.execute(f"UPDATE negotiated_keys SET {column} = ? WHERE admin_key_name = 'two'", (other,))  # noqa: S608
            with pytest.raises(StorageError, match="cannot be used"):
                open_table(database)
            name = other if column == "admin_key_name" else "two"
            with database.transaction() as transaction:
                transaction.execute(
                    f"UPDATE negotiated_keys SET {column} = ? WHERE admin_key_name = ?",  # noqa: S608
                    (rows[1][position], name),
                )
            open_table(database)


def test_a_stored_row_that_later_rules_refuse_is_named(tmp_path: Path) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        table = open_table(database)
        row = negotiated_row()
        object.__setattr__(row, "protocol", "ospf")
        with table.transaction(NOON) as change:
            change.install(row)
        with pytest.raises(StorageError, match=r"stored key 'negotiated' cannot be used: .*'ospf' is none of"):
            open_table(database)


def test_every_field_survives_the_disk(tmp_path: Path) -> None:
    row = negotiated_row(
        "réseau/1",
        peers=("192.0.2.2", "r2", "2001:db8::2"),
        interfaces=("eth0", "eth1"),
        protocol="255",
        local_key_name="0000002a",
        peer_key_name="",
        ignore_tcp_options=True,
        kdf="none",
        alg_id="aes-128-cmac",
        key=Secret(bytes(range(16))),
        direction=Direction.IN,
        send_lifetime=lifetime(0.000001),
        accept_lifetime=lifetime(-0.5, 1e9),
        provenance=provenance(peer="r2", association="255", role="responder", negotiated_at=after(0.25)),
    )
    with Database(tmp_path / "rkmp.db") as database, open_table(database).transaction(NOON) as change:
        change.install(row)
    with Database(tmp_path / "rkmp.db") as database:
        assert open_table(database).rows() == (row,)


def test_key_octets_reach_neither_files_nor_logs_nor_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "rkmp.db"
    shown: list[str] = []
    with Database(path) as database:
        table = open_table(database)
        events = recorded(table)
        with table.transaction(NOON) as change:
            change.install(negotiated_row())
            with pytest.raises(KeyTableError) as clash:
                change.install(negotiated_row("clash"))
        shown.append(str(clash.value))
        table.apply_manual(table.prepare_manual([manual_row(peers=("r3",))]), NOON)
        table.remove("negotiated", after(1), "test")
        with table.transaction(NOON) as change:
            change.install(negotiated_row())
        shown += [repr(events), repr(table.rows()), repr(table.prepare_manual([])), caplog.text]
        on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    on_disk += path.read_bytes()
    with Database(path) as database, pytest.raises(StorageError) as refusal:
        KeyTable(database, Sealer(key_encryption_key(2), "key-table"), os.urandom)
    shown.append("".join(traceback.format_exception(refusal.value)))
    assert b"negotiated" in on_disk
    for form in (SECRET_OCTETS, SECRET_OCTETS[:8], SECRET_OCTETS.hex().encode()):
        assert form not in on_disk
    for text in shown:
        assert SECRET_OCTETS.hex()[:12] not in text
        assert repr(SECRET_OCTETS)[2:14] not in text


def test_a_disk_that_refuses_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        table = open_table(database)
        with table.transaction(NOON) as change:
            change.install(negotiated_row("kept"))
        events = recorded(table)
        database._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="read-only"):
            table.remove("kept", NOON, "test")
        database._connection.execute("PRAGMA query_only = OFF")
        assert [row.admin_key_name for row in table.rows()] == ["kept"]
        assert events == []
        table.remove("kept", NOON, "test")
        assert table.rows() == ()


def test_one_row_costs_one_page_of_writing(tmp_path: Path) -> None:
    """Durable before acknowledged has to stay cheap: a commit writes the page that holds the row, and no other."""
    path = tmp_path / "rkmp.db"
    frame = 24 + 4096
    with Database(path) as database:
        table = open_table(database)
        with table.transaction(NOON) as change:
            change.install(negotiated_row("first"))
        log = path.with_name("rkmp.db-wal")
        before = log.stat().st_size
        with table.transaction(NOON) as change:
            change.install(negotiated_row("second", local_key_name="03", peer_key_name="04"))
        assert log.stat().st_size - before == frame
