"""Sealing and opening the body of an Encrypted payload (RFC 7296 3.14, RFC 5282).

One :class:`Protector` is one direction of one IKE SA; it keeps its keyed contexts. Padding is added and taken off here.
"""

from __future__ import annotations

from typing import Protocol, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from rkmp.crypto.ciphers import Integrity
from rkmp.crypto.suites import IkeSuite
from rkmp.errors import CryptoError
from rkmp.instant import Random
from rkmp.secret import Secret

_PAD_LENGTH_OCTETS = 1

_GCM_SALT_LENGTH = 4
_GCM_IV_LENGTH = 8
_GCM_ICV_LENGTH = 16

_CBC_BLOCK_LENGTH = 16


class _Cipher(Protocol):
    block_length: int
    overhead: int

    def seal(self, associated_data: bytes, padded: bytes, random: Random) -> bytes: ...

    def open(self, associated_data: bytes, body: bytes) -> bytes: ...


@final
class Protector:
    """What one side of an IKE SA seals and the other opens.

    ``key`` is SK_e and ``integrity_key`` SK_a of the sender; the latter is empty where the suite's cipher does without.
    Associated data are the octets of the message before the body: the IKE header, what follows it, and the header of
    the Encrypted payload, with the lengths that they have in the finished message (see :meth:`body_length`). For
    ciphers with a separate ICV that is what it covers besides the body.
    """

    __slots__ = ("_cipher",)

    def __init__(self, suite: IkeSuite, key: Secret, integrity_key: Secret) -> None:
        """Raise CryptoError when a key does not have the length that the suite asks for."""
        integrity = suite.integrity_algorithm
        if len(key) != suite.encryption_algorithm.key_length:
            raise CryptoError(f"an encryption key of {len(key)} octets for {suite.encryption_name}")
        if len(integrity_key) != (integrity.key_length if integrity is not None else 0):
            raise CryptoError(f"an integrity key of {len(integrity_key)} octets for {suite.integrity_name}")
        self._cipher: _Cipher
        if integrity is None:
            self._cipher = _AesGcm(key)
        else:
            self._cipher = _AesCbcHmac(key, integrity, integrity_key)

    def body_length(self, plaintext_length: int) -> int:
        """Return how many octets :meth:`seal` makes of ``plaintext_length``."""
        return plaintext_length + self._padding(plaintext_length) + _PAD_LENGTH_OCTETS + self._cipher.overhead

    def seal(self, associated_data: bytes, plaintext: bytes, random: Random) -> bytes:
        """Return the body that hides ``plaintext`` (whole payloads): IV, ciphertext and ICV."""
        padding = self._padding(len(plaintext))
        return self._cipher.seal(associated_data, b"".join((plaintext, bytes(padding), bytes((padding,)))), random)

    def open(self, associated_data: bytes, body: bytes) -> bytes:
        """Return the plaintext of ``body``; CryptoError unless both come from the sender as they are."""
        padded = self._cipher.open(associated_data, body)
        # RFC 7296 3.14: the recipient must accept any length that makes a proper alignment, and any octets.
        length = len(padded) - _PAD_LENGTH_OCTETS
        if length < 0 or padded[length] > length:
            raise CryptoError("the padding is longer than the payload")
        return padded[: length - padded[length]]

    def _padding(self, plaintext_length: int) -> int:
        return -(plaintext_length + _PAD_LENGTH_OCTETS) % self._cipher.block_length


@final
class _AesGcm:
    """RFC 5282: SK_e is the AES key and a salt of 4 octets; an explicit IV of 8 octets makes it a nonce of 12."""

    __slots__ = ("_aead", "_last_iv", "_salt")

    block_length = 1
    overhead = _GCM_IV_LENGTH + _GCM_ICV_LENGTH

    def __init__(self, key: Secret) -> None:
        octets = key.reveal()
        self._aead = AESGCM(octets[:-_GCM_SALT_LENGTH])
        self._salt = octets[-_GCM_SALT_LENGTH:]
        self._last_iv: int | None = None

    def seal(self, associated_data: bytes, padded: bytes, random: Random) -> bytes:
        # An IV must never come twice under one key, so it is counted, from a random start on.
        if self._last_iv is None:
            self._last_iv = int.from_bytes(random(_GCM_IV_LENGTH))
        self._last_iv = (self._last_iv + 1) % 2 ** (8 * _GCM_IV_LENGTH)
        iv = self._last_iv.to_bytes(_GCM_IV_LENGTH)
        return iv + self._aead.encrypt(self._salt + iv, padded, associated_data)

    def open(self, associated_data: bytes, body: bytes) -> bytes:
        try:
            return self._aead.decrypt(self._salt + body[:_GCM_IV_LENGTH], body[_GCM_IV_LENGTH:], associated_data)
        except (InvalidTag, ValueError):
            # ValueError: not even an IV.
            raise CryptoError("the integrity check failed") from None


@final
class _AesCbcHmac:
    """RFC 7296 3.14: encrypt, then authenticate everything from the IKE header on. The IV is unpredictable."""

    __slots__ = ("_algorithm", "_authenticator", "_icv_length", "overhead")

    block_length = _CBC_BLOCK_LENGTH

    def __init__(self, key: Secret, integrity: Integrity, integrity_key: Secret) -> None:
        self._algorithm = algorithms.AES(key.reveal())
        self._authenticator = HMAC(integrity_key.reveal(), integrity.hash_algorithm)
        self._icv_length = integrity.icv_length
        self.overhead = _CBC_BLOCK_LENGTH + integrity.icv_length

    def seal(self, associated_data: bytes, padded: bytes, random: Random) -> bytes:
        iv = random(_CBC_BLOCK_LENGTH)
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        sealed = iv + encryptor.update(padded) + encryptor.finalize()
        return sealed + self._icv(associated_data, sealed)

    def open(self, associated_data: bytes, body: bytes) -> bytes:
        sealed, icv = body[: -self._icv_length], body[-self._icv_length :]
        if not constant_time.bytes_eq(icv, self._icv(associated_data, sealed)):
            raise CryptoError("the integrity check failed")
        if len(sealed) % _CBC_BLOCK_LENGTH or not sealed:
            raise CryptoError("the ciphertext is not made of whole blocks")
        decryptor = Cipher(self._algorithm, modes.CBC(sealed[:_CBC_BLOCK_LENGTH])).decryptor()
        return decryptor.update(sealed[_CBC_BLOCK_LENGTH:]) + decryptor.finalize()

    def _icv(self, associated_data: bytes, sealed: bytes) -> bytes:
        context = self._authenticator.copy()
        context.update(associated_data)
        context.update(sealed)
        return context.finalize()[: self._icv_length]
