"""The key table as key chains of RFC 8177, in operational state: one chain for each neighbor and protocol.

A chain is named ``PROTOCOL@NEIGHBOR``. The keys themselves are never shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lxml import etree

from rkmp.keytable import (
    TCP_AO_PROTOCOLS,
    KeyEvent,
    KeyInstalled,
    KeyRemoved,
    KeyRow,
    KeyTable,
    KeyUpdated,
    Lifetime,
)
from rkmp.netconf import Origin, set_origin
from rkmp.netconf.operational import EntryNames
from rkmp.northbound.elements import add, container
from rkmp.northbound.key_chain_names import KEY_CHAIN_PREFIX, KeyChainNames
from rkmp.northbound.state_changes import Watched
from rkmp.northbound.values import BEGINNING, canonical_host

ALGORITHMS: Mapping[str, str] = {
    "aes-128-cmac": "aes-cmac-prf-128",
    "aes-128-cmac-96": "aes-cmac-prf-128",
    "hmac-sha-1-96": "hmac-sha-1-12",
    "hmac-sha-256-128": "hmac-sha-256",
    "hmac-sha-1": "hmac-sha-1",
    "hmac-sha-256": "hmac-sha-256",
    "hmac-sha-384": "hmac-sha-384",
    "hmac-sha-512": "hmac-sha-512",
}
"""The identities of RFC 8177 for the key table's AlgIDs. It counts in octets (12) where the key table has 96 bits."""

NOT_ON_CHANGE = tuple(
    (KeyChainNames.KEY_CHAINS, KeyChainNames.KEY_CHAIN, KeyChainNames.KEY, name)
    for name in (KeyChainNames.SEND_LIFETIME_ACTIVE, KeyChainNames.ACCEPT_LIFETIME_ACTIVE)
)
"""What the time changes without an event of the key table."""

_KEY_ID_OCTETS = 8
_NAME_OCTETS = 6

_Chain = tuple[str, str]
"""A protocol and a neighbor."""


def key_id(row: KeyRow) -> int:
    """Return the number, below 2**64, that stands for a key in its chain, for as long as the key is in the table.

    The upper 48 bits are the first of the SHA-256 of AdminKeyName, which is what identifies a row; KeyIDs may come
    again. The lower 16 are SendID and RecvID of a key of TCP-AO, and of any other key the next ones of the hash.
    """
    digest = hashlib.sha256(row.admin_key_name.encode()).digest()[:_KEY_ID_OCTETS]
    if row.protocol in TCP_AO_PROTOCOLS:
        digest = digest[:_NAME_OCTETS] + bytes.fromhex(row.peer_key_name + row.local_key_name)
    return int.from_bytes(digest)


def chain_name(protocol: str, neighbor: str) -> str:
    """Return the name of a key chain; no protocol's name has an ``@``."""
    return f"{protocol}@{neighbor}"


