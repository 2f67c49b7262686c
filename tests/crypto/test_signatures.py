"""AUTH by signature: which algorithm is used, that it verifies, and that nothing else does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.signature_keys import KeyType
from rkmp.crypto.signature_schemes import (
    LEGACY_BY_KEY_TYPE,
    LEGACY_SCHEMES,
    PREFERENCES,
    REFUSED_IDENTIFIERS,
    SCHEMES_BY_IDENTIFIER,
    SIGNATURE_SCHEMES,
    HashAlgorithm,
)
from rkmp.crypto.signatures import (
    HASH_ALGORITHMS,
    WrongSignature,
    encode_hash_algorithms,
    parse_hash_algorithms,
    sign,
    verify,
)
from rkmp.errors import CryptoError
from rkmp.wire import AuthMethod
from tests.crypto.keys import private_key

OCTETS = b"the first message | the nonce of the peer | prf(SK_p, identification)" * 5

SHA256, SHA384, SHA512, IDENTITY = HASH_ALGORITHMS
WITH_HASH = (KeyType.RSA, KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.ECDSA_P521)
WITHOUT_HASH = tuple(key_type for key_type in KeyType if key_type not in WITH_HASH)

# RFC 7427 appendix A, as it writes them; A.4.3 writes out a default that DER leaves out.
A_1_1_SHA1_WITH_RSA = "300d06092a864886f70d0101050500"
A_1_2_SHA256_WITH_RSA = "300d06092a864886f70d01010b0500"
A_1_3_SHA384_WITH_RSA = "300d06092a864886f70d01010c0500"
A_1_4_SHA512_WITH_RSA = "300d06092a864886f70d01010d0500"
A_2_1_DSA_WITH_SHA1 = "300906072a8648ce380403"
A_2_2_DSA_WITH_SHA256 = "300b0609608648016503040302"
A_3_1_ECDSA_WITH_SHA1 = "300906072a8648ce3d0401"
A_3_2_ECDSA_WITH_SHA256 = "300a06082a8648ce3d040302"
A_3_3_ECDSA_WITH_SHA384 = "300a06082a8648ce3d040303"
A_3_4_ECDSA_WITH_SHA512 = "300a06082a8648ce3d040304"
A_4_1_PSS_WITH_EMPTY_PARAMETERS = "300d06092a864886f70d01010a3000"
A_4_2_PSS_WITH_DEFAULT_PARAMETERS = (
    "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108"
    "300906052b0e03021a0500a203020114a303020101"
)
A_4_3_PSS_WITH_SHA256 = (
    "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
    "300d06096086480165030402010500a203020120a303020101"
)
PSS_WITH_SHA256_IN_DER = (
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
    "300d06096086480165030402010500a203020120"
)
PSS_WITHOUT_NULLS = (
    "303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d010108"
    "300b0609608648016503040201a203020120"
)
# RFC 8420 appendix A.
ED25519 = "300506032b6570"
ED448 = "300506032b6571"


def identifier_in(data: bytes) -> bytes:
    return data[1 : 1 + data[0]]


def signature_in(data: bytes) -> bytes:
    return data[1 + data[0] :]


def method_14(identifier: bytes, signature: bytes) -> bytes:
    return bytes((len(identifier),)) + identifier + signature


# -- what is chosen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KeyType)
def test_every_key_signs_and_verifies_by_the_digital_signature_method(key_type: KeyType) -> None:
    key = private_key(key_type)
    method, data = sign(key, OCTETS, HASH_ALGORITHMS)
    assert method == AuthMethod.DIGITAL_SIGNATURE
    verify(key.public_key, method, data, OCTETS)


@pytest.mark.parametrize(
    ("key_type", "peer_hashes", "name"),
    [
        (KeyType.RSA, HASH_ALGORITHMS, "rsassa-pss-sha256"),
        (KeyType.RSA, {SHA384, SHA512}, "rsassa-pss-sha512"),
        (KeyType.RSA, {SHA384}, "rsassa-pss-sha384"),
        (KeyType.ECDSA_P256, HASH_ALGORITHMS, "ecdsa-sha256"),
        (KeyType.ECDSA_P256, {SHA512, SHA384}, "ecdsa-sha384"),
        (KeyType.ECDSA_P256, {SHA512}, "ecdsa-sha512"),
        (KeyType.ECDSA_P384, HASH_ALGORITHMS, "ecdsa-sha384"),
        (KeyType.ECDSA_P384, {SHA256, SHA512}, "ecdsa-sha512"),
        (KeyType.ECDSA_P384, {SHA256}, "ecdsa-sha256"),
        (KeyType.ECDSA_P521, HASH_ALGORITHMS, "ecdsa-sha512"),
        (KeyType.ECDSA_P521, {SHA256, SHA384}, "ecdsa-sha384"),
        (KeyType.ECDSA_P521, {SHA256, HashAlgorithm.SHA1, 4711}, "ecdsa-sha256"),
        (KeyType.ED25519, HASH_ALGORITHMS, "ed25519"),
        (KeyType.ED448, {IDENTITY}, "ed448"),
        (KeyType.ML_DSA_44, {IDENTITY}, "ml-dsa-44"),
        (KeyType.ML_DSA_65, {IDENTITY}, "ml-dsa-65"),
        (KeyType.ML_DSA_87, {IDENTITY}, "ml-dsa-87"),
    ],
)
def test_the_key_and_the_peers_list_choose_the_algorithm(
    key_type: KeyType, peer_hashes: frozenset[int], name: str
) -> None:
    method, data = sign(private_key(key_type), OCTETS, peer_hashes)
    assert SCHEMES_BY_IDENTIFIER[identifier_in(data)].name == name
    verify(private_key(key_type).public_key, method, data, OCTETS)


@pytest.mark.parametrize(
    ("key_type", "peer_hashes"),
    [
        *((key_type, {IDENTITY}) for key_type in WITH_HASH),
        *((key_type, {SHA256, SHA384, SHA512}) for key_type in WITHOUT_HASH),
        *((key_type, {HashAlgorithm.SHA1, HashAlgorithm.STREEBOG_256, 4711}) for key_type in KeyType),
    ],
)
def test_no_common_hash_is_an_error(key_type: KeyType, peer_hashes: frozenset[int]) -> None:
    with pytest.raises(CryptoError, match=f"key of type {key_type.value}"):
        sign(private_key(key_type), OCTETS, peer_hashes, allow_sha1=True)


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        (PSS_WITH_SHA256_IN_DER, "rsassa-pss-sha256"),
        (A_3_2_ECDSA_WITH_SHA256, "ecdsa-sha256"),
        (A_3_3_ECDSA_WITH_SHA384, "ecdsa-sha384"),
        (A_3_4_ECDSA_WITH_SHA512, "ecdsa-sha512"),
        (ED25519, "ed25519"),
        (ED448, "ed448"),
    ],
)
def test_what_is_sent_is_what_the_rfc_writes(identifier: str, name: str) -> None:
    assert SIGNATURE_SCHEMES[name].identifiers[0].hex() == identifier


# -- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        (A_1_2_SHA256_WITH_RSA, "rsassa-pkcs1-sha256"),
        (A_1_3_SHA384_WITH_RSA, "rsassa-pkcs1-sha384"),
        (A_1_4_SHA512_WITH_RSA, "rsassa-pkcs1-sha512"),
        (A_4_3_PSS_WITH_SHA256, "rsassa-pss-sha256"),
        (PSS_WITH_SHA256_IN_DER, "rsassa-pss-sha256"),
        # RFC 4055: NULL may be absent; RFC 7427 3: NULL may be present.
        ("300b06092a864886f70d01010b", "rsassa-pkcs1-sha256"),
        ("300c06082a8648ce3d0403020500", "ecdsa-sha256"),
        (PSS_WITHOUT_NULLS, "rsassa-pss-sha256"),
    ],
)
def test_every_way_to_write_an_algorithm_is_understood(identifier: str, name: str) -> None:
    octets = bytes.fromhex(identifier)
    assert len(octets) == 2 + octets[1]
    scheme = SCHEMES_BY_IDENTIFIER[octets]
    assert scheme.name == name
    (key_type, *_) = scheme.key_types
    key = private_key(key_type)
    data = method_14(octets, scheme.sign(key.handle, OCTETS))
    verify(key.public_key, AuthMethod.DIGITAL_SIGNATURE, data, OCTETS)


@pytest.mark.parametrize("name", SIGNATURE_SCHEMES)
def test_every_algorithm_verifies_for_every_key_that_it_is_for(name: str) -> None:
    scheme = SIGNATURE_SCHEMES[name]
    for key_type in scheme.key_types:
        key = private_key(key_type)
        data = method_14(scheme.identifiers[-1], scheme.sign(key.handle, OCTETS))
        verify(key.public_key, AuthMethod.DIGITAL_SIGNATURE, data, OCTETS)


@pytest.mark.parametrize("key_type", KeyType)
def test_nothing_but_the_signature_is_accepted(key_type: KeyType) -> None:
    key, other = private_key(key_type), private_key(key_type, 1)
    method, data = sign(key, OCTETS, HASH_ALGORITHMS)
    flipped = data[:-1] + bytes((data[-1] ^ 1,))
    empty = method_14(identifier_in(data), b"")
    for public_key, octets, wrong in (
        (key.public_key, OCTETS + b"\0", data),
        (key.public_key, OCTETS[:-1], data),
        (key.public_key, OCTETS, flipped),
        (key.public_key, OCTETS, data[:-1]),
        (key.public_key, OCTETS, data + b"\0"),
        (key.public_key, OCTETS, empty),
        (other.public_key, OCTETS, data),
    ):
        with pytest.raises(WrongSignature, match="the signature is wrong"):
            verify(public_key, method, wrong, octets)


@pytest.mark.parametrize("signing", KeyType)
def test_a_signature_of_another_kind_of_key_is_refused(signing: KeyType) -> None:
    method, data = sign(private_key(signing), OCTETS, HASH_ALGORITHMS)
    fitting = SCHEMES_BY_IDENTIFIER[identifier_in(data)].key_types
    for verifying in set(KeyType) - fitting:
        with pytest.raises(CryptoError, match="not of the kind"):
            verify(private_key(verifying).public_key, method, data, OCTETS)


def test_a_hash_that_policy_leaves_out_is_refused() -> None:
    key = private_key(KeyType.ECDSA_P256)
    for peer_hashes in (HASH_ALGORITHMS, ()):
        method, data = sign(key, OCTETS, peer_hashes)
        verify(key.public_key, method, data, OCTETS, [SHA256])
        with pytest.raises(CryptoError, match="SHA2_256"):
            verify(key.public_key, method, data, OCTETS, [SHA384, SHA512, IDENTITY])
    key = private_key(KeyType.ED25519)
    method, data = sign(key, OCTETS, HASH_ALGORITHMS)
    with pytest.raises(CryptoError, match="IDENTITY"):
        verify(key.public_key, method, data, OCTETS, [SHA256, SHA384, SHA512])


@pytest.mark.parametrize(
    ("identifier", "named"),
    [
        (A_1_1_SHA1_WITH_RSA, "RSASSA-PKCS1-v1_5 with SHA-1"),
        (A_2_1_DSA_WITH_SHA1, "DSA with SHA-1"),
        (A_2_2_DSA_WITH_SHA256, "DSA with SHA-256"),
        (A_3_1_ECDSA_WITH_SHA1, "ECDSA with SHA-1"),
        ("300b06092a864886f70d01010a", "without parameters"),
        (A_4_1_PSS_WITH_EMPTY_PARAMETERS, "empty parameters"),
        (A_4_2_PSS_WITH_DEFAULT_PARAMETERS, "default parameters"),
        # A salt of 20 octets, SHA-384 masked with SHA-256, and MD5.
        (PSS_WITH_SHA256_IN_DER[:-2] + "14", "304106092a864886f7"),
        (PSS_WITH_SHA256_IN_DER.replace("020105", "020205", 1), "304106092a864886f7"),
        ("300d06092a864886f70d0101040500", "300d06092a864886f7"),
        ("", "none"),
    ],
)
def test_weak_and_unknown_algorithms_are_refused_by_name(identifier: str, named: str) -> None:
    data = method_14(bytes.fromhex(identifier), bytes(256))
    for key_type in (KeyType.RSA, KeyType.ECDSA_P256):
        with pytest.raises(CryptoError, match=f"{named}.* is not accepted") as refusal:
            verify(private_key(key_type).public_key, AuthMethod.DIGITAL_SIGNATURE, data, OCTETS, allow_sha1=True)
        assert not isinstance(refusal.value, WrongSignature)


def test_an_identifier_that_is_cut_short_is_refused() -> None:
    key = private_key(KeyType.ECDSA_P256)
    method, data = sign(key, OCTETS, HASH_ALGORITHMS)
    for wrong in (b"", data[:1], data[:5], b"\xff" + data[1:], b"\x00" + data[1:]):
        with pytest.raises(CryptoError, match="is not accepted"):
            verify(key.public_key, method, wrong, OCTETS)


@pytest.mark.parametrize("method", [0, AuthMethod.SHARED_KEY, AuthMethod.DSS_SIGNATURE, AuthMethod.NULL, 15, 255])
def test_other_methods_are_no_signatures(method: int) -> None:
    with pytest.raises(CryptoError, match=f"method {int(method)} "):
        verify(private_key(KeyType.RSA).public_key, method, bytes(256), OCTETS)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KeyType), st.integers(0, 255), st.binary(max_size=300))
def test_any_auth_payload_raises_nothing_but_the_typed_error(key_type: KeyType, method: int, data: bytes) -> None:
    with pytest.raises(CryptoError):
        verify(private_key(key_type).public_key, method, data, OCTETS, allow_sha1=True)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_signature_of_a_known_algorithm_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    identifier = data.draw(st.sampled_from(sorted(SCHEMES_BY_IDENTIFIER)))
    key_type = data.draw(st.sampled_from(sorted(SCHEMES_BY_IDENTIFIER[identifier].key_types, key=lambda t: t.value)))
    octets = data.draw(st.binary(max_size=260))
    with pytest.raises(CryptoError):
        verify(
            private_key(key_type).public_key,
            AuthMethod.DIGITAL_SIGNATURE,
            method_14(identifier, octets),
            OCTETS,
        )


# -- before RFC 7427 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key_type", "method", "length"),
    [
        (KeyType.ECDSA_P256, AuthMethod.ECDSA_SHA2_256_P256, 64),
        (KeyType.ECDSA_P384, AuthMethod.ECDSA_SHA2_384_P384, 96),
        (KeyType.ECDSA_P521, AuthMethod.ECDSA_SHA2_512_P521, 132),
    ],
)
def test_a_peer_without_hash_algorithms_gets_r_and_s(key_type: KeyType, method: AuthMethod, length: int) -> None:
    key = private_key(key_type)
    used, data = sign(key, OCTETS, ())
    assert (used, len(data)) == (method, length)
    verify(key.public_key, method, data, OCTETS)
    for wrong in (b"", data[:-1], data + b"\0", b"\0" + data, bytes(length), b"\xff" * length, data[::-1]):
        with pytest.raises(WrongSignature, match="the signature is wrong"):
            verify(key.public_key, method, wrong, OCTETS)
    with pytest.raises(WrongSignature, match="the signature is wrong"):
        verify(key.public_key, method, data, OCTETS + b"\0")
    for other in {*LEGACY_SCHEMES} - {method}:
        with pytest.raises(CryptoError, match="not of the kind"):
            verify(key.public_key, other, data, OCTETS, allow_sha1=True)


def test_r_and_s_keep_their_leading_zeros() -> None:
    key = private_key(KeyType.ECDSA_P256)
    scheme = SIGNATURE_SCHEMES["ecdsa-sha256"]
    short = next(data for data in (sign(key, OCTETS, ())[1] for _ in range(20_000)) if data[0] == 0 or data[32] == 0)
    assert len(short) == 64
    verify(key.public_key, AuthMethod.ECDSA_SHA2_256_P256, short, OCTETS)
    r, s = decode_dss_signature(scheme.sign(key.handle, OCTETS))
    padded = r.to_bytes(32) + s.to_bytes(32)
    verify(key.public_key, AuthMethod.ECDSA_SHA2_256_P256, padded, OCTETS)


def test_rsa_with_sha1_needs_leave_on_both_sides() -> None:
    key = private_key(KeyType.RSA)
    with pytest.raises(CryptoError, match="SHA-1"):
        sign(key, OCTETS, ())
    method, data = sign(key, OCTETS, (), allow_sha1=True)
    assert method == AuthMethod.RSA_SIGNATURE
    verify(key.public_key, method, data, OCTETS, allow_sha1=True)
    for allowed in (HASH_ALGORITHMS, [HashAlgorithm.SHA1]):
        with pytest.raises(CryptoError, match="SHA-1"):
            verify(key.public_key, method, data, OCTETS, allowed)
    with pytest.raises(WrongSignature, match="the signature is wrong"):
        verify(key.public_key, method, data[:-1], OCTETS, allow_sha1=True)


def test_sha1_is_never_chosen_for_a_peer_that_announced_hash_algorithms() -> None:
    _, data = sign(private_key(KeyType.RSA), OCTETS, [HashAlgorithm.SHA1, SHA512], allow_sha1=True)
    assert SCHEMES_BY_IDENTIFIER[identifier_in(data)].hash_algorithm is SHA512


@pytest.mark.parametrize("key_type", WITHOUT_HASH)
def test_newer_keys_need_rfc_7427(key_type: KeyType) -> None:
    with pytest.raises(CryptoError, match="RFC 7427"):
        sign(private_key(key_type), OCTETS, (), allow_sha1=True)


# -- the notify ------------------------------------------------------------------------------------------------------


def test_the_hash_algorithms_are_announced_as_the_rfc_writes() -> None:
    assert encode_hash_algorithms() == bytes.fromhex("0002000300040005")
    assert encode_hash_algorithms([SHA512]) == bytes.fromhex("0004")
    assert parse_hash_algorithms(bytes.fromhex("00020003000400051267")) == {*HASH_ALGORITHMS, 0x1267}
    assert parse_hash_algorithms(b"") == frozenset()


@given(st.binary(max_size=64))
def test_any_notify_is_a_list_or_refused(octets: bytes) -> None:
    if len(octets) % 2:
        with pytest.raises(CryptoError):
            parse_hash_algorithms(octets)
    else:
        assert parse_hash_algorithms(octets) == {
            int.from_bytes(octets[start : start + 2]) for start in range(0, len(octets), 2)
        }


@given(st.lists(st.integers(0, 0xFFFF), max_size=10))
def test_what_is_announced_is_understood(numbers: list[int]) -> None:
    assert parse_hash_algorithms(encode_hash_algorithms(numbers)) == frozenset(numbers)


# -- the tables ------------------------------------------------------------------------------------------------------


def test_the_tables_are_complete() -> None:
    assert set(PREFERENCES) == set(KeyType)
    for key_type, schemes in PREFERENCES.items():
        assert all(key_type in scheme.key_types for scheme in schemes)
        assert len({scheme.hash_algorithm for scheme in schemes}) == len(schemes)
    sent = {scheme.name for schemes in PREFERENCES.values() for scheme in schemes}
    assert set(SIGNATURE_SCHEMES) - sent == {f"rsassa-pkcs1-sha{bits}" for bits in (256, 384, 512)}
    assert len(SCHEMES_BY_IDENTIFIER) == sum(len(row.identifiers) for row in SIGNATURE_SCHEMES.values())
    assert SCHEMES_BY_IDENTIFIER.keys().isdisjoint(REFUSED_IDENTIFIERS)
    assert {row.hash_algorithm for row in SIGNATURE_SCHEMES.values()} == set(HASH_ALGORITHMS)
    assert set(LEGACY_BY_KEY_TYPE) == set(WITH_HASH)
    assert len(LEGACY_SCHEMES) == len(LEGACY_BY_KEY_TYPE)
