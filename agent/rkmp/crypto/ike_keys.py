"""The keys of an IKE SA and of what is negotiated over it (RFC 7296 2.14, 2.17, 2.18; the draft's section 3.2).

With what several key exchanges (RFC 9370 2.2) and a post-quantum pre-shared key (RFC 8784 3) add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rkmp.crypto.prf import PRFS, prf, prf_plus
from rkmp.crypto.suites import IkeSuite
from rkmp.secret import Secret
from rkmp.value import value


@value
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


def updated_ike_keys(
    suite: IkeSuite,
    sk_d: Secret,
    shared_secret: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
) -> IkeKeys:
    """Return the keys after an additional key exchange in IKE_INTERMEDIATE (RFC 9370 2.2.2).

    ``sk_d`` is what the exchange before led to; nonces and SPIs are those of IKE_SA_INIT.
    """
    seed = prf(suite.prf, sk_d, shared_secret.reveal() + nonce_i + nonce_r)
    return _expand(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def ike_keys_with_ppk(prf_id: int, keys: IkeKeys, ppk: Secret) -> IkeKeys:
    """Return ``keys`` with the post-quantum pre-shared key mixed into SK_d, SK_pi and SK_pr (RFC 8784 3).

    For the keys with which IKE_AUTH begins, once; never for those of an IKE SA that replaces another.
    """
    return replace(
        keys,
        **{
            name: Secret(prf_plus(prf_id, ppk, key.reveal(), len(key)))
            for name, key in (("sk_d", keys.sk_d), ("sk_pi", keys.sk_pi), ("sk_pr", keys.sk_pr))
        },
    )


def rekeyed_ike_keys(
    old_prf: int,
    old_sk_d: Secret,
    suite: IkeSuite,
    shared_secret: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
    additional_secrets: Sequence[Secret] = (),
) -> IkeKeys:
    """Return the keys of an IKE SA that replaces another (RFC 7296 2.18).

    ``old_prf`` and ``old_sk_d`` are the old SA's; suite, secret, nonces and SPIs those of the CREATE_CHILD_SA exchange,
    whose initiator is the initiator of the new SA. ``additional_secrets`` are those of the IKE_FOLLOWUP_KE exchanges
    after it, in order (RFC 9370 2.2.4).
    """
    seed = prf(old_prf, old_sk_d, _joined(shared_secret, nonce_i + nonce_r, additional_secrets))
    return _expand(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def child_key_material(
    prf_id: int,
    sk_d: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    length: int,
    shared_secret: Secret | None = None,
    additional_secrets: Sequence[Secret] = (),
) -> Secret:
    """Return ``length`` octets of prf+(SK_d, [g^ir |] Ni | Nr) (RFC 7296 2.17); CryptoError over 255 blocks.

    ``shared_secret`` is that of a key exchange in CREATE_CHILD_SA, where there was one; ``additional_secrets`` are
    those of the IKE_FOLLOWUP_KE exchanges after it, in order (RFC 9370 2.2.4).
    """
    return Secret(prf_plus(prf_id, sk_d, _joined(shared_secret, nonce_i + nonce_r, additional_secrets), length))


def _joined(shared_secret: Secret | None, nonces: bytes, additional_secrets: Sequence[Secret]) -> bytes:
    """Return SK(0) | Ni | Nr | SK(1) | ... | SK(n)."""
    first = shared_secret.reveal() if shared_secret is not None else b""
    return first + nonces + b"".join(secret.reveal() for secret in additional_secrets)


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
