"""IKE SAs opened and answered over UDP with as little around them as will do: the load of the benchmarks.

Run as a module it is a responder on the socket whose descriptor is its argument, until it is terminated.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from dataclasses import replace

from rkmp.errors import IkeError, WireError
from rkmp.ike import (
    ChildChoice,
    ChildOffer,
    ChildRequest,
    Identity,
    IkeSa,
    IkeSaClosed,
    IkeSaEstablished,
    IkeSettings,
    LocalAuthentication,
    RemoteAuthentication,
)
from rkmp.ike.addressing import is_opening_request
from rkmp.secret import Secret
from rkmp.wire import AuthAlg, Header, Kdf, NotifyType, RoutingProtocol, TcpAoTransform
from tests.interop.strongswan.algorithms import proposal
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, SECRET

SUITE = "aes128gcm16-prfsha256-x25519"
SETTINGS = replace(IkeSettings(), proposals=(proposal(SUITE),), require_vendor_id=False)
CHILD = ChildRequest(
    RoutingProtocol.BGP,
    (
        (TcpAoTransform(10, AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC),),
        (TcpAoTransform(11, AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1),),
    ),
)

Address = tuple[str, int]


class Side:
    """A policy for one of two names that share a secret; it accepts the first transform of any child."""

    def __init__(self, own_name: str, peer_name: str) -> None:
        self._own = LocalAuthentication(Identity.parse("fqdn", own_name), Secret(SECRET.encode()))
        self._peer = Identity.parse("fqdn", peer_name)
        self._of_peer = RemoteAuthentication(Secret(SECRET.encode()))

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        return self._own

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        if remote_identity != self._peer:
            raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"{remote_identity} is nobody here")
        return self._of_peer

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        return ChildChoice(offer.transforms[0], 200)


INITIATOR = Side(ROUTER_NAME, CHARON_NAME)
RESPONDER = Side(CHARON_NAME, ROUTER_NAME)


def answer_forever(bound: socket.socket) -> None:
    """Answer whoever opens IKE SAs, and keep them all."""
    by_opening: dict[bytes, IkeSa] = {}
    by_spi: dict[bytes, IkeSa] = {}
    while True:
        datagram, remote = bound.recvfrom(65_535)
        try:
            header = Header.parse(datagram)
        except WireError:
            continue
        if is_opening_request(header):
            ike_sa = by_opening.get(header.initiator_spi)
            if ike_sa is None:
                ike_sa = IkeSa.respond(SETTINGS, RESPONDER, os.urandom)
                by_opening[header.initiator_spi] = by_spi[ike_sa.local_spi] = ike_sa
        else:
            ike_sa = by_spi.get(header.responder_spi)
            if ike_sa is None:
                continue
        ike_sa.receive(datagram, time.monotonic())
        ike_sa.events()
        for answer in ike_sa.datagrams():
            bound.sendto(answer, remote)


def open_many(
    bound: socket.socket, responder: Address, number: int, child: ChildRequest | None = None, at_once: int = 8
) -> None:
    """Open ``number`` IKE SAs with ``responder``, ``at_once`` of them under way at any time."""
    # A receive that the kernel ends is one system call; Python's own timeout would be two.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    under_way: dict[bytes, IkeSa] = {}
    begun = established = 0

    def begin() -> None:
        nonlocal begun
        begun += 1
        ike_sa = IkeSa.initiate(SETTINGS, INITIATOR, os.urandom, child, time.monotonic())
        under_way[ike_sa.local_spi] = ike_sa
        for datagram in ike_sa.datagrams():
            bound.sendto(datagram, responder)

    for _ in range(min(at_once, number)):
        begin()
    while established < number:
        try:
            datagram = bound.recv(65_535)
        except BlockingIOError:
            raise RuntimeError("the responder has fallen silent") from None
        ike_sa = under_way[datagram[:8]]
        ike_sa.receive(datagram, time.monotonic())
        events = ike_sa.events()
        for request in ike_sa.datagrams():
            bound.sendto(request, responder)
        if not events:
            continue
        if any(isinstance(event, IkeSaClosed) for event in events) or not isinstance(events[0], IkeSaEstablished):
            raise RuntimeError(f"an IKE SA was not established: {events}")
        established += 1
        del under_way[ike_sa.local_spi]
        if begun < number:
            begin()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        answer_forever(listener)
