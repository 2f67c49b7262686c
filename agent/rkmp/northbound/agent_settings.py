"""Reads how the agent is managed out of validated configuration: doors, clients to call, limits, and local users.

What validation cannot know is refused here, with the path of the leaf: keys and certificates that cannot be used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import asyncssh
from lxml import etree

from rkmp.crypto.certificates import first_to_expire, load_certificates
from rkmp.crypto.signature_keys import CredentialError
from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.netconf import CertToName, MapType, ServerLimits, SessionLimits, TlsIdentity, TransportLimits
from rkmp.netconf.accounts import Account, Accounts
from rkmp.netconf.call_home import CalledClient, CalledEndpoint, StartWith
from rkmp.netconf.doors import DoorSettings, Identity, SshIdentity
from rkmp.netconf.ssh import public_key_line
from rkmp.netconf.tls_context import check_certificate, check_trust_anchor, server_context
from rkmp.northbound.agent_names import AgentNames, SystemNames
from rkmp.northbound.certificates import Certificates, Entry, expiry_warnings
from rkmp.northbound.reading import boolean, container, invalid_value, number, value
from rkmp.secret import Secret


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What configuration says of how the agent is managed; what is disabled is left out."""

    doors: tuple[DoorSettings, ...] = ()
    clients: tuple[CalledClient, ...] = ()
    limits: ServerLimits = field(default_factory=ServerLimits)
    host_keys: Mapping[str, asyncssh.SSHKey] | None = None
    """The public halves, for state."""
    certificates: Certificates = field(default_factory=dict)
    """Those for TLS that can be told of, for state and for warnings."""
    expiry_warnings: tuple[timedelta, ...] = ()
    """How long before its end a certificate is told of, the earliest first."""


class AgentReader:
    """Reads ``/agent/netconf`` of one configuration, ``after``."""

    def __init__(self, schema: Schema, after: etree._Element) -> None:
        self._schema = schema
        agent = container(Instance.root(schema, after), AgentNames.AGENT)
        self._netconf = container(agent, AgentNames.NETCONF)
        entries = self._netconf.entries
        self._host_keys = {value(each, AgentNames.NAME): each for each in entries(AgentNames.HOST_KEY)}
        self._certificates = {value(each, AgentNames.NAME): each for each in entries(AgentNames.CERTIFICATE)}
        self._anchors = {value(each, AgentNames.NAME): each for each in entries(AgentNames.TRUST_ANCHOR)}

    def settings(self) -> AgentSettings:
        """Return everything. Raises RpcError for what cannot be used."""
        netconf, names = self._netconf, AgentNames
        host_keys = {name: self._host_key(each) for name, each in self._host_keys.items()}
        for certificate in self._certificates.values():
            self._check_certificate(certificate)
        for anchor in self._anchors.values():
            self._check_anchor(anchor)
        pems = {(names.CERTIFICATE, name): value(each, names.CHAIN) for name, each in self._certificates.items()}
        pems |= {(names.TRUST_ANCHOR, name): value(each, names.CERTIFICATE) for name, each in self._anchors.items()}
        doors = tuple(self._door(each) for each in netconf.entries(names.ENDPOINT) if boolean(each, names.ENABLED))
        clients = container(netconf, names.CALL_HOME).entries(names.NETCONF_CLIENT)
        return AgentSettings(
            doors=doors,
            clients=tuple(self._client(each) for each in clients if boolean(each, names.ENABLED)),
            limits=_limits(container(netconf, names.LIMITS)),
            host_keys=host_keys,
            certificates=_first_to_expire(pems),
            expiry_warnings=expiry_warnings(netconf, names.EXPIRY_WARNING),
        )

    def _door(self, entry: Instance) -> DoorSettings:
        port, identity = self._transport(entry)
        return DoorSettings(value(entry, AgentNames.NAME), value(entry, AgentNames.ADDRESS), port, identity)

    def _client(self, entry: Instance) -> CalledClient:
        names = AgentNames
        strategy = container(entry, names.RECONNECT_STRATEGY)
        periodic = entry.container(names.PERIODIC)
        endpoints = []
        for each in entry.entries(names.ENDPOINT):
            port, identity = self._transport(each)
            endpoints.append(CalledEndpoint(value(each, names.NAME), value(each, names.ADDRESS), port, identity))
        return CalledClient(
            name=value(entry, names.NAME),
            endpoints=tuple(endpoints),
            period=None if periodic is None else 60.0 * int(value(periodic, names.PERIOD)),
            start_with=StartWith(value(strategy, names.START_WITH)),
            max_attempts=int(value(strategy, names.MAX_ATTEMPTS)),
            max_wait=float(value(strategy, names.MAX_WAIT)),
        )

    def _transport(self, entry: Instance) -> tuple[int, Identity]:
        ssh = entry.container(AgentNames.SSH)
        if ssh is not None:
            keys = (value(self._host_keys[name], AgentNames.PRIVATE_KEY) for name in ssh.values(AgentNames.HOST_KEY))
            return int(value(ssh, AgentNames.PORT)), SshIdentity(tuple(Secret(key.encode()) for key in keys))
        tls = container(entry, AgentNames.TLS)
        return int(value(tls, AgentNames.PORT)), self._tls_identity(tls)

    def _tls_identity(self, tls: Instance) -> TlsIdentity:
        certificate = self._certificates[value(tls, AgentNames.CERTIFICATE)]
        anchors = [self._anchors[name] for name in tls.values(AgentNames.TRUST_ANCHOR)]
        mappings = sorted(tls.entries(AgentNames.CERT_TO_NAME), key=lambda each: int(value(each, AgentNames.ID)))
        identity = TlsIdentity(
            chain=value(certificate, AgentNames.CHAIN).encode(),
            private_key=Secret(value(certificate, AgentNames.PRIVATE_KEY).encode()),
            trust_anchors=tuple(value(anchor, AgentNames.CERTIFICATE).encode() for anchor in anchors),
            cert_to_name=tuple(_cert_to_name(each) for each in mappings),
        )
        try:
            server_context(identity)
        except ValueError as error:
            raise invalid_value(self._schema, tls, AgentNames.CERTIFICATE, str(error)) from error
        return identity

    def _check_certificate(self, entry: Instance) -> None:
        try:
            private_key = Secret(value(entry, AgentNames.PRIVATE_KEY).encode())
            check_certificate(value(entry, AgentNames.CHAIN).encode(), private_key)
        except ValueError as error:
            raise invalid_value(self._schema, entry, AgentNames.CHAIN, str(error)) from error

    def _check_anchor(self, entry: Instance) -> None:
        try:
            check_trust_anchor(value(entry, AgentNames.CERTIFICATE).encode())
        except ValueError as error:
            raise invalid_value(self._schema, entry, AgentNames.CERTIFICATE, str(error)) from error

    def _host_key(self, entry: Instance) -> asyncssh.SSHKey:
        try:
            key = asyncssh.import_private_key(value(entry, AgentNames.PRIVATE_KEY))
        except (asyncssh.KeyImportError, ValueError):
            # Without the exception's words, and its cause: both saw the key.
            reason = "this is no private key, or it is encrypted"
            raise invalid_value(self._schema, entry, AgentNames.PRIVATE_KEY, reason) from None
        return key.convert_to_public()


