"""The signature algorithms of AUTH, one row each: by AlgorithmIdentifier (RFC 7427) and by method (RFC 4754).

RFC 4055 and RFC 8017 (RSA), RFC 5758 (ECDSA), RFC 8410 and RFC 8420 (EdDSA), and ML-DSA as
draft-ietf-ipsecme-ikev2-pqc-auth carries it. Identifiers are whole octet strings that are looked up, as RFC 7427
section 3 suggests, so that no parser of ASN.1 stands between a stranger and a signature; an algorithm that may be
written in more than one way has them all in its row. Tables only; :mod:`rkmp.crypto.signatures` uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from types import MappingProxyType
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from rkmp.crypto.signature_keys import KeyType, PrivateHandle, PublicHandle
from rkmp.wire import AuthMethod


class HashAlgorithm(IntEnum):
    """IANA's IKEv2 Hash Algorithms (RFC 7427, RFC 8420, RFC 9385); IDENTITY is for what hashes by itself."""

    SHA1 = 1
    SHA2_256 = 2
    SHA2_384 = 3
    SHA2_512 = 4
    IDENTITY = 5
    STREEBOG_256 = 6
    STREEBOG_512 = 7


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """A way to sign: its name, the hash that a peer has to announce, and the keys that it is for.

    ``identifiers`` are the DER AlgorithmIdentifiers that stand for it: the first is what we send, all are understood.
    ``sign`` makes a signature of octets; ``verify`` raises InvalidSignature unless it gets back what ``sign`` makes.
    Both take only handles of ``key_types``.
    """

    name: str
    hash_algorithm: HashAlgorithm
    key_types: frozenset[KeyType]
    identifiers: tuple[bytes, ...]
    sign: Callable[[PrivateHandle, bytes], bytes]
    verify: Callable[[PublicHandle, bytes, bytes], None]


# -- DER -------------------------------------------------------------------------------------------------------------

_INTEGER = 0x02
_OBJECT_IDENTIFIER = 0x06
_SEQUENCE = 0x30
_CONTEXT = 0xA0
_NULL = bytes((0x05, 0))


def _der(tag: int, *contents: bytes) -> bytes:
    """Return one element; none here needs a length of more than one octet."""
    joined = b"".join(contents)
    return bytes((tag, len(joined))) + joined


def _algorithm(oid: str, *parameters: bytes) -> bytes:
    """Return the AlgorithmIdentifier of an object identifier whose contents are hexadecimal digits."""
    return _der(_SEQUENCE, _der(_OBJECT_IDENTIFIER, bytes.fromhex(oid)), *parameters)


def _with_and_without_null(oid: str) -> tuple[bytes, bytes]:
    return _algorithm(oid, _NULL), _algorithm(oid)


# -- RSA -------------------------------------------------------------------------------------------------------------

_RSA = frozenset({KeyType.RSA})
_RSASSA_PSS = "2a864886f70d01010a"
_MGF1 = "2a864886f70d010108"
_HASHES: tuple[tuple[HashAlgorithm, hashes.HashAlgorithm, str], ...] = (
    (HashAlgorithm.SHA2_256, hashes.SHA256(), "608648016503040201"),
    (HashAlgorithm.SHA2_384, hashes.SHA384(), "608648016503040202"),
    (HashAlgorithm.SHA2_512, hashes.SHA512(), "608648016503040203"),
)


def _pss_identifiers(hash_oid: str, salt_length: int) -> tuple[bytes, ...]:
    """Return every way to write PSS with one hash throughout and a salt as long as its output.

    RFC 4055 2.1: the parameters of a hash are NULL and may be absent. DER leaves the trailer field out, because it has
    its default value; RFC 7427 A.4.3 writes it.
    """
    salt = _der(_CONTEXT + 2, _der(_INTEGER, bytes((salt_length,))))
    trailers = (b"", _der(_CONTEXT + 3, _der(_INTEGER, b"\x01")))
    forms = _with_and_without_null(hash_oid)
    return tuple(
        _algorithm(
            _RSASSA_PSS,
            _der(_SEQUENCE, _der(_CONTEXT, hashed), _der(_CONTEXT + 1, _algorithm(_MGF1, masked)), salt, trailer),
        )
        for trailer, hashed, masked in product(trailers, forms, forms)
    )


def _rsa_functions(
    padding: PSS | PKCS1v15, hash_function: hashes.HashAlgorithm
) -> tuple[Callable[[PrivateHandle, bytes], bytes], Callable[[PublicHandle, bytes, bytes], None]]:
    def sign(handle: PrivateHandle, octets: bytes) -> bytes:
        return cast("rsa.RSAPrivateKey", handle).sign(octets, padding, hash_function)

    def verify(handle: PublicHandle, signature: bytes, octets: bytes) -> None:
        cast("rsa.RSAPublicKey", handle).verify(signature, octets, padding, hash_function)

    return sign, verify


