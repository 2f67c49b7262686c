"""The NETCONF server as one object: what the daemon builds, feeds and closes.

Owns the sessions, the event stream, the operational state and the listeners, and wires them together; opens a
session for every transport that a listener authenticated. It must not know what any operation does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.redaction import Redactor
from rkmp.instant import Instant
from rkmp.netconf.access_control import AccessControl
from rkmp.netconf.access_control.policy import NACM
from rkmp.netconf.base_notifications import BaseNotifications
from rkmp.netconf.capabilities import announced_capabilities
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.dispatch import Dispatcher, turn_away
from rkmp.netconf.event_log import EventLog
from rkmp.netconf.handlers import Handler, HandlerRegistry
from rkmp.netconf.login_attempts import LoginAttempts
from rkmp.netconf.monitoring import NETCONF_STATE, Monitoring
from rkmp.netconf.notifications import NETCONF, NotificationHub, provide_streams
from rkmp.netconf.operational import EntryNames, EntryProvider, OperationalState, StateProvider
from rkmp.netconf.operations.request import ServerContext
from rkmp.netconf.session import MessageHandler, Session, SessionLimits, TerminationReason
from rkmp.netconf.session_table import SessionRefused, SessionTable
from rkmp.netconf.ssh import SshServer
from rkmp.netconf.statistics import ServerCounters
from rkmp.netconf.subscriptions import Publisher, Sources, SubscriptionLimits, Surroundings
from rkmp.netconf.subscriptions.alarm import Alarm
from rkmp.netconf.subscriptions.configuration import ConfiguredFilters
from rkmp.netconf.subscriptions.state import STREAMS, SUBSCRIPTIONS, streams_provider, subscriptions_provider
from rkmp.netconf.tls import TlsServer
from rkmp.netconf.tls_context import TlsIdentity
from rkmp.netconf.transport import Authenticator, Client, Transport, TransportLimits, TransportServer
from rkmp.netconf.url_files import UrlFiles
from rkmp.netconf.yang_library import MODULES_STATE, YANG_LIBRARY_TREE, YangLibrary
from rkmp.secret import Secret

_log = logging.getLogger(__name__)

_Transport = TypeVar("_Transport", bound=TransportServer)

_TURNED_AWAY_AT_ONCE = 16
"""Sessions over the limit that may be told so at a time; further ones do not get as far as a hello."""


_SYNC_SECONDS = 1.0
"""Seconds within which an event that was published is safe from a power cut."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a server, of each of its sessions and of each of its transports."""

    sessions: int = 1024
    """Sessions at a time; the next one is answered with resource-denied and closed."""
    sessions_per_user: int | None = None
    """Sessions of one user at a time; the next one likewise. None for as many as there may be in all."""
    session: SessionLimits = field(default_factory=SessionLimits)
    transport: TransportLimits = field(default_factory=TransportLimits)
    subscriptions: SubscriptionLimits = field(default_factory=SubscriptionLimits)


