"""Captures are read alike whoever wrote them, and a damaged one is a told error after what was whole."""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.capture import read_packets
from rkmp.errors import CaptureError
from tests.capture.files import ETHERNET, NOON, RAW_IP, block, pcap, pcapng, timed

PACKETS = [b"\x45" + bytes(30), b"\x60" + bytes(59), b""]
AT_NOON = datetime.fromtimestamp(NOON, UTC)


def read(octets: bytes) -> list[tuple[datetime | None, int, bytes, bool]]:
    packets = list(read_packets(io.BytesIO(octets)))
    assert [packet.number for packet in packets] == list(range(1, len(packets) + 1))
    return [(packet.at, packet.link_type, packet.octets, packet.is_whole) for packet in packets]


@pytest.mark.parametrize(
    "file",
    [
        *(pcap(timed(PACKETS), order=order, nanoseconds=fine) for order in "<>" for fine in (False, True)),
        *(pcapng(timed(PACKETS), order=order, resolution=places) for order in "<>" for places in (3, 6, 9)),
    ],
    ids=["pcap", "pcap-ns", "pcap-big", "pcap-big-ns", "ng-3", "ng-6", "ng-9", "ng-big-3", "ng-big-6", "ng-big-9"],
)
def test_every_format_tells_the_same(file: bytes) -> None:
    assert read(file) == [
        (AT_NOON + timedelta(seconds=0.125 * number), RAW_IP, packet, True) for number, packet in enumerate(PACKETS)
    ]


def test_a_packet_that_was_cut_says_so() -> None:
    assert [(octets, whole) for _, _, octets, whole in read(pcap(timed(PACKETS), snap=40))] == [
        (PACKETS[0], True),
        (PACKETS[1][:40], False),
        (b"", True),
    ]


def test_sections_interfaces_and_blocks_of_other_kinds() -> None:
    interface = struct.pack("<HHI", ETHERNET, 0, 20)
    simple = block(3, struct.pack("<I", 60) + bytes(20))
    old = block(2, struct.pack("<HHIIII", 1, 0, 0, 2_000_000, 3, 3) + b"abc")
    power = struct.pack("<HHB3x", 9, 1, 0x80 | 10) + struct.pack("<HHq", 14, 8, 1000) + struct.pack("<HH", 0, 0)
    second = block(1, struct.pack("<HHI", RAW_IP, 0, 0) + power)
    enhanced = block(6, struct.pack("<IIIII", 1, 0, 2048, 1, 1) + b"x")
    comment = block(0xBAD, b"something else")
    # The first section has no packets and ends where the next begins, in the other byte order.
    file = pcapng([], order=">") + block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block(1, interface) + comment + simple + second + old + enhanced
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert read(file) == [
        (None, ETHERNET, bytes(20), False),
        (epoch + timedelta(seconds=1000 + 2_000_000 / 1024), RAW_IP, b"abc", True),
        (epoch + timedelta(seconds=1002), RAW_IP, b"x", True),
    ]


@pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1", b"\xa1\xb2", b"\xd4\xc3\xb2\xa1" + bytes(10)])
def test_what_is_no_capture_is_told(octets: bytes) -> None:
    with pytest.raises(CaptureError):
        read(octets)


@pytest.mark.parametrize("file", [pcap(timed(PACKETS)), pcapng(timed(PACKETS))], ids=["pcap", "pcapng"])
def test_a_capture_that_breaks_off_gives_what_it_has_first(file: bytes) -> None:
    packets = read_packets(io.BytesIO(file[:-3]))
    # The last packet is empty, so what is missing is of its header.
    assert [next(packets).octets for _ in PACKETS[:2]] == PACKETS[:2]
    with pytest.raises(CaptureError, match="ends in the middle"):
        next(packets)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (pcap([])[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "claims to have 1073741824 octets"),
        (pcapng([]) + struct.pack("<II", 6, 1 << 31), "claims to have"),
        (pcapng([]) + struct.pack("<II", 6, 13), "claims to have 13 octets"),
        (pcapng([]) + struct.pack("<II", 6, 8), "claims to have 8 octets"),
        (pcapng([]) + block(6, struct.pack("<IIIII", 7, 0, 0, 0, 0)), "no interface 7"),
        (pcapng([]) + block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9)), "no room"),
        (pcapng([]) + block(6, bytes(4)), "no room"),
        (pcapng([], resolution=0) + block(6, struct.pack("<IIIII", 0, 1 << 31, 0, 0, 0)), "beyond all calendars"),
        (pcapng([]) + struct.pack("<II4xI", 6, 16, 20), "two lengths"),
        (block(0x0A0D0D0A, bytes(16)), "no byte order"),
        (struct.pack("<III", 0x0A0D0D0A, 12, 0x1A2B3C4D), "claims to have 12 octets"),
    ],
)
def test_damage_is_told(file: bytes, reason: str) -> None:
    with pytest.raises(CaptureError, match=reason):
        read(file)


@given(st.sampled_from([pcap(timed(PACKETS)), pcapng(timed(PACKETS))]), st.data())
def test_nothing_but_the_typed_error_is_raised(file: bytes, data: st.DataObject) -> None:
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CaptureError):
        read(bytes(damaged[: data.draw(st.integers(0, len(file)))]))


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    """tcpdump -w - | rkmp verify -"""
    cat = shutil.which("cat")
    assert cat is not None
    for file in (pcap(timed(PACKETS)), pcapng(timed(PACKETS))):
        path = tmp_path / "capture"
        path.write_bytes(file)
        with subprocess.Popen([cat, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert [packet.octets for packet in read_packets(process.stdout)] == PACKETS  # type: ignore[arg-type]
