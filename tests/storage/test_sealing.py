"""A sealed value opens in its own place, for its own purpose, under its own key, unaltered, or not at all."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from rkmp.errors import StorageError
from rkmp.secret import Secret
from rkmp.storage import BoundField, KeyEncryptionKey, Sealer
from rkmp.storage.sealing import OVERHEAD, bound_fields

KEY = KeyEncryptionKey(Secret(bytes(range(32))))
PLACE: tuple[BoundField, ...] = ("key-table", "r2-bgp", 7, None, b"\x00")

# Few and short, so that different places look as alike as they can.
few_octets = st.sampled_from([b"", b"1", b"s", b"\x00", b"s\x00\x00\x00\x011"])
fields = st.lists(st.one_of(few_octets, few_octets.map(bytes.decode), st.integers(0, 1), st.none()), max_size=3)


def test_a_value_opens_with_the_fields_it_was_sealed_with() -> None:
    sealer = Sealer(KEY, "test")
    for plaintext in (b"", b"a key", bytes(1000)):
        sealed = sealer.seal(Secret(plaintext), PLACE, os.urandom)
        assert len(sealed) == len(plaintext) + OVERHEAD
        assert sealer.open(sealed, list(PLACE)) == Secret(plaintext)
        assert sealer.open(sealer.seal(plaintext, PLACE, os.urandom), PLACE) == Secret(plaintext)


@given(st.binary(max_size=40), st.data())
def test_no_altered_octet_opens(plaintext: bytes, data: st.DataObject) -> None:
    sealer = Sealer(KEY, "test")
    sealed = bytearray(sealer.seal(plaintext, PLACE, os.urandom))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StorageError):
        sealer.open(bytes(sealed), PLACE)


@given(st.integers(0, OVERHEAD + 4))
def test_no_part_of_a_value_opens(length: int) -> None:
    sealed = Sealer(KEY, "test").seal(b"a key", PLACE, os.urandom)
    with pytest.raises(StorageError):
        Sealer(KEY, "test").open(sealed[:length], PLACE)


@given(fields, fields)
def test_a_value_opens_in_no_other_place(place: list[BoundField], other: list[BoundField]) -> None:
    assert (bound_fields(place) == bound_fields(other)) == (place == other)


def test_a_value_opens_for_no_other_purpose_and_under_no_other_key() -> None:
    sealed = Sealer(KEY, "test").seal(b"a key", PLACE, os.urandom)
    for sealer in (Sealer(KEY, "another"), Sealer(KeyEncryptionKey(Secret(bytes(32))), "test")):
        with pytest.raises(StorageError, match="does not open"):
            sealer.open(sealed, PLACE)


def test_the_form_on_the_disk_stays_as_it_is() -> None:
    """What this release wrote must open in every later one: the form, made here from its description alone."""
    key = HKDF(SHA256(), 32, None, b"rkmp:sealing test").derive(bytes(range(32)))
    nonce = bytes(12)
    place = b"\x01" + b"s\x00\x00\x00\x01k" + b"i\x00\x00\x00\x02-7" + b"n\x00\x00\x00\x00" + b"b\x00\x00\x00\x01\xff"
    sealed = b"\x01" + nonce + AESGCM(key).encrypt(nonce, b"a key", place)
    assert Sealer(KEY, "test").open(sealed, ("k", -7, None, b"\xff")) == Secret(b"a key")


def test_nonces_come_from_the_source_that_was_handed_in() -> None:
    assert Sealer(KEY, "test").seal(b"", (), lambda count: b"\x07" * count)[1:13] == b"\x07" * 12