class NetconfServer:
    """A NETCONF server over the datastores of one schema. Everything happens on the event loop it is used on."""

    def __init__(
        self,
        datastores: Datastores,
        *,
        clock: Callable[[], datetime],
        limits: ServerLimits | None = None,
        is_recovery: Callable[[str], bool] = lambda username: False,  # noqa: ARG005
        event_log: EventLog | None = None,
        url_directory: Path | None = None,
    ) -> None:
        """``clock`` returns the time now, aware, in UTC; ``event_log`` is what events are replayed from;
        ``url_directory`` is where the files of URLs are, without which there are none.

        ``is_recovery`` says of which users the sessions are recovery sessions, exempt from access control (RFC 8341
        section 3.3.3); without any, nobody can change anything before there are rules.
        The schema of ``datastores`` must implement the modules of ``rkmp.netconf.NETCONF_MODULES``.
        """
        self.limits = limits or ServerLimits()
        schema = datastores.schema
        self._datastores = datastores
        self._clock = clock
        self._capabilities = announced_capabilities(schema, has_files=url_directory is not None)
        self._sessions = SessionTable()
        self._turned_away: set[Session] = set()
        self._counters = ServerCounters()
        self._is_recovery = is_recovery
        self._access_control = AccessControl(schema)
        datastores.subscribe(self._access_control)
        datastores.replay(self._access_control)
        self._hub = NotificationHub(schema, Redactor(schema), event_log)
        self._state = OperationalState()
        self._handlers = HandlerRegistry(schema)
        writer = DataWriter(schema)
        self._alarm = Alarm(lambda: self._publisher)
        self._publisher = Publisher(
            Surroundings(
                schema=schema,
                limits=self.limits.subscriptions,
                clock=lambda: Instant(time.monotonic(), clock()),
                access_of=self._access_control.access_of,
                when_due=self._alarm.when_due,
            ),
            Sources(datastores, self._state, self._hub, writer, stopwatch=time.perf_counter),
        )
        datastores.subscribe(ConfiguredFilters(schema))
        self._dispatcher = Dispatcher(
            ServerContext(
                datastores=datastores,
                writer=writer,
                state=self._state,
                handlers=self._handlers,
                hub=self._hub,
                sessions=self._sessions,
                access_control=self._access_control,
                publisher=self._publisher,
                files=None if url_directory is None else UrlFiles(url_directory),
                clock=clock,
            )
        )
        self._notices = BaseNotifications(
            self._hub.publish,
            find_session=self._sessions.get,
            clock=clock,
            is_wanted=lambda: self._hub.is_wanted,
        )
        datastores.on_commit(self._notices.running_changed)
        datastores.on_commit(self._publisher.running_changed)
        datastores.on_startup_change(self._notices.startup_changed)
        datastores.on_confirmed_commit(self._notices.commit_confirmed)
        self._attempts = LoginAttempts(self.limits.transport)
        self._transports: list[TransportServer] = []
        self._retired: list[TransportServer] = []
        self._closed = False
        self._syncing: asyncio.TimerHandle | None = None
        if event_log is not None and (before := event_log.announced()) != set(self._capabilities):
            if before:
                self._notices.capabilities_changed(before, self._capabilities)
            event_log.announce(self._capabilities)
            event_log.sync()
        if event_log is not None:
            event_log.when_unsynced = self._sync_events_soon
        self._provide_own_state(clock())

    def _provide_own_state(self, start_time: datetime) -> None:
        library = YangLibrary(self._datastores.schema)
        monitoring = Monitoring(
            capabilities=self._capabilities,
            datastores=self._datastores,
            sessions=self._sessions,
            counters=self._counters,
            start_time=start_time,
        )
        self.provide_state(NETCONF_STATE, monitoring.provide)
        self.provide_state(YANG_LIBRARY_TREE, library.provide_yang_library)
        self.provide_state(MODULES_STATE, library.provide_modules_state)
        self.provide_state(NACM, self._access_control.provide)
        self.provide_state(STREAMS, streams_provider(self._hub.log))
        self.provide_state(SUBSCRIPTIONS, subscriptions_provider(self._datastores.schema, self._publisher))
        self._state.register(NETCONF, lambda root: provide_streams(root, self._hub.log), on_request=True)

    # What the agent's other rooms plug in.

    def provide_state(self, tag: str, provider: StateProvider, *, of_entries: EntryProvider | None = None) -> None:
        """Have ``provider`` add state to the top-level data node ``tag`` (Clark notation) of every ``<get>``.

        ``of_entries`` adds that of some entries, for changes of which it is told that they are there.
        """
        self._state.register(tag, provider, of_entries=of_entries)

    def tell_state_changes(self, tag: str, excepted: Collection[tuple[str, ...]] = ()) -> None:
        """Have the state below the top-level node ``tag`` be on-change capable (RFC 8641 section 3.10).

        Whoever provides it calls ``state_changed`` whenever it is not what it was, but for the nodes at the paths
        ``excepted``, tags from the top. Raises ValueError for a path that leads nowhere.
        """
        self._publisher.capable.declare(tag, excepted)

    def state_changed(self, tag: str, entries: EntryNames | None = None) -> None:
        """Have subscribers told of what has changed of the state below the top-level node ``tag``, if anything has.

        ``entries`` are the only ones of its lists that can have. Costs next to nothing without subscribers.
        """
        self._publisher.state_changed(tag, entries)

    def handle(self, path: Sequence[str], handler: Handler) -> None:
        """Have ``handler`` carry out the rpc or action at ``path``, Clark tags from the top, choices left out.

        Raises ValueError where there is no such operation or it has a handler.
        """
        self._handlers.register(path, handler)

    @property
    def handled(self) -> tuple[tuple[str, ...], ...]:
        """The paths of all rpcs and actions that have a handler."""
        return tuple(self._handlers)

    def publish(self, event_time: datetime, event: etree._Element) -> None:
        """Send a notification to whoever subscribed; ``event`` stays the caller's.

        ``event`` is the notification's element, or for a notification inside data the top-level element of its path.
        """
        self._hub.publish(event_time, event)

    @property
    def has_subscribers(self) -> bool:
        """Whether anyone listens; a costly event need not be built otherwise."""
        return self._hub.has_subscribers

    def observe_operations(self, observer: Callable[[str, float], None]) -> None:
        """Call ``observer`` with the name of every operation that was carried out, and how many seconds it took."""
        self._dispatcher.observe(observer)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The URIs of the server's hello."""
        return self._capabilities

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that live now."""
        return tuple(self._sessions)

    # Listeners and sessions.

    async def listen_ssh(
        self, host: str, port: int, host_keys: Sequence[Secret], authenticator: Authenticator
    ) -> tuple[str, int]:
        """Serve NETCONF over SSH on an address; return the address, with the port that was got where 0 was asked for.

        ``host_keys`` are private keys, PEM in OpenSSH's or PKCS #8 format. Raises OSError where the address cannot
        be had, ValueError for a host key that is none.
        """
        transport = self.ssh_server(host_keys, authenticator)
        await transport.listen(host, port)
        return transport.address

    def ssh_server(self, host_keys: Sequence[Secret], authenticator: Authenticator) -> SshServer:
        """Return a server over SSH whose sessions are this server's, and which ends with it."""
        return self._joined(
            SshServer(
                host_keys=host_keys,
                authenticator=authenticator,
                open_session=self.open_session,
                limits=self.limits.transport,
                attempts=self._attempts,
            )
        )

    def tls_server(self, identity: TlsIdentity) -> TlsServer:
        """Return a server over TLS whose sessions are this server's, and which ends with it."""
        return self._joined(
            TlsServer(identity, open_session=self.open_session, limits=self.limits.transport, attempts=self._attempts)
        )

    def retire(self, transport: TransportServer) -> None:
        """Have no more connections of a server over one transport; those that are there go on."""
        transport.stop_listening()
        self._retired.append(transport)

    def _joined(self, transport: _Transport) -> _Transport:
        gone = [each for each in self._retired if each.is_idle]
        self._retired = [each for each in self._retired if each not in gone]
        self._transports = [each for each in self._transports if each not in gone]
        self._transports.append(transport)
        return transport

    def limit(self, limits: ServerLimits) -> None:
        """Have other limits for the sessions and connections that come."""
        self.limits = limits
        self._attempts.limits = limits.transport
        for transport in self._transports:
            transport.limit(limits.transport)

    def open_session(self, client: Client, transport: Transport) -> Session:
        """Return a session for an authenticated client; the transport starts it. Raises SessionRefused."""
        if self._closed:
            raise SessionRefused("the server is closing")
        client = replace(client, is_recovery=self._is_recovery(client.username))
        if self._has_room_for(client):
            session = self._new_session(client, transport, self._dispatcher.answer, self._session_ended)
            session.has_subscriptions = lambda: self._publisher.has_any(session.id)
            self._sessions.add(session)
            self._counters.in_sessions += 1
            words = (session.id, client.username, client.transport, client.source_host)
            session.journal.info("session %d of %s begins: %s from %s", *words)
            self._notices.session_started(session)
            return session
        if len(self._turned_away) >= _TURNED_AWAY_AT_ONCE:
            raise SessionRefused("there are too many sessions")
        _log.warning("session of %s turned away: there are as many as are allowed", client.username)
        session = self._new_session(client, transport, turn_away, lambda ended, _: self._turned_away.discard(ended))
        self._turned_away.add(session)
        return session

    def _has_room_for(self, client: Client) -> bool:
        of_one = self.limits.sessions_per_user
        return len(self._sessions) < self.limits.sessions and (
            of_one is None or sum(each.client.username == client.username for each in self._sessions) < of_one
        )

    def _new_session(
        self,
        client: Client,
        transport: Transport,
        handler: MessageHandler,
        on_end: Callable[[Session, TerminationReason], None],
    ) -> Session:
        return Session(
            self._sessions.next_id(),
            client,
            transport,
            handler=handler,
            capabilities=self._capabilities,
            limits=self.limits.session,
            login_time=self._clock(),
            on_end=on_end,
            totals=self._counters.messages,
        )

    def _session_ended(self, session: Session, reason: TerminationReason) -> None:
        # What it leaves undone is undone in its name, so the table still knows it.
        self._datastores.release(session.id)
        self._publisher.session_ended(session.id)
        self._sessions.remove(session)
        if reason is TerminationReason.BAD_HELLO:
            self._counters.in_bad_hellos += 1
        elif reason not in (TerminationReason.CLOSED, TerminationReason.KILLED):
            self._counters.dropped_sessions += 1
        session.journal.info("session %d of %s ended: %s", session.id, session.client.username, reason.value)
        self._notices.session_ended(session, reason)

    async def close(self) -> None:
        """End every session and listener, and return when nothing of them runs."""
        self._closed = True
        self._alarm.close()
        sessions = (*self._sessions, *self._turned_away)
        for session in sessions:
            session.end(TerminationReason.OTHER, flush=True)
        for transport in self._transports:
            await transport.close()
        self._transports.clear()
        for session in sessions:
            await session.wait_ended()
        if self._syncing is not None:
            self._syncing.cancel()
            self._sync_events()

    def _sync_events_soon(self) -> None:
        """Sync what is logged within the next second, together with what else is logged until then."""
        self._syncing = asyncio.get_running_loop().call_later(_SYNC_SECONDS, self._sync_events)

    def _sync_events(self) -> None:
        self._syncing = None
        if self._hub.log is not None:
            self._hub.log.sync()
