"""Inside the guest: what the kernel refuses is counted, and reported with the connection that it was meant for."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from rkmp.secret import Secret
from rkmp.southbound.steps import Add, Prefer, Remove
from tests.guest.scenario_sockets import ADDRESSES, Pair, counted, key, mirrored, talk


@pytest.fixture(params=ADDRESSES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(request.param, stack)


def test_segments_under_a_key_of_other_material_are_counted_as_bad(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    client, server = pair.dial(), pair.accept()
    talk(client, server)
    assert pair.server.sockets.usage().bad == 0
    pair.client.take(Add(key(2)))
    pair.server.take(Add(mirrored(replace(key(2), secret=Secret(b"other")))), Prefer("key-2"))
    # It asks for the key; what comes under it is nothing to it.
    server.sendall(b".")
    client.recv(1)
    client.sendall(b".")
    bad = counted(pair.server, "bad")
    usage = pair.server.sockets.usage()
    assert (usage.connections, usage.key_not_found, usage.unsigned, usage.dropped_icmps) == (1, 0, 0, 0)
    # What a connection has counted is not lost with it.
    pair.server.sockets.forget(server)
    assert pair.server.sockets.usage().connections == 0
    assert counted(pair.server, "bad") >= bad


def test_segments_under_a_key_that_is_not_there_are_counted(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    client, server = pair.dial(), pair.accept()
    talk(client, server)
    pair.server.take(Add(mirrored(key(2))), Prefer("key-2"), Remove("key-1"))
    client.sendall(b".")
    assert counted(pair.server, "key_not_found") > 0
    server.sendall(b".")
    assert counted(pair.client, "key_not_found") > 0
    assert pair.server.sockets.usage().bad == 0


def checksum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def forged_segment(source: int, destination: int) -> bytes:
    """Return a segment from 127.0.0.1 to itself, without options and so without TCP-AO, that would end a connection."""
    header = struct.pack("!HHIIBBHHH", source, destination, 1, 0, 5 << 4, 0x04, 0, 0, 0)
    pseudo = socket.inet_aton("127.0.0.1") * 2 + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header))
    return header[:16] + struct.pack("!H", checksum(pseudo + header)) + header[18:]


def forged_unreachable(source: int, destination: int) -> bytes:
    """Return an ICMP message that says of a segment between these ports that nothing listens there."""
    loopback = socket.inet_aton("127.0.0.1")
    about = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + loopback * 2
    body = about + struct.pack("!HHI", source, destination, 1)
    return struct.pack("!BBHI", 3, 3, checksum(b"\x03\x03" + bytes(6) + body), 0) + body


@pytest.mark.parametrize(
    ("protocol", "forged", "name"),
    [
        (socket.IPPROTO_TCP, forged_segment, "unsigned"),
        (socket.IPPROTO_ICMP, forged_unreachable, "dropped_icmps"),
    ],
)
def test_what_is_forged_without_a_key_is_counted_and_changes_nothing(
    protocol: int, forged: Callable[[int, int], bytes], name: str
) -> None:
    with ExitStack() as stack:
        pair = Pair("127.0.0.1", stack)
        pair.add(key(1))
        pair.both(Prefer, "key-1")
        client, server = pair.dial(), pair.accept()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as raw:
            # A segment comes from the client; a message is about what the server has sent.
            ports = (client.getsockname()[1], server.getsockname()[1])
            raw.sendto(forged(*(ports if name == "unsigned" else ports[::-1])), ("127.0.0.1", 0))
        assert counted(pair.server, name) == 1
        talk(client, server)
        assert pair.server.sockets.usage().bad == 0
