"""Messages in fragments: cut, put together, lost, doubled, cut anew, and made to hurt (RFC 7383)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.suites import IkeProposal
from rkmp.ike import (
    CloseReason,
    IkeSa,
    IkeSaRekeyed,
    IkeSaState,
    IkeSettings,
    NegotiationFailed,
    NegotiationFailure,
    Path,
    Retransmission,
    Statistic,
)
from rkmp.ike.message_protection import MessageProtection
from rkmp.ike.path import message_limit
from rkmp.ike.reassembly import COST_OF_PIECE
from rkmp.wire import (
    EncryptedFragment,
    EncryptionId,
    ExchangeType,
    IntegrityId,
    KeyExchangeId,
    Message,
    Notify,
    NotifyType,
    Payload,
    PayloadType,
    PrfId,
    VendorId,
)
from tests.ike.network import (
    LDP,
    Router,
    assert_same_keys,
    closed,
    established,
    pair,
    request,
    settle,
)

SMALL = 200
"""A datagram size at which nearly everything is cut."""
LIMIT = SMALL - 40 - 8 - 4

GCM = IkeProposal(((EncryptionId.AES_GCM_16, 128),), (), (PrfId.HMAC_SHA2_256,), (KeyExchangeId.CURVE25519,))
CBC = IkeProposal(
    ((EncryptionId.AES_CBC, 256),),
    (IntegrityId.HMAC_SHA2_512_256,),
    (PrfId.HMAC_SHA2_512,),
    (KeyExchangeId.CURVE25519,),
)


def fragment(datagram: bytes) -> EncryptedFragment:
    (payload,) = Message.parse(datagram).payloads
    assert isinstance(payload, EncryptedFragment)
    return payload


def is_fragment(datagram: bytes) -> bool:
    return isinstance(Message.parse(datagram).payloads[-1], EncryptedFragment)


def count(router: Router, statistic: Statistic) -> int:
    return router.ike_sa.statistics.get(statistic, 0)


def protection_of(router: Router) -> MessageProtection:
    protection = router.ike_sa._core.protection
    assert protection is not None
    return protection


def cut(writer: Router, payloads: tuple[Payload, ...], size: int = SMALL, message_id: int | None = None) -> list[bytes]:
    """Return a request of ``writer``'s in fragments."""
    core = writer.ike_sa._core
    wanted = core.context.settings
    core.context.settings = replace(wanted, datagram_size=size)
    number = core.tasks.next_message_id if message_id is None else message_id
    datagrams = protection_of(writer).seal(ExchangeType.INFORMATIONAL, number, payloads, is_response=False)
    core.context.settings = wanted
    return list(datagrams)


LONG = (VendorId(bytes(range(250)) * 3),)


# -- both sides have to be able to -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_fragments_are_sent_where_both_can(*, ours: bool, theirs: bool) -> None:
    alice, bob = pair(datagram_size=SMALL)
    alice.settings = replace(alice.settings, fragmentation=ours)
    bob.settings = replace(bob.settings, fragmentation=theirs)
    alice.initiate(request())
    transcript = settle(alice, bob)
    assert_same_keys(alice, bob)
    announced = [
        any(isinstance(p, Notify) and p.notify_type == NotifyType.IKEV2_FRAGMENTATION_SUPPORTED for p in m.payloads)
        for m in map(Message.parse, transcript[:2])
    ]
    assert announced == [ours, ours and theirs], "a responder does not bother one that has not asked"
    assert any(is_fragment(datagram) for datagram in transcript) == (ours and theirs)


def test_a_fragment_of_somebody_who_did_not_say_so_is_dropped() -> None:
    alice, bob = established()
    pieces = cut(alice, LONG)
    bob.ike_sa._core.context.settings = replace(bob.settings, datagram_size=SMALL)
    bob.ike_sa._core.context.secrets = replace(
        bob.ike_sa._core.context.negotiated,
        agreed=replace(bob.ike_sa._core.context.negotiated.agreed, fragmentation=False),
    )
    for piece in pieces:
        bob.receive(piece, 1.0)
    assert count(bob, Statistic.DROPPED_UNEXPECTED) == len(pieces)
    assert bob.sent() == []


