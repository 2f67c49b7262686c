"""What is found of each segment is what its receiver would find, and why."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.capture import CapturedPacket, Finding, Verdict, VerificationKey, Verifier
from rkmp.errors import CaptureError
from rkmp.secret import Secret
from tests.capture.files import ETHERNET, LINUX_COOKED, LINUX_COOKED_2, LOOPBACK, ethernet, ip_packet, udp_packet
from tests.capture.sessions import (
    ACK,
    AES,
    MODULUS,
    PUSH,
    SHA1,
    SYN,
    Session,
    captured,
    rfc_9235_key,
    rfc_9235_sessions,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def findings(keys: Iterable[VerificationKey], packets: Iterable[CapturedPacket]) -> list[Finding]:
    verifier = Verifier(keys)
    return [finding for packet in packets if (finding := verifier.check(packet)) is not None]


def verdicts(keys: Iterable[VerificationKey], *packets: bytes) -> list[Verdict]:
    return [finding.verdict for finding in findings(keys, captured(*packets))]


SESSIONS = rfc_9235_sessions()


@pytest.mark.parametrize("section", SESSIONS)
def test_the_sessions_of_rfc_9235_are_verified_whole(section: str) -> None:
    vectors = SESSIONS[section]
    assert len(vectors) == 4
    packets = captured(*(bytes.fromhex(vector["packet"]) for vector in vectors))
    key = rfc_9235_key(vectors)
    found = findings([key], packets)
    assert [(each.verdict, each.key) for each in found] == [(Verdict.VERIFIED, "testvector")] * 4
    # Seen from the server's table, the KeyIDs change places.
    server = replace(key, peers=(vectors[0]["src"],), send_id=key.recv_id, recv_id=key.send_id)
    assert [each.verdict for each in findings([server], packets)] == [Verdict.VERIFIED] * 4
    for wrong in (
        replace(key, key=Secret(b"testvectos")),
        replace(key, ignore_tcp_options=not key.ignore_tcp_options),
    ):
        assert {each.verdict for each in findings([wrong], packets)} == {Verdict.WRONG_MAC}
    assert [each.verdict for each in findings([key], packets[2:])] == [Verdict.UNKNOWN_ISNS] * 2


@pytest.mark.parametrize("key", [SHA1, AES], ids=["sha1", "aes"])
@pytest.mark.parametrize("ends", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("ignores", [False, True], ids=["options-protected", "options-ignored"])
def test_a_session_is_verified_in_both_directions(key: VerificationKey, ends: tuple[str, str], ignores: bool) -> None:
    key = replace(key, peers=(ends[1],), ignore_tcp_options=ignores)
    session = Session(local=ends[0], remote=ends[1])
    data = [session.segment(key, sent=sent, flags=ACK | PUSH, payload=b"keepalive") for sent in (True, False)]
    assert verdicts([key], *session.handshake(key), *data) == [Verdict.VERIFIED] * 5


def test_a_key_that_is_withheld_is_named_and_claims_nothing() -> None:
    withheld, session = replace(AES, key=None), Session()
    packets = [*session.handshake(AES), session.segment(AES, payload=b"1"), session.segment(SHA1, payload=b"2")]
    found = findings([SHA1, withheld], captured(*packets))
    assert [each.verdict for each in found] == [Verdict.WITHHELD_KEY] * 4 + [Verdict.VERIFIED]
    assert {each.key for each in found[:4]} == {None}
    assert found[0].reason == "the key that its KeyID means is 'aes', which you are not permitted to read"
    # One that may be read and has the same KeyID goes before.
    other, wrong = replace(SHA1, name="other", key=None), replace(SHA1, key=Secret(b"not it"))
    assert verdicts([SHA1, other], *session.handshake(SHA1)) == [Verdict.VERIFIED] * 3
    assert verdicts([wrong, other], *session.handshake(SHA1)) == [Verdict.WITHHELD_KEY] * 3


def test_the_reason_says_what_to_do() -> None:
    session = Session()
    unnamed = session.segment(SHA1, key_id=99)
    altered = bytearray(session.segment(SHA1, payload=b"update"))
    altered[-1] ^= 1
    packets = [
        *session.handshake(SHA1),
        session.segment(None),
        session.segment(None, options=bytes((19, 18)) + bytes(16)),
        unnamed,
        bytes(altered),
        session.segment(SHA1, ignore_options=True),
        session.segment(SHA1, mac_length=16),
        session.segment(SHA1)[:-6],
    ]
    found = findings([SHA1], captured(*packets))[3:]
    assert [each.verdict for each in found] == [
        Verdict.NO_OPTION,
        Verdict.NO_OPTION,
        Verdict.UNKNOWN_KEY_ID,
        Verdict.WRONG_MAC,
        Verdict.WRONG_MAC,
        Verdict.UNKNOWN_ALGORITHM,
        Verdict.UNREADABLE,
    ]
    for each, words in zip(
        found,
        (
            "no TCP-AO option, and a key is for its connection",
            "TCP MD5 instead",
            "none of the keys of this neighbor has KeyID 99 in this direction",
            "not that of 'sha1'",
            "its sender ignores TCP options and the key does not",
            "16 octets, which is not what hmac-sha-1-96 of 'sha1' makes",
            "only the beginning",
        ),
        strict=True,
    ):
        assert words in each.reason
        assert each.key is None


def test_a_key_id_means_a_key_in_one_direction_only() -> None:
    session = Session()
    wrong_way = session.segment(SHA1, key_id=SHA1.recv_id)
    assert verdicts([SHA1], *session.handshake(SHA1), wrong_way)[-1] is Verdict.UNKNOWN_KEY_ID


def test_a_rollover_is_verified_key_by_key() -> None:
    session = Session()
    packets = [*session.handshake(SHA1), session.segment(SHA1), session.segment(AES), session.segment(AES, sent=False)]
    assert [each.key for each in findings([SHA1, AES], captured(*packets))] == ["sha1"] * 4 + ["aes"] * 2


def test_a_key_id_that_was_used_again_means_the_key_of_the_time() -> None:
    old = replace(SHA1, name="sha1-old", ends=NOON, key=Secret(b"the old one"))
    new = replace(SHA1, name="sha1-new", starts=NOON + timedelta(seconds=1))
    session = Session()
    packets = [
        CapturedPacket(number, NOON + timedelta(seconds=seconds), 101, session.segment(key, flags=SYN), True)
        for number, (key, seconds) in enumerate([(old, -1), (new, 2), (old, 2), (new, -1)], start=1)
    ]
    assert [(each.verdict, each.key) for each in findings([new, old], packets)] == [
        (Verdict.VERIFIED, "sha1-old"),
        (Verdict.VERIFIED, "sha1-new"),
        (Verdict.OUTSIDE_LIFETIME, "sha1-old"),
        (Verdict.OUTSIDE_LIFETIME, "sha1-new"),
    ]


def test_sequence_numbers_come_round() -> None:
    """RFC 5925 6.2: five gigaoctets later the extension is 1, on both sides of the edge and in any order there."""
    session = Session(local_isn=MODULUS - 500_000_000)
    near, edge = 400_000_000, 500_000_000
    offsets = [1, near, edge - 1, edge + 1, edge - 2, edge + 2, edge + near]
    offsets += [edge + step * 1_000_000_000 for step in range(1, 10)]
    packets = session.handshake(SHA1) + [session.segment(SHA1, offset=offset) for offset in offsets]
    assert set(verdicts([SHA1], *packets)) == {Verdict.VERIFIED}
    # Whoever forgets the extension finds that only what comes before it first changes is right.
    assert verdicts([SHA1], *packets[:3], packets[-1])[-1] is Verdict.WRONG_MAC


def test_a_forged_syn_makes_nobody_forget_a_connection() -> None:
    session = Session()
    forged = Session(local_isn=77).segment(SHA1, flags=SYN, secret=b"somebody else's")
    plain = Session(local_isn=78).segment(None, flags=SYN)
    packets = [*session.handshake(SHA1), forged, plain, session.segment(SHA1)]
    assert verdicts([SHA1], *packets) == [
        *([Verdict.VERIFIED] * 3),
        Verdict.WRONG_MAC,
        Verdict.NO_OPTION,
        Verdict.VERIFIED,
    ]


def test_the_same_ports_are_used_again() -> None:
    first, second = Session(), Session(local_isn=5_000_000, remote_isn=6_000_000)
    packets = [*first.handshake(SHA1), *second.handshake(SHA1), second.segment(SHA1, sent=False)]
    assert set(verdicts([SHA1], *packets)) == {Verdict.VERIFIED}


def test_both_sides_open_at_once() -> None:
    session = Session(local_port=179)
    packets = [session.segment(SHA1, flags=SYN), session.segment(SHA1, sent=False, flags=SYN)]
    packets += [session.segment(SHA1, flags=SYN | ACK), session.segment(SHA1, sent=False), session.segment(SHA1)]
    assert set(verdicts([SHA1], *packets)) == {Verdict.VERIFIED}


def test_the_answer_of_a_handshake_is_enough_of_it() -> None:
    session = Session()
    assert set(verdicts([SHA1], *session.handshake(SHA1)[1:])) == {Verdict.VERIFIED}


def test_what_keys_have_nothing_to_do_with_is_passed_over() -> None:
    other_port = Session(remote_port=443)
    other_peer = Session(remote="192.0.2.9")
    assert verdicts([SHA1], other_port.segment(None), other_peer.segment(None)) == []
    assert verdicts([SHA1], udp_packet(("192.0.2.1", 500), ("192.0.2.2", 500), b"ike")) == []
    (found,) = findings([SHA1], captured(other_peer.segment(SHA1, flags=SYN)))
    assert (found.verdict, "no key is for this neighbor" in found.reason) == (Verdict.UNKNOWN_KEY_ID, True)


def test_a_neighbor_by_name_may_be_anybody_and_a_private_protocol_on_any_port() -> None:
    key = replace(SHA1, peers=("r2.example.net",), protocol="250")
    session = Session(remote_port=7777)
    assert set(verdicts([key], *session.handshake(key))) == {Verdict.VERIFIED}


def test_an_algorithm_that_tcp_ao_does_not_have_is_told() -> None:
    key = replace(SHA1, protocol="250", kdf="none", alg_id="aes-128-cmac")
    (found,) = findings([key], captured(Session().segment(SHA1, flags=SYN)))
    assert found.verdict is Verdict.UNKNOWN_ALGORITHM
    assert "KDF none and algorithm aes-128-cmac" in found.reason


@pytest.mark.parametrize(
    ("link_type", "wrap"),
    [
        (ETHERNET, ethernet),
        (ETHERNET, lambda packet: ethernet(packet, 7)),
        (ETHERNET, lambda packet: ethernet(packet, 7, 8)),
        (ETHERNET, lambda packet: bytes(12) + b"\x88\x47" + struct.pack(">II", 16 << 12, (17 << 12) | 0x100) + packet),
        (LINUX_COOKED, lambda packet: bytes(14) + b"\x08\x00" + packet),
        (LINUX_COOKED_2, lambda packet: b"\x08\x00" + bytes(18) + packet),
        (LOOPBACK, lambda packet: struct.pack("<I", 2) + packet),
        (228, bytes),
    ],
)
def test_whatever_it_is_wrapped_in(link_type: int, wrap: object) -> None:
    frames = [wrap(packet) for packet in Session().handshake(SHA1)]  # type: ignore[operator]
    packets = [CapturedPacket(number, None, link_type, frame, True) for number, frame in enumerate(frames, start=1)]
    assert [each.verdict for each in findings([SHA1], packets)] == [Verdict.VERIFIED] * 3


def test_padding_of_short_frames_is_no_part_of_a_segment() -> None:
    packets = [packet + bytes(8) for packet in Session().handshake(SHA1)]
    assert set(verdicts([SHA1], *packets)) == {Verdict.VERIFIED}


def test_a_link_that_is_not_known_is_an_error_and_arp_is_none() -> None:
    with pytest.raises(CaptureError, match="link type 147"):
        Verifier([SHA1]).check(CapturedPacket(1, None, 147, b"", True))
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert Verifier([SHA1]).check(CapturedPacket(1, None, ETHERNET, arp, True)) is None


def test_what_cannot_be_checked_says_so() -> None:
    whole = Session().segment(SHA1, flags=SYN)
    fragment = whole[:6] + b"\x20\x00" + whole[8:]
    later = whole[:6] + b"\x00\x08" + whole[8:]
    offloaded = whole[:2] + bytes(2) + whole[4:]
    (cut,) = findings([SHA1], [CapturedPacket(1, None, 101, whole[:-4], False)])
    assert cut.verdict is Verdict.UNREADABLE
    assert verdicts([SHA1], later) == []
    for packet, words in ((fragment, "fragments"), (offloaded, "network card")):
        (found,) = findings([SHA1], captured(packet))
        assert found.verdict is Verdict.UNREADABLE
        assert words in found.reason


@given(st.sampled_from([(SHA1, "192.0.2.1", "192.0.2.2"), (AES, "2001:db8::1", "2001:db8::2")]), st.data())
def test_whatever_is_captured_something_is_found_or_nothing(
    case: tuple[VerificationKey, str, str], data: st.DataObject
) -> None:
    key, local, remote = replace(case[0], peers=(case[2],)), case[1], case[2]
    packets = [bytearray(packet) for packet in Session(local=local, remote=remote).handshake(key)]
    for packet in packets:
        for _ in range(data.draw(st.integers(0, 4))):
            packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    lengths = [data.draw(st.integers(0, len(packet))) for packet in packets]
    for packet, length in itertools.product(packets, lengths):
        is_whole = data.draw(st.booleans())
        Verifier([key]).check(CapturedPacket(1, None, 101, bytes(packet[:length]), is_whole))
    for nothing in (b"", ip_packet(local, remote, 6, b"")):
        assert Verifier([key]).check(CapturedPacket(1, None, 101, nothing, True)) is None