def _rsassa_pss() -> tuple[SignatureScheme, ...]:
    return tuple(
        SignatureScheme(
            f"rsassa-pss-{hash_function.name}",
            hash_algorithm,
            _RSA,
            _pss_identifiers(oid, hash_function.digest_size),
            *_rsa_functions(PSS(MGF1(hash_function), hash_function.digest_size), hash_function),
        )
        for hash_algorithm, hash_function, oid in _HASHES
    )


def _rsassa_pkcs1() -> tuple[SignatureScheme, ...]:
    oids = ("2a864886f70d01010b", "2a864886f70d01010c", "2a864886f70d01010d")
    return tuple(
        SignatureScheme(
            f"rsassa-pkcs1-{hash_function.name}",
            hash_algorithm,
            _RSA,
            # RFC 4055 5: NULL has to be there, and its absence has to be accepted.
            _with_and_without_null(oid),
            *_rsa_functions(PKCS1v15(), hash_function),
        )
        for (hash_algorithm, hash_function, _), oid in zip(_HASHES, oids, strict=True)
    )


# -- ECDSA -----------------------------------------------------------------------------------------------------------

_ECDSA = frozenset({KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.ECDSA_P521})


def _ecdsa_functions(
    hash_function: hashes.HashAlgorithm,
) -> tuple[Callable[[PrivateHandle, bytes], bytes], Callable[[PublicHandle, bytes, bytes], None]]:
    algorithm = ec.ECDSA(hash_function)

    def sign(handle: PrivateHandle, octets: bytes) -> bytes:
        return cast("ec.EllipticCurvePrivateKey", handle).sign(octets, algorithm)

    def verify(handle: PublicHandle, signature: bytes, octets: bytes) -> None:
        cast("ec.EllipticCurvePublicKey", handle).verify(signature, octets, algorithm)

    return sign, verify


def _ecdsa() -> tuple[SignatureScheme, ...]:
    oids = ("2a8648ce3d040302", "2a8648ce3d040303", "2a8648ce3d040304")
    return tuple(
        SignatureScheme(
            f"ecdsa-{hash_function.name}",
            hash_algorithm,
            _ECDSA,
            # RFC 5758 3.2: without parameters. RFC 7427 3 only says SHOULD to the preferred of two encodings.
            _with_and_without_null(oid)[::-1],
            *_ecdsa_functions(hash_function),
        )
        for (hash_algorithm, hash_function, _), oid in zip(_HASHES, oids, strict=True)
    )


# -- what hashes by itself -------------------------------------------------------------------------------------------


def _sign_as_it_is(handle: PrivateHandle, octets: bytes) -> bytes:
    return cast("ed25519.Ed25519PrivateKey", handle).sign(octets)


def _verify_as_it_is(handle: PublicHandle, signature: bytes, octets: bytes) -> None:
    cast("ed25519.Ed25519PublicKey", handle).verify(signature, octets)


def _identity(key_type: KeyType, oid: str) -> SignatureScheme:
    """Return the row of an algorithm with one object identifier, no parameters and, for ML-DSA, no context."""
    return SignatureScheme(
        key_type.value,
        HashAlgorithm.IDENTITY,
        frozenset({key_type}),
        (_algorithm(oid),),
        _sign_as_it_is,
        _verify_as_it_is,
    )


# -- the tables ------------------------------------------------------------------------------------------------------

SIGNATURE_SCHEMES: Mapping[str, SignatureScheme] = MappingProxyType(
    {
        row.name: row
        for row in (
            *_rsassa_pss(),
            *_rsassa_pkcs1(),
            *_ecdsa(),
            _identity(KeyType.ED25519, "2b6570"),
            _identity(KeyType.ED448, "2b6571"),
            _identity(KeyType.ML_DSA_44, "608648016503040311"),
            _identity(KeyType.ML_DSA_65, "608648016503040312"),
            _identity(KeyType.ML_DSA_87, "608648016503040313"),
        )
    }
)
"""The algorithms that method 14 is implemented with, by name."""

SCHEMES_BY_IDENTIFIER: Mapping[bytes, SignatureScheme] = MappingProxyType(
    {identifier: row for row in SIGNATURE_SCHEMES.values() for identifier in row.identifiers}
)
"""The same by each of their AlgorithmIdentifiers."""


def _preferred(*names: str) -> tuple[SignatureScheme, ...]:
    return tuple(SIGNATURE_SCHEMES[name] for name in names)