# -- how a message is cut --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proposal", [GCM, CBC], ids=["gcm", "cbc"])
@pytest.mark.parametrize("size", [SMALL, 576, 1280])
def test_no_fragment_is_too_long_and_none_shorter_than_need_be(proposal: IkeProposal, size: int) -> None:
    alice, bob = established(proposals=(proposal,))
    limit = message_limit(size, None)
    pieces = cut(alice, (VendorId(bytes(5000)),), size)
    assert all(len(piece) <= limit for piece in pieces)
    block = 16 if proposal is CBC else 1
    assert all(len(piece) > limit - block for piece in pieces[:-1])
    fragments = [fragment(piece) for piece in pieces]
    assert [f.fragment_number for f in fragments] == list(range(1, len(pieces) + 1))
    assert {f.total_fragments for f in fragments} == {len(pieces)}
    assert [f.first_payload for f in fragments] == [PayloadType.VENDOR_ID] + [PayloadType.NONE] * (len(pieces) - 1)
    assert len({piece[:16] + piece[17:24] for piece in pieces}) == 1, "header but for length and first payload"
    for piece in pieces:
        bob.receive(piece, 1.0)
    (answer,) = bob.sent()
    assert not is_fragment(answer)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_message_that_just_fits_goes_in_one_piece(extra: int) -> None:
    alice, _ = established(proposals=(GCM,))
    overhead = 28 + 4 + 8 + 1 + 16 + 4
    pieces = cut(alice, (VendorId(bytes(LIMIT - overhead + extra)),))
    assert (len(pieces) == 1) == (extra <= 0)
    assert len(pieces[0]) == LIMIT + extra or extra > 0


def test_the_size_is_that_of_the_path() -> None:
    assert message_limit(None, Path(("192.0.2.1", 500), ("192.0.2.2", 500))) == 576 - 20 - 8 - 4
    assert message_limit(None, Path(("2001:db8::1", 500), ("2001:db8::2", 500))) == 1280 - 40 - 8 - 4
    assert message_limit(None, Path(("fe80::1%eth0", 500), ("fe80::2%eth0", 500))) == 1280 - 40 - 8 - 4
    assert message_limit(1400, Path(("192.0.2.1", 500), ("192.0.2.2", 500))) == 1400 - 20 - 8 - 4
    assert message_limit(None, None) == 576 - 40 - 8 - 4


def test_a_size_that_leaves_no_room_is_refused() -> None:
    IkeSettings(datagram_size=200)
    with pytest.raises(ValueError, match="too small"):
        IkeSettings(datagram_size=199)


# -- every encrypted exchange ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("proposal", [GCM, CBC], ids=["gcm", "cbc"])
def test_a_whole_life_in_fragments(proposal: IkeProposal) -> None:
    alice, bob = pair(datagram_size=SMALL, proposals=(proposal,))
    alice.initiate(request())
    assert any(is_fragment(datagram) for datagram in settle(alice, bob))
    steps: list[Callable[[], None]] = [
        lambda: alice.ike_sa.create_child(request(30, 31, protocol=LDP, pfs=True), 1.0),
        lambda: bob.ike_sa.rekey_child(200, request(50, 51, pfs=True), 1.0),
        lambda: alice.ike_sa.rekey(1.0),
        lambda: bob.ike_sa.rekey(1.0),
        lambda: bob.ike_sa.create_child(request(60, 61, protocol=3, pfs=True), 1.0),
    ]
    for step in steps:
        step()
        alice.collect()
        bob.collect()
        transcript = settle(alice, bob, 1.0)
        assert sum(is_fragment(datagram) for datagram in transcript) >= 2
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 4
    assert len(alice.of(IkeSaRekeyed)) == 2
    for router in (alice, bob):
        assert count(router, Statistic.REASSEMBLED) >= 4
        assert count(router, Statistic.FRAGMENTED) >= 4


def test_what_is_short_is_not_cut() -> None:
    alice, bob = established(datagram_size=SMALL)
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    assert not any(is_fragment(datagram) for datagram in settle(alice, bob, 1.0))


# -- how it is put together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_fragments_may_come_in_any_order_and_twice(order: tuple[int, ...]) -> None:
    alice, bob = established(proposals=(GCM,))
    pieces = cut(alice, (VendorId(bytes(300)),))
    assert len(pieces) == 4
    for position in order[:-1]:
        bob.receive(pieces[position], 1.0)
        bob.receive(pieces[position], 1.0)
    assert bob.sent() == []
    assert count(bob, Statistic.DROPPED_FRAGMENT) == 3
    bob.receive(pieces[order[-1]], 1.0)
    assert len(bob.sent()) == 1
    assert count(bob, Statistic.REASSEMBLED) == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data(), octets=st.binary(min_size=1, max_size=2000))
