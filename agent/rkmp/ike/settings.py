"""What an IKE SA is told when it is made: algorithms, timers, code points. One frozen value; no secrets.

Knows nothing of peers and their keys: those come through :mod:`rkmp.ike.policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rkmp.crypto.signatures import HASH_ALGORITHMS
from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, IkeProposal
from rkmp.crypto.tcp_ao import MASTER_KEY_LENGTH
from rkmp.wire import DEFAULT_CODE_POINTS, AuthAlg, CodePoints, Kdf

RFC_5926_PAIRS: Mapping[tuple[int, int], int] = MappingProxyType(
    {
        (auth_alg, kdf): MASTER_KEY_LENGTH[kdf]
        for auth_alg, kdf in (
            (AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1),
            (AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC),
        )
    }
)
"""The (Auth Alg, KDF) pairs that RFC 5926 section 3.1 allows, with the octets of their master keys (G9)."""


MIN_DATAGRAM_SIZE = 200
"""Octets of the smallest IP datagram to cut messages for: below, fragments are little but headers."""


@dataclass(frozen=True, slots=True)
class Retransmission:
    """How long a request is repeated (RFC 7296 2.1).

    The first repetition comes ``initial_timeout`` seconds after the request, each later one ``backoff`` times as
    long after the one before, ``tries`` transmissions in all; the request has failed one more interval later.
    """

    initial_timeout: float = 1.0
    backoff: float = 1.8
    tries: int = 6

    def interval(self, transmissions: int) -> float:
        """Return the seconds to wait after the ``transmissions``-th transmission (counted from 1)."""
        return self.initial_timeout * self.backoff ** (transmissions - 1)

    @property
    def patience(self) -> float:
        """The seconds from the first transmission until the request has failed."""
        return sum(self.interval(transmissions) for transmissions in range(1, self.tries + 1))


@dataclass(frozen=True, slots=True)
class IkeSettings:
    """The policy of one IKE SA. All times are in seconds.

    ``require_vendor_id``: use the private code points only towards a peer that announced the same; an initiator goes
    no further with another, a responder refuses its children.
    ``algorithm_pairs``: the (Auth Alg, KDF) pairs of TCP-AO that may be offered and accepted, with the octets of their
    master keys.
    ``half_open_timeout``: how long a responder waits for the initiator to go on: for IKE_AUTH after it answered
    IKE_SA_INIT, or for a sign that an IKE SA which replaces another has arrived there.
    ``replaced_timeout``: how long an IKE SA that the peer has replaced waits for its Delete; the peer may have to
    repeat both requests meanwhile.
    ``followup_timeout``: how long the next key exchange of a rekeying that the peer has begun is waited for (RFC 9370
    2.2.4). ``unauthenticated_error_grace``: how long an exchange goes on after a refusal that cannot be trusted, in the
    hope of a better answer (RFC 7296 2.21.1). ``linger``: how long a closed IKE SA still repeats its last response.
    ``fragmentation``: send long messages in fragments, and accept such, where the peer does the same (RFC 7383).
    ``datagram_size``: the octets of the largest IP datagram that goes in one piece then; None for what the RFC
    recommends, which is 576 over IPv4 and 1280 over IPv6. ``reassembly_limit``: the octets that are kept of a message
    which is not complete; a peer that sends more loses the IKE SA.
    ``childless``: let the peer open an IKE SA without a child (RFC 6023).
    ``nat_detection``: find out in IKE_SA_INIT whether addresses are translated, as far as the path is known.
    ``nat_port``: the port of the peer to which an initiator moves when they are (RFC 7296 2.23); None to stay.
    ``initial_contact``: tell the peer that we have no other IKE SA with it (RFC 7296 2.4).
    ``hash_algorithms``: what signatures of the peer may be over (RFC 7427); with none, signatures are made by the
    methods of before that RFC. ``allow_sha1``: for a peer that knows only those, sign with RSA and SHA-1 (RFC 8247
    3.1.1), and accept it.
    """

    proposals: tuple[IkeProposal, ...] = DEFAULT_IKE_PROPOSALS
    code_points: CodePoints = DEFAULT_CODE_POINTS
    require_vendor_id: bool = True
    retransmission: Retransmission = Retransmission()
    algorithm_pairs: Mapping[tuple[int, int], int] = field(default_factory=lambda: RFC_5926_PAIRS)
    half_open_timeout: float = 30.0
    replaced_timeout: float = 120.0
    followup_timeout: float = 20.0
    unauthenticated_error_grace: float = 3.0
    linger: float = 30.0
    fragmentation: bool = True
    datagram_size: int | None = None
    reassembly_limit: int = 32_768
    childless: bool = True
    nat_detection: bool = True
    nat_port: int | None = 4500
    initial_contact: bool = False
    hash_algorithms: tuple[int, ...] = HASH_ALGORITHMS
    allow_sha1: bool = False

    def __post_init__(self) -> None:
        if self.datagram_size is not None and self.datagram_size < MIN_DATAGRAM_SIZE:
            raise ValueError(f"datagrams of {self.datagram_size} octets are too small: {MIN_DATAGRAM_SIZE} at least")
