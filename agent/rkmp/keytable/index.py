"""The rows in memory, found by name and by (peer, protocol) without looking at any other row.

Selection follows RFC 7210 section 3 to the letter; where the RFC lets several keys match, the choice is made
deterministic here, so that both ends of a session and every restart choose alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from rkmp.errors import KeyNameClash
from rkmp.keytable.row import KeyRow
from rkmp.keytable.rules import ALL_INTERFACES, canonical_peer

Scope = tuple[str, str]
"""A peer, in canonical form, and a protocol."""


def scopes(row: KeyRow) -> set[Scope]:
    """Return where ``row`` is found."""
    return {(canonical_peer(peer), row.protocol) for peer in row.peers}


class KeyIndex:
    """Rows by AdminKeyName, and per scope by the order in which they are sent with and by LocalKeyName."""

    def __init__(self) -> None:
        self._rows: dict[str, KeyRow] = {}
        self._scopes: dict[Scope, _ScopeIndex] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[KeyRow]:
        return iter(self._rows.values())

    def get(self, admin_key_name: str) -> KeyRow | None:
        """Return the row of that name."""
        return self._rows.get(admin_key_name)

    def put(self, row: KeyRow) -> None:
        """Add ``row``, in place of any of the same name."""
        self.discard(row.admin_key_name)
        self._rows[row.admin_key_name] = row
        for scope in scopes(row):
            self._scopes.setdefault(scope, _ScopeIndex()).add(row)

    def discard(self, admin_key_name: str) -> None:
        """Take out the row of that name, if there is one."""
        row = self._rows.pop(admin_key_name, None)
        if row is None:
            return
        for scope in scopes(row):
            index = self._scopes[scope]
            index.remove(row)
            if not index.rows:
                del self._scopes[scope]

    def rows_for(self, peer: str, protocol: str) -> tuple[KeyRow, ...]:
        """Return the rows of a scope, by SendLifetimeStart, then name."""
        scope = self._scope(peer, protocol)
        return tuple(scope.in_order()) if scope is not None else ()

    def select_for_sending(
        self, peer: str, protocol: str, at: datetime, interface: str | None, preference: Sequence[str]
    ) -> KeyRow | None:
        """Return the key to send with (RFC 7210 section 3).

        Of several, those whose AlgID comes first in ``preference`` win, then the one with the most recent
        SendLifetimeStart, then the greatest name.
        """
        scope = self._scope(peer, protocol)
        if scope is None:
            return None
        matching = (row for row in scope.sendable(at) if row.usable_on(interface))
        if not preference:
            return next(matching, None)
        rank = {alg_id: position for position, alg_id in enumerate(preference)}
        return min(matching, key=lambda row: rank.get(row.alg_id, len(rank)), default=None)

    def select_for_receiving(
        self, peer: str, protocol: str, local_key_name: str, at: datetime, interface: str | None
    ) -> KeyRow | None:
        """Return the key to verify a message with (RFC 7210 section 3).

        Several match only if they are for different interfaces and the protocol does not say which: then the one with
        the most recent AcceptLifeTimeStart, then the greatest name.
        """
        scope = self._scope(peer, protocol)
        if scope is None:
            return None
        matching = [
            row
            for row in scope.by_local_name.get(local_key_name, ())
            if row.for_receiving and row.accept_lifetime.contains(at) and row.usable_on(interface)
        ]
        return max(matching, key=lambda row: (row.accept_lifetime.start, row.admin_key_name), default=None)

    def selected_for_sending(self, row: KeyRow, at: datetime) -> bool:
        """Whether ``row`` is what a lookup for one of its peers, on one of its interfaces, finds."""
        interfaces: Collection[str | None] = (None,) if ALL_INTERFACES in row.interfaces else row.interfaces
        if not (row.for_sending and row.send_lifetime.contains(at)):
            return False
        return any(
            selected is not None and selected.admin_key_name == row.admin_key_name
            for peer, protocol in scopes(row)
            for interface in interfaces
            for selected in (self.select_for_sending(peer, protocol, at, interface, ()),)
        )

    def require_no_clash(self, row: KeyRow, ignoring: Collection[str] = ()) -> None:
        """Refuse ``row`` if a message could not tell it from another one.

        A row of the same name and those named in ``ignoring`` are seen as gone. Raises :class:`KeyTableError`.
        """
        for scope in scopes(row):
            index = self._scopes.get(scope)
            if index is None:
                continue
            for other in index.by_local_name.get(row.local_key_name, ()):
                if other.admin_key_name in ignoring or other.admin_key_name == row.admin_key_name:
                    continue
                if _both_received(row, other):
                    raise _clash(row, other, scope, f"local key name {row.local_key_name}", "accept")
            for other in index.by_peer_name.get(row.peer_key_name, ()):
                if other.admin_key_name in ignoring or other.admin_key_name == row.admin_key_name:
                    continue
                if _both_sent(row, other):
                    raise _clash(row, other, scope, f"peer key name {row.peer_key_name}", "send")

    def _scope(self, peer: str, protocol: str) -> _ScopeIndex | None:
        # Callers mostly have the canonical form already, and the index has no other.
        return self._scopes.get((peer, protocol)) or self._scopes.get((canonical_peer(peer), protocol))


class _ScopeIndex:
    """The rows of one scope."""

    __slots__ = ("_order", "by_local_name", "by_peer_name", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, KeyRow] = {}
        self.by_local_name: dict[str, list[KeyRow]] = {}
        self.by_peer_name: dict[str, list[KeyRow]] = {}
        self._order: list[tuple[datetime, str]] = []

    def add(self, row: KeyRow) -> None:
        self.rows[row.admin_key_name] = row
        self.by_local_name.setdefault(row.local_key_name, []).append(row)
        self.by_peer_name.setdefault(row.peer_key_name, []).append(row)
        insort(self._order, (row.send_lifetime.start, row.admin_key_name))

    def remove(self, row: KeyRow) -> None:
        del self.rows[row.admin_key_name]
        for by_name, name in ((self.by_local_name, row.local_key_name), (self.by_peer_name, row.peer_key_name)):
            by_name[name] = [other for other in by_name[name] if other is not row]
            if not by_name[name]:
                del by_name[name]
        del self._order[bisect_left(self._order, (row.send_lifetime.start, row.admin_key_name))]

    def in_order(self) -> Iterator[KeyRow]:
        """Return the rows by SendLifetimeStart, then name."""
        return (self.rows[name] for _, name in self._order)

    def sendable(self, at: datetime) -> Iterator[KeyRow]:
        """Return the rows that may be sent with at ``at``, the most recent SendLifetimeStart first."""
        for position in range(bisect_right(self._order, at, key=_start) - 1, -1, -1):
            row = self.rows[self._order[position][1]]
            if row.for_sending and row.send_lifetime.contains(at):
                yield row


def _start(entry: tuple[datetime, str]) -> datetime:
    return entry[0]


def _both_received(row: KeyRow, other: KeyRow) -> bool:
    # RFC 7210 section 3 selects "if one key matches": there must never be two.
    return (
        row.for_receiving
        and other.for_receiving
        and row.accept_lifetime.overlaps(other.accept_lifetime)
        and _share_interface(row, other)
    )


def _both_sent(row: KeyRow, other: KeyRow) -> bool:
    # RFC 5925 section 3.1: the IDs of MKTs MUST NOT overlap; the receiver could not tell which key it was. A name is
    # empty where a group's keys are told apart by their local names (RFC 7210 section 2, PeerKeyName).
    return (
        row.peer_key_name != ""
        and row.for_sending
        and other.for_sending
        and row.send_lifetime.overlaps(other.send_lifetime)
        and _share_interface(row, other)
    )


def _share_interface(row: KeyRow, other: KeyRow) -> bool:
    return any(other.usable_on(None if interface == ALL_INTERFACES else interface) for interface in row.interfaces)


def _clash(row: KeyRow, other: KeyRow, scope: Scope, name: str, kind: str) -> KeyNameClash:
    peer, protocol = scope
    return KeyNameClash(
        f"key {row.admin_key_name!r}: {name} is also that of key {other.admin_key_name!r} for {protocol} with {peer}, "
        f"and their {kind} lifetimes overlap"
    )
