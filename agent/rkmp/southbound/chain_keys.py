"""What a key of the key table is on a router that has key chains (RFC 8177) and picks keys by its own clock.

The router's clock may differ by some tolerance, so lifetimes are not those of the key table to the second:

- A key is accepted from a tolerance before its accept lifetime to a tolerance after it.
- A key to be sent with next begins a tolerance late, so that a fast clock does not begin before it is safe.
- The key to be sent with has begun a tolerance ago, so that a slow clock has it too, and all older ones are sent with
  for a tolerance more: whatever the skew, there is no instant with neither.

RFC 8177 section 3 has a lifetime that ends when it starts stand for "never". Pure: rows in, keys of a chain out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyRow, Lifetime
from rkmp.keytable.rules import LDP_ALG_IDS
from rkmp.secret import Secret
from rkmp.southbound.keys import ConsumerKey, MasterKeyTuple, consumer_key

KEY_CHAIN_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-key-chain"
TCP_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-tcp"
INDEPENDENT_LIFETIMES = "independent-send-accept-lifetime"
HEX_KEY_STRING = "hex-key-string"
AES_KEY_WRAP = "aes-key-wrap"

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_RECV_IDS, _SA_IDS = 1 << 8, 1 << 32

_ALGORITHMS: Mapping[str, tuple[tuple[str | None, str, str], ...]] = {
    # RFC 8177 counts the MAC's octets; with TCP-AO told apart (RFC 9648) HMAC-SHA-1 can be nothing else.
    "hmac-sha-1-96": (
        ("crypto-hmac-sha-1-12", KEY_CHAIN_NAMESPACE, "hmac-sha-1-12"),
        (TCP_NAMESPACE, KEY_CHAIN_NAMESPACE, "hmac-sha-1"),
    ),
    "aes-128-cmac-96": (
        ("aes-cmac-prf-128", KEY_CHAIN_NAMESPACE, "aes-cmac-prf-128"),
        (TCP_NAMESPACE, TCP_NAMESPACE, "aes-128"),
    ),
    "hmac-sha-256-128": ((None, KEY_CHAIN_NAMESPACE, "hmac-sha-256"),),
    **{alg_id: ((None, KEY_CHAIN_NAMESPACE, alg_id),) for alg_id in LDP_ALG_IDS},
}
"""By RFC 7210's AlgID: the feature that is needed and the identity, the best first."""


class KeyIds(Enum):
    """What the key-id of a key is made of."""

    BOTH = "send-and-recv-id"
    """SendID * 256 + RecvID of TCP-AO; both SA IDs of LDP's Hellos likewise, of 32 bits each."""
    SEND_ID = "send-id"
    """The SendID or SA ID that is sent, alone."""


@dataclass(frozen=True, slots=True)
class AoIds:
    """What ``ietf-tcp`` (RFC 9648) says of a key of TCP-AO beside its key-id."""

    send_id: int
    recv_id: int
    includes_tcp_options: bool


