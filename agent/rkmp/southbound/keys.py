"""What a consumer should hold for one neighbor and protocol at an instant, read from the key table.

TCP-AO's keys are master key tuples (RFC 5925 section 3.1), those of LDP's targeted Hellos security associations (RFC
7349 section 2.1); each is one for both directions. A key is held from the moment it may be accepted (RFC 7210 section
3), which with a peer that has it already is before anyone sends with it, to the end of its accept lifetime. Pure: no
clock, no sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rkmp.keytable import TCP_AO_ALGORITHMS, Direction, KeyRow, KeyTable
from rkmp.keytable.rules import LDP_DISCOVERY
from rkmp.secret import Secret

_TICK = timedelta(microseconds=1)
_KEY_ID_DIGITS, _SA_ID_DIGITS = 2, 8
"""Hexadecimal ones, of a KeyID of TCP-AO and an SA ID of LDP."""


@dataclass(frozen=True, slots=True)
class MasterKeyTuple:
    """One key as TCP-AO uses it: ``send_id`` and ``recv_id`` are 0 to 255, ``alg_id`` is a name of RFC 7210.

    The KDF follows from ``alg_id`` (RFC 5926 section 3.1). ``ignore_tcp_options`` leaves TCP options out of the MAC.
    """

    name: str
    send_id: int
    recv_id: int
    alg_id: str
    secret: Secret
    ignore_tcp_options: bool

    @classmethod
    def of(cls, row: KeyRow) -> MasterKeyTuple | None:
        """Return the tuple of ``row``, or None for a row that is no key of TCP-AO."""
        names = (row.local_key_name, row.peer_key_name)
        if (row.kdf, row.alg_id) not in TCP_AO_ALGORITHMS or any(len(name) != _KEY_ID_DIGITS for name in names):
            return None
        return cls(
            name=row.admin_key_name,
            send_id=int(row.peer_key_name, 16),
            recv_id=int(row.local_key_name, 16),
            alg_id=row.alg_id,
            secret=row.key,
            ignore_tcp_options=row.ignore_tcp_options,
        )

    def shares_id(self, other: ConsumerKey) -> bool:
        """Whether a segment could not tell the two apart, so that no socket takes both."""
        return _share_id(self, other)


@dataclass(frozen=True, slots=True)
class HelloKey:
    """One key as LDP's targeted Hellos use it, without a KDF: ``alg_id`` is an HMAC of RFC 7349 section 2.2.

    ``send_id`` and ``recv_id`` are SA IDs, 0 to 2^32 - 1: those in the Hellos that are sent and received.
    """

    name: str
    send_id: int
    recv_id: int
    alg_id: str
    secret: Secret

    @classmethod
    def of(cls, row: KeyRow) -> HelloKey | None:
        """Return the key of ``row``, or None for a row that is no key of LDP's Hellos."""
        if row.protocol != LDP_DISCOVERY:
            return None
        send_id, recv_id = int(row.peer_key_name, 16), int(row.local_key_name, 16)
        return cls(row.admin_key_name, send_id, recv_id, row.alg_id, row.key)

    def shares_id(self, other: ConsumerKey) -> bool:
        """Whether a Hello could not tell the two apart."""
        return _share_id(self, other)


ConsumerKey = MasterKeyTuple | HelloKey


def consumer_key(row: KeyRow) -> ConsumerKey | None:
    """Return ``row`` as its protocol uses it; None for one of a protocol whose use of keys is not known."""
    return HelloKey.of(row) or MasterKeyTuple.of(row)


def unknown_key(name: str) -> ConsumerKey:
    """Return what stands for a key of which a consumer tells but the name, and the key table has no such one."""
    return MasterKeyTuple(name, -1, -1, "", Secret(b""), ignore_tcp_options=False)


def local_key_name(protocol: str, recv_id: int) -> str:
    """Return the key table's name of a key that is received under ``recv_id``."""
    return f"{recv_id:0{_SA_ID_DIGITS if protocol == LDP_DISCOVERY else _KEY_ID_DIGITS}x}"


def _share_id(one: ConsumerKey, other: ConsumerKey) -> bool:
    return one.send_id == other.send_id or one.recv_id == other.recv_id


@dataclass(frozen=True, slots=True)
class WantedKeys:
    """What to hold now: ``keys``, oldest first, of which the one named ``preferred`` is to be used.

    ``retiring`` are names of keys that are still accepted and will not be sent with again; ``pending`` of those whose
    time is still to come, which are not installed, and not removed either where they are: the clock was set back.
    ``next_change`` is when to look again.
    """

    keys: tuple[ConsumerKey, ...] = ()
    preferred: str | None = None
    retiring: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    next_change: datetime | None = None

    def get(self, name: str | None) -> ConsumerKey | None:
        """Return the key of that name."""
        return next((key for key in self.keys if key.name == name), None)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a consumer says besides neighbor and protocol (RFC 7210 section 3).

    ``interface`` of None is one that does not say; ``algorithms`` are AlgIDs, the most preferred first, of which others
    come after.
    """

    interface: str | None = None
    algorithms: tuple[str, ...] = ()


ANY = Selection()


def wanted_keys(table: KeyTable, neighbor: str, protocol: str, at: datetime, selection: Selection = ANY) -> WantedKeys:
    """Return what a consumer that speaks ``protocol`` with ``neighbor`` should hold at ``at``.

    The key to send with is RFC 7210's choice. When there is none any more, the others stay until they are no longer
    accepted: a connection cannot verify with a key and not sign.
    """
    keys: list[ConsumerKey] = []
    retiring, pending = set(), set()
    instants: set[datetime] = set()
    for row in table.rows_for(neighbor, protocol):
        key = consumer_key(row)
        if key is None or row.direction is Direction.DISABLED or not row.usable_on(selection.interface):
            continue
        instants.update(_instants(row))
        if any(lifetime.contains(at) for lifetime in row.lifetimes()):
            keys.append(key)
            if row.send_lifetime.end is not None and row.send_lifetime.end < at:
                retiring.add(key.name)
        elif any(at < lifetime.start for lifetime in row.lifetimes()):
            pending.add(key.name)
    selected = table.select_for_sending(neighbor, protocol, at, selection.interface, preference=selection.algorithms)
    name = selected.admin_key_name if selected is not None else None
    return WantedKeys(
        keys=tuple(keys),
        preferred=name if any(key.name == name for key in keys) else None,
        retiring=frozenset(retiring),
        pending=frozenset(pending),
        next_change=min((instant for instant in instants if instant > at), default=None),
    )


def _instants(row: KeyRow) -> Iterator[datetime]:
    """Yield when the row begins or ceases to be used; a lifetime includes its end."""
    for lifetime in row.lifetimes():
        yield lifetime.start
        if lifetime.end is not None and lifetime.end < datetime.max.replace(tzinfo=lifetime.end.tzinfo):
            yield lifetime.end + _TICK
