"""Each segment of a capture against the keys: the key that made its MAC, or what is the matter.

RFC 5925 5 and 7.5. Segments of connections that no key is for are passed over, unless they carry TCP-AO.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from rkmp.capture.connections import Connection
from rkmp.capture.files import CapturedPacket
from rkmp.capture.keys import ALGORITHMS, VerificationKey
from rkmp.capture.links import ip_packet
from rkmp.capture.segments import AoOption, Endpoint, Segment, read_segment
from rkmp.crypto.tcp_ao import MAC_LENGTH, compute_mac, derive_traffic_key
from rkmp.errors import CryptoError


class Verdict(StrEnum):
    """What is found of a segment."""

    VERIFIED = "verified"
    OUTSIDE_LIFETIME = "outside-lifetime"
    """The MAC is a key's that was not to be used at that time."""
    NO_OPTION = "no-option"
    UNKNOWN_KEY_ID = "unknown-key-id"
    UNKNOWN_ISNS = "unknown-isns"
    """The connection began before the capture: without its ISNs nobody can check it."""
    WITHHELD_KEY = "withheld-key"
    """Access control withholds the key that it names, so that its MAC cannot be checked."""
    WRONG_MAC = "wrong-mac"
    UNKNOWN_ALGORITHM = "unknown-algorithm"
    UNREADABLE = "unreadable"
    """The capture does not have all of the segment, or it is malformed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One segment: ``number`` is the packet's in the capture, ``key`` the name of the key that made the MAC."""

    number: int
    at: datetime | None
    segment: Segment
    verdict: Verdict
    key: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Result:
    verdict: Verdict
    reason: str
    key: str | None = None


_SUPPOSED = frozenset({Verdict.WRONG_MAC, Verdict.WITHHELD_KEY})
"""Segments whose word is taken as long as nothing better is known."""
_NOT_TAKEN = _SUPPOSED | {Verdict.NO_OPTION, Verdict.UNREADABLE}
"""Segments that a receiver drops, or may, so that nothing may be learned from them."""


