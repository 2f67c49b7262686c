"""The two sides of every handshake that is measured, and what each proves itself with.

Certificates are ECDSA P-256, each from an authority whose certificate both sides have, and lie in files, because the
two sides are processes of their own.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rkmp.crypto.certificate_paths import TrustAnchors, VerifiedChain, VerifiedChains, load_trust_anchors
from rkmp.crypto.credentials import load_credential
from rkmp.ike import (
    Expectations,
    Identity,
    LocalAuthentication,
    OwnCertificate,
    PeerCertificate,
    Policy,
    RemoteAuthentication,
)
from rkmp.secret import Secret
from tests.crypto.authorities import host, make, make_authority, usage
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, SECRET
from tests.interop.strongswan.policy import FixedPolicy, PreSharedKeyPolicy


class Authentication(enum.Enum):
    """What both sides prove themselves with.

    The chain of a peer's certificates is looked up where it was verified lately, and verified again in each handshake
    where it is NEW_CHAINS.
    """

    PRE_SHARED_KEYS = "psk"
    CERTIFICATES = "ecdsa"
    NEW_CHAINS = "ecdsa-new"


def make_certificates(folder: Path) -> None:
    """Write an authority's certificate, and a certificate with its key for either name."""
    now = datetime.now(UTC)
    span = {"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=1)}
    root = make_authority("root", **span)  # type: ignore[arg-type]
    (folder / "root.pem").write_bytes(root.pem)
    for number, name in enumerate((CHARON_NAME, ROUTER_NAME), start=1):
        extensions = (host(name), usage(sign=True))
        holder = make(name, root, key_number=number, extensions=extensions, **span)  # type: ignore[arg-type]
        (folder / f"{name}.pem").write_bytes(holder.pem)
        key = holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(key)


def policy(authentication: Authentication, own_name: str, peer_name: str, folder: Path) -> Policy:
    """Return the policy of one side towards the other, with its certificate from ``folder`` where it needs one."""
    identity, peer_identity = Identity.parse("fqdn", own_name), Identity.parse("fqdn", peer_name)
    if authentication is Authentication.PRE_SHARED_KEYS:
        secret = Secret(SECRET.encode())
        return PreSharedKeyPolicy(identity, peer_identity, psk=secret, peer_psk=secret)
    anchors = load_trust_anchors([(folder / "root.pem").read_bytes()])
    credential = load_credential(
        (folder / f"{own_name}.pem").read_bytes(), Secret((folder / f"{own_name}.key").read_bytes())
    )
    verify = _Verifier(anchors, remembers=authentication is Authentication.CERTIFICATES)
    return FixedPolicy(
        LocalAuthentication(identity, OwnCertificate(credential)),
        peer_identity,
        RemoteAuthentication(PeerCertificate(verify)),
        Expectations(anchors.certificate_request),
    )


class _Verifier:
    """Verifies chains at the time that it is, as the engine does."""

    def __init__(self, anchors: TrustAnchors, *, remembers: bool) -> None:
        self._anchors = anchors
        self._chains = VerifiedChains() if remembers else None

    def __call__(self, received: Sequence[bytes]) -> VerifiedChain:
        now = datetime.now(UTC)
        if self._chains is None:
            return self._anchors.verify(received, now)
        return self._chains.verify(self._anchors, received, now)
