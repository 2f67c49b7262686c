"""The key-encryption key: where it comes from, what is refused, and that a wrong one is noticed at start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rkmp.errors import StorageError
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, passphrase_salt, require_key

KEY = bytes(range(32))


def key_file(path: Path, content: str, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def is_same(one: KeyEncryptionKey, other: KeyEncryptionKey) -> bool:
    return one.derive("test") == other.derive("test")


def test_a_file_of_hexadecimal_digits_is_read(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY.hex() + "\n")
    assert is_same(KeyEncryptionKey.from_file(path), KeyEncryptionKey(Secret(KEY)))


@pytest.mark.parametrize("content", ["", KEY.hex()[:-2], KEY.hex() + "00", KEY.hex()[:-1] + "x", "schlüssel", "\n"])
def test_a_file_of_anything_else_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = key_file(tmp_path / "key", content)
    with pytest.raises(StorageError, match="must be 64 hexadecimal digits") as refusal:
        KeyEncryptionKey.from_file(path)
    assert KEY.hex()[:8] not in f"{refusal.value} {refusal.value.__cause__} {refusal.value.__context__}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "key", KEY.hex(), mode)
    with pytest.raises(StorageError, match=f"can be read by others .mode 0{mode:o}.*chmod 600"):
        KeyEncryptionKey.from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nokey: the key-encryption key cannot be read: No such file"):
        KeyEncryptionKey.from_file(tmp_path / "nokey")


def test_a_systemd_credential_is_read_from_where_systemd_says(tmp_path: Path) -> None:
    key_file(tmp_path / "rkmp-key", KEY.hex(), 0o440)
    key = KeyEncryptionKey.from_credential("rkmp-key", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert is_same(key, KeyEncryptionKey(Secret(KEY)))
    with pytest.raises(StorageError, match="LoadCredentialEncrypted=rkmp-key"):
        KeyEncryptionKey.from_credential("rkmp-key", {})


def test_a_passphrase_gives_the_same_key_with_the_same_database(tmp_path: Path) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        salt = passphrase_salt(database, os.urandom)
        first = KeyEncryptionKey.from_passphrase(Secret(b"correct horse"), salt)
        require_key(database, first)
    with Database(tmp_path / "rkmp.db") as database:
        assert passphrase_salt(database, os.urandom) == salt
        require_key(database, KeyEncryptionKey.from_passphrase(Secret(b"correct horse"), salt))
        with pytest.raises(StorageError, match="not the one that the stored secrets were sealed with"):
            require_key(database, KeyEncryptionKey.from_passphrase(Secret(b"correct house"), salt))
    with Database(IN_MEMORY) as other:
        assert passphrase_salt(other, os.urandom) != salt
    with pytest.raises(StorageError, match="passphrase of the key-encryption key is empty"):
        KeyEncryptionKey.from_passphrase(Secret(b""), salt)


def test_a_wrong_key_is_noticed_at_start(tmp_path: Path) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        require_key(database, KeyEncryptionKey(Secret(KEY)))
        assert len(passphrase_salt(database, os.urandom)) == 16
    with Database(tmp_path / "rkmp.db") as database:
        require_key(database, KeyEncryptionKey(Secret(KEY)))
        with pytest.raises(StorageError, match="put the right key in place, or restore the backup"):
            require_key(database, KeyEncryptionKey(Secret(bytes(32))))


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(StorageError, match="has 16 octets; it must have 32"):
        KeyEncryptionKey(Secret(bytes(16)))


def test_every_purpose_has_a_key_of_its_own_that_shows_nothing() -> None:
    key = KeyEncryptionKey(Secret(KEY))
    assert key.derive("one") != key.derive("other")
    assert key.derive("one") != Secret(KEY)
    assert repr(key) == "KeyEncryptionKey()"
