"""Who uses the keys of an association: the consumers of its neighbor and protocol, beside its own state."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lxml import etree

from rkmp.engine.protocols import protocol_name
from rkmp.netconf.operational import EntryNames
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.consumption import add_feed
from rkmp.northbound.elements import add
from rkmp.northbound.names import Rkmp
from rkmp.northbound.values import canonical_host, routing_protocol_number
from rkmp.southbound import FeedStatus

Consumers = Callable[[], Iterable[tuple[str, str, FeedStatus]]]
"""Whoever takes keys: kind, name, and status with one neighbor and protocol."""


class AssociationConsumers:
    """Provides ``consumer`` of each association in ``/rkmp``; ``consumers`` is asked once for all of them.

    ``refresh`` has asked again for what is old of what they use; whoever looks again sees it.
    """

    def __init__(self, consumers: Consumers, refresh: Callable[[], None] = lambda: None) -> None:
        self._consumers = consumers
        self._refresh = refresh

    def provide(self, root: etree._Element) -> None:
        """Add the consumers to ``root``, a copy of the running configuration."""
        by_scope: dict[tuple[str, str], list[tuple[str, str, FeedStatus]]] = {}
        for consumer in self._consumers():
            by_scope.setdefault((consumer[2].neighbor, consumer[2].protocol), []).append(consumer)
        if not by_scope:
            return
        self._refresh()
        for peer in root.iterfind(f"{Rkmp.RKMP}/{Rkmp.PEER}"):
            for association in peer.iterchildren(Rkmp.ASSOCIATION):
                neighbor = association.findtext(Rkmp.NEIGHBOR) or peer.findtext(Rkmp.ADDRESS) or ""
                protocol = protocol_name(routing_protocol_number(association.findtext(Rkmp.PROTOCOL) or ""))
                for kind, name, feed in by_scope.get((canonical_host(neighbor), protocol), ()):
                    entry = etree.SubElement(association, AgentNames.CONSUMER)
                    add(entry, AgentNames.KIND, kind)
                    add(entry, AgentNames.NAME, name)
                    add_feed(entry, feed)

    def provide_entries(self, root: etree._Element, _entries: EntryNames) -> None:
        """Add the consumers to the peers in ``root``, which has just some of them."""
        self.provide(root)
