"""Key exchanges: what goes into KE payloads and what comes out as the shared secret.

RFC 7296 2.7 and 3.4, RFC 5903 (P-256, P-384, P-521), RFC 8031 (Curve25519), RFC 6989 (checks of the peer's value), and
ML-KEM as draft-ietf-ipsecme-ikev2-mlkem carries it. A Diffie-Hellman group and a KEM have one shape here: the initiator
starts, the responder answers and has the secret at once, the initiator finishes with the answer.

Private keys come from the ``random`` that is passed in, so transcripts can be replayed; only the responder of a KEM
draws from OpenSSL's own generator, because ``cryptography`` offers no other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, final

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rkmp.errors import CryptoError
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.wire import KeyExchangeId

_UNCOMPRESSED_POINT = b"\x04"


class PendingKeyExchange(Protocol):
    """An initiator's half of a key exchange, good for one answer."""

    @property
    def public_value(self) -> bytes:
        """What the KE payload of the request carries."""

    def finish(self, peer_value: bytes) -> Secret:
        """Return the secret shared with the responder that answered ``peer_value``.

        Raises CryptoError for a value of another length, a point that is not on the curve, or an all-zero secret.
        """


@dataclass(frozen=True, slots=True)
class KeyExchangeMethod:
    """A method: its transform ID and name, and the octets of the initiator's and of the responder's value.

    ``start`` and ``respond`` are what the functions of that name do, for values of these lengths.
    """

    method: KeyExchangeId
    name: str
    request_length: int
    answer_length: int
    start: Callable[[Random], PendingKeyExchange]
    respond: Callable[[bytes, Random], tuple[bytes, Secret]]


def start(method: int, random: Random) -> PendingKeyExchange:
    """Start a key exchange as its initiator; CryptoError for an unknown method."""
    return _method(method).start(random)


def respond(method: int, peer_value: bytes, random: Random) -> tuple[bytes, Secret]:
    """Answer the initiator's ``peer_value``: return our value for its KE payload, and the shared secret.

    Raises CryptoError for an unknown method, a value of another length, a point that is not on the curve, a key that
    is not in range, or an all-zero secret.
    """
    row = _method(method)
    _check_length(peer_value, row.request_length)
    return row.respond(peer_value, random)


def _method(method: int) -> KeyExchangeMethod:
    row = KEY_EXCHANGES.get(method)
    if row is None:
        raise CryptoError(f"key exchange method {method} is not implemented")
    return row


def _check_length(value: bytes, expected: int) -> None:
    if len(value) != expected:
        raise CryptoError(f"a key exchange value of {len(value)} octets where there have to be {expected}")


# -- Curve25519 ------------------------------------------------------------------------------------------------------

_X25519_LENGTH = 32


@final
class _X25519:
    __slots__ = ("_private_key", "public_value")

    def __init__(self, random: Random) -> None:
        self._private_key = x25519.X25519PrivateKey.from_private_bytes(random(_X25519_LENGTH))
        self.public_value = self._private_key.public_key().public_bytes_raw()

    def finish(self, peer_value: bytes) -> Secret:
        _check_length(peer_value, _X25519_LENGTH)
        try:
            return Secret(self._private_key.exchange(x25519.X25519PublicKey.from_public_bytes(peer_value)))
        except ValueError:
            # RFC 8031 3.1: a point of small order makes the secret all zero.
            raise CryptoError("the peer's Curve25519 value makes an all-zero secret") from None


# -- the NIST curves -------------------------------------------------------------------------------------------------


