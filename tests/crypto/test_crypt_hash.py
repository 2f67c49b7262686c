"""Hashes of passwords are those of crypt(3): the published examples, and what OpenSSL makes of the same password."""

from __future__ import annotations

import os
import subprocess

import pytest

from rkmp.crypto.crypt_hash import ROUNDS, check_hash, hash_password, password_matches
from rkmp.errors import CryptoError
from rkmp.secret import Secret

# From "Unix crypt using SHA-256 and SHA-512", version 0.4 (U. Drepper).
PUBLISHED = [
    ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
]


@pytest.mark.parametrize(("password", "expected"), PUBLISHED)
def test_the_published_examples_match(password: str, expected: str) -> None:
    assert password_matches(Secret(password.encode()), expected)
    assert not password_matches(Secret(password.encode() + b"!"), expected)


@pytest.mark.parametrize("algorithm", ["-5", "-6"])
def test_what_openssl_hashes_matches(algorithm: str) -> None:
    command = ["openssl", "passwd", algorithm, "-stdin"]
    made = subprocess.run(command, input="correct horse", text=True, capture_output=True, check=True)
    check_hash(made.stdout.strip())
    assert password_matches(Secret(b"correct horse"), made.stdout.strip())
    assert not password_matches(Secret(b"correct horses"), made.stdout.strip())


def test_a_new_hash_matches_its_password_and_no_other_and_has_a_salt_of_its_own() -> None:
    one, other = (hash_password(Secret("pässword".encode()), os.urandom) for _ in range(2))
    assert one != other
    assert one.startswith(f"$6$rounds={ROUNDS}$")
    check_hash(one)
    assert password_matches(Secret("pässword".encode()), one)
    assert not password_matches(Secret(b"password"), one)


def test_a_password_that_cannot_be_hashed_is_refused_without_its_words() -> None:
    with pytest.raises(CryptoError) as refused:
        hash_password(Secret(b"secret\x00tail"), os.urandom)
    assert "secret" not in str(refused.value)
    assert "\x00" not in str(refused.value)


@pytest.mark.parametrize(("octets", "why"), [(0, "empty"), (4097, "4096 octets")])
def test_a_password_of_a_length_that_opens_no_account_is_refused_and_told_why(octets: int, why: str) -> None:
    with pytest.raises(CryptoError, match=why):
        hash_password(Secret(b"x" * octets), os.urandom)


@pytest.mark.parametrize(
    "text",
    [
        "$1$abcdefgh$" + "a" * 22,
        "$2b$10$" + "a" * 53,
        f"$6$rounds=1000001$salt${'a' * 86}",
        f"$6$rounds=99999999999999$salt${'a' * 86}",
    ],
    ids=["MD5", "bcrypt", "too many rounds", "far too many rounds"],
)
def test_hashes_that_cannot_be_had_are_refused(text: str) -> None:
    with pytest.raises(CryptoError):
        check_hash(text)