def test_what_is_put_together_is_what_was_cut(data: st.DataObject, octets: bytes) -> None:
    alice, bob = established(proposals=(data.draw(st.sampled_from((GCM, CBC))),))
    refusal = Notify(8200, octets)
    pieces = cut(alice, (refusal,), data.draw(st.integers(SMALL, 1500)))
    for piece in data.draw(st.permutations(pieces)):
        bob.receive(piece, 1.0)
    assert bob.events[-1].data == octets  # type: ignore[attr-defined]
    assert len(bob.sent()) == 1


def test_a_smaller_cut_replaces_a_larger_one_and_not_the_other_way_round() -> None:
    alice, bob = established(proposals=(GCM,))
    coarse, fine = cut(alice, LONG, 576), cut(alice, LONG, SMALL)
    assert len(coarse) < len(fine)
    bob.receive(coarse[0], 1.0)
    bob.receive(fine[0], 1.0)
    bob.receive(coarse[1], 1.0)
    assert count(bob, Statistic.DROPPED_FRAGMENT) == 1
    for piece in fine[1:-1]:
        bob.receive(piece, 1.0)
    assert bob.sent() == []
    bob.receive(fine[-1], 1.0)
    assert len(bob.sent()) == 1


def test_a_whole_message_ends_the_collection_of_its_fragments() -> None:
    alice, bob = established(proposals=(GCM,))
    pieces = cut(alice, LONG)
    (whole,) = cut(alice, LONG, 9000)
    bob.receive(pieces[0], 1.0)
    assert bob.next_timer() is not None
    bob.receive(whole, 1.0)
    assert len(bob.sent()) == 1
    assert bob.ike_sa._core.collections == {}
    bob.receive(pieces[1], 1.0)
    assert count(bob, Statistic.DROPPED_STALE) == 1


def test_fragments_of_two_exchanges_do_not_make_a_message() -> None:
    """Nobody but a broken peer could send them."""
    alice, bob = established(proposals=(GCM,))
    pieces = cut(alice, LONG)
    others = protection_of(alice).seal(ExchangeType.CREATE_CHILD_SA, 2, LONG, is_response=False)
    assert len(others) == 1
    core = alice.ike_sa._core
    core.context.settings = replace(core.context.settings, datagram_size=SMALL)
    others = protection_of(alice).seal(ExchangeType.CREATE_CHILD_SA, 2, LONG, is_response=False)
    bob.receive(pieces[0], 1.0)
    bob.receive(others[1], 1.0)
    assert count(bob, Statistic.DROPPED_FRAGMENT) == 1


def test_a_fragment_that_was_changed_is_dropped() -> None:
    alice, bob = established(proposals=(GCM,))
    pieces = cut(alice, LONG)
    for number, piece in enumerate(pieces):
        for position in (16, 20, 27, 28, 33, 35, 40, len(piece) - 1):
            changed = piece[:position] + bytes((piece[position] ^ 1,)) + piece[position + 1 :]
            bob.receive(changed, 1.0)
            assert bob.ike_sa._core.collections == {} or number > 0
        bob.receive(piece, 1.0)
    assert len(bob.sent()) == 1, "and the real ones still do what they are for"
    assert count(bob, Statistic.DROPPED_INTEGRITY) > 0


def test_what_lies_around_is_thrown_away() -> None:
    alice, bob = established(retransmission=Retransmission(1.0, 2.0, 3))
    pieces = cut(alice, LONG)
    bob.receive(pieces[0], 1.0)
    assert bob.next_timer() == 1.0 + 7.0
    bob.handle_timer(7.9)
    assert bob.ike_sa._core.collections != {}
    bob.handle_timer(8.0)
    assert bob.ike_sa._core.collections == {}
    assert bob.next_timer() is None
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED
    for piece in pieces:
        bob.receive(piece, 9.0)
    assert len(bob.sent()) == 1


def test_half_a_response_is_thrown_away_with_its_request() -> None:
    alice, bob = established(retransmission=Retransmission(1.0, 1.0, 2), datagram_size=SMALL)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP, pfs=True), 1.0)
    alice.collect()
    for datagram in alice.sent():
        bob.receive(datagram, 1.0)
    alice.receive(bob.sent()[0], 1.0)
    assert set(alice.ike_sa._core.collections) == {True}
    alice.handle_timer(2.0)
    alice.handle_timer(3.0)
    assert alice.ike_sa.is_closed
    assert alice.ike_sa._core.collections == {}


