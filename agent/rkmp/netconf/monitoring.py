"""State of the NETCONF server itself: ``netconf-state`` of RFC 6022 section 2.1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.partial_locks import PartialLock
from rkmp.netconf.namespaces import MONITORING
from rkmp.netconf.notifications import date_and_time
from rkmp.netconf.operations.schema_retrieval import YANG_FORMAT, schema_texts
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionTable
from rkmp.netconf.statistics import COUNTER_MODULUS, MessageCounters, ServerCounters

NETCONF_STATE = f"{{{MONITORING}}}netconf-state"


class Monitoring:
    """State provider of ietf-netconf-monitoring."""

    def __init__(
        self,
        *,
        capabilities: Sequence[str],
        datastores: Datastores,
        sessions: SessionTable,
        counters: ServerCounters,
        start_time: datetime,
    ) -> None:
        self._capabilities = capabilities
        self._datastores = datastores
        self._sessions = sessions
        self._counters = counters
        self._start_time = start_time
        self._schemas = tuple(schema_texts(datastores.schema))
        # Of values that name identities of the module.
        self._prefix = datastores.schema.prefix_of(MONITORING)

    def provide(self, root: etree._Element) -> None:
        """Add ``netconf-state`` to ``root``."""
        state = etree.SubElement(root, NETCONF_STATE)
        capabilities = _element(state, "capabilities")
        for capability in self._capabilities:
            _leaf(capabilities, "capability", capability)
        self._add_datastores(_element(state, "datastores"))
        self._add_schemas(_element(state, "schemas"))
        sessions = _element(state, "sessions")
        for session in self._sessions:
            self._add_session(_element(sessions, "session"), session)
        self._add_statistics(_element(state, "statistics"))

    def _add_datastores(self, parent: etree._Element) -> None:
        locks = self._datastores.locks()
        for name in ("running", "candidate", "startup"):
            entry = _element(parent, "datastore")
            _leaf(entry, "name", name)
            if (lock := locks.get(name)) is not None:
                held = _element(_element(entry, "locks"), "global-lock")
                _leaf(held, "locked-by-session", str(lock.session_id))
                _leaf(held, "locked-time", date_and_time(lock.since))
            if name == "running" and (partial := self._datastores.partial_locks()):
                locked = _element(entry, "locks")
                for each in partial.values():
                    self._add_partial_lock(_element(locked, "partial-lock"), each)

    def _add_partial_lock(self, entry: etree._Element, lock: PartialLock) -> None:
        _leaf(entry, "lock-id", str(lock.lock_id))
        _leaf(entry, "locked-by-session", str(lock.session_id))
        _leaf(entry, "locked-time", date_and_time(lock.since))
        for select in lock.selects:
            _leaf(entry, "select", select)
        for text in lock.nodes:
            _leaf(entry, "locked-node", text or "/")

    def _add_schemas(self, parent: etree._Element) -> None:
        for row in self._schemas:
            entry = _element(parent, "schema")
            _leaf(entry, "identifier", row.identifier)
            _leaf(entry, "version", row.version)
            _leaf(entry, "format", f"{self._prefix}:{YANG_FORMAT}")
            _leaf(entry, "namespace", row.namespace)
            _leaf(entry, "location", "NETCONF")

    def _add_session(self, entry: etree._Element, session: Session) -> None:
        _leaf(entry, "session-id", str(session.id))
        _leaf(entry, "transport", f"{self._prefix}:{session.client.transport}")
        _leaf(entry, "username", session.client.username)
        if session.client.source_host:
            _leaf(entry, "source-host", session.client.source_host)
        _leaf(entry, "login-time", date_and_time(session.login_time))
        _add_message_counters(entry, session.counters)

    def _add_statistics(self, parent: etree._Element) -> None:
        _leaf(parent, "netconf-start-time", date_and_time(self._start_time))
        _counter(parent, "in-bad-hellos", self._counters.in_bad_hellos)
        _counter(parent, "in-sessions", self._counters.in_sessions)
        _counter(parent, "dropped-sessions", self._counters.dropped_sessions)
        _add_message_counters(parent, self._counters.messages)


def _add_message_counters(parent: etree._Element, counters: MessageCounters) -> None:
    _counter(parent, "in-rpcs", counters.in_rpcs)
    _counter(parent, "in-bad-rpcs", counters.in_bad_rpcs)
    _counter(parent, "out-rpc-errors", counters.out_rpc_errors)
    _counter(parent, "out-notifications", counters.out_notifications)


def _element(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{MONITORING}}}{name}")


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    _element(parent, name).text = text


def _counter(parent: etree._Element, name: str, value: int) -> None:
    _leaf(parent, name, str(value % COUNTER_MODULUS))
