"""Who may log in: what `rkmpd init` made, until configuration says otherwise, and whom configuration has."""

from __future__ import annotations

import os

import asyncssh
import pytest
from passlib.handlers.sha2_crypt import sha512_crypt

from rkmp.crypto.crypt_hash import ROUNDS, hash_password, password_matches
from rkmp.daemon import users as daemon_users
from rkmp.daemon.users import NewUser, Users
from rkmp.netconf.accounts import Account
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database

PASSWORD = Secret(b"correct horse")
OTHER = Secret(b"battery staple")


def key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def hashed(password: Secret) -> Secret:
    return Secret(hash_password(password, os.urandom).encode())


@pytest.fixture
def users() -> Users:
    made = Users(Database(IN_MEMORY))
    made.add(NewUser("ops", ["ssh-ed25519 " + key().split()[1]], PASSWORD, is_recovery=True), os.urandom)
    return made


async def test_configuration_adds_users_who_are_no_recovery_users(users: Users) -> None:
    line = key()
    users.admit({"alice": Account("alice", (line,), hashed(OTHER))})
    assert users.authorized_keys("alice") == [line]
    assert await users.check_password("alice", OTHER)
    assert not await users.check_password("alice", PASSWORD)
    assert not users.is_recovery("alice")
    assert await users.check_password("ops", PASSWORD)
    assert users.is_recovery("ops")
    users.admit({})
    assert users.authorized_keys("alice") == []
    assert not await users.check_password("alice", OTHER)


async def test_what_configuration_says_of_the_first_administrator_takes_the_place_of_what_init_said(
    users: Users,
) -> None:
    line = key()
    users.admit({"ops": Account("ops", (line,))})
    assert users.authorized_keys("ops") == [line]
    assert not await users.check_password("ops", PASSWORD)
    users.admit({"ops": Account("ops", (), hashed(OTHER))})
    assert users.authorized_keys("ops") == []
    assert await users.check_password("ops", OTHER)
    assert not await users.check_password("ops", PASSWORD)
    assert users.is_recovery("ops")
    users.admit({})
    assert await users.check_password("ops", PASSWORD)


async def test_an_empty_password_opens_nothing(users: Users) -> None:
    # Others may hash what we refuse to.
    made_elsewhere = Secret(sha512_crypt.using(rounds=1000).hash("").encode())
    users.admit({"alice": Account("alice", (), made_elsewhere), "bob": Account("bob", (key(),))})
    for name in ("alice", "bob", "ops", "nobody"):
        assert not await users.check_password(name, Secret(b""))


def test_only_when_no_administrator_could_log_in_are_all_locked_out(users: Users) -> None:
    empty = Account("ops")
    assert users.locked_out({}) is None
    assert users.locked_out({"alice": Account("alice")}) is None
    assert users.locked_out({"ops": Account("ops", (key(),))}) is None
    assert users.locked_out({"ops": Account("ops", (), hashed(OTHER))}) is None
    # Others with a password are no administrators: they can change nothing unless access control lets them.
    assert users.locked_out({"ops": empty, "alice": Account("alice", (), hashed(OTHER))}) == "ops"
    users.add(NewUser("second", (), PASSWORD, is_recovery=True), os.urandom)
    assert users.locked_out({"ops": empty}) is None
    assert users.locked_out({"ops": empty, "second": Account("second")}) == "ops"


async def test_who_does_not_exist_is_refused_after_the_same_work_as_who_does(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.admit({"alice": Account("alice", (), hashed(OTHER)), "bob": Account("bob", (key(),))})
    work: list[str] = []
    scrypt = daemon_users._hash

    def noted_scrypt(password: Secret, salt: bytes) -> bytes:
        work.append("scrypt")
        return scrypt(password, salt)

    def noted_crypt(password: Secret, text: str) -> bool:
        work.append(text.split("$")[2])
        return password_matches(password, text)

    monkeypatch.setattr(daemon_users, "_hash", noted_scrypt)
    monkeypatch.setattr(daemon_users, "password_matches", noted_crypt)
    for name in ("ops", "alice", "bob", "nobody"):
        work.clear()
        assert not await users.check_password(name, Secret(b"wrong"))
        assert work == ["scrypt", f"rounds={ROUNDS}"], name
