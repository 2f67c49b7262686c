"""What AUTH signs of IKE_INTERMEDIATE messages, written out as RFC 9242 3.3.2 draws it."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.intermediate import int_auth, int_auth_of_message
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import Encrypted, EncryptedFragment, ExchangeType, Message, Notify, NotifyType, Payload, PrfId

SK_P = Secret(b"p" * 32)
INNER = b"the payloads inside"
KE = 34


def head_of(*payloads: Payload) -> bytes:
    """A message up to the generic header of its last payload, whose body is of 64 octets."""
    message = Message(b"i" * 8, b"r" * 8, ExchangeType.IKE_INTERMEDIATE, 1, payloads, is_initiator=True)
    fragment_fields = 4 if isinstance(payloads[-1], EncryptedFragment) else 0
    return message.to_bytes()[: -64 - fragment_fields]


def prf_of(octets: bytes) -> bytes:
    return hmac.digest(SK_P.reveal(), octets, "sha256")


def adjusted(first: int, between: bytes, inner: bytes) -> bytes:
    length = 28 + len(between) + 4 + len(inner)
    header = b"i" * 8 + b"r" * 8 + bytes((first, 0x20, 43, 0x08)) + bytes((0, 0, 0, 1)) + length.to_bytes(4)
    return header + between + bytes((KE, 0)) + (4 + len(inner)).to_bytes(2) + inner


def test_the_lengths_count_no_protection() -> None:
    head = head_of(Encrypted(KE, bytes(64)))
    expected = prf_of(adjusted(46, b"", INNER))
    assert int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", head, INNER) == expected


def test_each_message_continues_the_one_before() -> None:
    head = head_of(Encrypted(KE, bytes(64)))
    expected = prf_of(b"before" + adjusted(46, b"", INNER))
    assert int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"before", head, INNER) == expected


def test_fragments_are_signed_as_one_message() -> None:
    in_one = head_of(Encrypted(KE, bytes(64)))
    fragment = head_of(EncryptedFragment(KE, 1, 3, bytes(64)))
    assert in_one != fragment
    results = {int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", head, INNER) for head in (in_one, fragment)}
    assert len(results) == 1


def test_an_empty_message_is_signed_too() -> None:
    head = head_of(Encrypted(KE, bytes(64)))
    assert int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", head, b"") == prf_of(adjusted(46, b"", b""))


@pytest.mark.parametrize("sealed", [Encrypted(KE, bytes(64)), EncryptedFragment(KE, 1, 3, bytes(64))])
def test_payloads_before_the_encrypted_one_are_signed(sealed: Payload) -> None:
    head = head_of(Notify(NotifyType.COOKIE, b"c" * 5), sealed)
    notify = bytes((46, 0, 0, 13, 0, 0)) + NotifyType.COOKIE.to_bytes(2) + b"c" * 5
    expected = prf_of(adjusted(41, notify, INNER))
    assert int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", head, INNER) == expected


def test_the_reserved_bits_of_the_header_are_kept() -> None:
    head = bytearray(head_of(EncryptedFragment(KE, 1, 3, bytes(64))))
    head[29] = 0x7F
    expected = bytearray(adjusted(46, b"", INNER))
    expected[29] = 0x7F
    assert int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", bytes(head), INNER) == prf_of(bytes(expected))


def test_int_auth_ends_with_the_message_id_of_ike_auth() -> None:
    assert int_auth(b"initiator", b"responder", 0x01020304) == b"initiatorresponder\x01\x02\x03\x04"


def test_what_does_not_end_with_the_header_of_an_encrypted_payload_is_refused() -> None:
    head = head_of(Notify(NotifyType.COOKIE, b"c" * 5), Encrypted(KE, bytes(64)))
    for wrong in (b"", head[:16], head[:28], head[:-1], head + b"\0", head[:-4]):
        with pytest.raises(CryptoError):
            int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", wrong, INNER)


@given(st.binary(max_size=80))
def test_any_octets_raise_nothing_else(octets: bytes) -> None:
    try:
        int_auth_of_message(PrfId.HMAC_SHA2_256, SK_P, b"", octets, INNER)
    except CryptoError:
        return
    assert len(octets) >= 32