PREFERENCES: Mapping[KeyType, tuple[SignatureScheme, ...]] = MappingProxyType(
    {
        # RFC 8247 3.2: PSS with SHA-256 MUST, SHA-512 SHOULD, SHA-384 MAY. PKCS #1 is for signatures of others.
        KeyType.RSA: _preferred("rsassa-pss-sha256", "rsassa-pss-sha512", "rsassa-pss-sha384"),
        # The hash that is as strong as the curve; else a stronger one; else what the peer has.
        KeyType.ECDSA_P256: _preferred("ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"),
        KeyType.ECDSA_P384: _preferred("ecdsa-sha384", "ecdsa-sha512", "ecdsa-sha256"),
        KeyType.ECDSA_P521: _preferred("ecdsa-sha512", "ecdsa-sha384", "ecdsa-sha256"),
        **{
            key_type: _preferred(key_type.value)
            for key_type in (
                KeyType.ED25519,
                KeyType.ED448,
                KeyType.ML_DSA_44,
                KeyType.ML_DSA_65,
                KeyType.ML_DSA_87,
            )
        },
    }
)
"""What a key of each type signs with, the best first; the peer's list of hashes decides."""

REFUSED_IDENTIFIERS: Mapping[bytes, str] = MappingProxyType(
    {
        **dict.fromkeys(_with_and_without_null("2a864886f70d010105"), "RSASSA-PKCS1-v1_5 with SHA-1"),
        **dict.fromkeys(_with_and_without_null("2a8648ce3d0401"), "ECDSA with SHA-1"),
        **dict.fromkeys(_with_and_without_null("2a8648ce380403"), "DSA with SHA-1"),
        **dict.fromkeys(_with_and_without_null("608648016503040302"), "DSA with SHA-256"),
        _algorithm(_RSASSA_PSS): "RSASSA-PSS without parameters, which means SHA-1",
        _algorithm(_RSASSA_PSS, _der(_SEQUENCE)): "RSASSA-PSS with empty parameters, which mean SHA-1",
        bytes.fromhex(
            "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108"
            "300906052b0e03021a0500a203020114a303020101"
        ): "RSASSA-PSS with default parameters, which mean SHA-1",
    }
)
"""Identifiers that RFC 7427 appendix A writes and RFC 8247 3.2 forbids, and what an operator should read about them."""


# -- the methods that RFC 7427 replaces ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegacyScheme:
    """What an authentication method of its own number means; sign and verify as in :class:`SignatureScheme`."""

    method: AuthMethod
    hash_algorithm: HashAlgorithm
    key_type: KeyType
    sign: Callable[[PrivateHandle, bytes], bytes]
    verify: Callable[[PublicHandle, bytes, bytes], None]


def _raw_ecdsa(
    method: AuthMethod, key_type: KeyType, hash_algorithm: HashAlgorithm, name: str, length: int
) -> LegacyScheme:
    """Return the row of a method of RFC 4754: the signature is r | s, each of ``length`` octets."""
    scheme = SIGNATURE_SCHEMES[name]

    def sign(handle: PrivateHandle, octets: bytes) -> bytes:
        r, s = decode_dss_signature(scheme.sign(handle, octets))
        return r.to_bytes(length) + s.to_bytes(length)

    def verify(handle: PublicHandle, signature: bytes, octets: bytes) -> None:
        if len(signature) != 2 * length:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:length]), int.from_bytes(signature[length:])
        scheme.verify(handle, encode_dss_signature(r, s), octets)

    return LegacyScheme(method, hash_algorithm, key_type, sign, verify)


LEGACY_SCHEMES: Mapping[int, LegacyScheme] = MappingProxyType(
    {
        row.method: row
        for row in (
            # RFC 7296 3.8: SHA-1 is what to sign with here, and what all others verify.
            LegacyScheme(
                AuthMethod.RSA_SIGNATURE,
                HashAlgorithm.SHA1,
                KeyType.RSA,
                *_rsa_functions(PKCS1v15(), hashes.SHA1()),  # noqa: S303
            ),
            _raw_ecdsa(AuthMethod.ECDSA_SHA2_256_P256, KeyType.ECDSA_P256, HashAlgorithm.SHA2_256, "ecdsa-sha256", 32),
            _raw_ecdsa(AuthMethod.ECDSA_SHA2_384_P384, KeyType.ECDSA_P384, HashAlgorithm.SHA2_384, "ecdsa-sha384", 48),
            _raw_ecdsa(AuthMethod.ECDSA_SHA2_512_P521, KeyType.ECDSA_P521, HashAlgorithm.SHA2_512, "ecdsa-sha512", 66),
        )
    }
)
"""The methods with which a peer without RFC 7427 signs, by number."""

LEGACY_BY_KEY_TYPE: Mapping[KeyType, LegacyScheme] = MappingProxyType(
    {row.key_type: row for row in LEGACY_SCHEMES.values()}
)
"""The same by the type of key that each is for."""
