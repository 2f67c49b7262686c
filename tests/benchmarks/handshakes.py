"""IKE SAs opened and answered over UDP with as little around them as will do: the load of the benchmarks.

Run as a module it is a responder until it is terminated. Its arguments are the descriptor of its socket, what it
authenticates with and the folder where its certificate lies.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rkmp.daemon import garbage
from rkmp.errors import WireError
from rkmp.ike import (
    ChildKeysEstablished,
    ChildRequest,
    IkeSa,
    IkeSaEstablished,
    IkeSettings,
    Policy,
)
from rkmp.ike.addressing import is_opening_request
from rkmp.wire import SPI_LENGTH, AuthAlg, Header, Kdf, RoutingProtocol, TcpAoTransform
from tests.benchmarks.parties import Authentication, policy
from tests.interop.strongswan.algorithms import proposal
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME

SUITE = "aes128gcm16-prfsha256-x25519"
SETTINGS = replace(IkeSettings(), proposals=(proposal(SUITE),), require_vendor_id=False)
CHILD = ChildRequest(
    RoutingProtocol.BGP,
    (
        (TcpAoTransform(10, AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC),),
        (TcpAoTransform(11, AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1),),
    ),
)

AT_ONCE = 32
"""Handshakes under way at any time. charon's threads never sleep then, which suits it best: one at a time, each
handshake costs it half as much again."""

Address = tuple[str, int]


class Responder:
    """Answers whoever opens IKE SAs, and keeps them all."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._by_opening: dict[bytes, IkeSa] = {}
        self._by_spi: dict[bytes, IkeSa] = {}

    def answer(self, bound: socket.socket) -> bool:
        """Take one datagram from ``bound`` and answer it; return whether that has established an IKE SA."""
        datagram, remote = bound.recvfrom(65_535)
        try:
            header = Header.parse(datagram)
        except WireError:
            return False
        if is_opening_request(header):
            ike_sa = self._by_opening.get(header.initiator_spi)
            if ike_sa is None:
                ike_sa = IkeSa.respond(SETTINGS, self._policy, os.urandom)
                self._by_opening[header.initiator_spi] = self._by_spi[ike_sa.local_spi] = ike_sa
        else:
            ike_sa = self._by_spi.get(header.responder_spi)
            if ike_sa is None:
                return False
        ike_sa.receive(datagram, time.monotonic())
        events = ike_sa.events()
        for answer in ike_sa.datagrams():
            bound.sendto(answer, remote)
        return any(isinstance(event, IkeSaEstablished) for event in events)


def answer_each(bound: socket.socket, responder: Responder, begin: Callable[[], object], count: int) -> None:
    """Let ``count`` IKE SAs be opened with ``responder``, by calling ``begin`` for each, AT_ONCE of them under way."""
    _give_up_on_silence(bound)
    begun = min(AT_ONCE, count)
    for _ in range(begun):
        begin()
    established = 0
    while established < count:
        try:
            is_one_more = responder.answer(bound)
        except BlockingIOError:
            raise RuntimeError("the initiator has fallen silent") from None
        if not is_one_more:
            continue
        established += 1
        if begun < count:
            begun += 1
            begin()


def _give_up_on_silence(bound: socket.socket) -> None:
    # A receive that the kernel ends is one system call; Python's own timeout would be two.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))


@dataclass(frozen=True, slots=True)
class Opener:
    """Somebody who opens an IKE SA: as whom, and how a datagram goes to the responder."""

    policy: Policy
    send: Callable[[bytes], object]


def open_each(bound: socket.socket, openers: Iterable[Opener], child: ChildRequest | None) -> None:
    """Open an IKE SA for each of ``openers``, AT_ONCE of them under way at any time; answers come to ``bound``.

    With ``child`` it counts when the child's key is agreed, without one when both sides are authenticated.
    """
    wanted = IkeSaEstablished if child is None else ChildKeysEstablished
    _give_up_on_silence(bound)
    waiting = iter(openers)
    under_way: dict[bytes, tuple[IkeSa, Opener]] = {}

    def begin() -> None:
        opener = next(waiting, None)
        if opener is None:
            return
        ike_sa = IkeSa.initiate(SETTINGS, opener.policy, os.urandom, child, time.monotonic())
        under_way[ike_sa.local_spi] = ike_sa, opener
        for datagram in ike_sa.datagrams():
            opener.send(datagram)

    for _ in range(AT_ONCE):
        begin()
    while under_way:
        try:
            datagram = bound.recv(65_535)
        except BlockingIOError:
            raise RuntimeError("the responder has fallen silent") from None
        if datagram[:SPI_LENGTH] not in under_way:
            # A request of the responder's to somebody who has what it came for.
            continue
        ike_sa, opener = under_way[datagram[:SPI_LENGTH]]
        ike_sa.receive(datagram, time.monotonic())
        events = ike_sa.events()
        for request in ike_sa.datagrams():
            opener.send(request)
        if not events:
            continue
        established = any(isinstance(event, wanted) for event in events)
        if not established:
            raise RuntimeError(f"an IKE SA was not established: {events}")
        del under_way[ike_sa.local_spi]
        begin()


if __name__ == "__main__":
    # As the agent does.
    garbage.look_rarely()
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        responder = Responder(policy(Authentication(sys.argv[2]), CHARON_NAME, ROUTER_NAME, Path(sys.argv[3])))
        while True:
            responder.answer(listener)
