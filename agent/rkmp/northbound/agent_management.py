"""How the agent is managed, from configuration into force: the subscriber for ``/agent/netconf`` and local users.

What is wrong is refused before it is durable; what cannot be done, as listening on an address that is not there, is
told in state, so that no commit is lost over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.datastore.subscribers import Change, ConfigurationSubscriber, PreparedChange
from rkmp.datastore.xpath.syntax import quoted
from rkmp.errors import RpcError, RpcErrors
from rkmp.netconf import ServerLimits
from rkmp.netconf.accounts import Accounts
from rkmp.netconf.call_home import CalledClient, Caller
from rkmp.netconf.doors import DoorSettings, DoorStatus
from rkmp.northbound.agent_names import SYSTEM_NAMESPACE, AgentNames, SystemNames
from rkmp.northbound.agent_settings import AgentReader, AgentSettings, read_accounts
from rkmp.northbound.certificates import Certificates, add_summary
from rkmp.northbound.elements import add

LAST_ADMINISTRATOR = "last-administrator"
"""The error-app-tag of an edit that would lock everybody out."""


class Management(Protocol):
    """What carries out how the agent is managed; nothing of it can fail."""

    def limit(self, limits: ServerLimits) -> None:
        """Have limits for the sessions that come."""

    def open_doors(self, doors: Sequence[DoorSettings]) -> None:
        """Serve NETCONF there, and nowhere else."""

    def door_status(self, name: str) -> tuple[DoorStatus, str | None]:
        """Return how it stands with a door, and why."""

    def call_clients(self, clients: Sequence[CalledClient]) -> None:
        """Call these clients, and no others."""

    def caller(self, name: str) -> Caller | None:
        """Return what calls a client."""

    def locked_out(self, accounts: Accounts) -> str | None:
        """Return the name of an administrator who could not log in, where none could; None where one can."""

    def admit(self, accounts: Accounts) -> None:
        """Let these users log in."""

    def watch(self, certificates: Certificates, warnings: tuple[timedelta, ...]) -> None:
        """Tell of these certificates so long before each expires, and of no others."""


class AgentManagement:
    """The :class:`~rkmp.datastore.subscribers.ConfigurationSubscriber`, and the provider of the state beside it.

    ``clock`` returns the time now, aware, in UTC.
    """

    def __init__(self, schema: Schema, management: Management, clock: Callable[[], datetime]) -> None:
        self._schema = schema
        self._management = management
        self._clock = clock
        self.settings = AgentSettings()
        """What is in force."""
        self._why_not_in_force: str | None = None

    def start(self, replay: Callable[[ConfigurationSubscriber], None]) -> Sequence[str]:
        """Have what is stored in force, by ``replay``, and return what is wrong with it.

        What an earlier release has taken may be refused now. Users and everything else are in force or not each by
        itself: a certificate that cannot be used keeps nobody from mending it.
        """
        faults = []
        for part in (_Part(self, users=True), _Part(self, users=False)):
            try:
                replay(part)
            except (RpcError, RpcErrors) as error:
                faults.append(str(error))
                if not part.users:
                    self._why_not_in_force = str(error)
        return faults

    def prepare(self, change: Change) -> PreparedChange:
        """Read what is new. Raises RpcError for keys that are none, and where nobody could log in any more."""
        return _Prepared(self, self.read_settings(change), self.read_users(change))

    def read_settings(self, change: Change) -> AgentSettings | None:
        """Read ``/agent``; None where nothing of it is new. Raises RpcError."""
        return AgentReader(self._schema, change.after).settings() if change.touches(AgentNames.AGENT) else None

    def read_users(self, change: Change) -> Accounts | None:
        """Read ``/system``; None where nothing of it is new. Raises RpcError."""
        if not change.touches(SystemNames.SYSTEM):
            return None
        accounts = read_accounts(self._schema, change.after)
        name = self._management.locked_out(accounts)
        if name is not None:
            raise self._last_administrator(name)
        return accounts

    def take(self, settings: AgentSettings) -> None:
        """Carry out new settings."""
        self._why_not_in_force = None
        before, self.settings = self.settings, settings
        self._management.limit(settings.limits)
        self._management.watch(settings.certificates, settings.expiry_warnings)
        if settings.doors != before.doors:
            self._management.open_doors(settings.doors)
        if settings.clients != before.clients:
            self._management.call_clients(settings.clients)

    def admit(self, accounts: Accounts) -> None:
        """Let users log in."""
        self._management.admit(accounts)

    def _last_administrator(self, name: str) -> RpcError:
        prefix = self._schema.prefix_of(SYSTEM_NAMESPACE)
        return RpcError(
            "operation-failed",
            f"no administrator could log in any more: {name} would have neither an authorized key nor a password",
            app_tag=LAST_ADMINISTRATOR,
            path=f"/{prefix}:system/{prefix}:authentication/{prefix}:user[{prefix}:name={quoted(name)}]",
            path_namespaces={prefix: SYSTEM_NAMESPACE},
        )

    # State

    def provide(self, root: etree._Element) -> None:
        """Add the state below ``/agent/netconf`` to ``root``, a copy of the running configuration."""
        agent = root.find(AgentNames.AGENT)
        netconf = None if agent is None else agent.find(AgentNames.NETCONF)
        if netconf is None:
            return
        for entry in netconf.iterchildren(AgentNames.HOST_KEY):
            self._add_host_key(entry)
        for tag in (AgentNames.CERTIFICATE, AgentNames.TRUST_ANCHOR):
            for entry in netconf.iterchildren(tag):
                certificate = self.settings.certificates.get((tag, entry.findtext(AgentNames.NAME) or ""))
                if certificate is not None:
                    add_summary(entry, AgentNames, certificate, self._clock())
        for entry in netconf.iterchildren(AgentNames.ENDPOINT):
            self._add_door(entry)
        for entry in netconf.iterfind(f"{AgentNames.CALL_HOME}/{AgentNames.NETCONF_CLIENT}"):
            self._add_client(entry)

    def _add_host_key(self, entry: etree._Element) -> None:
        key = (self.settings.host_keys or {}).get(entry.findtext(AgentNames.NAME) or "")
        if key is not None:
            add(entry, AgentNames.ALGORITHM, key.get_algorithm())
            add(entry, AgentNames.FINGERPRINT, key.get_fingerprint())

    def _add_door(self, entry: etree._Element) -> None:
        name = entry.findtext(AgentNames.NAME)
        if self._why_not_in_force is not None:
            add(entry, AgentNames.STATUS, DoorStatus.FAILED)
            add(entry, AgentNames.LAST_ERROR, self._why_not_in_force)
            return
        if not any(door.name == name for door in self.settings.doors):
            add(entry, AgentNames.STATUS, "disabled")
            return
        status, reason = self._management.door_status(name or "")
        add(entry, AgentNames.STATUS, status)
        add(entry, AgentNames.LAST_ERROR, reason)

    def _add_client(self, entry: etree._Element) -> None:
        caller = self._management.caller(entry.findtext(AgentNames.NAME) or "")
        add(entry, AgentNames.STATUS, "disabled" if caller is None else caller.status)
        if caller is None:
            add(entry, AgentNames.LAST_ERROR, self._why_not_in_force)
        else:
            add(entry, AgentNames.CONNECTED_ENDPOINT, caller.last_connected)
            add(entry, AgentNames.LAST_ERROR, caller.last_error)


@dataclass(frozen=True, slots=True)
class _Part:
    """The subscriber for the users alone, or for everything but them."""

    owner: AgentManagement
    users: bool

    def prepare(self, change: Change) -> PreparedChange:
        """Read the part. Raises RpcError."""
        owner = self.owner
        if self.users:
            return _Prepared(owner, None, owner.read_users(change))
        return _Prepared(owner, owner.read_settings(change), None)


@dataclass(frozen=True, slots=True)
class _Prepared:
    owner: AgentManagement
    settings: AgentSettings | None
    accounts: Accounts | None

    def apply(self) -> None:
        """Carry the change out."""
        if self.accounts is not None:
            self.owner.admit(self.accounts)
        if self.settings is not None:
            self.owner.take(self.settings)

    def abort(self) -> None:
        """Nothing has been done."""
