"""Keys that sign: what they are, whether they are strong enough, and how an operator or a peer hands them over.

RFC 8247 3.1.1 (sizes of RSA keys), RFC 7670 (a raw public key is a SubjectPublicKeyInfo). Every key is weighed once,
when it is loaded: what is a :class:`PublicKey` or a :class:`PrivateKey` may be used. Knows nothing of certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from rkmp.errors import CryptoError
from rkmp.secret import Secret

MINIMUM_RSA_BITS = 2048
"""RFC 8247 3.1.1: shorter keys SHOULD NOT be used; here they are refused."""

MAXIMUM_RSA_BITS = 16384
"""OpenSSL verifies no signature of a longer key."""


class CredentialError(CryptoError):
    """A key or a certificate that an operator configured cannot be used; the message says what to do about it."""


class KeyType(Enum):
    """What a key is; the value is the name that an operator knows it by."""

    RSA = "rsa"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


PublicHandle = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
PrivateHandle = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
"""The objects of ``cryptography`` that sign and verify."""

_CURVES: Mapping[str, KeyType] = MappingProxyType(
    {
        ec.SECP256R1.name: KeyType.ECDSA_P256,
        ec.SECP384R1.name: KeyType.ECDSA_P384,
        ec.SECP521R1.name: KeyType.ECDSA_P521,
    }
)

_TYPES_OF_ONE_SIZE: tuple[tuple[type, KeyType], ...] = (
    (ed25519.Ed25519PublicKey, KeyType.ED25519),
    (ed448.Ed448PublicKey, KeyType.ED448),
    (mldsa.MLDSA44PublicKey, KeyType.ML_DSA_44),
    (mldsa.MLDSA65PublicKey, KeyType.ML_DSA_65),
    (mldsa.MLDSA87PublicKey, KeyType.ML_DSA_87),
)


@final
@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is fit to verify an AUTH payload."""

    key_type: KeyType
    handle: PublicHandle = field(repr=False)

    @classmethod
    def of(cls, handle: object) -> PublicKey:
        """Return the key behind an object of ``cryptography``; CryptoError for a kind or a size that is refused."""
        if not isinstance(handle, PublicHandle):
            raise CryptoError("a key of a kind that signs nothing in IKEv2")
        return cls(_weigh(handle), handle)

    @classmethod
    def from_spki(cls, octets: bytes) -> PublicKey:
        """Return the key of a DER SubjectPublicKeyInfo, which is what a CERT payload of encoding 15 holds.

        Raises CryptoError for anything else, and for a kind or a size that is refused.
        """
        try:
            return cls.of(load_der_public_key(octets))
        except (ValueError, UnsupportedAlgorithm):
            raise CryptoError("the raw public key is malformed or of an unknown kind") from None

    @property
    def spki(self) -> bytes:
        """The DER SubjectPublicKeyInfo; two keys are the same when theirs are."""
        return self.handle.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@final
@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key that is fit to sign an AUTH payload, loaded once and used for every handshake.

    Two are equal when their public keys are.
    """

    public_key: PublicKey
    handle: PrivateHandle = field(repr=False, compare=False)

    @classmethod
    def of(cls, handle: object) -> PrivateKey:
        """Return the key behind an object of ``cryptography``; CryptoError for a kind or a size that is refused."""
        if not isinstance(handle, PrivateHandle):
            raise CryptoError("a key of a kind that signs nothing in IKEv2")
        return cls(PublicKey.of(handle.public_key()), handle)

    @property
    def key_type(self) -> KeyType:
        """What the key is."""
        return self.public_key.key_type


def load_private_key(pem: Secret, passphrase: Secret | None = None) -> PrivateKey:
    """Return the private key in ``pem``: PKCS #8, encrypted with ``passphrase`` or not, or a traditional format.

    Raises CredentialError.
    """
    octets = pem.reveal()
    if b"PRIVATE KEY-----" not in octets:
        raise CredentialError(f"there is no private key in the PEM text, but {_what_it_is(octets)}")
    try:
        handle = load_pem_private_key(octets, None if passphrase is None else passphrase.reveal())
    except TypeError:
        problem = "is encrypted: give its passphrase" if passphrase is None else "is not encrypted: give no passphrase"
        raise CredentialError(f"the private key {problem}") from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "is malformed" if passphrase is None else "is malformed, or has another passphrase"
        raise CredentialError(f"the private key {problem}, or is of an unknown kind") from None
    try:
        return PrivateKey.of(handle)
    except CryptoError as refusal:
        raise CredentialError(f"the private key cannot be used: {refusal}") from None


def load_public_key(pem: bytes) -> PublicKey:
    """Return the public key in ``pem``, by which a peer without certificates is known; raises CredentialError."""
    if b"PUBLIC KEY-----" not in pem:
        raise CredentialError(f"there is no public key in the PEM text, but {_what_it_is(pem)}")
    try:
        handle = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialError("the public key is malformed or of an unknown kind") from None
    try:
        return PublicKey.of(handle)
    except CryptoError as refusal:
        raise CredentialError(f"the public key cannot be used: {refusal}") from None


def _weigh(handle: PublicHandle) -> KeyType:
    if isinstance(handle, ec.EllipticCurvePublicKey):
        if handle.curve.name not in _CURVES:
            raise CryptoError(f"keys on the curve {handle.curve.name} are not accepted")
        return _CURVES[handle.curve.name]
    if isinstance(handle, rsa.RSAPublicKey):
        if not MINIMUM_RSA_BITS <= handle.key_size <= MAXIMUM_RSA_BITS:
            raise CryptoError(
                f"an RSA key of {handle.key_size} bits, where {MINIMUM_RSA_BITS} to {MAXIMUM_RSA_BITS} are accepted"
            )
        return KeyType.RSA
    return next(key_type for kind, key_type in _TYPES_OF_ONE_SIZE if isinstance(handle, kind))


def _what_it_is(pem: bytes) -> str:
    for marker, what in (
        (b"-----BEGIN CERTIFICATE-----", "a certificate"),
        (b"PRIVATE KEY-----", "a private key"),
        (b"PUBLIC KEY-----", "a public key"),
        (b"-----BEGIN ", "something else"),
    ):
        if marker in pem:
            return what
    return "no PEM at all"
