"""What an operator gives us to prove who we are: a certificate, what leads from it to an authority, and its key.

RFC 7296 3.6 (what is sent of it), RFC 4945 3.1.8 (whom it names). Loaded once and used for every handshake.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from rkmp.crypto.certificate_names import CertificateNames
from rkmp.crypto.certificates import (
    CertificateRejected,
    authority_of,
    describe,
    encode_certificate,
    first_to_expire,
    is_self_issued,
    load_certificates,
    may_sign,
    public_key_of,
)
from rkmp.crypto.signature_keys import CredentialError, PrivateKey, load_private_key
from rkmp.secret import Secret


@final
@dataclass(frozen=True, slots=True)
class CertificateCredential:
    """Our certificate and its private key.

    ``certificates`` begin with our own. ``payloads`` is what the CERT payloads of encoding 4 carry, in order: all but
    self-signed authorities, which a peer knows or does not believe. ``names`` are the identities that it is good for.
    """

    private_key: PrivateKey
    certificates: tuple[x509.Certificate, ...] = field(repr=False)
    payloads: tuple[bytes, ...] = field(repr=False)
    names: CertificateNames

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate], private_key: PrivateKey) -> CertificateCredential:
        """Return the credential; CredentialError when the first certificate is not one that the key can sign for.

        Every other has to have issued one of them.
        """
        own = certificates[0]
        try:
            public_key, names = public_key_of(own), CertificateNames.of(own)
            is_for_signatures = may_sign(own)
            sent = (own, *(other for other in certificates[1:] if not is_self_issued(other)))
        except CertificateRejected as refusal:
            raise CredentialError(str(refusal)) from None
        if public_key.spki != private_key.public_key.spki:
            raise CredentialError(
                f"the private key does not belong to the first certificate, which is that of {describe(own)}"
            )
        if not is_for_signatures:
            raise CredentialError(f"the key usage of the certificate of {describe(own)} does not allow signatures")
        _check_chain(certificates)
        payloads = tuple(encode_certificate(certificate) for certificate in sent)
        return cls(private_key, tuple(certificates), payloads, names)

    @property
    def first_to_expire(self) -> x509.Certificate:
        """The certificate that expires before the others; with it the credential does."""
        return first_to_expire(self.certificates)


def authorities_above(
    certificates: Sequence[x509.Certificate], anchors: Iterable[x509.Certificate]
) -> frozenset[bytes]:
    """Return the names by which CERTREQ may ask for a chain of ours: of those in it, and of ``anchors`` above it.

    ``certificates`` are the chain, ``anchors`` whoever may have issued one of them; whose key cannot be read has none.
    """
    above = [anchor for anchor in anchors if any(_has_issued(anchor, certificate) for certificate in certificates)]
    names: set[bytes] = set()
    for authority in (*certificates, *above):
        with contextlib.suppress(CertificateRejected):
            names.add(authority_of(authority))
    return frozenset(names)


def _check_chain(certificates: Sequence[x509.Certificate]) -> None:
    """Raise CredentialError for a certificate that leads nowhere: it has issued none of the others."""
    for authority in certificates[1:]:
        if not any(_has_issued(authority, other) for other in certificates if other is not authority):
            who = describe(authority)
            raise CredentialError(
                f"the certificate of {who} does not belong to the chain: it has issued none of the others"
            )


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    except (UnsupportedAlgorithm, TypeError):
        # The names fit, or it had not come to the signature; whether peers can verify it is for them to say.
        return True
    return True


def load_credential(chain: bytes, private_key: Secret, passphrase: Secret | None = None) -> CertificateCredential:
    """Return the credential in PEM texts: our certificate with those that lead to an authority, and its private key.

    Raises CredentialError.
    """
    return CertificateCredential.of(load_certificates(chain), load_private_key(private_key, passphrase))
