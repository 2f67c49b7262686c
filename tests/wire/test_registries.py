"""The tables of numbers against what IANA assigned, and against each other."""

from __future__ import annotations

import inspect
from enum import IntEnum

import pytest

from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    FIRST_STATUS_NOTIFY,
    KNOWN_PAYLOAD_TYPES,
    AuthAlg,
    EncryptionId,
    ExchangeType,
    IntegrityId,
    Kdf,
    KeyExchangeId,
    LdpAuthAlg,
    NotifyType,
    PayloadType,
    PrfId,
    ProtocolId,
    RoutingProtocol,
    TrafficSelectorType,
    TransformType,
    registries,
)

TABLES = [value for _, value in inspect.getmembers(registries, inspect.isclass) if issubclass(value, IntEnum)]
NUMBERS: list[tuple[IntEnum, int]] = [
    (ExchangeType.IKE_SA_INIT, 34),
    (ExchangeType.IKE_INTERMEDIATE, 43),
    (ExchangeType.IKE_FOLLOWUP_KE, 44),
    (PayloadType.SK, 46),
    (PayloadType.SKF, 53),
    (EncryptionId.AES_CBC, 12),
    (EncryptionId.AES_GCM_16, 20),
    (PrfId.HMAC_SHA2_256, 5),
    (PrfId.HMAC_SHA2_384, 6),
    (PrfId.HMAC_SHA2_512, 7),
    (IntegrityId.HMAC_SHA2_256_128, 12),
    (IntegrityId.HMAC_SHA2_384_192, 13),
    (IntegrityId.HMAC_SHA2_512_256, 14),
    (KeyExchangeId.ECP_256, 19),
    (KeyExchangeId.ECP_521, 21),
    (KeyExchangeId.CURVE25519, 31),
    (KeyExchangeId.ML_KEM_768, 36),
    (NotifyType.CHILD_SA_NOT_FOUND, 44),
    (NotifyType.SIGNATURE_HASH_ALGORITHMS, 16431),
    (NotifyType.ADDITIONAL_KEY_EXCHANGE, 16441),
    (TransformType.ADDKE1, 6),
    (TransformType.ADDKE7, 12),
    (AuthAlg.HMAC_SHA_1_96, 1),
    (Kdf.AES_128_CMAC, 2),
    (LdpAuthAlg.HMAC_SHA_256, 2),
    (RoutingProtocol.PCEP, 5),
    (TrafficSelectorType.IPV6_ADDR_RANGE, 8),
]


@pytest.mark.parametrize(("member", "number"), NUMBERS)
def test_numbers_are_ianas(member: IntEnum, number: int) -> None:
    assert member == number


@pytest.mark.parametrize("table", TABLES)
def test_no_number_has_two_names(table: type[IntEnum]) -> None:
    assert len(table.__members__) == len({member.value for member in table})


def test_every_table_of_numbers_has_all_members_of_one_registry() -> None:
    tables = {name: value for name, value in vars(registries).items() if name.isupper() and name.endswith("S")}
    tables.pop("TRANSFORM_IDS")
    assert len(tables) == 14
    for table in (*tables.values(), *registries.TRANSFORM_IDS.values()):
        members = list(table.values())
        assert members == list(type(members[0]).__members__.values())
        assert all(number == member for number, member in table.items())


def test_additional_key_exchanges_share_the_registry_of_key_exchanges() -> None:
    for number in range(TransformType.ADDKE1, TransformType.ADDKE7 + 1):
        assert registries.TRANSFORM_IDS[number] is registries.TRANSFORM_IDS[TransformType.KE]


def test_notifies_are_errors_below_and_statuses_above() -> None:
    assert NotifyType.TS_MAX_QUEUE < FIRST_STATUS_NOTIFY == NotifyType.INITIAL_CONTACT


def test_rkmp_numbers_are_private_ones_that_nobody_assigned() -> None:
    assert DEFAULT_CODE_POINTS.tcp_ao_protocol not in set(ProtocolId)
    assert 201 <= DEFAULT_CODE_POINTS.tcp_ao_protocol < DEFAULT_CODE_POINTS.ldp_discovery_protocol <= 255
    assert 241 <= DEFAULT_CODE_POINTS.traffic_selector_type <= 255


def test_payloads_without_a_class_are_the_ones_without_use_here() -> None:
    without = set(PayloadType) - KNOWN_PAYLOAD_TYPES
    assert without == {PayloadType.NONE, PayloadType.GSPM, PayloadType.PS}
