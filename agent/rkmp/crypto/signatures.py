"""AUTH by signature: which algorithm a key signs with for this peer, and whether the peer's signature is right.

RFC 7427 (method 14 and the hash algorithms that peers announce), RFC 4754 (methods 9 to 11), RFC 7296 3.8 (method 1),
RFC 8247 3.1 and 3.2 (what is too weak). What is signed comes from :mod:`rkmp.crypto.authentication`; whose key it is,
from certificates or configuration. Signatures draw their randomness from OpenSSL.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable

from cryptography.exceptions import InvalidSignature

from rkmp.crypto.signature_keys import PrivateKey, PublicKey
from rkmp.crypto.signature_schemes import (
    LEGACY_BY_KEY_TYPE,
    LEGACY_SCHEMES,
    PREFERENCES,
    REFUSED_IDENTIFIERS,
    SCHEMES_BY_IDENTIFIER,
    HashAlgorithm,
    LegacyScheme,
    SignatureScheme,
)
from rkmp.errors import CryptoError
from rkmp.wire import AuthMethod

HASH_ALGORITHMS: tuple[HashAlgorithm, ...] = (
    HashAlgorithm.SHA2_256,
    HashAlgorithm.SHA2_384,
    HashAlgorithm.SHA2_512,
    HashAlgorithm.IDENTITY,
)
"""What we announce and accept where policy does not say less."""

_HASH_ALGORITHM = struct.Struct("!H")


class WrongSignature(CryptoError):
    """A signature of an accepted kind is not that of the key over the octets."""


def encode_hash_algorithms(algorithms: Iterable[int] = HASH_ALGORITHMS) -> bytes:
    """Return the data of a SIGNATURE_HASH_ALGORITHMS notify, two octets for each of ``algorithms``."""
    return b"".join(map(_HASH_ALGORITHM.pack, algorithms))


def parse_hash_algorithms(data: bytes) -> frozenset[int]:
    """Return what a peer announced in SIGNATURE_HASH_ALGORITHMS, unknown numbers included; CryptoError if torn."""
    if len(data) % _HASH_ALGORITHM.size:
        raise CryptoError(f"{len(data)} octets cannot be a list of hash algorithms")
    return frozenset(number for (number,) in _HASH_ALGORITHM.iter_unpack(data))


def sign(
    key: PrivateKey, octets: bytes, peer_hashes: Collection[int], *, allow_sha1: bool = False
) -> tuple[AuthMethod, bytes]:
    """Return the method and the data of an AUTH payload over the signed ``octets``.

    ``peer_hashes`` is what the peer announced; empty unless both sides sent SIGNATURE_HASH_ALGORITHMS, and then the
    methods of before RFC 7427 are used. The one for RSA needs SHA-1, which ``allow_sha1`` has to permit. Raises
    CryptoError when the peer can verify nothing that this key may sign.
    """
    if peer_hashes:
        for scheme in PREFERENCES[key.key_type]:
            if scheme.hash_algorithm in peer_hashes:
                identifier = scheme.identifiers[0]
                signature = scheme.sign(key.handle, octets)
                return AuthMethod.DIGITAL_SIGNATURE, bytes((len(identifier),)) + identifier + signature
        raise CryptoError(f"the peer announced no hash algorithm that a key of type {key.key_type.value} signs with")
    legacy = LEGACY_BY_KEY_TYPE.get(key.key_type)
    if legacy is None:
        raise CryptoError(f"a key of type {key.key_type.value} needs RFC 7427, which the peer does not know")
    _check_hash(legacy.hash_algorithm, (legacy.hash_algorithm,), allow_sha1=allow_sha1)
    return legacy.method, legacy.sign(key.handle, octets)


def verify(
    key: PublicKey,
    method: int,
    data: bytes,
    octets: bytes,
    allowed_hashes: Collection[int] = HASH_ALGORITHMS,
    *,
    allow_sha1: bool = False,
) -> None:
    """Return only if ``method`` and ``data`` of an AUTH payload are the signature of ``key`` over ``octets``.

    ``allowed_hashes`` is what we announced; it binds the older methods too, but for RSA, whose SHA-1 ``allow_sha1`` has
    to permit. That a peer that exchanged SIGNATURE_HASH_ALGORITHMS with us MUST use method 14 is for the caller to see
    to. Raises CryptoError, which says what was wrong: WrongSignature where all is allowed, but the signature is not it.
    """
    scheme: SignatureScheme | LegacyScheme
    if method == AuthMethod.DIGITAL_SIGNATURE:
        scheme, signature = _split(data)
        fits = key.key_type in scheme.key_types
    elif method in LEGACY_SCHEMES:
        scheme, signature = LEGACY_SCHEMES[method], data
        fits = key.key_type is scheme.key_type
    else:
        raise CryptoError(f"authentication method {method} is not a signature, or is not implemented")
    if not fits:
        raise CryptoError(f"the signature is not of the kind that a key of type {key.key_type.value} makes")
    _check_hash(scheme.hash_algorithm, allowed_hashes, allow_sha1=allow_sha1)
    try:
        scheme.verify(key.handle, signature, octets)
    except (InvalidSignature, ValueError):
        raise WrongSignature("the signature is wrong") from None


def _split(data: bytes) -> tuple[SignatureScheme, bytes]:
    """Return what RFC 7427 section 3 puts into the data of method 14: the algorithm and the signature."""
    end = 1 + data[0] if data else 0
    identifier = data[1:end]
    scheme = SCHEMES_BY_IDENTIFIER.get(identifier)
    if scheme is None:
        what = REFUSED_IDENTIFIERS.get(identifier) or identifier.hex() or "none"
        raise CryptoError(f"signature algorithm {what} is not accepted")
    return scheme, data[end:]


def _check_hash(algorithm: HashAlgorithm, allowed: Collection[int], *, allow_sha1: bool) -> None:
    if algorithm is HashAlgorithm.SHA1:
        if not allow_sha1:
            raise CryptoError("an RSA signature without RFC 7427 is over SHA-1, which is not allowed")
    elif algorithm not in allowed:
        raise CryptoError(f"the signature is over {algorithm.name}, which is not allowed")
