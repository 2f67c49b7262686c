"""TCP-AO against all vectors of RFC 9235, and against packets that are none."""

from __future__ import annotations

import hmac
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.tcp_ao import (
    HMAC_SHA_256,
    MAC_LENGTH,
    MASTER_KEY_LENGTH,
    TRAFFIC_KEY_LENGTH,
    Address,
    AuthAlg,
    Kdf,
    compute_mac,
    derive_traffic_key,
)
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from tests.crypto.vectors import load

VECTORS: list[dict[str, Any]] = load("rfc9235")["vectors"]
IDS = [vector["section"] for vector in VECTORS]
KDFS = {"KDF_HMAC_SHA1": Kdf.HMAC_SHA1, "KDF_AES_128_CMAC": Kdf.AES_128_CMAC}
AUTH_ALGS = {"HMAC-SHA-1-96": AuthAlg.HMAC_SHA_1_96, "AES-128-CMAC-96": AuthAlg.AES_128_CMAC_96}


def isn(text: str | None) -> int:
    return int(text, 16) if text else 0


def traffic_key(vector: dict[str, Any], master_key: bytes | Secret, **changes: Any) -> bytes:
    """The traffic key of a vector's packet, with its two ISNs in the order of its direction."""
    client, server = isn(vector["client_isn"]), isn(vector["server_isn"])
    from_server = vector["sport"] == 179
    arguments: dict[str, Any] = {
        "source": vector["src"],
        "destination": vector["dst"],
        "source_port": vector["sport"],
        "destination_port": vector["dport"],
        "source_isn": server if from_server else client,
        "destination_isn": client if from_server else server,
    }
    return derive_traffic_key(KDFS[vector["kdf"]], master_key, **arguments | changes)


def test_there_are_all_32_vectors() -> None:
    assert len(VECTORS) == 32
    assert {vector["kdf"] for vector in VECTORS} == set(KDFS)
    assert {vector["ip_version"] for vector in VECTORS} == {4, 6}
    assert {vector["include_tcp_options"] for vector in VECTORS} == {True, False}


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_traffic_keys_of_rfc_9235(vector: dict[str, Any]) -> None:
    assert traffic_key(vector, bytes.fromhex(vector["master_key"])).hex() == vector["traffic_key"]


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_macs_of_rfc_9235(vector: dict[str, Any]) -> None:
    packet = bytes.fromhex(vector["packet"])
    key = bytes.fromhex(vector["traffic_key"])
    auth_alg = AUTH_ALGS[vector["mac_alg"]]
    arguments = {"sne": vector["sne"], "include_options": vector["include_tcp_options"]}
    assert compute_mac(auth_alg, key, packet, **arguments).hex() == vector["mac"]
    # Code points do as well as members, secrets as well as octets.
    assert compute_mac(int(auth_alg), Secret(key), packet, **arguments).hex() == vector["mac"]
    assert vector["mac"] in vector["packet"]


def find(section: str) -> dict[str, Any]:
    return next(vector for vector in VECTORS if vector["section"] == section)


IPV4 = find("4.1.3")
IPV6 = find("6.1.3")
OMITTED = find("4.2.1")
KEY = bytes.fromhex(IPV4["traffic_key"])
PACKET = bytes.fromhex(IPV4["packet"])
PACKET_6 = bytes.fromhex(IPV6["packet"])
AO = bytes.fromhex("1d103d54")
MAC = bytes.fromhex(IPV4["mac"])


def mac_of(packet: bytes, **arguments: Any) -> bytes:
    return compute_mac(AuthAlg.HMAC_SHA_1_96, KEY, packet, **arguments)


def test_mac_and_checksum_in_the_packet_do_not_matter() -> None:
    at = PACKET.index(MAC)
    changed = bytearray(PACKET)
    changed[at : at + 12] = b"\xaa" * 12
    changed[20 + 16 : 20 + 18] = b"\xbb\xbb"
    assert mac_of(bytes(changed)) == MAC


@given(st.integers(0, len(PACKET) - 21), st.integers(0, 7))
def test_every_other_bit_of_the_segment_matters(position: int, bit: int) -> None:
    at = PACKET.index(MAC)
    position += 20
    if position in range(at, at + 12) or position in (36, 37):
        return
    changed = bytearray(PACKET)
    changed[position] ^= 1 << bit
    try:
        assert mac_of(bytes(changed)) != MAC
    except CryptoError:
        # A header length or an option length that no longer fits.
        assert position in range(32, 33) or position in range(40, at)


@pytest.mark.parametrize("sne", [1, 0xFFFFFFFF])
def test_the_sequence_number_extension_matters(sne: int) -> None:
    assert mac_of(PACKET, sne=sne) != MAC


@pytest.mark.parametrize("sne", [-1, 2**32])
def test_a_sequence_number_extension_has_32_bits(sne: int) -> None:
    with pytest.raises(CryptoError, match="extension"):
        mac_of(PACKET, sne=sne)


