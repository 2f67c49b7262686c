"""One agent: every room built from the state directory, joined, started and stopped. The only place that knows all.

Order of start: the disk, the keys, the configuration of before into the engine, and last the doors: when the agent
says that it is ready, everything that it ever acknowledged is in force, or the log says what stands in the way.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

import rkmp
from rkmp.daemon.certificate_clock import CertificateClock
from rkmp.daemon.clock_watch import LONGEST_SLEEP, ClockWatch
from rkmp.daemon.commit_clock import CommitClock
from rkmp.daemon.control import ControlSocket
from rkmp.daemon.event_log import log_engine_event, log_key_event, log_running_change
from rkmp.daemon.first_configuration import FirstConfiguration
from rkmp.daemon.good_copies import GoodCopies
from rkmp.daemon.key_clock import KeyClock
from rkmp.daemon.listen_address import ListenAddress
from rkmp.daemon.management import RunningManagement
from rkmp.daemon.monitored import certificate_ends, consumer_states, without_disabled
from rkmp.daemon.state_directory import KEY_TABLE_PURPOSE, StateDirectory
from rkmp.daemon.users import Users
from rkmp.daemon.watching import WATCHES_NOTHING, Watching
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema.cache import load_cached
from rkmp.engine import Engine, EngineConfiguration, EngineDriver, Listener, system_clock
from rkmp.errors import CommandError, EngineRefusal
from rkmp.keytable import KeyTable
from rkmp.metrics import Metrics, Sources
from rkmp.netconf import NETCONF_MODULES, EventLog, NetconfServer
from rkmp.northbound import MODULES, AgentManagement, Northbound, protect_passwords
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.certificates import NetconfCertificates
from rkmp.northbound.consumers import bind_southbound
from rkmp.northbound.monitoring import bind_metrics
from rkmp.secret import Secret
from rkmp.southbound import Southbound
from rkmp.storage import Database, LastGood, Sealer, require_key

_log = logging.getLogger(__name__)

DEFAULT_LISTENER = "default"
"""Name of the IKE listener of the command line, in force while the configuration has none."""


def module_directory() -> Path:
    """Return the folder of our YANG modules: inside the installed package, or beside the source in a checkout."""
    package = Path(rkmp.__file__).parent
    installed = package / "yang"
    return installed if installed.is_dir() else package.parents[1] / "yang"


def _wall_clock() -> datetime:
    return system_clock().wall


def _require_default_listener(driver: EngineDriver, refusal: EngineRefusal) -> None:
    """Raise :class:`CommandError` when the configuration was refused for the address of the command line."""
    try:
        driver.prepare(EngineConfiguration()).abort()
    except EngineRefusal as without_any:
        # Whoever gave the command line can mend it; an address of the configuration may still come.
        if without_any.reason == refusal.reason:
            raise CommandError(refusal.reason) from refusal


def _metrics(
    engine: Engine,
    driver: EngineDriver,
    key_table: KeyTable,
    server: NetconfServer,
    southbound: Southbound,
    netconf_certificates: NetconfCertificates,
) -> Metrics:
    """Return the metrics of these rooms, told what takes time."""
    metrics = Metrics(
        Sources(
            version=rkmp.__version__,
            clock=_wall_clock,
            peers=lambda: without_disabled(driver.peers(), engine.configuration),
            engine_statistics=driver.statistics,
            key_counts=key_table.counts,
            keys_extended=key_table.extended,
            sessions=lambda: (session.client.transport for session in server.sessions),
            certificates=lambda: certificate_ends(driver.certificate_watch, netconf_certificates),
            revocation_lists=lambda: driver.certificate_watch.lists_due(),
            consumers=lambda: consumer_states(southbound),
            key_access_refusals=southbound.refusals,
        )
    )
    driver.subscribe(metrics.latencies.engine_event)
    server.observe_operations(metrics.latencies.operation_answered)
    return metrics


class Agent:
    """The whole of ``rkmpd`` but its process; ``start`` and ``stop`` belong to a running event loop."""

    def __init__(
        self,
        directory: StateDirectory,
        *,
        netconf: ListenAddress,
        ike: ListenAddress,
        watching: Watching = WATCHES_NOTHING,
    ) -> None:
        self._directory = directory
        self._watching = watching
        self._netconf = netconf
        self._ike = ike
        self._driver: EngineDriver | None = None
        self._server: NetconfServer | None = None
        self._management: RunningManagement | None = None
        self._southbound: Southbound | None = None
        self._metrics: Metrics | None = None
        self._control: ControlSocket | None = None
        self._closing = ExitStack()

    @property
    def netconf_address(self) -> ListenAddress:
        """Where NETCONF is served; of a started agent the port that was got where 0 was asked for."""
        return self._netconf

    @property
    def ike_address(self) -> ListenAddress:
        """Where IKE is spoken by default; of a started agent the port that was got where 0 was asked for."""
        return self._ike

    async def start(self) -> None:
        """Bring everything up.

        Raises :class:`CommandError` for an address of the command line that cannot be had, StorageError for a state
        directory that cannot be used, SchemaError for modules that cannot be compiled.
        """
        database = self._closing.enter_context(Database(self._directory.database, must_exist=True))
        key_encryption_key = self._directory.read_key_encryption_key(os.environ)
        require_key(database, key_encryption_key)
        cache, cache_key = self._directory.schema_cache, key_encryption_key.derive("schema cache")
        compiled = load_cached({**NETCONF_MODULES, **MODULES}, [module_directory()], cache, cache_key)
        schema = protect_passwords(compiled, os.urandom)
        self._control = ControlSocket(self._directory, database)
        await self._control.open()
        users = Users(database)
        key_table = KeyTable(database, Sealer(key_encryption_key, KEY_TABLE_PURPOSE), os.urandom)
        datastores = Datastores(schema, database, Sealer(key_encryption_key, "datastore"), os.urandom, _wall_clock)

        listener = Listener(DEFAULT_LISTENER, self._ike.host, self._ike.port)
        engine = Engine(key_table, os.urandom, default_listener=listener, observer=self._watching.observer)
        self._driver = EngineDriver(engine, listener)
        self._driver.subscribe(log_engine_event)
        key_table.subscribe(log_key_event)
        server = NetconfServer(
            datastores,
            clock=_wall_clock,
            is_recovery=users.is_recovery,
            event_log=EventLog(database, _wall_clock),
            url_directory=self._directory.path,
        )
        datastores.on_commit(partial(log_running_change, server))
        key_log = self._watching.key_log
        northbound = Northbound(
            datastores,
            self._driver,
            key_table,
            server,
            clock=_wall_clock,
            key_log=None if key_log is None else str(key_log.path),
        )
        configuration = FirstConfiguration(northbound.start)
        self._closing.callback(configuration.close)
        if configuration.refusal is not None:
            _require_default_listener(self._driver, configuration.refusal)
        datastores.on_commit(configuration.running_changed)
        self._southbound = Southbound(key_table, _wall_clock, f"rkmpd {rkmp.__version__}")
        bind_southbound(datastores, self._southbound, server)
        netconf_certificates = NetconfCertificates(server.publish)
        self._metrics = _metrics(engine, self._driver, key_table, server, self._southbound, netconf_certificates)
        bind_metrics(datastores, self._metrics, server)
        copies = GoodCopies(lambda: LastGood(self._directory.database).keep(database))
        self._closing.callback(copies.close)
        datastores.on_commit(copies.changed)
        datastores.on_startup_change(copies.changed)
        # What has just been read was sound.
        copies.changed()
        certificate_clock = CertificateClock(netconf_certificates, _wall_clock)
        key_clock = KeyClock(key_table, _wall_clock)
        self._watch_clock(self._driver, key_clock, certificate_clock, self._southbound)
        self._closing.callback(CommitClock(datastores, _wall_clock).close)
        bound = self._driver.addresses().get(DEFAULT_LISTENER)
        if bound is not None:
            self._ike = ListenAddress(*bound)
        await self._open(server, users, datastores, certificate_clock)

    def _watch_clock(
        self, driver: EngineDriver, key_clock: KeyClock, certificate_clock: CertificateClock, southbound: Southbound
    ) -> None:
        """Have those who go by civil time look at it when it is set, and else rarely."""
        self._closing.callback(key_clock.close)
        self._closing.callback(certificate_clock.close)

        def look() -> None:
            for looks in (key_clock.look, certificate_clock.look, driver.look_at_clock, southbound.look):
                looks()

        try:
            watch = ClockWatch(look)
        except OSError as error:
            _log.info("the clock is looked at twice a minute, since the kernel does not tell when it is set: %s", error)
            return
        self._closing.callback(watch.close)
        driver.longest_sleep = key_clock.longest_sleep = certificate_clock.longest_sleep = LONGEST_SLEEP

    async def _open(
        self, server: NetconfServer, users: Users, datastores: Datastores, certificates: CertificateClock
    ) -> None:
        self._server = server
        try:
            host_key = Secret(self._directory.host_key.read_bytes())
            self._management = RunningManagement(server, users, host_key, self._netconf, certificates)
            self._follow(self._management, server, datastores)
            self._netconf = await self._management.start()
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot serve NETCONF on {self._netconf}: {error}") from error

    def _follow(self, management: RunningManagement, server: NetconfServer, datastores: Datastores) -> None:
        """Have the configuration of how the agent is managed carried out, the stored one first."""
        subscriber = AgentManagement(datastores.schema, management, _wall_clock)
        server.provide_state(AgentNames.AGENT, subscriber.provide)
        for fault in subscriber.start(datastores.replay):
            _log.error("how the agent is managed is not in force: %s", fault)
        datastores.subscribe(subscriber)

    async def stop(self) -> None:
        """Close the doors, say good-bye to the peers, let go of the disk. What was acknowledged stays."""
        if self._management is not None:
            await self._management.close()
        if self._server is not None:
            await self._server.close()
        if self._control is not None:
            await self._control.close()
        if self._metrics is not None:
            await self._metrics.close()
        if self._southbound is not None:
            await self._southbound.close()
        if self._driver is not None:
            self._driver.close()
        self._closing.close()
        _log.info("stopped")