@dataclass(frozen=True, slots=True)
class ChainKey:
    """One key of a chain; ``algorithm`` is an identity as a Clark tag.

    ``secret`` is None where it is not shown, and no part of what makes two of them equal: it may be shown encrypted.
    """

    key_id: int
    algorithm: str
    send_lifetime: Lifetime
    accept_lifetime: Lifetime
    ao: AoIds | None = None
    secret: Secret | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ChainTerms:
    """How keys are written for one router: what it supports, and what is configured.

    ``features`` are those of ietf-key-chain that it has, and the namespace of ietf-tcp where it has TCP-AO's IDs.
    """

    features: frozenset[str]
    key_ids: KeyIds = KeyIds.BOTH
    tolerance: timedelta = timedelta(0)

    def key_id(self, key: ConsumerKey) -> int:
        """Return the key-id of ``key``."""
        if self.key_ids is KeyIds.SEND_ID:
            return key.send_id
        return key.send_id * (_RECV_IDS if isinstance(key, MasterKeyTuple) else _SA_IDS) + key.recv_id

    def key(self, row: KeyRow, preferred: KeyRow | None) -> ChainKey:
        """Return ``row`` as it is to be while ``preferred`` is to be sent with; None is whichever began last.

        Raises :class:`SouthboundError` for a key that this router has no words for.
        """
        key = consumer_key(row)
        if key is None:
            raise SouthboundError(f"key {row.admin_key_name!r} is of a protocol whose use of keys is not known")
        ao = self._ao(key)
        self._require_expressible(key, ao)
        send, accept = self._sent(row, preferred), self._accepted(row)
        if INDEPENDENT_LIFETIMES not in self.features:
            if not (row.for_sending and row.for_receiving):
                raise _lacks(key, INDEPENDENT_LIFETIMES, f"is for the direction {row.direction.value!r} alone")
            send = accept
        return ChainKey(
            key_id=self.key_id(key),
            algorithm=self._algorithm(key),
            send_lifetime=send,
            accept_lifetime=accept,
            ao=ao,
            secret=key.secret,
        )

    def _ao(self, key: ConsumerKey) -> AoIds | None:
        if not isinstance(key, MasterKeyTuple) or TCP_NAMESPACE not in self.features:
            return None
        return AoIds(key.send_id, key.recv_id, not key.ignore_tcp_options)

    def _sent(self, row: KeyRow, preferred: KeyRow | None) -> Lifetime:
        start, end = row.send_lifetime.start, row.send_lifetime.end
        if not row.for_sending:
            return _never(start)
        if preferred is None:
            return _lifetime(start, end)
        if row.admin_key_name == preferred.admin_key_name:
            return _lifetime(_moved(start, -self.tolerance), end)
        change = preferred.send_lifetime.start
        if start > change:
            return _lifetime(_moved(start, self.tolerance), end)
        last = _moved(change, self.tolerance)
        return _lifetime(_moved(start, -self.tolerance), last if end is None else min(end, last))

    def _accepted(self, row: KeyRow) -> Lifetime:
        start, end = row.accept_lifetime.start, row.accept_lifetime.end
        if not row.for_receiving:
            return _never(start)
        return _lifetime(_moved(start, -self.tolerance), None if end is None else _moved(end, self.tolerance))

    def _algorithm(self, key: ConsumerKey) -> str:
        wanted = _ALGORITHMS.get(key.alg_id, ())
        for feature, namespace, name in wanted:
            if feature is None or feature in self.features:
                return f"{{{namespace}}}{name}"
        raise _lacks(key, next((str(feature) for feature, _, _ in wanted), key.alg_id), f"is for {key.alg_id}")

    def _require_expressible(self, key: ConsumerKey, ao: AoIds | None) -> None:
        if ao is None and isinstance(key, MasterKeyTuple) and key.ignore_tcp_options:
            raise SouthboundError(f"key {key.name!r} leaves TCP options out of the MAC, which takes ietf-tcp's ao")
        if ao is None and self.key_ids is KeyIds.SEND_ID and key.send_id != key.recv_id:
            raise SouthboundError(
                f"key {key.name!r} is sent as {key.send_id} and received as {key.recv_id}: a key-id that is the one "
                "does not say the other, and the server lacks ietf-tcp's ao"
            )
        if HEX_KEY_STRING not in self.features and not is_text(key.secret):
            raise _lacks(key, HEX_KEY_STRING, "is not made of printable ASCII characters")


def is_text(secret: Secret) -> bool:
    """Whether a key can be written as a ``keystring``: printable ASCII, and no space at an end, which XML may lose."""
    octets = secret.reveal()
    return all(0x20 <= octet < 0x7F for octet in octets) and octets == octets.strip()


def _lacks(key: ConsumerKey, feature: str, what: str) -> SouthboundError:
    return SouthboundError(f"key {key.name!r} {what}, which takes the feature {feature}; the server lacks it")


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        moment += by
    except OverflowError:
        return _FIRST if by < timedelta(0) else _LAST
    return min(max(moment, _FIRST), _LAST)


def _never(start: datetime) -> Lifetime:
    start = _moved(start, timedelta(0)).replace(microsecond=0)
    return Lifetime(start, start)


def _lifetime(start: datetime, end: datetime | None) -> Lifetime:
    """Return the lifetime in whole seconds, outwards, and within the years that routers know."""
    start = _moved(start, timedelta(0)).replace(microsecond=0)
    if end is None or end >= _LAST:
        return Lifetime(start, None)
    end = max(end, start)
    return Lifetime(start, end if not end.microsecond else end.replace(microsecond=0) + _SECOND)