class KeyChainsState:
    """Provides the state below ``/key-chains`` and tells ``server`` of its changes; ``clock`` returns aware UTC.

    When a chain was modified is known from :meth:`begin` on: what is installed before is what there was.
    """

    def __init__(self, key_table: KeyTable, clock: Callable[[], datetime], server: Watched) -> None:
        self._key_table = key_table
        self._clock = clock
        self._server = server
        self._modified_at: dict[_Chain, datetime] = {}
        self._has_begun = False
        server.tell_state_changes(KeyChainNames.KEY_CHAINS, NOT_ON_CHANGE)
        key_table.subscribe(self._note)

    def begin(self) -> None:
        """Take what follows for modifications: the manual keys of the configuration have been installed."""
        self._has_begun = True

    def provide(self, root: etree._Element) -> None:
        """Add all chains to ``root``."""
        chains: dict[_Chain, list[KeyRow]] = {}
        for row in self._key_table.rows():
            for chain in _chains(row.protocol, row.peers):
                chains.setdefault(chain, []).append(row)
        self._add(root, chains)

    def provide_entries(self, root: etree._Element, entries: EntryNames) -> None:
        """Add some chains to ``root``."""
        chains: dict[_Chain, Iterable[KeyRow]] = {}
        for tag, (name, *_) in entries:
            protocol, _, neighbor = name.partition("@")
            # The table finds addresses in any notation; the name of a chain has just one.
            if tag == KeyChainNames.KEY_CHAIN and neighbor == canonical_host(neighbor):
                chains[protocol, neighbor] = self._key_table.rows_for(neighbor, protocol)
        self._add(root, chains)

    def _add(self, root: etree._Element, chains: Mapping[_Chain, Iterable[KeyRow]]) -> None:
        now = self._clock()
        top = container(root, KeyChainNames.KEY_CHAINS)
        for chain, rows in sorted(chains.items()):
            if not rows:
                continue
            entry = etree.SubElement(top, KeyChainNames.KEY_CHAIN)
            add(entry, KeyChainNames.NAME, chain_name(*chain))
            add(entry, KeyChainNames.LAST_MODIFIED_TIMESTAMP, self._modified_at.get(chain))
            for row in sorted(rows, key=lambda row: (row.send_lifetime.start, row.admin_key_name)):
                _add_key(entry, row, now)

    def _note(self, event: KeyEvent) -> None:
        if not isinstance(event, KeyInstalled | KeyUpdated | KeyRemoved):
            return
        chains = _chains(event.protocol, event.peers)
        if isinstance(event, KeyUpdated):
            chains |= _chains(event.former_protocol, event.former_peers)
        for protocol, neighbor in chains:
            if self._has_begun and self._key_table.rows_for(neighbor, protocol):
                self._modified_at[protocol, neighbor] = event.at
            else:
                self._modified_at.pop((protocol, neighbor), None)
        entries = [(KeyChainNames.KEY_CHAIN, (chain_name(*chain),)) for chain in chains]
        self._server.state_changed(KeyChainNames.KEY_CHAINS, entries)


def _chains(protocol: str, peers: Iterable[str]) -> frozenset[_Chain]:
    return frozenset((protocol, canonical_host(peer)) for peer in peers)


def _add_key(parent: etree._Element, row: KeyRow, now: datetime) -> None:
    entry = etree.SubElement(parent, KeyChainNames.KEY)
    if row.provenance is not None:
        # RFC 8342 5.3.4: what was learned from other systems through protocols.
        set_origin(entry, Origin.LEARNED)
    add(entry, KeyChainNames.KEY_ID, key_id(row))
    lifetimes = etree.SubElement(entry, KeyChainNames.LIFETIME)
    _add_lifetime(lifetimes, KeyChainNames.SEND_LIFETIME, row.send_lifetime)
    _add_lifetime(lifetimes, KeyChainNames.ACCEPT_LIFETIME, row.accept_lifetime)
    add(entry, KeyChainNames.CRYPTO_ALGORITHM, f"{KEY_CHAIN_PREFIX}:{ALGORITHMS[row.alg_id]}")
    # RFC 8177 has no Direction: a key that may not be sent with is one whose send lifetime is never active.
    add(entry, KeyChainNames.SEND_LIFETIME_ACTIVE, row.for_sending and row.send_lifetime.contains(now))
    add(entry, KeyChainNames.ACCEPT_LIFETIME_ACTIVE, row.for_receiving and row.accept_lifetime.contains(now))


def _add_lifetime(parent: etree._Element, tag: str, lifetime: Lifetime) -> None:
    element = etree.SubElement(parent, tag)
    if lifetime == Lifetime(BEGINNING, None):
        add(element, KeyChainNames.ALWAYS, "")
        return
    add(element, KeyChainNames.START_DATE_TIME, lifetime.start)
    if lifetime.end is None:
        add(element, KeyChainNames.NO_END_TIME, "")
    else:
        add(element, KeyChainNames.END_DATE_TIME, lifetime.end)
