"""The names of our YANG modules as Clark tags: each written once, here, and nowhere else in the agent.

One class a module; a member's tag is its own name in YANG's spelling. tests/northbound holds the classes against the
modules, in both directions.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from rkmp.northbound.agent_names import AGENT_MODULES
from rkmp.northbound.key_chain_names import KEY_CHAIN_MODULES

RKMP_NAMESPACE = "urn:rkmp:yang:rkmp"
KEY_TABLE_NAMESPACE = "urn:rkmp:yang:crypto-key-table"

KEY_TABLE_PREFIX = "ckt"
"""The prefix that the schema binds to the key table's namespace; identities of that module are written with it."""

MODULES: Mapping[str, Sequence[str]] = {
    "rkmp-types": (),
    "crypto-key-table": (),
    "rkmp": (),
    **AGENT_MODULES,
    **KEY_CHAIN_MODULES,
}
"""The modules that the northbound serves, with their features, for ``load_schema``."""


class Rkmp(enum.StrEnum):
    """What module ``rkmp`` defines, and the nodes that it uses from ``rkmp-types``."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"{{{RKMP_NAMESPACE}}}{name.lower().replace('_', '-')}"

    # Configuration
    RKMP = enum.auto()
    ENABLED = enum.auto()
    LISTEN = enum.auto()
    NAME = enum.auto()
    ADDRESS = enum.auto()
    PORT = enum.auto()
    NAT_PORT = enum.auto()
    NON_ESP_MARKER = enum.auto()
    CODE_POINTS = enum.auto()
    TCP_AO_PROTOCOL_ID = enum.auto()
    LDP_DISCOVERY_PROTOCOL_ID = enum.auto()
    TRAFFIC_SELECTOR_TYPE = enum.auto()
    PRIVATE_ALGORITHM = enum.auto()
    ALGORITHM = enum.auto()
    REQUIRE_VENDOR_ID = enum.auto()
    LOCAL_IDENTITY = enum.auto()
    TYPE = enum.auto()
    VALUE = enum.auto()
    CREDENTIALS = enum.auto()
    PRE_SHARED_KEY = enum.auto()
    SECRET = enum.auto()
    KEYSTRING = enum.auto()
    HEXADECIMAL_STRING = enum.auto()
    CERTIFICATE = enum.auto()
    CHAIN = enum.auto()
    PRIVATE_KEY = enum.auto()
    TRUST_ANCHOR = enum.auto()
    REVOCATION_LIST = enum.auto()
    CRL = enum.auto()
    EXPIRY_WARNING = enum.auto()
    PPK = enum.auto()
    ID = enum.auto()
    IKE_POLICY = enum.auto()
    PROPOSAL = enum.auto()
    NUMBER = enum.auto()
    ENCRYPTION = enum.auto()
    INTEGRITY = enum.auto()
    PRF = enum.auto()
    KEY_EXCHANGE = enum.auto()
    ADDITIONAL_KEY_EXCHANGE = enum.auto()
    FURTHER_KEY_EXCHANGE = enum.auto()
    LIFETIME = enum.auto()
    RETAIN_IKE_SA = enum.auto()
    RETRANSMISSION = enum.auto()
    INITIAL_TIMEOUT = enum.auto()
    BACKOFF = enum.auto()
    TRIES = enum.auto()
    LIVENESS_INTERVAL = enum.auto()
    FRAGMENTATION = enum.auto()
    DATAGRAM_SIZE = enum.auto()
    CHILDLESS = enum.auto()
    NAT = enum.auto()
    ALLOW_SHA1_SIGNATURES = enum.auto()
    SECURITY_PROTOCOL = enum.auto()
    TRANSFORM = enum.auto()
    SEND_ID = enum.auto()
    AUTH_ALG = enum.auto()
    KDF = enum.auto()
    FLAGS = enum.auto()
    PEER = enum.auto()
    DESCRIPTION = enum.auto()
    INITIATE = enum.auto()
    AUTHENTICATION = enum.auto()
    LOCAL = enum.auto()
    REMOTE = enum.auto()
    METHOD = enum.auto()
    ACCEPTED_IDENTITY = enum.auto()
    IDENTITY = enum.auto()
    MANDATORY = enum.auto()
    ASSOCIATION = enum.auto()
    PROTOCOL = enum.auto()
    NEIGHBOR = enum.auto()
    KEY_LIFETIME = enum.auto()
    ROLLOVER_LEAD = enum.auto()
    OVERLAP = enum.auto()
    AT_EXPIRY = enum.auto()
    LONGEST_EXTENSION = enum.auto()
    PERFECT_FORWARD_SECRECY = enum.auto()

    # State
    IN_FORCE = enum.auto()
    WHY_NOT_IN_FORCE = enum.auto()
    SUBJECT = enum.auto()
    ISSUER = enum.auto()
    SERIAL_NUMBER = enum.auto()
    FINGERPRINT = enum.auto()
    NOT_BEFORE = enum.auto()
    NOT_AFTER = enum.auto()
    SECONDS_LEFT = enum.auto()
    THIS_UPDATE = enum.auto()
    NEXT_UPDATE = enum.auto()
    REVOKED = enum.auto()
    STATE = enum.auto()
    CURRENT_KEY = enum.auto()
    NEXT_KEY = enum.auto()
    RECV_ID = enum.auto()
    ESTABLISHED_AT = enum.auto()
    NEXT_ROLLOVER_AT = enum.auto()
    ROLLOVERS = enum.auto()
    LAST_ERROR = enum.auto()
    IKE_SA = enum.auto()
    LOCAL_SPI = enum.auto()
    REMOTE_SPI = enum.auto()
    ROLE = enum.auto()
    REKEY_AT = enum.auto()
    EXPIRES_AT = enum.auto()
    REMOTE_IDENTITY = enum.auto()
    AUTH_METHOD = enum.auto()
    CERTIFICATE_EXPIRES_AT = enum.auto()
    USES_PPK = enum.auto()
    NAT_LOCAL = enum.auto()
    NAT_REMOTE = enum.auto()
    MESSAGES_IN = enum.auto()
    MESSAGES_OUT = enum.auto()
    OCTETS_IN = enum.auto()
    OCTETS_OUT = enum.auto()
    IKE_SPI_LOCAL = enum.auto()
    IKE_SPI_REMOTE = enum.auto()
    NEGOTIATED_AT = enum.auto()
    KEY_LOG = enum.auto()
    # Inside of it the leaves have the names of the engine's counters.
    STATISTICS = enum.auto()
    RECEIVED_NOTIFY = enum.auto()
    COUNT = enum.auto()

    # Actions
    REKEY = enum.auto()
    INITIATE_NOW = enum.auto()
    CLEAR = enum.auto()
    ADMIN_KEY_NAME = enum.auto()

    # Notifications
    IKE_SA_UP = enum.auto()
    NAT_DETECTED = enum.auto()
    REFUSED = enum.auto()
    IKE_SA_REKEYED = enum.auto()
    OLD_LOCAL_SPI = enum.auto()
    IKE_SA_DOWN = enum.auto()
    ASSOCIATION_STATE_CHANGE = enum.auto()
    NEGOTIATION_FAILURE = enum.auto()
    AUTHENTICATION_FAILURE = enum.auto()
    CERTIFICATE_EXPIRING = enum.auto()
    HANDSHAKE_TIME = enum.auto()
    REVOCATION_LIST_OVERDUE = enum.auto()
    ROLLOVER_STARTED = enum.auto()
    ROLLOVER_COMPLETED = enum.auto()
    REASON = enum.auto()
    FROM = enum.auto()
    TO = enum.auto()
    NOTIFY_TYPE = enum.auto()
    REPLACED_KEY_NAME = enum.auto()


class KeyTableNames(enum.StrEnum):
    """What module ``crypto-key-table`` defines."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"{{{KEY_TABLE_NAMESPACE}}}{name.lower().replace('_', '-')}"

    # Configuration
    KEY_TABLE = enum.auto()
    KEY = enum.auto()
    ADMIN_KEY_NAME = enum.auto()
    LOCAL_KEY_NAME = enum.auto()
    PEER_KEY_NAME = enum.auto()
    PEER = enum.auto()
    INTERFACE = enum.auto()
    PROTOCOL = enum.auto()
    TCP_AO = enum.auto()
    IGNORE_TCP_OPTIONS = enum.auto()
    KDF = enum.auto()
    ALG_ID = enum.auto()
    HEXADECIMAL_STRING = enum.auto()
    KEYSTRING = enum.auto()
    DIRECTION = enum.auto()
    SEND_LIFETIME = enum.auto()
    ACCEPT_LIFETIME = enum.auto()
    START = enum.auto()
    END = enum.auto()

    # State
    STATE = enum.auto()
    SELECTED_FOR_SENDING = enum.auto()
    EXTENDED_FROM = enum.auto()
    EXTENDED = enum.auto()
    FINGERPRINT = enum.auto()
    # Inside of it the leaves have the names of the states.
    COUNT = enum.auto()

    # Actions
    EXPORT_KEYS = enum.auto()

    # Notifications
    KEY_INSTALLED = enum.auto()
    KEY_ACTIVATED = enum.auto()
    KEY_EXPIRING = enum.auto()
    KEY_EXTENDED = enum.auto()
    KEY_EXTENSION_ENDED = enum.auto()
    SINCE = enum.auto()
    KEY_EXPIRED = enum.auto()
    KEY_REMOVED = enum.auto()
    SECONDS_LEFT = enum.auto()
    REASON = enum.auto()
