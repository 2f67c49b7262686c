"""The numbers of IKEv2 and of RKMP, as tables: what IANA's "IKEv2 Parameters" assigns, and the draft's own registries.

RFC 7296 section 3 and the documents that extend it; the draft's sections 4.1.1.1 and 4.2 for ``AuthAlg``, ``Kdf`` and
``RoutingProtocol``. A number that has no row here is legal on the wire and stays a plain ``int``, so every field that
holds one is typed ``int``. The code points that were never assigned live in :mod:`rkmp.wire.code_points`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class ExchangeType(IntEnum):
    """RFC 7296 3.1."""

    IKE_SA_INIT = 34
    IKE_AUTH = 35
    CREATE_CHILD_SA = 36
    INFORMATIONAL = 37
    IKE_SESSION_RESUME = 38
    GSA_AUTH = 39
    GSA_REGISTRATION = 40
    GSA_REKEY = 41
    IKE_INTERMEDIATE = 43
    IKE_FOLLOWUP_KE = 44


class PayloadType(IntEnum):
    """RFC 7296 3.2, in the RFC's notation; NONE ends a chain of payloads."""

    NONE = 0
    SA = 33
    KE = 34
    ID_I = 35
    ID_R = 36
    CERT = 37
    CERTREQ = 38
    AUTH = 39
    NONCE = 40
    NOTIFY = 41
    DELETE = 42
    VENDOR_ID = 43
    TS_I = 44
    TS_R = 45
    SK = 46
    CP = 47
    EAP = 48
    GSPM = 49
    SKF = 53
    PS = 54


class ProtocolId(IntEnum):
    """RFC 7296 3.3.1: what a proposal, a notify or a delete is about. RKMP's two are configurable code points."""

    NONE = 0
    IKE = 1
    AH = 2
    ESP = 3
    FC_ESP_HEADER = 4
    FC_CT_AUTHENTICATION = 5
    GIKE_UPDATE = 6


class TransformType(IntEnum):
    """RFC 7296 3.3.2; additional key exchanges are RFC 9370's."""

    ENCR = 1
    PRF = 2
    INTEG = 3
    KE = 4
    SN = 5
    ADDKE1 = 6
    ADDKE2 = 7
    ADDKE3 = 8
    ADDKE4 = 9
    ADDKE5 = 10
    ADDKE6 = 11
    ADDKE7 = 12
    KWA = 13
    GCAUTH = 14


class AttributeType(IntEnum):
    """RFC 7296 3.3.5: transform attributes."""

    KEY_LENGTH = 14


class EncryptionId(IntEnum):
    """Transform type 1."""

    DES_IV64 = 1
    DES = 2
    TRIPLE_DES = 3
    RC5 = 4
    IDEA = 5
    CAST = 6
    BLOWFISH = 7
    TRIPLE_IDEA = 8
    DES_IV32 = 9
    NULL = 11
    AES_CBC = 12
    AES_CTR = 13
    AES_CCM_8 = 14
    AES_CCM_12 = 15
    AES_CCM_16 = 16
    AES_GCM_8 = 18
    AES_GCM_12 = 19
    AES_GCM_16 = 20
    NULL_AUTH_AES_GMAC = 21
    CAMELLIA_CBC = 23
    CAMELLIA_CTR = 24
    CAMELLIA_CCM_8 = 25
    CAMELLIA_CCM_12 = 26
    CAMELLIA_CCM_16 = 27
    CHACHA20_POLY1305 = 28
    AES_CCM_8_IIV = 29
    AES_GCM_16_IIV = 30
    CHACHA20_POLY1305_IIV = 31


class PrfId(IntEnum):
    """Transform type 2."""

    HMAC_MD5 = 1
    HMAC_SHA1 = 2
    HMAC_TIGER = 3
    AES128_XCBC = 4
    HMAC_SHA2_256 = 5
    HMAC_SHA2_384 = 6
    HMAC_SHA2_512 = 7
    AES128_CMAC = 8


class IntegrityId(IntEnum):
    """Transform type 3."""

    NONE = 0
    HMAC_MD5_96 = 1
    HMAC_SHA1_96 = 2
    DES_MAC = 3
    KPDK_MD5 = 4
    AES_XCBC_96 = 5
    HMAC_MD5_128 = 6
    HMAC_SHA1_160 = 7
    AES_CMAC_96 = 8
    AES_128_GMAC = 9
    AES_192_GMAC = 10
    AES_256_GMAC = 11
    HMAC_SHA2_256_128 = 12
    HMAC_SHA2_384_192 = 13
    HMAC_SHA2_512_256 = 14


