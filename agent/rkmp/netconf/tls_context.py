"""What a TLS server shows and whom it believes, as Python's ssl has it (RFC 7589, RFC 9325).

Certificates in, an ``SSLContext`` out; and out of a finished handshake the certificates that were verified. It must
not know connections.
"""

from __future__ import annotations

import _ssl
import os
import ssl
from dataclasses import dataclass, field

from rkmp.netconf.cert_to_name import CertToName
from rkmp.secret import Secret

# RFC 9325 section 4.2: forward secrecy and AEAD; TLS 1.3 has nothing else anyway.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who a TLS server is, and who its clients can be; certificates are PEM."""

    chain: bytes
    """The server's certificate, then those of the authorities above it."""
    private_key: Secret = field(repr=False)
    """PEM, not encrypted."""
    trust_anchors: tuple[bytes, ...]
    """Authorities that vouch for clients, or certificates of clients."""
    cert_to_name: tuple[CertToName, ...]
    """In the order in which they are tried."""


def server_context(identity: TlsIdentity) -> ssl.SSLContext:
    """Return the context of a server that asks every client for a certificate.

    Raises ValueError, with words for the operator, for certificates or a key that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.verify_mode = ssl.CERT_REQUIRED
    # A client's own certificate can be trusted without the authority above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A resumed session would let in whoever was trusted when it began.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    for anchor in identity.trust_anchors:
        _trust(context, anchor)
    _show(context, identity.chain, identity.private_key)
    return context


def check_trust_anchor(certificate: bytes) -> None:
    """Raise ValueError, with words for the operator, for what is no certificate in PEM."""
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate)


def check_certificate(chain: bytes, private_key: Secret) -> None:
    """Raise ValueError, with words for the operator, for certificates and a key, in PEM, that cannot be used."""
    _show(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, private_key)


def verified_chain(ssl_object: ssl.SSLObject) -> list[bytes]:
    """Return the client's certificate and those of the authorities above it that vouched for it, in DER."""
    if hasattr(ssl_object, "get_verified_chain"):
        return list(ssl_object.get_verified_chain())
    # Before Python 3.13 the method is there, below the class, and its certificates are objects.
    certificates = ssl_object._sslobj.get_verified_chain()  # type: ignore[attr-defined] # noqa: SLF001
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in certificates]


def _trust(context: ssl.SSLContext, certificate: bytes) -> None:
    try:
        context.load_verify_locations(cadata=certificate.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"a trust anchor cannot be read: {_words(error)}") from None


def _show(context: ssl.SSLContext, chain: bytes, private_key: Secret) -> None:
    try:
        _load(context, chain + b"\n" + private_key.reveal())
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"the certificate and its private key cannot be used: {_words(error)}") from None


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    # OpenSSL's loader takes names of files; this one is never on a disk.
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        # The empty password keeps it from asking the terminal for one.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    finally:
        os.close(descriptor)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return "this is not PEM" if isinstance(error, ssl.SSLError | ValueError) else type(error).__name__
