"""What the sockets of the driver can take."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rkmp.engine.sockets import bound_socket

OPENING = bytes(400)
"""As long as an IKE_SA_INIT request of ours."""


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with bound_socket("127.0.0.1", 0) as made:
        yield made


def test_it_keeps_what_many_peers_send_at_once(bound: socket.socket) -> None:
    """All that a socket as the system makes it would keep, at least, and more where we may."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ordinary, socket.socket(type=socket.SOCK_DGRAM) as sender:
        ordinary.bind(("127.0.0.1", 0))
        ordinary.setblocking(False)
        kept = {}
        for name, receiver in (("ordinary", ordinary), ("ours", bound)):
            for _ in range(1500):
                sender.sendto(OPENING, receiver.getsockname())
            kept[name] = 0
            while True:
                try:
                    receiver.recv(1000)
                except BlockingIOError:
                    break
                kept[name] += 1
    assert kept["ours"] >= kept["ordinary"] > 0
    largest = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert kept["ours"] == 1500 or largest < 4 << 20