class KeyExchangeId(IntEnum):
    """Transform types 4 and 6 to 12, and the method of a Key Exchange payload (RFC 7296 3.4, RFC 9370)."""

    NONE = 0
    MODP_768 = 1
    MODP_1024 = 2
    MODP_1536 = 5
    MODP_2048 = 14
    MODP_3072 = 15
    MODP_4096 = 16
    MODP_6144 = 17
    MODP_8192 = 18
    ECP_256 = 19
    ECP_384 = 20
    ECP_521 = 21
    MODP_1024_160 = 22
    MODP_2048_224 = 23
    MODP_2048_256 = 24
    ECP_192 = 25
    ECP_224 = 26
    BRAINPOOL_224 = 27
    BRAINPOOL_256 = 28
    BRAINPOOL_384 = 29
    BRAINPOOL_512 = 30
    CURVE25519 = 31
    CURVE448 = 32
    ML_KEM_512 = 35
    ML_KEM_768 = 36
    ML_KEM_1024 = 37


class SequenceNumbersId(IntEnum):
    """Transform type 5."""

    NO_ESN = 0
    ESN = 1


class IdType(IntEnum):
    """RFC 7296 3.5, RFC 3554, RFC 7619."""

    IPV4_ADDR = 1
    FQDN = 2
    RFC822_ADDR = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    FC_NAME = 12
    NULL = 13


class CertEncoding(IntEnum):
    """RFC 7296 3.6, RFC 4806, RFC 7670."""

    PKCS7_WRAPPED_X509 = 1
    PGP = 2
    DNS_SIGNED_KEY = 3
    X509_SIGNATURE = 4
    KERBEROS_TOKEN = 6
    CRL = 7
    ARL = 8
    SPKI_CERTIFICATE = 9
    X509_ATTRIBUTE = 10
    RAW_RSA_KEY = 11
    HASH_AND_URL_X509_CERTIFICATE = 12
    HASH_AND_URL_X509_BUNDLE = 13
    OCSP_CONTENT = 14
    RAW_PUBLIC_KEY = 15


class AuthMethod(IntEnum):
    """RFC 7296 3.8, RFC 4754, RFC 6467, RFC 7619, RFC 7427."""

    RSA_SIGNATURE = 1
    SHARED_KEY = 2
    DSS_SIGNATURE = 3
    ECDSA_SHA2_256_P256 = 9
    ECDSA_SHA2_384_P384 = 10
    ECDSA_SHA2_512_P521 = 11
    GENERIC_SECURE_PASSWORD = 12
    NULL = 13
    DIGITAL_SIGNATURE = 14


class NotifyType(IntEnum):
    """RFC 7296 3.10.1 and later: below 16384 an error, from there on a status."""

    UNSUPPORTED_CRITICAL_PAYLOAD = 1
    INVALID_IKE_SPI = 4
    INVALID_MAJOR_VERSION = 5
    INVALID_SYNTAX = 7
    INVALID_MESSAGE_ID = 9
    INVALID_SPI = 11
    NO_PROPOSAL_CHOSEN = 14
    INVALID_KE_PAYLOAD = 17
    AUTHENTICATION_FAILED = 24
    SINGLE_PAIR_REQUIRED = 34
    NO_ADDITIONAL_SAS = 35
    INTERNAL_ADDRESS_FAILURE = 36
    FAILED_CP_REQUIRED = 37
    TS_UNACCEPTABLE = 38
    INVALID_SELECTORS = 39
    UNACCEPTABLE_ADDRESSES = 40
    UNEXPECTED_NAT_DETECTED = 41
    USE_ASSIGNED_HOA = 42
    TEMPORARY_FAILURE = 43
    CHILD_SA_NOT_FOUND = 44
    INVALID_GROUP_ID = 45
    AUTHORIZATION_FAILED = 46
    STATE_NOT_FOUND = 47
    TS_MAX_QUEUE = 48

    INITIAL_CONTACT = 16384
    SET_WINDOW_SIZE = 16385
    ADDITIONAL_TS_POSSIBLE = 16386
    IPCOMP_SUPPORTED = 16387
    NAT_DETECTION_SOURCE_IP = 16388
    NAT_DETECTION_DESTINATION_IP = 16389
    COOKIE = 16390
    USE_TRANSPORT_MODE = 16391
    HTTP_CERT_LOOKUP_SUPPORTED = 16392
    REKEY_SA = 16393
    ESP_TFC_PADDING_NOT_SUPPORTED = 16394
    NON_FIRST_FRAGMENTS_ALSO = 16395
    MOBIKE_SUPPORTED = 16396
    COOKIE2 = 16401
    AUTH_LIFETIME = 16403
    MULTIPLE_AUTH_SUPPORTED = 16404
    ANOTHER_AUTH_FOLLOWS = 16405
    REDIRECT_SUPPORTED = 16406
    REDIRECT = 16407
    REDIRECTED_FROM = 16408
    TICKET_LT_OPAQUE = 16409
    TICKET_REQUEST = 16410
    TICKET_ACK = 16411
    TICKET_NACK = 16412
    TICKET_OPAQUE = 16413
    EAP_ONLY_AUTHENTICATION = 16417
    CHILDLESS_IKEV2_SUPPORTED = 16418
    QUICK_CRASH_DETECTION = 16419
    IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420
    IKEV2_MESSAGE_ID_SYNC = 16422
    SECURE_PASSWORD_METHODS = 16424
    IKEV2_FRAGMENTATION_SUPPORTED = 16430
    SIGNATURE_HASH_ALGORITHMS = 16431
    CLONE_IKE_SA_SUPPORTED = 16432
    CLONE_IKE_SA = 16433
    PUZZLE = 16434
    USE_PPK = 16435
    PPK_IDENTITY = 16436
    NO_PPK_AUTH = 16437
    INTERMEDIATE_EXCHANGE_SUPPORTED = 16438
    IP4_ALLOWED = 16439
    IP6_ALLOWED = 16440
    ADDITIONAL_KEY_EXCHANGE = 16441
    USE_AGGFRAG = 16442
    SUPPORTED_AUTH_METHODS = 16443
    SA_RESOURCE_INFO = 16444
    USE_PPK_INT = 16445
    PPK_IDENTITY_KEY = 16446


