"""The state directory: everything that an agent keeps, under one path that only its user may read (0700).

======================== ===========================================================================
``rkmp.db``              datastores, key table and users (SQLite); secrets in it are sealed
``rkmp.db.good``         its last good copy, which ``rkmpd --from-last-good`` starts from (0600)
``rkmp.db.corrupt``      a corrupt database that was set aside for that copy (0600)
``key-encryption-key``   32 octets in hexadecimal, the key that seals them (0600)
``ssh_host_ed25519_key`` the NETCONF server's host key (0600) and its public half (``.pub``)
``lock``                 held by the running agent, so that no second one starts on the same state
``schema-cache``         the compiled YANG modules, made anew whenever it is not there or does not fit (0600)
``*.xml``                configurations that clients have put into files (``:url``), without secrets (0600)
``control``              the socket by which ``rkmpd backup`` asks the running agent (0600)
======================== ===========================================================================

Where systemd passes a credential ``key-encryption-key``, that is the key, and the file need not be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from rkmp.errors import CommandError
from rkmp.instant import Random
from rkmp.storage import KeyEncryptionKey

EXIT_STATE = 4
KEY_ENCRYPTION_KEY_OCTETS = 32
KEY_CREDENTIAL = "key-encryption-key"
KEY_TABLE_PURPOSE = "key table"
"""What the keys of the key table are sealed for; see :class:`rkmp.storage.Sealer`."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The paths of one agent's state."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.path / "rkmp.db"

    @property
    def key_encryption_key(self) -> Path:
        """The file that holds the key-encryption key."""
        return self.path / "key-encryption-key"

    @property
    def host_key(self) -> Path:
        """The SSH host key's private half."""
        return self.path / "ssh_host_ed25519_key"

    @property
    def schema_cache(self) -> Path:
        """The compiled modules."""
        return self.path / "schema-cache"

    @property
    def control_socket(self) -> Path:
        """Where a running agent listens for its own commands."""
        return self.path / "control"

    @property
    def holds_state(self) -> bool:
        """Whether an agent has been made here."""
        return any(file.exists() for file in (self.database, self.key_encryption_key, self.host_key))

    def host_key_fingerprint(self) -> str:
        """Return that of the host key and its kind, as ``ssh-keygen -l`` and SSH clients show them: what one compares.

        Raises :class:`CommandError` when the key cannot be read.
        """
        try:
            key = asyncssh.read_public_key(self.host_key.with_suffix(".pub"))
        except (OSError, asyncssh.KeyImportError) as error:
            raise CommandError(f"cannot read the host key of {self.path}: {error}", EXIT_STATE) from error
        return f"{key.get_fingerprint()} ({key.get_algorithm().removeprefix('ssh-').upper()})"

    def create(self) -> None:
        """Make the directory and a host key; the database and :meth:`complete` follow.

        Raises :class:`CommandError` when the directory holds anything already or cannot be made.
        """
        with self._made():
            self._make_empty()
            host_key = asyncssh.generate_private_key("ssh-ed25519", comment="rkmpd host key")
            _write_new(self.host_key, host_key.export_private_key(), 0o600)
            _write_new(self.host_key.with_suffix(".pub"), host_key.export_public_key(), 0o644)

    def complete(self, random: Random) -> None:
        """Make the key-encryption key, last of all: without it no agent starts on what an interruption has left.

        Raises :class:`CommandError`.
        """
        with self._made():
            key = random(KEY_ENCRYPTION_KEY_OCTETS).hex().encode("ascii") + b"\n"
            _write_new(self.key_encryption_key, key, 0o600)
            self._sync()

    def fill(self, files: Mapping[str, bytes]) -> None:
        """Make the directory with ``files``, content by name, in place of :meth:`create` and :meth:`complete`.

        Raises :class:`CommandError` as those do.
        """
        with self._made():
            self._make_empty()
            try:
                for name, content in sorted(files.items(), key=lambda file: file[0] == self.key_encryption_key.name):
                    _write_new(self.path / name, content, 0o644 if name.endswith(".pub") else 0o600)
                self._sync()
            except OSError:
                self.discard()
                raise

    def _make_empty(self) -> None:
        if self.holds_state:
            raise CommandError(f"{self.path} already holds an agent's state; nothing was changed", EXIT_STATE)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It is about to be closed to everybody else, so it must not be a directory that others need.
        if any(entry.name != "lost+found" for entry in self.path.iterdir()):
            raise CommandError(f"{self.path} is not empty; nothing was changed", EXIT_STATE)
        self.path.chmod(0o700)

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _made(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandError(f"cannot make {self.path}: {error.strerror}", EXIT_STATE) from error

    def discard(self) -> None:
        """Remove what :meth:`create` and an unfinished initialisation made, so that it can be tried again."""
        database = self.database
        for file in (
            self.key_encryption_key,
            self.host_key,
            self.host_key.with_suffix(".pub"),
            *(database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")),
        ):
            file.unlink(missing_ok=True)

    def require(self, environment: Mapping[str, str]) -> None:
        """Raise :class:`CommandError` unless an agent has been made here by ``rkmpd init`` and all of it is there.

        ``environment`` is the process's, in which systemd names the directory of credentials.
        """
        self._require([*self._without_key, *([] if has_key_credential(environment) else [self.key_encryption_key])])

    def require_without_key(self) -> None:
        """Raise :class:`CommandError` as :meth:`require`, for what opens nothing that is sealed.

        Where the key is a credential of the service, nobody else has it.
        """
        self._require(self._without_key)

    @property
    def _without_key(self) -> list[Path]:
        return [self.database, self.host_key]

    def _require(self, files: Sequence[Path]) -> None:
        try:
            missing = [file.name for file in files if not file.exists()]
        except OSError as error:
            raise self._unusable(error) from error
        if len(missing) == len(files):
            raise CommandError(
                f"{self.path} holds no agent's state; make one with "
                f"`rkmpd init --state-dir {self.path} --user NAME --authorized-key FILE`",
                EXIT_STATE,
            )
        if missing:
            # An agent that went on with an empty database would have lost all that it ever acknowledged, unnoticed.
            raise CommandError(
                f"{self.path} has lost {' and '.join(missing)}; restore the backup, or remove the directory and make "
                "it anew with `rkmpd init`",
                EXIT_STATE,
            )

    def read_key_encryption_key(self, environment: Mapping[str, str]) -> KeyEncryptionKey:
        """Return the key: the credential that systemd passes, or else that of the file. Raises StorageError."""
        if has_key_credential(environment):
            return KeyEncryptionKey.from_credential(KEY_CREDENTIAL, environment)
        return KeyEncryptionKey.from_file(self.key_encryption_key)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process alone; the kernel lets go of it however the process ends.

        Raises :class:`CommandError` when another process holds it or it cannot be written.
        """
        try:
            descriptor = self._open_lock()
        except OSError as error:
            raise self._unusable(error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CommandError(f"another rkmpd is running on {self.path}", EXIT_STATE) from error
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        """Return a descriptor of the lock, made if it is not there.

        Root may be the first to want it, to make a backup; it is the owner's of the directory nevertheless, whom it
        would keep out otherwise. The owner may have put a link there, by which root shall not be led elsewhere.
        """
        lock, flags = self.path / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(lock, flags)
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def _unusable(self, error: OSError) -> CommandError:
        return CommandError(f"cannot use {self.path} as the user that rkmpd runs as: {error.strerror}", EXIT_STATE)


def has_key_credential(environment: Mapping[str, str]) -> bool:
    """Whether systemd passes the key-encryption key as a credential."""
    directory = environment.get("CREDENTIALS_DIRECTORY")
    return bool(directory) and Path(directory or "", KEY_CREDENTIAL).exists()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Create ``path`` with ``mode`` and make its content durable; an existing file is an error."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