# -- once more -------------------------------------------------------------------------------------------------------


def answered_in_fragments() -> tuple[Router, Router, list[bytes], list[bytes]]:
    """Return alice and bob with a request of alice's in fragments, and bob's answer, which alice did not get."""
    alice, bob = established(datagram_size=SMALL)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP, pfs=True), 1.0)
    alice.collect()
    asked = alice.sent()
    for datagram in asked:
        bob.receive(datagram, 1.0)
    answer = bob.sent()
    assert len(asked) > 1
    assert len(answer) > 1
    return alice, bob, asked, answer


def test_a_request_is_repeated_as_it_was() -> None:
    alice, bob, asked, answer = answered_in_fragments()
    alice.handle_timer(2.0)
    assert alice.sent() == asked
    for datagram in answer:
        alice.receive(datagram, 2.0)
    settle(alice, bob, 2.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2


def test_the_first_fragment_alone_brings_the_answer_again() -> None:
    """RFC 7383 2.6.1."""
    _, bob, asked, answer = answered_in_fragments()
    for datagram in reversed(asked[1:]):
        bob.receive(datagram, 2.0)
        assert bob.sent() == []
    bob.receive(asked[0], 2.0)
    assert bob.sent() == answer
    assert count(bob, Statistic.RESPONSES_REPEATED) == 1
    assert count(bob, Statistic.DROPPED_STALE) == len(asked) - 1


def test_the_answer_comes_again_to_a_request_that_is_cut_anew() -> None:
    """A peer that got no answer to large datagrams tries smaller ones (RFC 7383 2.4 and 2.5.2)."""
    alice, bob = established(proposals=(GCM,))
    (whole,) = cut(alice, LONG, 9000, message_id=2)
    fine = cut(alice, LONG, SMALL, message_id=2)
    bob.receive(whole, 1.0)
    answer = bob.sent()
    for piece in fine[1:]:
        bob.receive(piece, 2.0)
    assert bob.sent() == []
    bob.receive(fine[0], 2.0)
    assert bob.sent() == answer
    forged = fine[0][:-1] + bytes((fine[0][-1] ^ 1,))
    bob.receive(forged, 2.0)
    assert bob.sent() == []
    assert count(bob, Statistic.DROPPED_INTEGRITY) == 1
    bob.receive(fine[0][:-1], 2.0)
    (other,) = cut(alice, (VendorId(b"another"),), 9000, message_id=2)
    bob.receive(other, 2.0)
    assert bob.sent() == []


def test_fragments_of_long_ago_are_stale() -> None:
    alice, bob = established(proposals=(GCM,))
    old = cut(alice, LONG, SMALL, message_id=1)
    bob.receive(old[0], 1.0)
    assert bob.sent() != [] or count(bob, Statistic.RESPONSES_REPEATED) == 0
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    bob.receive(old[0], 2.0)
    assert bob.sent() == []
    assert count(bob, Statistic.DROPPED_STALE) >= 1


def test_a_closed_ike_sa_repeats_its_answer_to_the_first_fragment() -> None:
    alice, bob = established(datagram_size=SMALL)
    pieces = cut(alice, (*LONG, VendorId(b"and")))
    for piece in pieces:
        bob.receive(piece, 1.0)
    answer = bob.sent()
    bob.ike_sa.abandon("enough", 1.0)
    bob.receive(pieces[0], 2.0)
    assert bob.sent() == answer


# -- harm ------------------------------------------------------------------------------------------------------------


def half_open(**changes: object) -> tuple[Router, Router]:
    """Return alice and bob after IKE_SA_INIT: to bob, alice may be anybody."""
    alice, bob = pair(**changes)
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    alice.sent()
    return alice, bob


def flood(writer: Router, number: int, total: int, octets: bytes, exchange_type: int) -> bytes:
    """Return one fragment that a peer with the right keys, and no good intentions, can make."""
    protection = protection_of(writer)
    fragment = EncryptedFragment(PayloadType.NONE, number, total, b"")
    return protection._sealed(protection._message(exchange_type, 1, fragment, is_response=False), octets)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_stranger_cannot_make_us_keep_more_than_the_limit(size: int) -> None:
    alice, bob = half_open(reassembly_limit=20_000)
    sent = 0
    while not bob.ike_sa.is_closed:
        bob.receive(flood(alice, 65_535 - sent, 65_535, bytes(size), ExchangeType.IKE_AUTH))
        sent += 1
        assert sent <= 20_000 // (size + COST_OF_PIECE) + 1
    bob.collect()
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    assert bob.ike_sa.is_finished
    assert bob.sent() == []
    assert bob.ike_sa._core.collections == {}


def test_starting_over_again_and_again_keeps_nothing() -> None:
    """A larger total throws away what there was, so a rising one cannot add up."""
    alice, bob = half_open()
    for total in range(2, 200):
        bob.receive(flood(alice, total, total, bytes(100), ExchangeType.IKE_AUTH))
        (collection,) = bob.ike_sa._core.collections.values()
        assert len(collection._pieces) == 1
    assert not bob.ike_sa.is_closed


def test_an_incomplete_set_does_not_outlive_a_half_open_ike_sa() -> None:
    alice, bob = half_open()
    bob.receive(flood(alice, 2, 3, bytes(100), ExchangeType.IKE_AUTH))
    bob.handle_timer(bob.settings.half_open_timeout)
    assert bob.ike_sa.is_finished
    assert bob.ike_sa._core.collections == {}


def test_a_peer_that_sends_too_much_loses_the_ike_sa() -> None:
    alice, bob = established(reassembly_limit=5_000)
    for piece in cut(alice, (VendorId(bytes(6_000)),)):
        bob.receive(piece, 1.0)
    assert bob.ike_sa.state is IkeSaState.CLOSING
    settle(alice, bob, 1.0)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX
    assert closed(alice).reason is CloseReason.CLOSED_BY_PEER


def test_an_ike_sa_that_was_replaced_is_simply_gone_then() -> None:
    alice, bob = established(reassembly_limit=5_000)
    alice.ike_sa.rekey(1.0)
    alice.collect()
    pieces = cut(alice, (VendorId(bytes(6_000)),), message_id=3)
    bob.receive(alice.sent()[0], 1.0)
    bob.sent()
    for piece in pieces:
        bob.receive(piece, 1.0)
    assert len(bob.ike_sa.local_spis) == 1
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_nonsense_inside_of_fragments_is_nonsense() -> None:
    alice, bob = established(proposals=(GCM,))
    first = fragment(cut(alice, LONG)[0])
    protection = protection_of(alice)
    octets = [b"\x00\x00\x00", b"\x03"]
    for number, piece in enumerate(octets, start=1):
        kind = first.first_payload if number == 1 else PayloadType.NONE
        part = EncryptedFragment(kind, number, 2, b"")
        message = protection._message(ExchangeType.INFORMATIONAL, 2, part, is_response=False)
        bob.receive(protection._sealed(message, piece), 1.0)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX


@settings(max_examples=150, deadline=None)
@given(datagrams=st.lists(st.binary(max_size=60), max_size=10), number=st.integers(0, 3), total=st.integers(0, 5))
def test_hostile_octets_change_nothing(datagrams: list[bytes], number: int, total: int) -> None:
    alice, bob = established(proposals=(GCM,))
    header = alice.ike_sa.local_spi + alice.ike_sa.remote_spi + bytes((53, 0x20, 37, 8, 0, 0, 0, 2))
    for octets in datagrams:
        body = number.to_bytes(2) + total.to_bytes(2) + octets
        length = 28 + 4 + len(body)
        bob.receive(header + length.to_bytes(4) + bytes((33, 0)) + (4 + len(body)).to_bytes(2) + body, 1.0)
    assert bob.ike_sa._core.collections == {}
    assert bob.sent() == []
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_fragments_are_a_function_of_their_randomness() -> None:
    runs = []
    for _ in range(2):
        alice, bob = pair(datagram_size=SMALL)
        alice.initiate(request())
        runs.append(settle(alice, bob))
    assert runs[0] == runs[1]


def test_an_ike_sa_knows_its_path() -> None:
    path = Path(("2001:db8::1", 500), ("2001:db8::2", 500))
    alice, bob = pair(datagram_size=None)
    ike_sa = IkeSa.initiate(alice.settings, alice, alice.random, request(), 0.0, path)
    (opening,) = ike_sa.datagrams()
    answering = IkeSa.respond(bob.settings, bob, bob.random, path)
    answering.receive(opening, 0.0)
    ike_sa.receive(answering.datagrams()[0], 0.0)
    assert ike_sa._core.context.fragment_limit == answering._core.context.fragment_limit == 1228