FIRST_STATUS_NOTIFY = 16384
"""Notify types from here on are statuses, those below are errors (RFC 7296 3.10.1)."""


class TrafficSelectorType(IntEnum):
    """RFC 7296 3.13.1, RFC 4595, RFC 9478. The routing-protocol selector has a configurable code point."""

    IPV4_ADDR_RANGE = 7
    IPV6_ADDR_RANGE = 8
    FC_ADDR_RANGE = 9
    SECLABEL = 10


class ConfigurationType(IntEnum):
    """RFC 7296 3.15."""

    REQUEST = 1
    REPLY = 2
    SET = 3
    ACK = 4


class AuthAlg(IntEnum):
    """The draft's TCP-AO authentication algorithms (RFC 5926 3.2)."""

    HMAC_SHA_1_96 = 1
    AES_128_CMAC_96 = 2


class Kdf(IntEnum):
    """The draft's TCP-AO key derivation functions (RFC 5926 3.1)."""

    HMAC_SHA1 = 1
    AES_128_CMAC = 2


class LdpAuthAlg(IntEnum):
    """Algorithms of an LDP discovery transform: those of RFC 7349 section 2.2, numbered for the transform."""

    HMAC_SHA_1 = 1
    HMAC_SHA_256 = 2
    HMAC_SHA_384 = 3
    HMAC_SHA_512 = 4


class RoutingProtocol(IntEnum):
    """The draft's Rtg. Prot. ID: whose TCP connections a key protects."""

    BGP = 1
    LDP = 2
    MSDP = 3
    PIM_PORT = 4
    PCEP = 5


# What a parser asks for the member of a number: ``TABLE.get(number, number)`` leaves an unknown number as it is.
EXCHANGE_TYPES: Mapping[int, ExchangeType] = MappingProxyType({m.value: m for m in ExchangeType})
PAYLOAD_TYPES: Mapping[int, PayloadType] = MappingProxyType({m.value: m for m in PayloadType})
PROTOCOL_IDS: Mapping[int, ProtocolId] = MappingProxyType({m.value: m for m in ProtocolId})
TRANSFORM_TYPES: Mapping[int, TransformType] = MappingProxyType({m.value: m for m in TransformType})
ID_TYPES: Mapping[int, IdType] = MappingProxyType({m.value: m for m in IdType})
CERT_ENCODINGS: Mapping[int, CertEncoding] = MappingProxyType({m.value: m for m in CertEncoding})
AUTH_METHODS: Mapping[int, AuthMethod] = MappingProxyType({m.value: m for m in AuthMethod})
NOTIFY_TYPES: Mapping[int, NotifyType] = MappingProxyType({m.value: m for m in NotifyType})
CONFIGURATION_TYPES: Mapping[int, ConfigurationType] = MappingProxyType({m.value: m for m in ConfigurationType})
AUTH_ALGS: Mapping[int, AuthAlg] = MappingProxyType({m.value: m for m in AuthAlg})
LDP_AUTH_ALGS: Mapping[int, LdpAuthAlg] = MappingProxyType({m.value: m for m in LdpAuthAlg})
KDFS: Mapping[int, Kdf] = MappingProxyType({m.value: m for m in Kdf})
ROUTING_PROTOCOLS: Mapping[int, RoutingProtocol] = MappingProxyType({m.value: m for m in RoutingProtocol})
KEY_EXCHANGE_IDS: Mapping[int, KeyExchangeId] = MappingProxyType({m.value: m for m in KeyExchangeId})

TRANSFORM_IDS: Mapping[int, Mapping[int, IntEnum]] = MappingProxyType(
    {
        TransformType.ENCR: MappingProxyType({m.value: m for m in EncryptionId}),
        TransformType.PRF: MappingProxyType({m.value: m for m in PrfId}),
        TransformType.INTEG: MappingProxyType({m.value: m for m in IntegrityId}),
        TransformType.SN: MappingProxyType({m.value: m for m in SequenceNumbersId}),
        TransformType.KE: KEY_EXCHANGE_IDS,
        # RFC 9370 2.2: the additional key exchanges take their IDs from the registry of type 4.
        **dict.fromkeys(range(TransformType.ADDKE1, TransformType.ADDKE7 + 1), KEY_EXCHANGE_IDS),
    }
)
"""By transform type, the registry of its transform IDs."""
