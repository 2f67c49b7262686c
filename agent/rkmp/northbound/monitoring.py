"""The container ``/agent/metrics``: where metrics are served as configured, and whether they are."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.metrics import Metrics, MetricsConfiguration, MetricsStatus
from rkmp.northbound import elements
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.northbound import Server
from rkmp.northbound.reading import boolean, container, value


def bind_metrics(datastores: Datastores, metrics: Metrics, server: Server) -> None:
    """Have ``metrics`` served as running says, now and after every change, and the server show whether they are."""
    subscriber = MonitoringConfiguration(datastores.schema, metrics.configure)
    datastores.replay(subscriber)
    datastores.subscribe(subscriber)
    server.provide_state(AgentNames.AGENT, MonitoringState(lambda: metrics.status).provide)


class MonitoringConfiguration:
    """The :class:`~rkmp.datastore.subscribers.ConfigurationSubscriber` for ``/agent/metrics``.

    An address that cannot be had is not refused: it is tried again, and state says so.
    """

    def __init__(self, schema: Schema, configure: Callable[[MetricsConfiguration], None]) -> None:
        self._schema = schema
        self._configure = configure

    def prepare(self, change: Change) -> PreparedChange:
        """Read what is to be."""
        if not change.touches(AgentNames.AGENT):
            return _Prepared(lambda: None)
        agent = container(Instance.root(self._schema, change.after), AgentNames.AGENT)
        metrics = container(agent, AgentNames.METRICS)
        configuration = MetricsConfiguration(
            enabled=boolean(metrics, AgentNames.ENABLED),
            address=value(metrics, AgentNames.ADDRESS),
            port=int(value(metrics, AgentNames.PORT)),
        )
        return _Prepared(lambda: self._configure(configuration))


class _Prepared:
    """What was read for one change."""

    def __init__(self, apply: Callable[[], None]) -> None:
        self.apply = apply

    def abort(self) -> None:
        """Forget the change."""


class MonitoringState:
    """Provides the state below ``/agent/metrics``."""

    def __init__(self, status: Callable[[], MetricsStatus]) -> None:
        self._status = status

    def provide(self, root: etree._Element) -> None:
        """Add the state to ``root``, a copy of the running configuration."""
        metrics = elements.container(elements.container(root, AgentNames.AGENT), AgentNames.METRICS)
        status = self._status()
        elements.add(metrics, AgentNames.STATUS, status.state)
        elements.add(metrics, AgentNames.LAST_ERROR, status.last_error)