def _first_to_expire(pems: Mapping[Entry, str]) -> Certificates:
    found = {}
    for entry, pem in pems.items():
        # What TLS can use and we cannot read is nothing that we can tell of.
        with contextlib.suppress(CredentialError):
            found[entry] = first_to_expire(load_certificates(pem.encode()))
    return found


def _cert_to_name(entry: Instance) -> CertToName:
    return CertToName(
        fingerprint=bytes.fromhex(value(entry, AgentNames.FINGERPRINT).replace(":", "")),
        map_type=MapType(value(entry, AgentNames.MAP_TYPE).rpartition(":")[2]),
        name=entry.value(AgentNames.NAME),
    )


def _limits(limits: Instance) -> ServerLimits:
    def required(tag: str) -> int:
        return int(value(limits, tag))

    idle = number(limits, AgentNames.IDLE_TIMEOUT)
    return ServerLimits(
        sessions=required(AgentNames.SESSIONS),
        sessions_per_user=number(limits, AgentNames.SESSIONS_PER_USER),
        session=SessionLimits(
            hello_timeout=float(required(AgentNames.HELLO_TIMEOUT)),
            idle_timeout=None if idle is None else float(idle),
            message_octets=required(AgentNames.MESSAGE_SIZE),
        ),
        transport=TransportLimits(
            login_timeout=float(required(AgentNames.LOGIN_TIMEOUT)),
            keepalive_interval=float(required(AgentNames.KEEPALIVE_INTERVAL)),
            failed_logins=required(AgentNames.FAILED_LOGINS),
            failed_login_interval=float(required(AgentNames.FAILED_LOGIN_INTERVAL)),
            pending_logins=required(AgentNames.PENDING_LOGINS),
        ),
    )


def read_accounts(schema: Schema, after: etree._Element) -> Accounts:
    """Return the local users of a configuration. Raises RpcError for a public key that is none."""
    system = container(Instance.root(schema, after), SystemNames.SYSTEM)
    users = container(system, SystemNames.AUTHENTICATION).entries(SystemNames.USER)
    return {account.name: account for account in (_account(schema, user) for user in users)}


def _account(schema: Schema, user: Instance) -> Account:
    lines = []
    for key in user.entries(SystemNames.AUTHORIZED_KEY):
        try:
            lines.append(public_key_line(value(key, SystemNames.ALGORITHM), value(key, SystemNames.KEY_DATA)))
        except ValueError as error:
            raise invalid_value(schema, key, SystemNames.KEY_DATA, str(error)) from error
    password = user.value(SystemNames.PASSWORD)
    return Account(value(user, SystemNames.NAME), tuple(lines), None if password is None else Secret(password.encode()))
