"""The northbound as one object: what the daemon builds once and plugs into datastores, engine and NETCONF server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.subscribers import Change, PreparedChange
from rkmp.errors import EngineRefusal, RpcError
from rkmp.keytable import KeyTable
from rkmp.netconf.handlers import Handler
from rkmp.netconf.operational import EntryProvider, StateProvider
from rkmp.northbound.actions import Actions
from rkmp.northbound.configuration import NorthboundConfiguration
from rkmp.northbound.engine_access import EngineAccess
from rkmp.northbound.key_chain_names import KeyChainNames
from rkmp.northbound.key_chains import KeyChainsState
from rkmp.northbound.key_export import KeyExport
from rkmp.northbound.names import KeyTableNames, Rkmp
from rkmp.northbound.notifications import Notifications
from rkmp.northbound.state import EngineState, KeyTableState
from rkmp.northbound.state_changes import Watched, tell_changes


class Server(Watched, Protocol):
    """What the northbound needs of the NETCONF server (:class:`rkmp.netconf.server.NetconfServer`)."""

    def provide_state(self, tag: str, provider: StateProvider, *, of_entries: EntryProvider | None = None) -> None:
        """Have ``provider`` add state to a top-level node, and ``of_entries`` that of some entries."""

    def handle(self, path: Sequence[str], handler: Handler) -> None:
        """Have ``handler`` carry out an action."""

    def publish(self, event_time: datetime, event: etree._Element) -> None:
        """Send a notification."""


class _ManualKeys:
    """The subscriber for the manual keys of a configuration, whatever the engine says to the rest of it."""

    def __init__(self, configuration: NorthboundConfiguration) -> None:
        self._configuration = configuration

    def prepare(self, change: Change) -> PreparedChange:
        """Get the key table ready for ``change``."""
        return self._configuration.prepare_keys(change)


class Northbound:
    """Binds the modules to the engine and the key table; ``clock`` returns the time now, aware, in UTC.

    Nothing happens until :meth:`start`. ``key_log`` is the file that IKE keys are written to, where there is one.
    """

    def __init__(
        self,
        datastores: Datastores,
        engine: EngineAccess,
        key_table: KeyTable,
        server: Server,
        clock: Callable[[], datetime],
        *,
        key_log: str | None = None,
    ) -> None:
        self.configuration = NorthboundConfiguration(datastores.schema, engine, key_table, clock)
        self._datastores = datastores
        self._server = server
        self._why_not_in_force: str | None = "the agent is starting"
        notifications = Notifications(server.publish)
        engine.subscribe(notifications.tell_engine_event)
        key_table.subscribe(notifications.tell_key_event)
        state = EngineState(
            engine,
            lambda: self.configuration.current,
            key_log,
            why_not_in_force=lambda: self._why_not_in_force,
            clock=clock,
        )
        server.provide_state(Rkmp.RKMP, state.provide, of_entries=state.provide_entries)
        keys = KeyTableState(key_table, clock)
        server.provide_state(KeyTableNames.KEY_TABLE, keys.provide, of_entries=keys.provide_entries)
        self._chains = KeyChainsState(key_table, clock, server)
        server.provide_state(KeyChainNames.KEY_CHAINS, self._chains.provide, of_entries=self._chains.provide_entries)
        tell_changes(datastores, engine, key_table, server)
        for path, handler in {**Actions(engine).handlers, **KeyExport(key_table).handlers}.items():
            server.handle(path, handler)

    def start(self) -> None:
        """Hand the running configuration to the engine and the key table, and every later change of it.

        Raises EngineRefusal where they cannot carry it out: an address that cannot be listened on any more, for one.
        """
        try:
            # First and by themselves: an address that is not there keeps no manual key from its use.
            self._datastores.replay(_ManualKeys(self.configuration))
            self._chains.begin()
            self._datastores.replay(self.configuration)
            self.configuration.start()
        except RpcError as error:
            self._note(error.message)
            # There is no request to answer.
            raise EngineRefusal(error.message) from error
        self._note(None)
        self._datastores.subscribe(self.configuration)

    def _note(self, why_not_in_force: str | None) -> None:
        if why_not_in_force != self._why_not_in_force:
            self._why_not_in_force = why_not_in_force
            self._server.state_changed(Rkmp.RKMP)
