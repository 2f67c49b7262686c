"""Which peers are configured for an address: found without looking at the others."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from rkmp.engine.peer import Peer


class AddressBook:
    """Peers by their address, several of which may be at one, in the order in which they came."""

    def __init__(self) -> None:
        self._peers: dict[str, dict[str, Peer]] = {}

    def add(self, peer: Peer) -> None:
        """Note where ``peer`` is."""
        self._peers.setdefault(canonical(peer.configuration.address), {})[peer.name] = peer

    def remove(self, peer: Peer) -> None:
        """Forget ``peer``, whose address is still the one that it was added with."""
        address = canonical(peer.configuration.address)
        self._peers[address].pop(peer.name, None)
        if not self._peers[address]:
            del self._peers[address]

    def at(self, address: str) -> Collection[Peer]:
        """Return the peers at ``address``, which is written as :func:`canonical` writes it."""
        return self._peers.get(address, {}).values()


def canonical(address: str) -> str:
    """Return an address as RFC 5952 writes it, so that equal addresses are equal strings."""
    return str(ip_address(address))
