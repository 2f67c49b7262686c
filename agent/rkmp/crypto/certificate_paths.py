"""From a peer's certificates to a configured trust anchor: chain building, validation, and remembering what was valid.

RFC 5280 6 by ``cryptography``'s verifier, with the extensions that RFC 4945 5.1.3 asks of certificates for IKE: key
usage, extended key usage, basic constraints. Name constraints on host names, addresses and mail addresses are honoured;
an authority that is constrained to directory names is refused, because the verifier cannot hold it to them. The
verifier knows no authorities with Ed25519 or Ed448 keys, which are common in PKIs that were made for IKE: paths of
nothing else are followed here, with the verifier looking at each certificate by itself. Revocation comes afterwards
(:mod:`rkmp.crypto.revocation`).

Times come in as aware datetimes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from rkmp.crypto.certificate_names import CertificateNames
from rkmp.crypto.certificates import (
    CertificateFault,
    CertificateRejected,
    describe,
    encode_authorities,
    extension_of,
    first_to_expire,
    load_certificates,
    may_sign,
    parse_certificate,
    printable,
    public_key_of,
    summary_of,
)
from rkmp.crypto.signature_keys import CredentialError, PublicKey

MAXIMUM_RECEIVED = 10
"""How many certificates a peer may send; RFC 7296 3.6 asks for four."""

IKE_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.IPSEC_IKE,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        # iKEIntermediate, which no RFC defines and many authorities have issued for this purpose.
        x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),
    }
)
"""What a certificate with an extended key usage has to have one of (RFC 4945 5.1.3.12)."""

_EDWARDS_SIGNATURES = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})


@final
@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A peer's certificates, found valid: what its AUTH is verified with, and whom it may say it is.

    ``certificates`` go from the peer's own to the trust anchor; all of them are valid from ``valid_from`` until
    ``valid_until``.
    """

    public_key: PublicKey
    names: CertificateNames
    certificates: tuple[x509.Certificate, ...] = field(repr=False)
    valid_from: datetime
    valid_until: datetime

    def is_valid(self, at: datetime) -> bool:
        """Return whether ``at`` is within the validity of every certificate."""
        return self.valid_from <= at <= self.valid_until


