"""What IKE_SA_INIT has to carry besides algorithms, so that the two sides know what they can do with each other.

RFC 7383 2.3 (fragments), RFC 9242 3.1 (IKE_INTERMEDIATE), RFC 7427 4 (hash algorithms for signatures), RFC 8784 3
(whether there are post-quantum pre-shared keys), RFC 7296 3.7 (which authorities a certificate may come from). What is
agreed is what both sides announced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rkmp.crypto.certificates import parse_authorities
from rkmp.crypto.signatures import encode_hash_algorithms, parse_hash_algorithms
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.occurrence import notify_of
from rkmp.value import value
from rkmp.wire import CertEncoding, CertificateRequest, Notify, NotifyType, Payload

if TYPE_CHECKING:
    from rkmp.ike.policy import Expectations
    from rkmp.ike.settings import IkeSettings


@value
class Announcements:
    """What both sides have announced.

    ``hash_algorithms`` are those that the peer verifies signatures with, unknown numbers included; empty unless both
    sides sent their lists. ``has_ppks``: both sides hold post-quantum pre-shared keys. ``fragmentation``: both sides
    can put a message together that comes in fragments. ``intermediate``: there may be IKE_INTERMEDIATE exchanges.
    ``asks_for_certificate``: a responder wants a certificate of ours, or would take one; ``authorities`` are
    those that it has named for it, none where it did not say which.
    """

    hash_algorithms: frozenset[int] = frozenset()
    has_ppks: bool = False
    fragmentation: bool = False
    intermediate: bool = False
    asks_for_certificate: bool = False
    authorities: frozenset[bytes] = frozenset()


NOTHING_AGREED = Announcements()


def announce(settings: IkeSettings, expectations: Expectations, heard: Announcements | None) -> tuple[Payload, ...]:
    """Return what we announce; ``heard`` is what the initiator has, None where we are the initiator ourselves.

    A responder answers with nothing that the initiator may not understand.
    """
    announced: list[Payload] = []
    if heard is not None and expectations.authorities is not None:
        announced.append(CertificateRequest(CertEncoding.X509_SIGNATURE, expectations.authorities))
    if settings.hash_algorithms and (heard is None or heard.hash_algorithms):
        data = encode_hash_algorithms(settings.hash_algorithms)
        announced.append(Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, data))
    if expectations.ppks and (heard is None or heard.has_ppks):
        announced.append(Notify(NotifyType.USE_PPK))
    if settings.fragmentation and (heard is None or heard.fragmentation):
        announced.append(Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED))
    wants_intermediate = any(proposal.additional_key_exchanges for proposal in settings.proposals)
    if wants_intermediate if heard is None else heard.intermediate:
        announced.append(Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED))
    return tuple(announced)


def agreed(settings: IkeSettings, expectations: Expectations, payloads: Iterable[Payload]) -> Announcements:
    """Return what the peer announces and we do, too; IkeError (INVALID_SYNTAX) where that is malformed."""
    payloads = tuple(payloads)
    hashes = notify_of(NotifyType.SIGNATURE_HASH_ALGORITHMS, payloads) if settings.hash_algorithms else None
    try:
        hash_algorithms = frozenset[int]() if hashes is None else parse_hash_algorithms(hashes.data)
    except CryptoError as malformed:
        raise IkeError(NotifyType.INVALID_SYNTAX, str(malformed)) from malformed
    has_ppks = bool(expectations.ppks) and notify_of(NotifyType.USE_PPK, payloads) is not None
    fragmentation = settings.fragmentation and notify_of(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED, payloads) is not None
    intermediate = notify_of(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED, payloads) is not None
    asks = any(isinstance(payload, CertificateRequest) for payload in payloads)
    authorities = authorities_asked_for(payloads)
    return Announcements(hash_algorithms, has_ppks, fragmentation, intermediate, asks, authorities)


def authorities_asked_for(payloads: Iterable[Payload]) -> frozenset[bytes]:
    """Return the names, of 20 octets each, of the authorities that CERTREQ payloads ask for (RFC 7296 3.7).

    It is a hint, so one that is malformed asks for nothing.
    """
    asked: set[bytes] = set()
    for payload in payloads:
        if isinstance(payload, CertificateRequest) and payload.encoding == CertEncoding.X509_SIGNATURE:
            try:
                asked.update(parse_authorities(payload.data))
            except CryptoError:
                continue
    return frozenset(asked)
