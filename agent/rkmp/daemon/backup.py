"""``rkmpd backup`` and ``rkmpd restore``: the whole state directory as one file, taken while the agent runs or not.

A backup is a tar archive that only its owner can read: the database as of one instant, the host key, and, unless it is
kept elsewhere, the key-encryption key. With that key in it, whoever has the file has every key of the agent.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import rkmp
from rkmp.daemon.control import ask
from rkmp.daemon.state_directory import EXIT_STATE, KEY_TABLE_PURPOSE, StateDirectory, has_key_credential
from rkmp.errors import CommandError
from rkmp.instant import Random
from rkmp.keytable import KeyTable
from rkmp.storage import Database, KeyEncryptionKey, Sealer, require_key

FORMAT = 1
"""Version of the archive's layout; a larger one is refused."""

_MANIFEST = "manifest.json"
_LARGEST_MEMBER = 1 << 32
"""Octets; nothing of an agent comes near."""


def back_up(directory: StateDirectory, output: Path, *, with_key: bool, now: datetime) -> None:
    """Write a backup of ``directory`` to the new file ``output`` (0600).

    An agent that runs is asked for a copy of its database, and goes on. Raises :class:`CommandError` where a part
    cannot be read, or ``output`` cannot be written or is there already; then nothing is left of it.
    """
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}", 2) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            with _database_copy(directory) as database, tarfile.open(fileobj=file, mode="w") as archive:
                manifest = {"format": FORMAT, "release": rkmp.__version__, "made": now.isoformat(timespec="seconds")}
                _add(archive, _MANIFEST, json.dumps(manifest).encode())
                _add(archive, directory.database.name, database.read_bytes())
                for each in _files(directory, with_key=with_key):
                    _add(archive, each.name, each.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        output.unlink(missing_ok=True)
        raise CommandError(f"cannot make the backup: {error.strerror or error}", EXIT_STATE) from error
    except BaseException:
        output.unlink(missing_ok=True)
        raise


def restore(
    directory: StateDirectory,
    source: Path,
    *,
    key: Path | None,
    environment: Mapping[str, str],
    now: datetime,
    random: Random,
) -> str:
    """Make ``directory``, which must hold no state, out of the backup ``source``; return when that was made.

    The key-encryption key is that of the backup, or of the file ``key``, or the systemd credential. Negotiated keys are
    left out: the peers may have replaced them since, and with a key that only one side has nothing gets through.

    Raises :class:`CommandError` for what is no backup, and StorageError for one that is damaged or does not fit its
    key; then nothing is left in the directory.
    """
    parts = _read(source)
    made = _check_manifest(source, parts.pop(_MANIFEST, b""))
    names = {file.name for file in (directory.database, *_files(directory, with_key=True))}
    if directory.database.name not in parts or not set(parts) <= names:
        raise CommandError(f"{source} is no backup of an rkmp agent", 2)
    if key is not None:
        try:
            parts[directory.key_encryption_key.name] = key.read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {key}: {error.strerror}", 2) from error
    elif directory.key_encryption_key.name not in parts and not has_key_credential(environment):
        raise CommandError(f"{source} holds no key-encryption key; name its file with --key", 2)
    directory.fill(parts)
    try:
        with contextlib.closing(Database(directory.database)) as database:
            forget_negotiated_keys(database, directory.read_key_encryption_key(environment), now, random)
    except BaseException:
        directory.discard()
        raise
    return made


def forget_negotiated_keys(database: Database, key: KeyEncryptionKey, now: datetime, random: Random) -> None:
    """Take every negotiated key out of a database that was sealed under ``key``."""
    require_key(database, key)
    key_table = KeyTable(database, Sealer(key, KEY_TABLE_PURPOSE), random)
    with key_table.transaction(now) as change:
        for row in key_table.rows():
            change.remove(row.admin_key_name, "restored from a backup")


def _files(directory: StateDirectory, *, with_key: bool) -> list[Path]:
    host_key = directory.host_key
    return [host_key, host_key.with_suffix(".pub"), *([directory.key_encryption_key] if with_key else [])]


@contextlib.contextmanager
def _database_copy(directory: StateDirectory) -> Iterator[Path]:
    """Give a copy of the database inside the state directory, gone afterwards."""
    copy = directory.path / f"backup-{os.getpid()}.db"
    try:
        answer = ask(directory, {"copy-database": copy.name})
        if answer is None:
            # Nobody runs on it, and nobody shall start meanwhile.
            with directory.locked(), contextlib.closing(Database(directory.database)) as database:
                database.copy_to(copy)
        elif "error" in answer:
            raise CommandError(f"the agent could not copy its database: {answer['error']}", EXIT_STATE)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _read(source: Path) -> dict[str, bytes]:
    """Return the content of each member by its name; raise :class:`CommandError` for what is no archive of ours."""
    parts: dict[str, bytes] = {}
    try:
        with tarfile.open(source, mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and member.size <= _LARGEST_MEMBER else None
                if content is None or member.name in parts:
                    raise CommandError(f"{source} is no backup of an rkmp agent", 2)
                parts[member.name] = content.read()
    except tarfile.TarError as error:
        raise CommandError(f"{source} is no backup of an rkmp agent, or is damaged", 2) from error
    except OSError as error:
        raise CommandError(f"cannot read {source}: {error.strerror or error}", 2) from error
    return parts


def _check_manifest(source: Path, content: bytes) -> str:
    try:
        manifest = json.loads(content)
        number, made = int(manifest["format"]), str(manifest["made"])
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{source} is no backup of an rkmp agent", 2) from error
    if number > FORMAT:
        raise CommandError(f"{source} was made by a newer release ({manifest.get('release')}): upgrade first", 2)
    return made
