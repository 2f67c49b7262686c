"""Certificate revocation lists that an operator has configured, and what they say of a chain (RFC 5280 5 and 6.3).

``cryptography``'s verifier does not look at revocation, so this comes after it: each certificate of a verified chain is
held against the lists that its issuer has signed. A list counts for as long as it is configured. Delta lists and
indirect ones are refused, as are lists with a critical extension that is not known here: what they leave out or add
would be missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rkmp.crypto.certificates import CertificateFault, CertificateRejected, describe, printable
from rkmp.crypto.signature_keys import CredentialError


@final
@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list; ``issuer`` is a DER Name, ``issuer_text`` as RFC 4514 writes it, times are UTC."""

    crl: x509.CertificateRevocationList = field(repr=False)
    issuer: bytes
    issuer_text: str
    this_update: datetime
    next_update: datetime | None
    revoked: int

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Return the list in PEM text; raises CredentialError."""
        try:
            crl = x509.load_pem_x509_crl(pem)
            extensions = list(crl.extensions)
            issuer, issuer_text = crl.issuer.public_bytes(), printable(crl.issuer.rfc4514_string())
            revoked = len(crl)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
            raise CredentialError("the certificate revocation list is malformed") from None
        for extension in extensions:
            point = extension.value
            if isinstance(point, x509.DeltaCRLIndicator):
                raise CredentialError("it is a delta list, which tells only what has changed; configure a whole one")
            is_partial = isinstance(point, x509.IssuingDistributionPoint) and (
                point.indirect_crl or point.only_contains_attribute_certs
            )
            if is_partial or (extension.critical and isinstance(point, x509.UnrecognizedExtension)):
                raise CredentialError("it is an indirect list, or has a critical extension that is not known here")
        return cls(crl, issuer, issuer_text, crl.last_update_utc, crl.next_update_utc, revoked)


@final
class Revocations:
    """Several lists; whether one is by the authority that it names is found out once for each key."""

    __slots__ = ("_genuine", "_lists")

    def __init__(self, lists: Iterable[RevocationList] = ()) -> None:
        self._lists: dict[bytes, list[RevocationList]] = {}
        for each in lists:
            self._lists.setdefault(each.issuer, []).append(each)
        self._genuine: dict[tuple[int, bytes], bool] = {}

    def require_unrevoked(self, chain: Sequence[x509.Certificate]) -> None:
        """Raise CertificateRejected for a chain, from a peer's certificate to the trust anchor, with a revoked link."""
        if not self._lists:
            return
        for certificate, issuer in itertools.pairwise(chain):
            for each in self._lists.get(issuer.subject.public_bytes(), ()):
                entry = each.crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
                if entry is not None and self._is_genuine(each, issuer):
                    reason = (
                        f"the certificate of {describe(certificate)} was revoked on "
                        f"{entry.revocation_date_utc:%Y-%m-%d %H:%M:%SZ}"
                    )
                    raise CertificateRejected(CertificateFault.REVOKED, reason)

    def _is_genuine(self, revocation_list: RevocationList, issuer: x509.Certificate) -> bool:
        public_key = issuer.public_key()
        key = id(revocation_list.crl), public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        known = self._genuine.get(key)
        if known is None:
            try:
                known = revocation_list.crl.is_signature_valid(public_key)  # type: ignore[arg-type]
            except (TypeError, ValueError, UnsupportedAlgorithm):
                known = False
            self._genuine[key] = known
        return known
