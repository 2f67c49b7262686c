"""The subtree ``/agent/southbound``: who gets keys as configured, how far each is, and who has stopped to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.datastore.subscribers import Change
from rkmp.northbound.agent_names import AGENT_NAMESPACE, AgentNames
from rkmp.northbound.association_consumers import AssociationConsumers
from rkmp.northbound.consumption import add_feed
from rkmp.northbound.elements import add
from rkmp.northbound.names import Rkmp
from rkmp.northbound.netconf_servers import add_netconf_server, read_netconf_server
from rkmp.northbound.northbound import Server
from rkmp.northbound.reading import boolean, container, value
from rkmp.northbound.values import canonical_host
from rkmp.southbound import (
    BirdConfiguration,
    ConsumerReport,
    FeedStatus,
    HookConfiguration,
    KeyAccessRefused,
    KeyPermission,
    KeySocketConfiguration,
    Southbound,
    SouthboundConfiguration,
)


def bind_southbound(datastores: Datastores, southbound: Southbound, server: Server) -> None:
    """Have ``southbound`` serve whom running names, now and after every change, and the server show how it goes."""
    subscriber = ConsumersConfiguration(datastores.schema, southbound.configure)
    datastores.replay(subscriber)
    datastores.subscribe(subscriber)
    server.provide_state(AgentNames.AGENT, ConsumersState(southbound).provide)
    of_associations = AssociationConsumers(southbound.consumers, southbound.refresh)
    server.provide_state(Rkmp.RKMP, of_associations.provide, of_entries=of_associations.provide_entries)
    southbound.subscribe(ConsumerNotifications(server.publish).tell)


def read_southbound(schema: Schema, tree: etree._Element) -> SouthboundConfiguration:
    """Return what a whole configuration says of consumers. Raises RpcError for keys of SSH that are none."""
    root = container(container(Instance.root(schema, tree), AgentNames.AGENT), AgentNames.SOUTHBOUND)
    birds = (_bird(entry) for entry in root.entries(AgentNames.BIRD))
    hooks = (_hook(entry) for entry in root.entries(AgentNames.HOOK))
    routers = (read_netconf_server(schema, entry) for entry in root.entries(AgentNames.NETCONF_SERVER))
    key_socket = root.container(AgentNames.KEY_SOCKET)
    return SouthboundConfiguration(
        birds={bird.name: bird for bird in birds},
        hooks={hook.name: hook for hook in hooks},
        netconf_servers={router.name: router for router in routers},
        key_socket=None if key_socket is None else _key_socket(key_socket),
    )


class ConsumersConfiguration:
    """The :class:`~rkmp.datastore.subscribers.ConfigurationSubscriber` for ``/agent/southbound``.

    Nothing is refused but keys of SSH that are none: a BIRD that is not there yet, for one, gets its keys when it is.
    """

    def __init__(self, schema: Schema, configure: Callable[[SouthboundConfiguration], None]) -> None:
        self._schema = schema
        self._configure = configure
        self._current = SouthboundConfiguration()

    def prepare(self, change: Change) -> _Prepared:
        """Read what is to be."""
        wanted = self._current
        if change.touches(AgentNames.AGENT):
            wanted = read_southbound(self._schema, change.after)
        return _Prepared(self, wanted)

    def take(self, configuration: SouthboundConfiguration) -> None:
        """Have it served."""
        if configuration != self._current:
            self._current = configuration
            self._configure(configuration)


class _Prepared:
    """What was read for one change."""

    def __init__(self, owner: ConsumersConfiguration, configuration: SouthboundConfiguration) -> None:
        self._owner = owner
        self._configuration = configuration

    def apply(self) -> None:
        """Carry the change out."""
        self._owner.take(self._configuration)

    def abort(self) -> None:
        """Forget the change."""


class ConsumersState:
    """Provides the state below ``/agent/southbound``."""

    def __init__(self, southbound: Southbound) -> None:
        self._southbound = southbound

    def provide(self, root: etree._Element) -> None:
        """Add the state to ``root``, a copy of the running configuration. What is old of it is asked for again."""
        self._southbound.refresh()
        for southbound in root.iterfind(f"{AgentNames.AGENT}/{AgentNames.SOUTHBOUND}"):
            for tag, statuses in (
                (AgentNames.BIRD, self._southbound.birds()),
                (AgentNames.HOOK, self._southbound.hooks()),
                (AgentNames.NETCONF_SERVER, self._southbound.key_chains()),
            ):
                _add_to_entries(southbound.iterchildren(tag), statuses)
            for router in southbound.iterchildren(AgentNames.NETCONF_SERVER):
                add_netconf_server(router, self._southbound)
            for key_socket in southbound.iterchildren(AgentNames.KEY_SOCKET):
                self._add_key_socket(key_socket)

    def _add_key_socket(self, element: etree._Element) -> None:
        key_socket = self._southbound.key_socket()
        if key_socket is None:
            return
        status = "listening" if key_socket.is_listening else "opening" if key_socket.last_error is None else "failed"
        add(element, AgentNames.STATUS, status)
        add(element, AgentNames.LAST_ERROR, key_socket.last_error)
        add(element, AgentNames.REFUSALS, self._southbound.refusals())
        for client, feed in self._southbound.clients():
            entry = etree.SubElement(element, AgentNames.SUBSCRIPTION)
            add(entry, AgentNames.CLIENT, client)
            add(entry, AgentNames.NEIGHBOR, feed.neighbor)
            add(entry, AgentNames.PROTOCOL, feed.protocol)
            add(entry, AgentNames.INTERFACE, feed.interface)
            add_feed(entry, feed)


class ConsumerNotifications:
    """Turns what happens with consumers into notifications for ``publish``."""

    def __init__(self, publish: Callable[[datetime, etree._Element], None]) -> None:
        self._publish = publish

    def tell(self, event: ConsumerReport | KeyAccessRefused, at: datetime) -> None:
        """Publish one."""
        self._publish(at, _access_refused(event) if isinstance(event, KeyAccessRefused) else _reported(event))


def _reported(report: ConsumerReport) -> etree._Element:
    is_gone = report.reason is not None
    element = _notification(AgentNames.CONSUMER_NOT_RESPONDING if is_gone else AgentNames.CONSUMER_RESPONDING)
    add(element, AgentNames.CONSUMER, report.consumer)
    add(element, AgentNames.NEIGHBOR, report.neighbor)
    add(element, AgentNames.PROTOCOL, report.protocol)
    add(element, AgentNames.REASON, report.reason)
    return element


def _access_refused(refusal: KeyAccessRefused) -> etree._Element:
    element = _notification(AgentNames.KEY_ACCESS_REFUSED)
    add(element, AgentNames.USER, refusal.credentials.user_name)
    add(element, AgentNames.PROCESS, refusal.credentials.process)
    add(element, AgentNames.CLIENT, refusal.client)
    add(element, AgentNames.PROTOCOL, refusal.protocol)
    add(element, AgentNames.NEIGHBOR, refusal.neighbor)
    return element


def _notification(tag: AgentNames) -> etree._Element:
    return etree.Element(tag, nsmap={None: AGENT_NAMESPACE})


def _bird(entry: Instance) -> BirdConfiguration:
    neighbors = {
        canonical_host(value(neighbor, AgentNames.ADDRESS)): value(neighbor, AgentNames.PROTOCOL)
        for neighbor in entry.entries(AgentNames.NEIGHBOR)
    }
    return BirdConfiguration(
        name=value(entry, AgentNames.NAME),
        control_socket=value(entry, AgentNames.CONTROL_SOCKET),
        include_directory=value(entry, AgentNames.INCLUDE_DIRECTORY),
        neighbors=neighbors,
        enabled=boolean(entry, AgentNames.ENABLED),
    )


def _hook(entry: Instance) -> HookConfiguration:
    return HookConfiguration(
        name=value(entry, AgentNames.NAME),
        command=(value(entry, AgentNames.COMMAND), *entry.values(AgentNames.ARGUMENT)),
        timeout=float(value(entry, AgentNames.TIMEOUT)),
        neighbors=tuple(
            (canonical_host(value(neighbor, AgentNames.ADDRESS)), value(neighbor, AgentNames.PROTOCOL))
            for neighbor in entry.entries(AgentNames.NEIGHBOR)
        ),
        enabled=boolean(entry, AgentNames.ENABLED),
    )


def _key_socket(entry: Instance) -> KeySocketConfiguration:
    return KeySocketConfiguration(
        path=value(entry, AgentNames.PATH),
        permissions=tuple(_permission(each) for each in entry.entries(AgentNames.PERMISSION)),
    )


def _permission(entry: Instance) -> KeyPermission:
    return KeyPermission(
        users=frozenset(entry.values(AgentNames.USER)),
        groups=frozenset(entry.values(AgentNames.GROUP)),
        protocols=frozenset(entry.values(AgentNames.PROTOCOL)),
        neighbors=frozenset(entry.values(AgentNames.NEIGHBOR)),
    )


def _add_to_entries(entries: Iterable[etree._Element], statuses: list[tuple[str, FeedStatus]]) -> None:
    """Add the status of each feed to the neighbor that it is for, below the entry with its consumer's name."""
    by_place = {(name, feed.neighbor, feed.protocol): feed for name, feed in statuses}
    for entry in entries:
        is_bird = entry.tag == AgentNames.BIRD
        for neighbor in entry.iterchildren(AgentNames.NEIGHBOR):
            protocol = "bgp" if is_bird else neighbor.findtext(AgentNames.PROTOCOL)
            address = canonical_host(neighbor.findtext(AgentNames.ADDRESS) or "")
            feed = by_place.get((entry.findtext(AgentNames.NAME) or "", address, protocol or ""))
            if feed is not None:
                add_feed(neighbor, feed)
