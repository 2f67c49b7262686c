"""One private key of each type, made once a run, and others of sorts that are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rkmp.crypto.signature_keys import KeyType, PrivateHandle, PrivateKey
from rkmp.secret import Secret

_MAKERS: Mapping[KeyType, Callable[[], PrivateHandle]] = {
    KeyType.RSA: lambda: rsa.generate_private_key(65537, 2048),
    KeyType.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyType.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyType.ECDSA_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyType.ED448: ed448.Ed448PrivateKey.generate,
    KeyType.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyType.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyType.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


def private_key(key_type: KeyType, number: int = 0) -> PrivateKey:
    """Return a key of that type; another for each ``number``."""
    return _made_once(key_type, number)


@lru_cache
def _made_once(key_type: KeyType, _number: int) -> PrivateKey:
    return PrivateKey.of(_MAKERS[key_type]())


@lru_cache
def weak_rsa_handle() -> rsa.RSAPrivateKey:
    """Return a key of 1024 bits."""
    return rsa.generate_private_key(65537, 1024)  # noqa: S505


def pem_of(key: PrivateKey) -> Secret:
    """Return the key as PKCS #8."""
    return Secret(key.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
