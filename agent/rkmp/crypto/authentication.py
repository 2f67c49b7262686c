"""AUTH: what each side of an IKE SA signs, and the signature of those who share a key (RFC 7296 2.15)."""

from __future__ import annotations

from cryptography.hazmat.primitives import constant_time

from rkmp.crypto.prf import prf
from rkmp.secret import Secret

_KEY_PAD = b"Key Pad for IKEv2"


def signed_octets(
    prf_id: int, message: bytes, peer_nonce: bytes, sk_p: Secret, identification: bytes, intermediate: bytes = b""
) -> bytes:
    """Return what a side signs: ``message | peer_nonce | prf(sk_p, identification) [| intermediate]``.

    ``message`` is its own first message of the IKE SA as it was last sent, from the IKE header on and without a non-ESP
    marker; ``peer_nonce`` the other side's nonce; ``sk_p`` its own SK_pi or SK_pr; ``identification`` the body of its
    own IDi or IDr payload (without the generic header). ``intermediate`` is what
    :func:`rkmp.crypto.intermediate.int_auth` returns where there were IKE_INTERMEDIATE exchanges.
    """
    return message + peer_nonce + prf(prf_id, sk_p, identification) + intermediate


def shared_key_auth(prf_id: int, pre_shared_key: Secret, octets: bytes) -> bytes:
    """Return the data of an AUTH payload of method 2 over the signed ``octets``."""
    return prf(prf_id, prf(prf_id, pre_shared_key, _KEY_PAD), octets)


def verify_shared_key_auth(prf_id: int, pre_shared_key: Secret, octets: bytes, data: bytes) -> bool:
    """Return whether ``data`` is the AUTH of method 2 over ``octets``, in time that does not tell how far it is."""
    return constant_time.bytes_eq(shared_key_auth(prf_id, pre_shared_key, octets), data)
