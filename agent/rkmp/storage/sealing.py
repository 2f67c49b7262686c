"""Sealing: AES-256-GCM under a key of its own per purpose, bound to the place where the sealed value is kept.

A sealed value is ``version (1) | nonce (12) | ciphertext | tag (16)``: 29 octets longer than what it hides. The
associated data is the version and the caller's fields, so that a value moved to another row, or a row changed around
its value, does not open. Nonces are random: a purpose may seal 2^32 values (NIST SP 800-38D section 8.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rkmp.errors import CorruptStoreError
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.storage.key_encryption_key import KeyEncryptionKey

BoundField = str | bytes | int | None
"""One fact about the place of a sealed value."""

OVERHEAD = 29
"""Octets by which a sealed value is longer than its plaintext."""

_VERSION = b"\x01"
_NONCE_OCTETS = 12


@final
class Sealer:
    """Seals and opens the values of one ``purpose``; values of another do not open."""

    __slots__ = ("_cipher",)

    def __init__(self, key: KeyEncryptionKey, purpose: str) -> None:
        self._cipher = AESGCM(key.derive(f"sealing {purpose}").reveal())

    def seal(self, plaintext: Secret | bytes, associated: Sequence[BoundField], random: Random) -> bytes:
        """Return ``plaintext`` sealed, to be opened only with the same ``associated`` fields."""
        octets = plaintext.reveal() if isinstance(plaintext, Secret) else plaintext
        nonce = random(_NONCE_OCTETS)
        return _VERSION + nonce + self._cipher.encrypt(nonce, octets, _VERSION + bound_fields(associated))

    def open(self, sealed: bytes, associated: Sequence[BoundField]) -> Secret:
        """Return what was sealed.

        Raises :class:`CorruptStoreError` when the value or the place where it was found is not what was sealed.
        """
        if len(sealed) < OVERHEAD or sealed[:1] != _VERSION:
            raise CorruptStoreError("a sealed value is cut short or has an unknown form")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :]
        try:
            return Secret(self._cipher.decrypt(nonce, ciphertext, _VERSION + bound_fields(associated)))
        except InvalidTag:
            raise CorruptStoreError("a sealed value does not open: it, or the row around it, was altered") from None


def bound_fields(fields: Sequence[BoundField]) -> bytes:
    """Return ``fields`` as octets that no other sequence of fields has."""
    encoded = []
    for field in fields:
        if field is None:
            kind, octets = b"n", b""
        elif isinstance(field, bytes):
            kind, octets = b"b", field
        elif isinstance(field, str):
            kind, octets = b"s", field.encode("utf-8")
        else:
            kind, octets = b"i", b"%d" % field
        encoded.append(kind + len(octets).to_bytes(4, "big") + octets)
    return b"".join(encoded)
