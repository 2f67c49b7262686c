"""A child SA as RKMP has it: what two routers agreed about one key, without the key itself.

The draft's section 4.1.1.1. The IKE SA keeps these so that a key can be named later, in REKEY_SA and Delete (G13);
the key leaves in an event and is nobody's business here.
"""

from __future__ import annotations

from dataclasses import replace

from rkmp.ike.purposes import spi_of
from rkmp.value import value


@value
class ChildSa:
    """One negotiated key, named by the identifiers of its two ends: KeyIDs, or SA IDs for LDP discovery.

    ``send_id`` is the one that we announced (TCP-AO's SendID here, RecvID at the peer), ``peer_send_id`` the one
    the peer announced. ``routing_protocol`` is the purpose (:mod:`rkmp.ike.purposes`), ``security_protocol`` the
    Protocol ID that was in force, ``requester`` tells whether we
    sent the request, ``nonce_i`` and ``nonce_r`` are the nonces of the exchange (initiator's first).
    ``created_alone``: it came from a CREATE_CHILD_SA of its own, without REKEY_SA; otherwise ``replaces`` is the KeyID
    that we had announced for the child it took over from, None for the one of IKE_AUTH. ``replaced_by`` is the KeyID
    that we announced for its successor, once it has one; ``redundant`` says that it lost against a simultaneous one.
    """

    security_protocol: int
    routing_protocol: int
    send_id: int
    peer_send_id: int
    auth_alg: int
    kdf: int
    ignore_tcp_options: bool
    requester: bool
    nonce_i: bytes
    nonce_r: bytes
    created_alone: bool = False
    replaces: int | None = None
    replaced_by: int | None = None
    redundant: bool = False

    @property
    def spi(self) -> bytes:
        """What names it in our messages (G13)."""
        return spi_of(self.routing_protocol, self.send_id)

    @property
    def peer_spi(self) -> bytes:
        """What names it in the peer's messages."""
        return spi_of(self.routing_protocol, self.peer_send_id)

    @property
    def nonces(self) -> tuple[bytes, bytes]:
        """Both nonces of the exchange that made it, for the rule of RFC 7296 2.8.1."""
        return self.nonce_i, self.nonce_r

    def without_successor(self) -> ChildSa:
        """Return the child as it is once the one that replaced it is gone: it can be rekeyed again."""
        return replace(self, replaced_by=None)
