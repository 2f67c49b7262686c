"""IKEv2 messages as frozen values, with the payloads of RFC 7296 and what RKMP adds to them.

``Message.parse`` and ``Message.to_bytes`` undo each other. Malformed octets raise :class:`WireError`, and nothing
else; numbers that have no name here are legal and stay plain ``int``. Reserved bits are zero on the way out and ignored
on the way in. No cryptography and no input or output: an Encrypted payload is a sealed body, its contents are read by
:func:`parse_payloads` once somebody has opened it.
"""

from __future__ import annotations

from rkmp.errors import WireError
from rkmp.wire.authentication import Authentication, Certificate, CertificateRequest, Eap
from rkmp.wire.code_points import DEFAULT_CODE_POINTS, CodePoints
from rkmp.wire.configuration import Configuration, ConfigurationAttribute
from rkmp.wire.encrypted import Encrypted, EncryptedFragment
from rkmp.wire.header import HEADER_LENGTH, MAJOR_VERSION, SPI_LENGTH, Header
from rkmp.wire.identification import IdInitiator, IdResponder
from rkmp.wire.key_exchange import MAX_NONCE_LENGTH, MIN_NONCE_LENGTH, KeyExchange, Nonce
from rkmp.wire.message import KNOWN_PAYLOAD_TYPES, Message, UnknownPayload, parse_payloads, serialise_payloads
from rkmp.wire.notify import Delete, Notify, VendorId
from rkmp.wire.payload import Payload
from rkmp.wire.registries import (
    FIRST_STATUS_NOTIFY,
    AttributeType,
    AuthAlg,
    AuthMethod,
    CertEncoding,
    ConfigurationType,
    EncryptionId,
    ExchangeType,
    IdType,
    IntegrityId,
    Kdf,
    KeyExchangeId,
    LdpAuthAlg,
    NotifyType,
    PayloadType,
    PrfId,
    ProtocolId,
    RoutingProtocol,
    SequenceNumbersId,
    TrafficSelectorType,
    TransformType,
)
from rkmp.wire.security_association import Proposal, RkmpProposal, SecurityAssociation
from rkmp.wire.traffic_selectors import (
    AddressRangeSelector,
    RoutingProtocolSelector,
    Selector,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnknownSelector,
)
from rkmp.wire.transforms import (
    Attribute,
    LdpDiscoveryTransform,
    TcpAoTransform,
    Transform,
    UnrecognisedTransform,
)

__all__ = [
    "DEFAULT_CODE_POINTS",
    "FIRST_STATUS_NOTIFY",
    "HEADER_LENGTH",
    "KNOWN_PAYLOAD_TYPES",
    "MAJOR_VERSION",
    "MAX_NONCE_LENGTH",
    "MIN_NONCE_LENGTH",
    "SPI_LENGTH",
    "AddressRangeSelector",
    "Attribute",
    "AttributeType",
    "AuthAlg",
    "AuthMethod",
    "Authentication",
    "CertEncoding",
    "Certificate",
    "CertificateRequest",
    "CodePoints",
    "Configuration",
    "ConfigurationAttribute",
    "ConfigurationType",
    "Delete",
    "Eap",
    "Encrypted",
    "EncryptedFragment",
    "EncryptionId",
    "ExchangeType",
    "Header",
    "IdInitiator",
    "IdResponder",
    "IdType",
    "IntegrityId",
    "Kdf",
    "KeyExchange",
    "KeyExchangeId",
    "LdpAuthAlg",
    "LdpDiscoveryTransform",
    "Message",
    "Nonce",
    "Notify",
    "NotifyType",
    "Payload",
    "PayloadType",
    "PrfId",
    "Proposal",
    "ProtocolId",
    "RkmpProposal",
    "RoutingProtocol",
    "RoutingProtocolSelector",
    "SecurityAssociation",
    "Selector",
    "SequenceNumbersId",
    "TcpAoTransform",
    "TrafficSelectorType",
    "TrafficSelectorsInitiator",
    "TrafficSelectorsResponder",
    "Transform",
    "TransformType",
    "UnknownPayload",
    "UnknownSelector",
    "UnrecognisedTransform",
    "VendorId",
    "WireError",
    "parse_payloads",
    "serialise_payloads",
]