@final
class Verifier:
    """Checks the packets of one capture, in their order, against ``keys``."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)
        self._connections: dict[frozenset[Endpoint], Connection] = {}
        self._traffic_keys: dict[tuple[str, Endpoint, Endpoint, tuple[int, int]], bytes] = {}

    def check(self, packet: CapturedPacket) -> Finding | None:
        """Return what is found of the segment in ``packet``; None where there is none that keys have to do with.

        Raises :class:`~rkmp.errors.CaptureError` for a packet of a kind that is not known here.
        """
        inside = ip_packet(packet.link_type, packet.octets)
        segment = None if inside is None else read_segment(inside, is_whole=packet.is_whole)
        if segment is None:
            return None
        keys = [key for key in self._keys if key.is_for(segment)]
        if not keys and segment.option is None:
            return None
        ends = frozenset((segment.source, segment.destination))
        connection = self._connections.setdefault(ends, Connection())
        try:
            result = self._judge(segment, keys, connection, packet.at)
        except CryptoError as error:
            result = _Result(Verdict.UNREADABLE, str(error))
        if result.verdict not in _NOT_TAKEN:
            connection.note(segment)
        elif result.verdict in _SUPPOSED:
            connection.suppose(segment)
        return Finding(packet.number, packet.at, segment, result.verdict, result.key, result.reason)

    def _judge(
        self, segment: Segment, keys: Sequence[VerificationKey], connection: Connection, at: datetime | None
    ) -> _Result:
        option = segment.option
        if segment.fault is not None:
            return _Result(Verdict.UNREADABLE, segment.fault)
        if option is None:
            instead = "it has TCP MD5 instead of TCP-AO" if segment.has_md5 else "it has no TCP-AO option"
            return _Result(Verdict.NO_OPTION, f"{instead}, and a key is for its connection")
        if segment.has_md5:
            return _Result(Verdict.UNREADABLE, "it has TCP MD5 and TCP-AO at once")
        named = [key for key in keys if key.is_named_by(segment)]
        if not named:
            what = "none of the keys of this neighbor has" if keys else "no key is for this neighbor; none has"
            return _Result(Verdict.UNKNOWN_KEY_ID, f"{what} KeyID {option.key_id} in this direction")
        known = [key for key in named if (key.kdf, key.alg_id) in ALGORITHMS]
        fitting = [key for key in known if len(option.mac) == MAC_LENGTH[ALGORITHMS[key.kdf, key.alg_id][1]]]
        if not fitting:
            return _Result(Verdict.UNKNOWN_ALGORITHM, _algorithm_reason(named[0], option, is_known=bool(known)))
        readable = [key for key in fitting if key.key is not None]
        if not readable:
            return _withheld(fitting[0])
        isns = connection.isns_of(segment)
        if isns is None:
            reason = "no handshake was seen, so the initial sequence numbers are not known"
            return _Result(Verdict.UNKNOWN_ISNS, reason)
        sne = connection.sne_of(segment)
        # KeyIDs are used again: those that live at the time come first.
        for key in sorted(readable, key=lambda each: not each.is_alive(at)):
            if self._matches(segment, option, key, isns, sne, ignore_options=key.ignore_tcp_options):
                return _verified(key, at)
        withheld = [key for key in fitting if key.key is None and key.is_alive(at)]
        return _withheld(withheld[0]) if withheld else self._mismatch(segment, option, readable, isns, sne)

    def _mismatch(
        self,
        segment: Segment,
        option: AoOption,
        keys: Sequence[VerificationKey],
        isns: tuple[int, int],
        sne: int,
    ) -> _Result:
        names = " or ".join(repr(key.name) for key in keys)
        for key in keys:
            if self._matches(segment, option, key, isns, sne, ignore_options=not key.ignore_tcp_options):
                other = "protects" if key.ignore_tcp_options else "ignores"
                reason = f"the MAC is that of {key.name!r}, but its sender {other} TCP options and the key does not"
                return _Result(Verdict.WRONG_MAC, reason)
        return _Result(Verdict.WRONG_MAC, f"the MAC is not that of {names}: another key, or an altered segment")

    def _matches(
        self,
        segment: Segment,
        option: AoOption,
        key: VerificationKey,
        isns: tuple[int, int],
        sne: int,
        *,
        ignore_options: bool,
    ) -> bool:
        _, auth_alg = ALGORITHMS[key.kdf, key.alg_id]
        traffic_key = self._traffic_key(segment, key, isns)
        mac = compute_mac(auth_alg, traffic_key, segment.packet, sne=sne, include_options=not ignore_options)
        return hmac.compare_digest(mac, option.mac)

    def _traffic_key(self, segment: Segment, key: VerificationKey, isns: tuple[int, int]) -> bytes:
        cached = (key.name, segment.source, segment.destination, isns)
        if cached not in self._traffic_keys:
            assert key.key is not None  # noqa: S101 - what is withheld is not tried
            self._traffic_keys[cached] = derive_traffic_key(
                ALGORITHMS[key.kdf, key.alg_id][0],
                key.key,
                source=segment.source[0],
                destination=segment.destination[0],
                source_port=segment.source[1],
                destination_port=segment.destination[1],
                source_isn=isns[0],
                destination_isn=isns[1],
            )
        return self._traffic_keys[cached]


def _verified(key: VerificationKey, at: datetime | None) -> _Result:
    if key.is_alive(at):
        return _Result(Verdict.VERIFIED, f"the MAC is that of {key.name!r}", key.name)
    reason = f"the MAC is that of {key.name!r}, which was not to be used at that time"
    return _Result(Verdict.OUTSIDE_LIFETIME, reason, key.name)


def _withheld(key: VerificationKey) -> _Result:
    reason = f"the key that its KeyID means is {key.name!r}, which you are not permitted to read"
    return _Result(Verdict.WITHHELD_KEY, reason)


def _algorithm_reason(key: VerificationKey, option: AoOption, *, is_known: bool) -> str:
    if is_known:
        return f"its MAC has {len(option.mac)} octets, which is not what {key.alg_id} of {key.name!r} makes"
    return f"{key.name!r} has KDF {key.kdf} and algorithm {key.alg_id}, which TCP-AO does not have"
