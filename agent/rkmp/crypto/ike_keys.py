"""The keys of an IKE SA and of what is negotiated over it (RFC 7296 2.14, 2.17, 2.18; the draft's section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from rkmp.crypto.prf import PRFS, prf, prf_plus
from rkmp.crypto.suites import IkeSuite
from rkmp.secret import Secret


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven keys of an IKE SA.

    ``sk_d`` makes further keys, ``sk_a*`` protect integrity (empty where the cipher does that), ``sk_e*`` encrypt (with
    the salt of AES-GCM at the end), ``sk_p*`` go into AUTH; ``i`` is for what the initiator sends, ``r`` the responder.
    """

    sk_d: Secret
    sk_ai: Secret
    sk_ar: Secret
    sk_ei: Secret
    sk_er: Secret
    sk_pi: Secret
    sk_pr: Secret


def derive_ike_keys(
    suite: IkeSuite, nonce_i: bytes, nonce_r: bytes, shared_secret: Secret, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """Return the keys of a new IKE SA (RFC 7296 2.14); nonces and SPIs are the initiator's and the responder's."""
    seed = prf(suite.prf, nonce_i + nonce_r, shared_secret.reveal())
    return _expand(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def rekeyed_ike_keys(
    old_prf: int,
    old_sk_d: Secret,
    suite: IkeSuite,
    shared_secret: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
) -> IkeKeys:
    """Return the keys of an IKE SA that replaces another (RFC 7296 2.18).

    ``old_prf`` and ``old_sk_d`` are the old SA's; suite, secret, nonces and SPIs those of the CREATE_CHILD_SA exchange,
    whose initiator is the initiator of the new SA.
    """
    seed = prf(old_prf, old_sk_d, shared_secret.reveal() + nonce_i + nonce_r)
    return _expand(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def child_key_material(
    prf_id: int, sk_d: Secret, nonce_i: bytes, nonce_r: bytes, length: int, shared_secret: Secret | None = None
) -> Secret:
    """Return ``length`` octets of prf+(SK_d, [g^ir |] Ni | Nr) (RFC 7296 2.17); CryptoError over 255 blocks.

    ``shared_secret`` is that of a key exchange in CREATE_CHILD_SA, where there was one.
    """
    new_secret = shared_secret.reveal() if shared_secret is not None else b""
    return Secret(prf_plus(prf_id, sk_d, new_secret + nonce_i + nonce_r, length))


def _expand(suite: IkeSuite, seed: bytes, context: bytes) -> IkeKeys:
    prf_length = PRFS[suite.prf].key_length
    integrity = suite.integrity_algorithm
    integrity_length = integrity.key_length if integrity is not None else 0
    encryption_length = suite.encryption_algorithm.key_length
    lengths = (
        prf_length,
        integrity_length,
        integrity_length,
        encryption_length,
        encryption_length,
        prf_length,
        prf_length,
    )
    material = prf_plus(suite.prf, seed, context, sum(lengths))
    keys = []
    start = 0
    for length in lengths:
        keys.append(Secret(material[start : start + length]))
        start += length
    return IkeKeys(*keys)