@final
class TrustAnchors:
    """Whom to believe about peers: authorities, or single certificates of peers that are trusted as they are.

    Make one for each set that is configured, and share it. ``certificates`` are the anchors, ``certificate_request`` is
    what a CERTREQ payload of encoding 4 carries that asks for what they vouch for, and ``fingerprint`` differs from
    that of any other anchors or rules.
    """

    __slots__ = ("_authorities", "_builder", "_ignore_purposes", "certificate_request", "certificates", "fingerprint")

    def __init__(self, certificates: Iterable[x509.Certificate], *, ignore_extended_key_usage: bool = False) -> None:
        """Raise CredentialError when there is no certificate, or one has a key that is too weak.

        ``ignore_extended_key_usage`` also accepts what was issued for other purposes, such as TLS alone.
        """
        self.certificates = tuple(dict.fromkeys(certificates))
        if not self.certificates:
            raise CredentialError("there has to be at least one trust anchor")
        try:
            for anchor in self.certificates:
                public_key_of(anchor)
        except CertificateRejected as refusal:
            raise CredentialError(f"a trust anchor cannot be used: {refusal}") from None
        self._ignore_purposes = ignore_extended_key_usage
        self._authorities = _policy_for_authorities(ignore_purposes=ignore_extended_key_usage)
        self._builder = (
            PolicyBuilder()
            .store(Store(list(self.certificates)))
            .extension_policies(ca_policy=self._authorities, ee_policy=ExtensionPolicy.permit_all())
        )
        self.certificate_request = encode_authorities(self.certificates)
        self.fingerprint = _digest(
            bytes((ignore_extended_key_usage,)),
            *sorted(anchor.fingerprint(hashes.SHA256()) for anchor in self.certificates),
        )

    @property
    def first_to_expire(self) -> x509.Certificate:
        """The anchor that expires before the others."""
        return first_to_expire(self.certificates)

    def verify(self, received: Sequence[bytes], at: datetime) -> VerifiedChain:
        """Return the chain from a peer's certificate to one of the anchors that is valid ``at`` that time.

        ``received`` is what its CERT payloads of encoding 4 carry, in order: its own certificate and what may lead to
        an anchor. Raises CertificateRejected.
        """
        if not received:
            raise CertificateRejected(CertificateFault.UNTRUSTED, "the peer sent no certificate")
        if len(received) > MAXIMUM_RECEIVED:
            raise CertificateRejected(CertificateFault.MALFORMED, f"the peer sent {len(received)} certificates")
        leaf = parse_certificate(received[0])
        public_key, names = public_key_of(leaf), CertificateNames.of(leaf)
        self._check_leaf(leaf, at)
        others = _readable(received[1:])
        try:
            if leaf.signature_algorithm_oid in _EDWARDS_SIGNATURES and leaf not in self.certificates:
                path = self._edwards_path(leaf, others, at)
            else:
                path = self._builder.time(at).build_client_verifier().verify(leaf, others).chain
        except (VerificationError, ValueError, x509.UnsupportedGeneralNameType) as refusal:
            why = self._missing_issuer(leaf, others) or printable(str(refusal))
            reason = f"the certificate of {describe(leaf)} leads to no trust anchor: {why}"
            raise CertificateRejected(CertificateFault.UNTRUSTED, reason) from None
        return VerifiedChain(
            public_key=public_key,
            names=names,
            certificates=tuple(path),
            valid_from=max(certificate.not_valid_before_utc for certificate in path),
            valid_until=min(certificate.not_valid_after_utc for certificate in path),
        )

    def _check_leaf(self, leaf: x509.Certificate, at: datetime) -> None:
        """Raise CertificateRejected for what an operator should be told of a peer's certificate in clear words."""
        if at < leaf.not_valid_before_utc:
            reason = f"the certificate of {describe(leaf)} is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%SZ}"
            raise CertificateRejected(CertificateFault.NOT_YET_VALID, reason)
        if at > leaf.not_valid_after_utc:
            reason = f"the certificate of {describe(leaf)} expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}"
            raise CertificateRejected(CertificateFault.EXPIRED, reason)
        if not may_sign(leaf):
            reason = f"the key usage of the certificate of {describe(leaf)} does not allow signatures"
            raise CertificateRejected(CertificateFault.WRONG_USAGE, reason)
        if not self._ignore_purposes and not _is_for_ike(extension_of(leaf, x509.ExtendedKeyUsage)):
            reason = f"the extended key usage of the certificate of {describe(leaf)} does not allow IKE"
            raise CertificateRejected(CertificateFault.WRONG_USAGE, reason)

    def _missing_issuer(self, leaf: x509.Certificate, others: Iterable[x509.Certificate]) -> str:
        """Return what to say when nobody there has the issuer's name, which the verifier does not tell; or nothing."""
        issuer = summary_of(leaf).issuer
        if any(issuer == summary_of(candidate).subject for candidate in (*self.certificates, *others)):
            return ""
        return f"its issuer {issuer} is no trust anchor, and the peer sent no certificate of it"

    # -- authorities with Ed25519 or Ed448 keys ----------------------------------------------------------------------

    def _edwards_path(
        self, leaf: x509.Certificate, others: list[x509.Certificate], at: datetime
    ) -> list[x509.Certificate]:
        """Return a path whose every signature is Ed25519 or Ed448; raise ValueError or VerificationError.

        From several issuers of one name and key the first is taken that is valid, so there is one path to look at.
        """
        path = [leaf]
        while path[-1] not in self.certificates:
            issuers = (issuer for issuer in (*self.certificates, *others) if _is_edwards_issuer(issuer, path[-1], at))
            issuer = next(issuers, None)
            if issuer is None:
                raise ValueError(f"nobody who is known and valid now issued the certificate of {describe(path[-1])}")
            others = [other for other in others if other != issuer]
            path.append(issuer)
        _verify_alone(leaf, ExtensionPolicy.permit_all(), self._authorities, at)
        for depth, authority in enumerate(path[1:]):
            _verify_alone(authority, self._authorities, self._authorities, at)
            constraints = extension_of(authority, x509.BasicConstraints)
            if constraints is not None and constraints.path_length is not None and constraints.path_length < depth:
                raise ValueError(f"{describe(authority)} may not have {depth} authorities below it")
            if extension_of(authority, x509.NameConstraints) is not None:
                raise ValueError(f"{describe(authority)} has an Edwards key and name constraints, which is too much")
        return path


