"""The encryption and integrity transforms that protect IKE messages, one row each.

RFC 5282 (AES-GCM in IKEv2), RFC 3602 (AES-CBC), RFC 4868 (HMAC-SHA2). Tables only; :mod:`rkmp.crypto.protection` uses
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes

from rkmp.wire import EncryptionId, IntegrityId


@dataclass(frozen=True, slots=True)
class Encryption:
    """A cipher with one key size.

    ``key_bits`` is the Key Length attribute; ``key_length`` the octets of SK_e, which for AES-GCM end with a salt of 4.
    ``is_combined``: it protects integrity as well, and goes without an integrity transform.
    """

    encryption_id: EncryptionId
    key_bits: int
    name: str
    key_length: int
    is_combined: bool


@dataclass(frozen=True, slots=True)
class Integrity:
    """An HMAC: octets of its key SK_a and of the Integrity Checksum Value that is left after truncation."""

    integrity_id: IntegrityId
    name: str
    key_length: int
    icv_length: int
    hash_algorithm: hashes.HashAlgorithm


ENCRYPTIONS: Mapping[tuple[int, int], Encryption] = MappingProxyType(
    {
        (row.encryption_id, row.key_bits): row
        for row in (
            Encryption(EncryptionId.AES_GCM_16, 128, "aes-gcm-16-128", 20, is_combined=True),
            Encryption(EncryptionId.AES_GCM_16, 256, "aes-gcm-16-256", 36, is_combined=True),
            Encryption(EncryptionId.AES_CBC, 128, "aes-cbc-128", 16, is_combined=False),
            Encryption(EncryptionId.AES_CBC, 256, "aes-cbc-256", 32, is_combined=False),
        )
    }
)
"""The ciphers that are implemented, by transform ID and key length in bits."""

INTEGRITIES: Mapping[int, Integrity] = MappingProxyType(
    {
        row.integrity_id: row
        for row in (
            Integrity(IntegrityId.HMAC_SHA2_256_128, "hmac-sha2-256-128", 32, 16, hashes.SHA256()),
            Integrity(IntegrityId.HMAC_SHA2_384_192, "hmac-sha2-384-192", 48, 24, hashes.SHA384()),
            Integrity(IntegrityId.HMAC_SHA2_512_256, "hmac-sha2-512-256", 64, 32, hashes.SHA512()),
        )
    }
)
"""The integrity algorithms that are implemented, by transform ID."""
