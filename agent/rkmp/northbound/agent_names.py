"""The names of the modules that say how the agent itself is managed, as Clark tags; like `names`, and nowhere else.

``rkmp-agent`` is ours; of ietf-system we have the local users, and of ietf-x509-cert-to-name what a list entry of
ours uses.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

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
    EXPIRY_WARNING = enum.auto()

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

    # Who uses the keys
    SOUTHBOUND = enum.auto()
    BIRD = enum.auto()
    CONTROL_SOCKET = enum.auto()
    INCLUDE_DIRECTORY = enum.auto()
    NEIGHBOR = enum.auto()
    PROTOCOL = enum.auto()
    KEY_SOCKET = enum.auto()
    PATH = enum.auto()
    PERMISSION = enum.auto()
    USER = enum.auto()
    GROUP = enum.auto()
    REFUSALS = enum.auto()
    HOOK = enum.auto()
    NETCONF_SERVER = enum.auto()
    HOST = enum.auto()
    PASSWORD = enum.auto()
    TRUST_ANY_HOST_KEY = enum.auto()
    RECONCILE_INTERVAL = enum.auto()
    CLOCK_TOLERANCE = enum.auto()
    KEY_ID = enum.auto()
    KEY_CHAIN = enum.auto()
    LAST_PUSHED = enum.auto()
    COMMAND = enum.auto()
    ARGUMENT = enum.auto()
    TIMEOUT = enum.auto()
    SUBSCRIPTION = enum.auto()
    CLIENT = enum.auto()
    INTERFACE = enum.auto()
    ACCEPTED_KEY = enum.auto()
    PREFERRED_KEY = enum.auto()
    SENDING_KEY = enum.auto()
    CONNECTIONS = enum.auto()
    GOOD_SEGMENTS = enum.auto()
    BAD_SEGMENTS = enum.auto()
    KEY_NOT_FOUND_SEGMENTS = enum.auto()
    UNSIGNED_SEGMENTS = enum.auto()
    DROPPED_ICMPS = enum.auto()
    REPORTED_AT = enum.auto()
    STEPS = enum.auto()
    LAST_STEP = enum.auto()
    LAST_STEP_KEY = enum.auto()
    CHANGED_AT = enum.auto()
    CONSUMER_ERROR = enum.auto()
    CERTIFICATE_EXPIRING = enum.auto()
    EXPIRES_AT = enum.auto()
    CONSUMER_NOT_RESPONDING = enum.auto()
    CONSUMER_RESPONDING = enum.auto()
    KEY_ACCESS_REFUSED = enum.auto()
    PROCESS = enum.auto()
    CONSUMER = enum.auto()
    KIND = enum.auto()
    REASON = enum.auto()

    METRICS = enum.auto()

    # State
    STATE = enum.auto()
    ALGORITHM = enum.auto()
    SUBJECT = enum.auto()
    ISSUER = enum.auto()
    SERIAL_NUMBER = enum.auto()
    NOT_BEFORE = enum.auto()
    NOT_AFTER = enum.auto()
    SECONDS_LEFT = enum.auto()
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
