"""TCP-AO sessions made segment by segment, and the RFC's own as captures."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from rkmp.capture import CapturedPacket, VerificationKey
from rkmp.crypto.tcp_ao import compute_mac, derive_traffic_key
from rkmp.secret import Secret
from tests.capture.files import ip_packet

VECTORS = Path(__file__).parents[1] / "crypto" / "vectors" / "rfc9235.json"
MASTER_KEY = b"a master key for a capture"
SYN, ACK, PUSH = 0x02, 0x10, 0x08
MODULUS = 1 << 32

SHA1 = VerificationKey(
    name="sha1",
    protocol="bgp",
    peers=("192.0.2.2",),
    send_id=1,
    recv_id=2,
    kdf="hmac-sha-1",
    alg_id="hmac-sha-1-96",
    ignore_tcp_options=False,
    key=Secret(MASTER_KEY),
)
AES = replace(SHA1, name="aes", send_id=3, recv_id=4, kdf="aes-128-cmac", alg_id="aes-128-cmac-96")
CODE_POINTS = {"sha1": (1, 1), "aes": (2, 2)}


def octets_of(key: VerificationKey) -> bytes:
    """Return the key itself, of one that is not withheld."""
    assert key.key is not None
    return key.key.reveal()


@dataclass
class Session:
    """A connection that r1, whose key table the keys are from, opens to a neighbor."""

    local: str = "192.0.2.1"
    remote: str = "192.0.2.2"
    local_port: int = 40000
    remote_port: int = 179
    local_isn: int = 1000
    remote_isn: int = 2000

    def segment(
        self,
        key: VerificationKey | None,
        *,
        sent: bool = True,
        flags: int = ACK,
        offset: int = 1,
        payload: bytes = b"",
        options: bytes = b"\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02",
        ignore_options: bool | None = None,
        key_id: int | None = None,
        secret: bytes | None = None,
        mac_length: int = 12,
    ) -> bytes:
        """Return a segment, ``offset`` octets behind its ISN, with the MAC that ``key`` makes, or without an option."""
        isns = (self.local_isn, self.remote_isn) if sent else (self.remote_isn, self.local_isn)
        ends = ((self.local, self.local_port), (self.remote, self.remote_port))
        source, destination = ends if sent else ends[::-1]
        sequence = isns[0] if flags & SYN else isns[0] + offset
        acknowledgment = isns[1] + 1 if flags & ACK else 0
        if key is not None:
            named = key_id if key_id is not None else key.send_id if sent else key.recv_id
            options += bytes((29, 4 + mac_length, named, 7)) + bytes(mac_length)
        options += b"\x01" * (-len(options) % 4)
        head = struct.pack(
            ">HHIIBBHHH",
            *(source[1], destination[1], sequence % MODULUS, acknowledgment % MODULUS),
            *((20 + len(options)) // 4 << 4, flags, 0xFFFF, 0, 0),
        )
        packet = ip_packet(source[0], destination[0], 6, head + options + payload)
        if key is None or mac_length != 12:
            return packet
        kdf, auth_alg = CODE_POINTS[key.name.partition("-")[0]]
        traffic_key = derive_traffic_key(
            kdf,
            octets_of(key) if secret is None else secret,
            source=source[0],
            destination=destination[0],
            source_port=source[1],
            destination_port=destination[1],
            source_isn=isns[0],
            destination_isn=isns[1] if flags & ACK else 0,
        )
        ignores = key.ignore_tcp_options if ignore_options is None else ignore_options
        sne = 0 if flags & SYN else sequence >> 32
        mac = compute_mac(auth_alg, traffic_key, packet, sne=sne, include_options=not ignores)
        place = packet.rindex(bytes((29, 16)) + packet[packet.rindex(bytes((29, 16))) + 2 :][:2]) + 4
        return packet[:place] + mac + packet[place + 12 :]

    def handshake(self, key: VerificationKey) -> list[bytes]:
        return [self.segment(key, flags=SYN), self.segment(key, sent=False, flags=SYN | ACK), self.segment(key)]


def captured(*packets: bytes) -> list[CapturedPacket]:
    return [CapturedPacket(number, None, 101, packet, True) for number, packet in enumerate(packets, start=1)]


@cache
def rfc_9235() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return document


def rfc_9235_sessions() -> dict[str, list[dict[str, Any]]]:
    """Return the RFC's sessions, by the number of their section: each a handshake and two segments with data."""
    sessions: dict[str, list[dict[str, Any]]] = {}
    for vector in rfc_9235()["vectors"]:
        sessions.setdefault(vector["section"].rpartition(".")[0], []).append(vector)
    return sessions


def rfc_9235_key(vectors: list[dict[str, Any]]) -> VerificationKey:
    """Return the key of a session of the RFC, as the table of the client has it."""
    first = vectors[0]
    is_sha1 = first["alg"] == "sha1"
    return VerificationKey(
        name="testvector",
        protocol="bgp",
        peers=(str(ip_address(first["dst"])),),
        send_id=rfc_9235()["active_keyid"],
        recv_id=rfc_9235()["passive_keyid"],
        kdf="hmac-sha-1" if is_sha1 else "aes-128-cmac",
        alg_id="hmac-sha-1-96" if is_sha1 else "aes-128-cmac-96",
        ignore_tcp_options=not first["include_tcp_options"],
        key=Secret(bytes.fromhex(first["master_key"])),
    )
