"""First messages by which IKE SAs are opened, and a router that gets them."""

from __future__ import annotations

from dataclasses import replace

from rkmp.engine import Initiate, OutgoingDatagram
from rkmp.wire import Message
from tests.engine.simulation import LISTENER, Router, configuration, peer

NEVER = Initiate.NEVER


def with_cookie(first: bytes, challenge: bytes) -> bytes:
    """Return a first message as it comes again, with the cookie that was asked for."""
    message = Message.parse(first)
    return replace(message, payloads=(*Message.parse(challenge).payloads, *message.payloads)).to_bytes()


def opening(name: str = "r1", seed: int = 1) -> bytes:
    """Return the first datagram that a router sends to r2."""
    router = Router(name, seed)
    router.configure(configuration(name, [peer("r2")]), 0.0)
    (datagram,) = router.engine.datagrams()
    return datagram.data


def responder(*names: str) -> Router:
    router = Router("r2", 2)
    router.configure(configuration("r2", [peer(name, initiate=NEVER) for name in names or ("r1",)]), 0.0)
    return router


def receive(router: Router, data: bytes, address: str = "192.0.2.1", now: float = 0.0) -> list[OutgoingDatagram]:
    router.engine.receive(data, LISTENER, (address, 500), router.at(now))
    return router.engine.datagrams()


def count(router: Router, name: str) -> int:
    return router.engine.statistics().get(name, 0)