@final
class _Ecp:
    """RFC 5903: a value is x | y, each as long as the field; the secret is x alone."""

    __slots__ = ("_curve", "_private_key", "public_value")

    def __init__(self, curve: ec.EllipticCurve, random: Random) -> None:
        # FIPS 186-5 A.2.1: 64 bits more than needed leave no bias worth the name in the remainder.
        order = curve.group_order
        excess = int.from_bytes(random((order.bit_length() + 7) // 8 + 8))
        self._curve = curve
        self._private_key = ec.derive_private_key(excess % (order - 1) + 1, curve)
        point = self._private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_value = point[len(_UNCOMPRESSED_POINT) :]

    def finish(self, peer_value: bytes) -> Secret:
        _check_length(peer_value, len(self.public_value))
        try:
            # Refuses points that are not on the curve and coordinates that are not below the field's prime.
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._curve, _UNCOMPRESSED_POINT + peer_value)
        except ValueError:
            raise CryptoError(f"the peer's value is no point on {self._curve.name}") from None
        return Secret(self._private_key.exchange(ec.ECDH(), point))


# -- ML-KEM ----------------------------------------------------------------------------------------------------------

_ML_KEM_SEED_LENGTH = 64

_MlKemPrivateKey = mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey
_MlKemPublicKey = mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey


@final
class _MlKem:
    """The initiator of an ML-KEM: its value is the encapsulation key, the answer a ciphertext."""

    __slots__ = ("_answer_length", "_private_key", "public_value")

    def __init__(self, private_key: _MlKemPrivateKey, answer_length: int) -> None:
        self._private_key = private_key
        self._answer_length = answer_length
        self.public_value = private_key.public_key().public_bytes_raw()

    def finish(self, peer_value: bytes) -> Secret:
        # A wrong ciphertext of the right length makes a wrong secret (FIPS 203 6.3), which AUTH will tell.
        _check_length(peer_value, self._answer_length)
        return Secret(self._private_key.decapsulate(peer_value))


# -- the table -------------------------------------------------------------------------------------------------------


def _curve25519() -> KeyExchangeMethod:
    def respond(peer_value: bytes, random: Random) -> tuple[bytes, Secret]:
        ours = _X25519(random)
        return ours.public_value, ours.finish(peer_value)

    return KeyExchangeMethod(KeyExchangeId.CURVE25519, "curve25519", _X25519_LENGTH, _X25519_LENGTH, _X25519, respond)


def _ecp(method: KeyExchangeId, name: str, curve: ec.EllipticCurve) -> KeyExchangeMethod:
    def start(random: Random) -> PendingKeyExchange:
        return _Ecp(curve, random)

    def respond(peer_value: bytes, random: Random) -> tuple[bytes, Secret]:
        ours = _Ecp(curve, random)
        return ours.public_value, ours.finish(peer_value)

    length = 2 * ((curve.key_size + 7) // 8)
    return KeyExchangeMethod(method, name, length, length, start, respond)


def _ml_kem(
    method: KeyExchangeId,
    name: str,
    lengths: tuple[int, int],
    private_key_from_seed: Callable[[bytes], _MlKemPrivateKey],
    public_key_from_octets: Callable[[bytes], _MlKemPublicKey],
) -> KeyExchangeMethod:
    request_length, answer_length = lengths

    def start(random: Random) -> PendingKeyExchange:
        return _MlKem(private_key_from_seed(random(_ML_KEM_SEED_LENGTH)), answer_length)

    def respond(peer_value: bytes, _random: Random) -> tuple[bytes, Secret]:
        try:
            # FIPS 203 7.2: refuses coefficients that are not below the modulus.
            public_key = public_key_from_octets(peer_value)
        except ValueError:
            raise CryptoError(f"the peer's {name} encapsulation key is invalid") from None
        secret, ciphertext = public_key.encapsulate()
        return ciphertext, Secret(secret)

    return KeyExchangeMethod(method, name, request_length, answer_length, start, respond)


KEY_EXCHANGES: Mapping[int, KeyExchangeMethod] = MappingProxyType(
    {
        row.method: row
        for row in (
            _curve25519(),
            _ecp(KeyExchangeId.ECP_256, "ecp256", ec.SECP256R1()),
            _ecp(KeyExchangeId.ECP_384, "ecp384", ec.SECP384R1()),
            _ecp(KeyExchangeId.ECP_521, "ecp521", ec.SECP521R1()),
            _ml_kem(
                KeyExchangeId.ML_KEM_768,
                "ml-kem-768",
                (1184, 1088),
                mlkem.MLKEM768PrivateKey.from_seed_bytes,
                mlkem.MLKEM768PublicKey.from_public_bytes,
            ),
            _ml_kem(
                KeyExchangeId.ML_KEM_1024,
                "ml-kem-1024",
                (1568, 1568),
                mlkem.MLKEM1024PrivateKey.from_seed_bytes,
                mlkem.MLKEM1024PublicKey.from_public_bytes,
            ),
        )
    }
)
"""The methods that are implemented, by transform ID."""
