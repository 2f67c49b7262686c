"""Events of the engine and of the key table as YANG notifications. No event holds key material, so none shows any.

The tables below are total: tests/northbound holds them against the events and against the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from lxml import etree

from rkmp.engine.events import (
    AssociationStateChange,
    AuthenticationFailure,
    CertificateExpiring,
    EngineEvent,
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    NatFound,
    NegotiationFailure,
    NegotiationSuccess,
    RequestCompleted,
    RevocationListOverdue,
    RolloverCompleted,
    RolloverStarted,
)
from rkmp.keytable import (
    KeyActivated,
    KeyEvent,
    KeyExpired,
    KeyExpiring,
    KeyExtended,
    KeyExtensionEnded,
    KeyInstalled,
    KeyRemoved,
    KeyUpdated,
)
from rkmp.northbound.elements import Value, add
from rkmp.northbound.names import KEY_TABLE_NAMESPACE, KEY_TABLE_PREFIX, RKMP_NAMESPACE, KeyTableNames, Rkmp
from rkmp.northbound.values import key_table_text

Publish = Callable[[datetime, etree._Element], None]
"""Takes the time of an event and the notification's element, which stays the caller's."""

ENGINE_NOTIFICATIONS: Mapping[type[EngineEvent], tuple[str, Mapping[str, str]] | None] = {
    IkeSaUp: (
        Rkmp.IKE_SA_UP,
        {
            Rkmp.PEER: "peer",
            Rkmp.LOCAL_SPI: "local_spi",
            Rkmp.REMOTE_SPI: "remote_spi",
            Rkmp.ROLE: "role",
            Rkmp.REMOTE_IDENTITY: "remote_identity",
            Rkmp.HANDSHAKE_TIME: "seconds",
        },
    ),
    NatFound: (
        Rkmp.NAT_DETECTED,
        {
            Rkmp.PEER: "peer",
            Rkmp.ADDRESS: "address",
            Rkmp.NAT_LOCAL: "nat_local",
            Rkmp.NAT_REMOTE: "nat_remote",
            Rkmp.REFUSED: "refused",
        },
    ),
    IkeSaReplaced: (
        Rkmp.IKE_SA_REKEYED,
        {
            Rkmp.PEER: "peer",
            Rkmp.OLD_LOCAL_SPI: "old_local_spi",
            Rkmp.LOCAL_SPI: "local_spi",
            Rkmp.REMOTE_SPI: "remote_spi",
            Rkmp.ROLE: "role",
        },
    ),
    IkeSaDown: (Rkmp.IKE_SA_DOWN, {Rkmp.PEER: "peer", Rkmp.LOCAL_SPI: "local_spi", Rkmp.REASON: "reason"}),
    AssociationStateChange: (
        Rkmp.ASSOCIATION_STATE_CHANGE,
        {
            Rkmp.PEER: "peer",
            Rkmp.PROTOCOL: "protocol",
            Rkmp.FROM: "before",
            Rkmp.TO: "after",
            Rkmp.REASON: "reason",
        },
    ),
    NegotiationFailure: (
        Rkmp.NEGOTIATION_FAILURE,
        {
            Rkmp.PEER: "peer",
            Rkmp.PROTOCOL: "protocol",
            Rkmp.REASON: "reason",
            Rkmp.NOTIFY_TYPE: "notify_type",
        },
    ),
    AuthenticationFailure: (
        Rkmp.AUTHENTICATION_FAILURE,
        {
            Rkmp.PEER: "peer",
            Rkmp.ADDRESS: "address",
            Rkmp.IDENTITY: "identity",
            Rkmp.REASON: "reason",
        },
    ),
    CertificateExpiring: (
        Rkmp.CERTIFICATE_EXPIRING,
        {
            Rkmp.CERTIFICATE: "certificate",
            Rkmp.TRUST_ANCHOR: "trust_anchor",
            Rkmp.PEER: "peer",
            Rkmp.SUBJECT: "subject",
            Rkmp.EXPIRES_AT: "expires_at",
            Rkmp.SECONDS_LEFT: "seconds_left",
        },
    ),
    RevocationListOverdue: (
        Rkmp.REVOCATION_LIST_OVERDUE,
        {
            Rkmp.REVOCATION_LIST: "revocation_list",
            Rkmp.ISSUER: "issuer",
            Rkmp.NEXT_UPDATE: "next_update",
        },
    ),
    RolloverStarted: (
        Rkmp.ROLLOVER_STARTED,
        {
            Rkmp.PEER: "peer",
            Rkmp.PROTOCOL: "protocol",
            Rkmp.ADMIN_KEY_NAME: "key_name",
            Rkmp.REASON: "reason",
        },
    ),
    RolloverCompleted: (
        Rkmp.ROLLOVER_COMPLETED,
        {
            Rkmp.PEER: "peer",
            Rkmp.PROTOCOL: "protocol",
            Rkmp.ADMIN_KEY_NAME: "key_name",
            Rkmp.REPLACED_KEY_NAME: "replaced_key_name",
        },
    ),
    # The key is told of by the key table.
    NegotiationSuccess: None,
    # It answers the caller of an action, and is told to nobody else.
    RequestCompleted: None,
}
"""By event: the notification, and which field of the event each of its leaves tells."""

KEY_NOTIFICATIONS: Mapping[type[KeyEvent], tuple[str, Mapping[str, str]] | None] = {
    KeyInstalled: (KeyTableNames.KEY_INSTALLED, {}),
    KeyActivated: (KeyTableNames.KEY_ACTIVATED, {}),
    KeyExpiring: (KeyTableNames.KEY_EXPIRING, {KeyTableNames.SECONDS_LEFT: "seconds_left"}),
    KeyExtended: (KeyTableNames.KEY_EXTENDED, {KeyTableNames.SINCE: "since"}),
    KeyExtensionEnded: (KeyTableNames.KEY_EXTENSION_ENDED, {}),
    KeyExpired: (KeyTableNames.KEY_EXPIRED, {}),
    KeyRemoved: (KeyTableNames.KEY_REMOVED, {KeyTableNames.REASON: "reason"}),
    # What a change of lifetimes leads to is told when its time comes.
    KeyUpdated: None,
}
"""By event: the notification, and which field each leaf tells that only this kind of event has."""


class Notifications:
    """Turns events into notifications for ``publish``."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def tell_engine_event(self, event: EngineEvent, at: datetime) -> None:
        """Publish what the engine reported at ``at``."""
        kind = ENGINE_NOTIFICATIONS[type(event)]
        if kind is not None:
            name, leaves = kind
            element = etree.Element(name, nsmap={None: RKMP_NAMESPACE})
            for tag, field in leaves.items():
                add(element, tag, getattr(event, field))
            self._publish(at, element)

    def tell_key_event(self, event: KeyEvent) -> None:
        """Publish what has happened to a key."""
        kind = KEY_NOTIFICATIONS[type(event)]
        if kind is not None:
            name, leaves = kind
            element = etree.Element(name, nsmap={KEY_TABLE_PREFIX: KEY_TABLE_NAMESPACE})
            add(element, KeyTableNames.ADMIN_KEY_NAME, event.admin_key_name)
            add(element, KeyTableNames.PROTOCOL, key_table_text(event.protocol))
            for peer in event.peers:
                add(element, KeyTableNames.PEER, peer)
            add(element, KeyTableNames.LOCAL_KEY_NAME, event.local_key_name)
            add(element, KeyTableNames.PEER_KEY_NAME, event.peer_key_name)
            for tag, field in leaves.items():
                value: Value = getattr(event, field)
                add(element, tag, value)
            self._publish(event.at, element)
