"""The names of the modules that say how the agent itself is managed, as Clark tags; like `names`, and nowhere else.

``rkmp-agent`` is ours; of ietf-system we have the local users, and of ietf-x509-cert-to-name what a list entry of
ours uses.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from rkmp.datastore.schema import Schema

AGENT_NAMESPACE = "urn:rkmp:yang:rkmp-agent"
SYSTEM_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-system"

AGENT_MODULES: Mapping[str, Sequence[str]] = {
    "rkmp-agent": (),
    "ietf-system": ("authentication", "local-users"),
    "iana-crypt-hash": ("crypt-hash-sha-256", "crypt-hash-sha-512"),
    "ietf-x509-cert-to-name": (),
}
"""The modules of the agent's own management, with their features, for ``load_schema``."""


class AgentNames(enum.StrEnum):
    """What module ``rkmp-agent`` defines, and the nodes that it uses from ietf-x509-cert-to-name."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"{{{AGENT_NAMESPACE}}}{name.lower().replace('_', '-')}"

    AGENT = enum.auto()
    NETCONF = enum.auto()
    NAME = enum.auto()
    ENABLED = enum.auto()
    ADDRESS = enum.auto()
    PORT = enum.auto()

    # Credentials
    HOST_KEY = enum.auto()
    PRIVATE_KEY = enum.auto()
    CERTIFICATE = enum.auto()
    CHAIN = enum.auto()
    TRUST_ANCHOR = enum.auto()
    CERT_TO_NAME = enum.auto()
    ID = enum.auto()
    FINGERPRINT = enum.auto()
    MAP_TYPE = enum.auto()

    # Where NETCONF is served, and who is called
    ENDPOINT = enum.auto()
    SSH = enum.auto()
    TLS = enum.auto()
    CALL_HOME = enum.auto()
    NETCONF_CLIENT = enum.auto()
    PERIODIC = enum.auto()
    PERIOD = enum.auto()
    RECONNECT_STRATEGY = enum.auto()
    START_WITH = enum.auto()
    MAX_ATTEMPTS = enum.auto()
    MAX_WAIT = enum.auto()

    LIMITS = enum.auto()
    SESSIONS = enum.auto()
    SESSIONS_PER_USER = enum.auto()
    HELLO_TIMEOUT = enum.auto()
    IDLE_TIMEOUT = enum.auto()
    MESSAGE_SIZE = enum.auto()
    LOGIN_TIMEOUT = enum.auto()
    PENDING_LOGINS = enum.auto()
    KEEPALIVE_INTERVAL = enum.auto()
    FAILED_LOGINS = enum.auto()
    FAILED_LOGIN_INTERVAL = enum.auto()

    # State
    ALGORITHM = enum.auto()
    STATUS = enum.auto()
    LAST_ERROR = enum.auto()
    CONNECTED_ENDPOINT = enum.auto()


class SystemNames(enum.StrEnum):
    """What we have of module ``ietf-system``."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"{{{SYSTEM_NAMESPACE}}}{name.lower().replace('_', '-')}"

    SYSTEM = enum.auto()
    AUTHENTICATION = enum.auto()
    USER = enum.auto()
    NAME = enum.auto()
    PASSWORD = enum.auto()
    AUTHORIZED_KEY = enum.auto()
    ALGORITHM = enum.auto()
    KEY_DATA = enum.auto()


PASSWORD_PATH = (SystemNames.SYSTEM, SystemNames.AUTHENTICATION, SystemNames.USER, SystemNames.PASSWORD)


def withhold_passwords(schema: Schema) -> Schema:
    """Treat the hashes of passwords as under nacm:default-deny-all; returns ``schema``, not yet used by anybody.

    RFC 7317 shows them to whoever can read configuration, and a deviation cannot add an extension: whoever sees
    hashes can try passwords without being noticed.
    """
    password = schema.node_at(PASSWORD_PATH)
    if password is None:
        raise ValueError("the schema has no passwords")
    password.default_deny_all = True
    return schema
