"""What a hostile message costs: no more than its length justifies, in memory and in work."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from rkmp.wire import Message, WireError

LARGEST = 65_507
"""Octets that fit into a UDP datagram over IPv4."""


def message(first_payload: int, chain: bytes) -> bytes:
    length = 28 + len(chain)
    return b"initiatr" + bytes(8) + bytes((first_payload, 0x20, 34, 0x08)) + bytes(4) + length.to_bytes(4) + chain


def payload(payload_type: int, body: bytes) -> bytes:
    return message(payload_type, bytes(2) + (4 + len(body)).to_bytes(2) + body)


def many_payloads(size: int) -> bytes:
    count = (size - 28) // 4
    return message(200, bytes((200, 0, 0, 4)) * (count - 1) + bytes((0, 0, 0, 4)))


def many_spis(size: int) -> bytes:
    count = size - 36
    return payload(42, bytes((201, 1)) + count.to_bytes(2) + bytes(count))


def many_configuration_attributes(size: int) -> bytes:
    return payload(47, bytes(4) + bytes(4) * ((size - 36) // 4))


def many_selectors(size: int) -> bytes:
    # 255 at most in one payload, so many payloads.
    one = bytes((255, 0, 0, 0)) + bytes((241, 1, 0, 4)) * 255
    header = (4 + len(one)).to_bytes(2)
    count = (size - 28) // (4 + len(one))
    return message(44, (bytes((44, 0)) + header + one) * (count - 1) + bytes(2) + header + one)


def many_attributes(size: int) -> bytes:
    attributes = bytes.fromhex("800e0100") * ((size - 48) // 4)
    transform = bytes(2) + (8 + len(attributes)).to_bytes(2) + bytes(4) + attributes
    return payload(33, bytes(2) + (8 + len(transform)).to_bytes(2) + bytes((1, 1, 0, 1)) + transform)


def many_proposals(size: int) -> bytes:
    transforms = bytes.fromhex("0300000800010100") * 200 + bytes.fromhex("0000000800010100")
    one = (8 + len(transforms)).to_bytes(2)
    count = (size - 32) // (8 + len(transforms))
    proposals = b"".join(
        bytes((2 if number < count else 0, 0)) + one + bytes((number, 201, 0, 201)) + transforms
        for number in range(1, count + 1)
    )
    return payload(33, proposals)


DENSE = [many_payloads, many_spis, many_configuration_attributes, many_selectors, many_attributes, many_proposals]


def peak_memory(octets: bytes) -> int:
    tracemalloc.start()
    try:
        Message.parse(octets)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls(octets: bytes) -> int:
    """How many functions parsing calls."""
    count = 0

    def on_event(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        Message.parse(octets)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("dense", DENSE)
def test_cost_grows_with_length_and_no_faster(dense: Callable[[int], bytes]) -> None:
    half, whole = dense(LARGEST // 2), dense(LARGEST)
    assert LARGEST // 2 < len(whole) <= LARGEST
    growth = len(whole) / len(half)
    Message.parse(half)
    assert calls(whole) < 1.2 * growth * calls(half)
    assert peak_memory(whole) < 1.2 * growth * peak_memory(half)


@pytest.mark.parametrize("dense", DENSE)
def test_the_densest_message_costs_little(dense: Callable[[int], bytes]) -> None:
    octets = dense(LARGEST)
    # An object of Python's for every four octets is what the densest payload amounts to; an SPI may be one octet.
    assert peak_memory(octets) < 60 * len(octets)
    before = time.process_time()
    Message.parse(octets)
    assert time.process_time() - before < 1


def test_a_count_alone_allocates_nothing() -> None:
    delete = payload(42, bytes((201, 255, 255, 255)))
    association = payload(33, bytes.fromhex("0000 ffff 01 c9 ff ff"))
    for octets in (delete, association):
        tracemalloc.start()
        try:
            with pytest.raises(WireError):
                Message.parse(octets)
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
