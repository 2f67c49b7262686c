"""A trace tells every message once, payload by payload, in words, and tells nothing that is secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rkmp.ike import Path, Statistic
from rkmp.ike.observation import ObservedMessage
from rkmp.ike.trace import _WRITERS, describe_message
from rkmp.wire import (
    KNOWN_PAYLOAD_TYPES,
    Delete,
    ExchangeType,
    IdInitiator,
    IdType,
    KeyExchangeId,
    Message,
    Notify,
    NotifyType,
    Payload,
    PayloadType,
    ProtocolId,
    UnknownPayload,
    WireError,
)
from tests.ike.network import BGP, PSK, Router, pair, request, settle
from tests.ike.watching import Watch

PATH = Path(("192.0.2.2", 500), ("192.0.2.1", 500))


def watched(**changes: object) -> tuple[Router, Router, Watch, Watch]:
    alice, bob = pair(**changes)
    alice.observer, bob.observer = Watch(), Watch()
    alice.path = bob.path = PATH
    return alice, bob, alice.observer, bob.observer


def observed(*payloads: Payload, fault: str | None = None) -> str:
    message = ObservedMessage(
        path=PATH,
        is_outgoing=False,
        initiator_spi=bytes(8),
        responder_spi=bytes(8),
        exchange_type=ExchangeType.INFORMATIONAL,
        message_id=7,
        is_response=False,
        is_protected=True,
        datagrams=1,
        payloads=payloads,
        fault=fault,
    )
    return describe_message(message)


def test_an_opening_is_told_message_by_message() -> None:
    alice, bob, watch, _ = watched()
    alice.initiate(request(10, 11))
    settle(alice, bob)
    heads = [lines.splitlines()[0] for lines in watch.lines]
    spi, other = alice.ike_sa.local_spi.hex(), bob.ike_sa.local_spi.hex()
    first, *exchanges, last_request, last_response = heads
    assert first == (f"to 192.0.2.1 port 500: IKE_SA_INIT request, message ID 0, SPIs {spi} {'00' * 8}, unprotected")
    assert exchanges[0].startswith("from 192.0.2.1 port 500: IKE_SA_INIT response, message ID 0, ")
    assert "IKE_AUTH request" in last_request
    assert f"SPIs {spi} {other}, protected" in last_request
    assert last_response.startswith("from 192.0.2.1 port 500: IKE_AUTH response")
    # Both sides understand every message alike.
    assert sorted(lines.partition(":")[2] for lines in watch.lines) == sorted(
        lines.partition(":")[2]
        for lines in bob.observer.lines  # type: ignore[union-attr]
    )
    opening = watch.lines[0]
    for words in (
        "proposal 1: protocol IKE",
        "ENCR AES_GCM_16 256 bits",
        "PRF HMAC_SHA2_384",
        "KE CURVE25519",
        "NONCE, 36 octets: 32 octets",
        "KE, 40 octets: CURVE25519, 32 octets of public value",
        "NOTIFY, 8 octets: status IKEV2_FRAGMENTATION_SUPPORTED",
        "RKMP: TCP-AO protocol 201",
    ):
        assert words in opening, opening
    asked = next(lines for lines in watch.lines if "IKE_AUTH request" in lines)
    for words in (
        "ID_I, 21 octets: fqdn:alice.example",
        "AUTH, 56 octets: SHARED_KEY, 48 octets",
        "proposal 1: RKMP protocol 201",
        "SendID 10, AES_128_CMAC_96, KDF AES_128_CMAC, TCP options protected",
        "TS_I, 12 octets: routing protocol BGP",
    ):
        assert words in asked, asked


def test_nothing_secret_is_told_through_the_life_of_an_ike_sa() -> None:
    alice, bob, watch, other = watched()
    alice.initiate(request())
    settle(alice, bob)
    (child, _) = alice.current(BGP)  # type: ignore[misc]
    alice.ike_sa.rekey_child(child.send_id, request(20, 21, pfs=True), 1.0)
    alice.collect()
    settle(alice, bob)
    alice.ike_sa.rekey(2.0)
    alice.collect()
    settle(alice, bob)
    bob.ike_sa.delete_child(bob.ike_sa.children[0].send_id, 3.0)
    bob.collect()
    settle(alice, bob)
    alice.ike_sa.close("enough", 4.0)
    alice.collect()
    settle(alice, bob)
    for told in (watch, other):
        for name in ("IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL", "REKEY_SA", "DELETE"):
            assert name in told.text
        secrets = told.secret_texts() | {PSK.reveal().hex(), PSK.reveal().decode("latin-1")}
        secrets |= {key.reveal().hex() for router in (alice, bob) for _, key in router.keys.values()}
        assert len(told.secrets) == 2  # the first, and the one that replaced it
        assert len(secrets) >= 13
        assert not any(secret in told.text for secret in secrets)
        assert all(len(word) <= 16 for word in told.text.replace(",", " ").split() if _is_hex(word))


def _is_hex(word: str) -> bool:
    return len(word) > 8 and all(digit in "0123456789abcdef" for digit in word)


def test_a_message_in_fragments_is_told_once() -> None:
    alice, bob, watch, other = watched(datagram_size=200)
    alice.initiate(request())
    settle(alice, bob)
    for told in (watch, other):
        heads = [lines.splitlines()[0] for lines in told.lines if "fragments" in lines]
        assert len(heads) == len(set(heads)) > 0
        assert not any("SKF" in lines for lines in told.lines)


def test_what_is_sent_again_and_what_is_dropped_is_a_line_each() -> None:
    alice, bob, watch, other = watched()
    alice.initiate(request())
    (opening,) = alice.sent()
    alice.handle_timer(60.0)
    assert watch.lines[-1] == "to 192.0.2.1 port 500: IKE_SA_INIT request, message ID 0, again"
    bob.receive(opening)
    bob.receive(opening)
    assert other.lines[-1] == "to 192.0.2.1 port 500: IKE_SA_INIT response, message ID 0, again"
    alice.receive(bob.sent()[0])
    damaged = bytearray(alice.sent()[-1])
    damaged[-1] ^= 1
    bob.receive(bytes(damaged))
    assert other.lines[-1] == (
        f"from 192.0.2.1 port 500: a datagram of {len(damaged)} octets, {Statistic.DROPPED_INTEGRITY.value}"
    )


def test_the_group_that_a_peer_wants_is_told_by_its_name() -> None:
    wanted = KeyExchangeId.ECP_384.to_bytes(2)
    assert "error INVALID_KE_PAYLOAD, wants ECP_384" in observed(Notify(NotifyType.INVALID_KE_PAYLOAD, wanted))
    assert "error 8192, 3 octets of data" in observed(Notify(8192, b"abc"))
    assert "protocol IKE" in observed(Delete(ProtocolId.IKE))
    assert "payload 200, 7 octets" in observed(UnknownPayload(200, critical=False, data=b"abc"))
    assert "cannot be read: octets are missing" in observed(fault="octets are missing")
    assert observed().endswith("\n    empty")


def test_every_payload_that_can_be_read_has_words() -> None:
    written = {getattr(kind, "payload_type", None) for kind in _WRITERS}
    assert written == KNOWN_PAYLOAD_TYPES - {PayloadType.SK, PayloadType.SKF}


@given(st.binary(max_size=60), st.sampled_from(list(IdType)))
def test_words_of_a_peer_cannot_make_lines_of_their_own(value: bytes, id_type: IdType) -> None:
    assert len(observed(IdInitiator(id_type, value)).splitlines()) == 2
    assert observed(IdInitiator(id_type, value)).isprintable() is False  # the line end between the two
    assert len(observed(fault=value.decode("latin-1")).splitlines()) == 2


@given(st.binary(max_size=400))
def test_whatever_can_be_parsed_can_be_told(octets: bytes) -> None:
    head = bytes(16) + bytes([octets[0] if octets else 0, 0x20, 37, 0x08]) + bytes(4)
    whole = head + (28 + len(octets)).to_bytes(4) + octets
    try:
        message = Message.parse(whole)
    except WireError:
        return
    assert observed(*message.payloads)


def test_nobody_watches_by_default() -> None:
    alice, bob = pair()
    alice.initiate(request())
    settle(alice, bob)
    assert alice.ike_sa._core.context.observer is None