def test_left_out_options_may_change() -> None:
    packet = bytearray.fromhex(OMITTED["packet"])
    key = bytes.fromhex(OMITTED["traffic_key"])
    packet[20 + 20 + 2] ^= 0xFF
    assert compute_mac(1, key, bytes(packet), include_options=False).hex() == OMITTED["mac"]
    assert compute_mac(1, key, bytes(packet)).hex() != OMITTED["mac"]


def test_octets_behind_the_packet_do_not_matter() -> None:
    assert mac_of(PACKET + b"trailer") == MAC
    key = bytes.fromhex(IPV6["traffic_key"])
    assert compute_mac(1, key, PACKET_6 + b"trailer").hex() == IPV6["mac"]


def ipv6_with(kind: int, extension: bytes, following: bytes = b"\x06") -> bytes:
    """The IPv6 packet with an extension header of ``kind`` before its segment, given without its first octet."""
    length = len(PACKET_6) - 40 + 1 + len(extension)
    header = PACKET_6[:4] + length.to_bytes(2) + bytes((kind,)) + PACKET_6[7:40]
    return header + following + extension + PACKET_6[40:]


@pytest.mark.parametrize("next_header", [0, 43, 60])
def test_extension_headers_are_passed_over(next_header: int) -> None:
    packet = ipv6_with(next_header, b"\x01" + bytes(14))
    assert compute_mac(1, bytes.fromhex(IPV6["traffic_key"]), packet).hex() == IPV6["mac"]


def test_several_extension_headers_are_passed_over() -> None:
    packet = ipv6_with(0, bytes(7) + b"\x06\x00" + bytes(6), following=b"\x3c")
    assert compute_mac(1, bytes.fromhex(IPV6["traffic_key"]), packet).hex() == IPV6["mac"]


def patched(packet: bytes, *changes: tuple[int, bytes]) -> bytes:
    changed = bytearray(packet)
    for position, octets in changes:
        changed[position : position + len(octets)] = octets
    return bytes(changed)


AO_AT = PACKET.index(AO)


@pytest.mark.parametrize(
    ("packet", "problem"),
    [
        pytest.param(b"", "neither", id="empty"),
        pytest.param(b"\x50" + PACKET[1:], "neither", id="version 5"),
        pytest.param(PACKET[:19], "no room for an IPv4", id="short IPv4"),
        pytest.param(patched(PACKET, (0, b"\x44")), "lengths of the IPv4", id="IPv4 header of 16 octets"),
        pytest.param(PACKET[:-1], "lengths of the IPv4", id="IPv4 packet cut"),
        pytest.param(patched(PACKET, (2, b"\x00\x13")), "lengths of the IPv4", id="IPv4 length below its header"),
        pytest.param(patched(PACKET, (6, b"\x20\x00")), "fragment", id="first fragment"),
        pytest.param(patched(PACKET, (6, b"\x00\x01")), "fragment", id="later fragment"),
        pytest.param(patched(PACKET, (9, b"\x11")), "not hold TCP", id="UDP"),
        pytest.param(PACKET_6[:39], "no room for an IPv6", id="short IPv6"),
        pytest.param(PACKET_6[:-1], "lengths of the IPv6", id="IPv6 packet cut"),
        pytest.param(patched(PACKET_6, (6, b"\x11")), "not hold TCP", id="UDP over IPv6"),
        pytest.param(patched(PACKET_6, (6, b"\x2c")), "not hold TCP", id="IPv6 fragment"),
        pytest.param(ipv6_with(60, b"\xff" + bytes(6)), "extension header", id="extension too long"),
        pytest.param(
            PACKET_6[:4] + b"\x00\x04\x3c" + PACKET_6[7:44], "extension header", id="no room for an extension"
        ),
        pytest.param(ipv6_with(43, b"\x00\x00\x01" + bytes(4)), "routing header", id="segments left"),
        pytest.param(patched(PACKET, (2, b"\x00\x27")), "no room for a TCP", id="short TCP"),
        pytest.param(patched(PACKET, (32, b"\x40")), "length of the TCP", id="TCP header of 16 octets"),
        pytest.param(patched(PACKET, (2, b"\x00\x30")), "length of the TCP", id="TCP header cut"),
        pytest.param(patched(PACKET, (AO_AT, b"\xfe")), "no TCP-AO", id="another option"),
        pytest.param(patched(PACKET, (40, b"\x00")), "no TCP-AO", id="end of options before TCP-AO"),
        pytest.param(patched(PACKET, (AO_AT + 1, b"\x11")), "do not fit", id="option beyond the header"),
        pytest.param(patched(PACKET, (AO_AT + 1, b"\x01")), "do not fit", id="option shorter than its header"),
        pytest.param(patched(PACKET, (AO_AT + 1, b"\x0e")), "has 14 octets", id="short MAC"),
        pytest.param(patched(PACKET, (42, b"\x13")), "MD5", id="MD5 as well"),
        pytest.param(
            patched(PACKET, (AO_AT + 15, b"\x1d"), (AO_AT + 1, b"\x0f")), "has 15 octets", id="kind in the last octet"
        ),
    ],
)
def test_packets_that_cannot_be_authenticated_are_refused(packet: bytes, problem: str) -> None:
    with pytest.raises(CryptoError, match=problem):
        mac_of(packet)


