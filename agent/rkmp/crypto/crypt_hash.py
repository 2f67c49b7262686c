"""Hashes of passwords as Unix has them: the SHA-256 and SHA-512 forms of crypt(3), which ietf-system asks for.

New ones are SHA-512. libpass computes them; the C library's function is not in Python any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passlib.exc import PasswordSizeError
from passlib.handlers.sha2_crypt import sha256_crypt, sha512_crypt

from rkmp.errors import CryptoError
from rkmp.instant import Random
from rkmp.secret import Secret

ROUNDS = 100_000
"""Of new hashes; some 60 ms a guess."""

MOST_ROUNDS = 1_000_000
"""Of hashes that are taken from elsewhere: more would keep the agent busy for whoever tries to log in."""

_SALT_CHARACTERS = 16
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SCHEMES: Mapping[str, Any] = {"5": sha256_crypt, "6": sha512_crypt}


def hash_password(password: Secret, random: Random) -> str:
    """Return ``$6$rounds=...$salt$hash`` of a password, whose octets may be anything but zero.

    Raises CryptoError for a password that cannot be hashed, and for an empty one, with which nobody can log in.
    """
    if not len(password):
        raise CryptoError("the password is empty")
    salt = "".join(_ALPHABET[octet & 63] for octet in random(_SALT_CHARACTERS))
    try:
        return str(sha512_crypt.using(rounds=ROUNDS, salt=salt).hash(password.reveal()))
    except PasswordSizeError as error:
        raise CryptoError(f"passwords have at most {error.max_size} octets") from None
    except ValueError:
        # Its own words may repeat what it was given.
        raise CryptoError("the password holds a character that no password can have") from None


def check_hash(text: str) -> None:
    """Raise CryptoError for a hash that passwords cannot be compared with, or only at too high a price."""
    _, scheme, *rest = text.split("$")
    if scheme not in _SCHEMES:
        raise CryptoError("hashes of passwords are those of SHA-256 ($5$) or SHA-512 ($6$)")
    if len(rest) == 3 and int(rest[0].removeprefix("rounds=")) > MOST_ROUNDS:
        raise CryptoError(f"hashes of more than {MOST_ROUNDS} rounds are not taken")
    try:
        _SCHEMES[scheme].from_string(text)
    except ValueError:
        raise CryptoError("this is no hash of a password") from None


def password_matches(password: Secret, text: str) -> bool:
    """Return whether ``text`` is a hash of the password, in a time that does not depend on the answer.

    Takes as long as the hash's rounds say, and is to be called away from an event loop.
    """
    scheme = text.split("$")[1]
    try:
        return bool(_SCHEMES[scheme].verify(password.reveal(), text))
    except (KeyError, ValueError):
        return False