def load_trust_anchors(pems: Iterable[bytes], *, ignore_extended_key_usage: bool = False) -> TrustAnchors:
    """Return the anchors in PEM texts of one certificate or more each; raises CredentialError."""
    certificates = [certificate for pem in pems for certificate in load_certificates(pem)]
    return TrustAnchors(certificates, ignore_extended_key_usage=ignore_extended_key_usage)


@final
class VerifiedChains:
    """The chains that were found valid lately, so that a peer that comes back costs no signature.

    A chain is found again only for the very octets that were verified, by the very anchors, and within the validity of
    all its certificates. At most ``capacity`` are kept; the one that was not asked for longest goes.
    """

    __slots__ = ("_capacity", "_chains")

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._chains: OrderedDict[bytes, VerifiedChain] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chains)

    def verify(self, anchors: TrustAnchors, received: Sequence[bytes], at: datetime) -> VerifiedChain:
        """Return what ``anchors.verify(received, at)`` does, from memory where that is right; CertificateRejected."""
        key = _digest(anchors.fingerprint, *received)
        known = self._chains.get(key)
        if known is not None and known.is_valid(at):
            self._chains.move_to_end(key)
            return known
        self._chains.pop(key, None)
        chain = anchors.verify(received, at)
        self._chains[key] = chain
        if len(self._chains) > self._capacity:
            self._chains.popitem(last=False)
        return chain


def _readable(received: Sequence[bytes]) -> list[x509.Certificate]:
    """Return each certificate once; what is none may be passed over (RFC 4945 3.3.10.2, 3.3.10.4)."""
    certificates: dict[x509.Certificate, None] = {}
    for octets in received:
        try:
            certificates[parse_certificate(octets)] = None
        except CertificateRejected:
            continue
    return list(certificates)


def _policy_for_authorities(*, ignore_purposes: bool) -> ExtensionPolicy:
    policy = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _require_authority)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_certificate_signing)
        .may_be_present(x509.NameConstraints, Criticality.AGNOSTIC, _refuse_directory_names)
    )
    if ignore_purposes:
        return policy
    return policy.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_ike)


def _require_authority(_policy: Policy, _authority: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("it is not an authority's")


def _require_certificate_signing(_policy: Policy, _authority: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key usage does not allow to sign certificates")


def _refuse_directory_names(
    _policy: Policy, _authority: x509.Certificate, constraints: x509.NameConstraints | None
) -> None:
    if constraints is None:
        return
    names = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
    if any(isinstance(name, x509.DirectoryName) for name in names):
        raise ValueError("its name constraints have directory names, which cannot be checked")


def _require_ike(_policy: Policy, _authority: x509.Certificate, purposes: x509.ExtendedKeyUsage | None) -> None:
    if not _is_for_ike(purposes):
        raise ValueError("its extended key usage does not allow IKE")


def _is_for_ike(purposes: x509.ExtendedKeyUsage | None) -> bool:
    return purposes is None or not IKE_PURPOSES.isdisjoint(purposes)


def _is_edwards_issuer(issuer: x509.Certificate, certificate: x509.Certificate, at: datetime) -> bool:
    if not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        return False
    if certificate.signature_algorithm_oid not in _EDWARDS_SIGNATURES:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _verify_alone(
    certificate: x509.Certificate, policy: ExtensionPolicy, authorities: ExtensionPolicy, at: datetime
) -> None:
    """Raise VerificationError unless ``certificate`` would be valid by itself, were it trusted as it is."""
    builder = PolicyBuilder().store(Store([certificate])).extension_policies(ca_policy=authorities, ee_policy=policy)
    builder.time(at).build_client_verifier().verify(certificate, [])


def _digest(*parts: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"".join(part for octets in parts for part in (len(octets).to_bytes(4), octets)))
    return digest.finalize()