def test_an_option_kind_without_a_length_is_refused() -> None:
    # The options: twelve no-operations, and a kind in the last octet of the header.
    options = b"\x01" * 15 + b"\xfe"
    segment = patched(PACKET[20:52], (12, b"\x90"))[:20] + options
    packet = patched(PACKET[:20], (2, (20 + len(segment)).to_bytes(2))) + segment
    with pytest.raises(CryptoError, match="do not fit"):
        mac_of(packet)


def test_two_tcp_ao_options_are_refused() -> None:
    options = PACKET[AO_AT : AO_AT + 16] * 2
    segment = patched(PACKET[20:40], (12, b"\xd0")) + options
    packet = patched(PACKET[:20], (2, (20 + len(segment)).to_bytes(2))) + segment
    with pytest.raises(CryptoError, match="more than one"):
        mac_of(packet)


@given(st.binary(max_size=120), st.sampled_from((b"\x45", b"\x60", b"")))
def test_any_packet_is_authenticated_or_refused(rest: bytes, start: bytes) -> None:
    with suppress(CryptoError):
        assert len(mac_of(start + rest)) == 12


@given(st.data())
def test_any_mutated_packet_is_authenticated_or_refused(data: st.DataObject) -> None:
    packet = bytearray(data.draw(st.sampled_from((PACKET, PACKET_6))))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(packet[: data.draw(st.integers(0, len(packet)))])
    with suppress(CryptoError):
        assert len(mac_of(cut)) == 12


@pytest.mark.parametrize("vector", [IPV4, IPV6, find("5.1.1")], ids=["ipv4", "ipv6", "aes"])
def test_addresses_come_in_any_form_and_keys_as_secrets(vector: dict[str, Any]) -> None:
    master_key = bytes.fromhex(vector["master_key"])
    forms: list[tuple[Address, Address]] = [
        (vector["src"], vector["dst"]),
        (ip_address(vector["src"]), ip_address(vector["dst"])),
        (ip_address(vector["src"]).packed, ip_address(vector["dst"]).packed),
    ]
    for source, destination in forms:
        key = traffic_key(vector, Secret(master_key), source=source, destination=destination)
        assert key.hex() == vector["traffic_key"]


def test_an_aes_master_key_of_its_own_length_is_used_as_it_is() -> None:
    vector = find("5.1.1")
    exact = bytes(range(16))
    assert traffic_key(vector, exact) != traffic_key(vector, exact + b"\0")
    assert len(traffic_key(vector, exact)) == 16


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"source": "router.example"}, "not an IP address"),
        ({"source": b"\x0a\x0b"}, "not an IP address"),
        ({"source": "fd00::1"}, "different families"),
        ({"source_port": 65536}, "does not fit"),
        ({"destination_port": -1}, "does not fit"),
        ({"source_isn": 2**32}, "does not fit"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CryptoError, match=problem):
        traffic_key(IPV4, b"testvector", **changes)


def test_unknown_algorithms_and_keys_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CryptoError, match="not implemented"):
        derive_traffic_key(
            3,
            b"key",
            source="::1",
            destination="::2",
            source_port=1,
            destination_port=2,
            source_isn=3,
            destination_isn=4,
        )
    with pytest.raises(CryptoError, match="not implemented"):
        compute_mac(3, KEY, PACKET)
    with pytest.raises(CryptoError, match="AES-128-CMAC with a key of 20"):
        compute_mac(AuthAlg.AES_128_CMAC_96, KEY, PACKET)


def test_every_algorithm_has_its_lengths() -> None:
    assert dict(MASTER_KEY_LENGTH) == {Kdf.HMAC_SHA1: 20, Kdf.AES_128_CMAC: 16, HMAC_SHA_256: 32}
    assert dict(TRAFFIC_KEY_LENGTH) == {Kdf.HMAC_SHA1: 20, Kdf.AES_128_CMAC: 16, HMAC_SHA_256: 32}
    assert dict(MAC_LENGTH) == {AuthAlg.HMAC_SHA_1_96: 12, AuthAlg.AES_128_CMAC_96: 12, HMAC_SHA_256: 16}
    assert set(MASTER_KEY_LENGTH) == {*Kdf, HMAC_SHA_256}
    assert set(MAC_LENGTH) == {*AuthAlg, HMAC_SHA_256}


def test_hmac_sha_256_is_used_as_rfc_5926_uses_hmac_sha_1() -> None:
    """Its traffic keys have all 32 octets of the hash; what a kernel makes of them is seen in the guest."""
    key = derive_traffic_key(
        HMAC_SHA_256,
        b"master key",
        source="192.0.2.1",
        destination="192.0.2.2",
        source_port=179,
        destination_port=40000,
        source_isn=1,
        destination_isn=2,
    )
    context = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + struct.pack(">HHIIH", 179, 40000, 1, 2, 256)
    assert key == hmac.digest(b"master key", b"\x01TCP-AO" + context, "sha256")
