"""Whether something between the two sides translates their addresses, found out in IKE_SA_INIT (RFC 7296 2.23).

Each side tells a hash of where it thinks that the message comes from and goes to; the other compares it with where the
message did come from and arrived. TCP-AO protects addresses and ports, so a translator matters to routers (G30); what
is done about one is for the layer above to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes

from rkmp.ike.path import Path, address_of
from rkmp.wire import Notify, NotifyType, Payload


@dataclass(frozen=True, slots=True)
class Nat:
    """Where an address is translated: ``local``: we are behind a NAT, ``remote``: the peer is."""

    local: bool
    remote: bool


def tell_path(path: Path | None, initiator_spi: bytes, responder_spi: bytes) -> tuple[Payload, ...]:
    """Return what says where a message is sent from and to; nothing where we do not know both.

    SPIs are those in the header of the message that carries it.
    """
    if path is None or address_of(path.local).is_unspecified:
        return ()
    spis = initiator_spi + responder_spi
    return (
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, _hash(spis, path.local)),
        Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, _hash(spis, path.remote)),
    )


def detect(path: Path | None, initiator_spi: bytes, responder_spi: bytes, payloads: Sequence[Payload]) -> Nat | None:
    """Return what a message says about translators on its way; None where it says nothing, or we cannot tell.

    A sender with several addresses may send several hashes of where it may have sent from.
    """
    if path is None or address_of(path.local).is_unspecified:
        return None
    sources, destinations = (
        [payload.data for payload in payloads if isinstance(payload, Notify) and payload.notify_type == notify_type]
        for notify_type in (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)
    )
    if not sources or not destinations:
        return None
    spis = initiator_spi + responder_spi
    return Nat(local=_hash(spis, path.local) not in destinations, remote=_hash(spis, path.remote) not in sources)


def _hash(spis: bytes, endpoint: tuple[str, int]) -> bytes:
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - it hides nothing, and RFC 7296 leaves no choice
    digest.update(spis + address_of(endpoint).packed + endpoint[1].to_bytes(2))
    return digest.finalize()
