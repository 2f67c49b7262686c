"""What one side of a handshake costs in cryptography alone, through our own functions: nobody can be cheaper."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rkmp.crypto.authentication import shared_key_auth, signed_octets
from rkmp.crypto.credentials import CertificateCredential, load_credential
from rkmp.crypto.ike_keys import derive_ike_keys
from rkmp.crypto.key_exchange import start
from rkmp.crypto.protection import Protector
from rkmp.crypto.signatures import HASH_ALGORITHMS, sign, verify
from rkmp.crypto.suites import IkeSuite
from rkmp.secret import Secret
from tests.benchmarks.handshakes import SETTINGS
from tests.benchmarks.parties import Authentication
from tests.interop.strongswan.charon import CHARON_NAME


def cryptography_alone(authentication: Authentication, folder: Path, handshakes: int) -> float:
    """Return microseconds of CPU time; certificates lie in ``folder``."""
    (offered,) = SETTINGS.proposals
    ((encryption, key_bits),), (prf,), (method,) = offered.encryption, offered.prf, offered.key_exchange
    suite = IkeSuite(encryption, key_bits, 0, prf, method)
    nonce, spi, message, identity = bytes(32), bytes(8), bytes(200), bytes(20)
    peer_value = start(method, os.urandom).public_value
    peer = Protector(suite, Secret(bytes(suite.encryption_algorithm.key_length)), Secret(b""))
    sealed = peer.seal(bytes(32), bytes(80), os.urandom)
    prove, check = _proofs(authentication, folder, prf)
    before = time.process_time()
    for _ in range(handshakes):
        shared_secret = start(method, os.urandom).finish(peer_value)
        keys = derive_ike_keys(suite, nonce, nonce, shared_secret, spi, spi)
        prove(signed_octets(prf, message, nonce, keys.sk_pi, identity))
        check(signed_octets(prf, message, nonce, keys.sk_pr, identity))
        ours, _ = Protector(suite, keys.sk_ei, keys.sk_ai), Protector(suite, keys.sk_er, keys.sk_ar)
        ours.seal(bytes(32), bytes(80), os.urandom)
        peer.open(bytes(32), sealed)
    return (time.process_time() - before) / handshakes * 1e6


def _proofs(
    authentication: Authentication, folder: Path, prf: int
) -> tuple[Callable[[bytes], object], Callable[[bytes], object]]:
    """Return what makes the proof over octets, and what checks another one; the chain is known already."""
    if authentication is Authentication.PRE_SHARED_KEYS:
        psk = Secret(bytes(30))
        return (lambda octets: shared_key_auth(prf, psk, octets),) * 2
    credential: CertificateCredential = load_credential(
        (folder / f"{CHARON_NAME}.pem").read_bytes(), Secret((folder / f"{CHARON_NAME}.key").read_bytes())
    )
    key, signed = credential.private_key, bytes(260)
    auth_method, signature = sign(key, signed, HASH_ALGORITHMS)
    return (
        lambda octets: sign(key, octets, HASH_ALGORITHMS),
        lambda _octets: verify(key.public_key, auth_method, signature, signed),
    )
