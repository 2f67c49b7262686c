"""Whether addresses are translated on the way: told in IKE_SA_INIT, and what comes of it (RFC 7296 2.23, G30)."""

from __future__ import annotations

import hashlib
import ipaddress

import pytest

from rkmp.errors import IkeError
from rkmp.ike import ChildChoice, ChildOffer, ChildRefusal, Identity, IkeSa, Nat, NatDetected, Path
from rkmp.ike.nat_detection import detect, tell_path
from rkmp.wire import Message, Notify, NotifyType
from tests.ike.network import BOB, LDP, Router, assert_same_keys, closed, pair, refused, request, settle

ALICE_AT, BOB_AT = ("192.0.2.1", 500), ("198.51.100.2", 500)
SPI_I, SPI_R = b"\x01" * 8, b"\x02" * 8
STRAIGHT = (Path(ALICE_AT, BOB_AT), Path(BOB_AT, ALICE_AT))
TRANSLATED = ("203.0.113.7", 61_000)
WAYS = {
    "nobody": (*STRAIGHT, Nat(local=False, remote=False)),
    "alice": (Path(ALICE_AT, BOB_AT), Path(BOB_AT, TRANSLATED), Nat(local=True, remote=False)),
    "bob": (Path(ALICE_AT, TRANSLATED), Path(BOB_AT, ALICE_AT), Nat(local=False, remote=True)),
    "both": (Path(ALICE_AT, TRANSLATED), Path(BOB_AT, TRANSLATED), Nat(local=True, remote=True)),
    "alice's port": (Path(ALICE_AT, BOB_AT), Path(BOB_AT, (ALICE_AT[0], 1024)), Nat(local=True, remote=False)),
}


def over(ours: Path | None, theirs: Path | None, **changes: object) -> tuple[Router, Router]:
    """Return alice and bob, whose messages travel as each sees it, before anything is sent."""
    alice, bob = pair(**changes)
    alice.path, bob.path = ours, theirs
    return alice, bob


def swapped(nat: Nat) -> Nat:
    return Nat(local=nat.remote, remote=nat.local)


def notifies(datagram: bytes) -> list[Notify]:
    kinds = (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)
    return [p for p in Message.parse(datagram).payloads if isinstance(p, Notify) and p.notify_type in kinds]


@pytest.mark.parametrize("way", WAYS)
def test_both_sides_see_who_is_translated(way: str) -> None:
    ours, theirs, nat = WAYS[way]
    alice, bob = over(ours, theirs)
    alice.initiate(request())
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert (alice.ike_sa.nat, bob.ike_sa.nat) == (nat, swapped(nat))
    seen = alice.of(NatDetected), bob.of(NatDetected)
    if way == "nobody":
        assert seen == ([], [])
    else:
        assert seen == ([NatDetected(nat.local, nat.remote, 4500)], [NatDetected(nat.remote, nat.local, None)])
        assert alice.kinds()[0] == bob.kinds()[0] == "NatDetected"


@pytest.mark.parametrize("local", [("2001:db8::1", 500), ("::ffff:192.0.2.1", 500), ("fe80::1%eth0", 500)])
def test_what_is_told_is_the_hash_of_rfc_7296(local: tuple[str, int]) -> None:
    source, destination = tell_path(Path(local, BOB_AT), SPI_I, bytes(8))
    assert isinstance(source, Notify)
    assert isinstance(destination, Notify)
    address = {"::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1"}.get(local[0], local[0])
    octets = SPI_I + bytes(8) + ipaddress.ip_address(address).packed + b"\x01\xf4"
    assert source.data == hashlib.sha1(octets, usedforsecurity=False).digest()
    assert (source.notify_type, destination.notify_type) == (16388, 16389)
    assert len(destination.data) == 20
    assert (source.protocol_id, source.spi) == (0, b"")


def test_spis_are_those_of_the_message() -> None:
    alice, bob = over(*STRAIGHT)
    alice.initiate(request())
    asked, told = settle(alice, bob)[:2]
    spi_i, spi_r = asked[:8], told[8:16]
    assert tuple(notifies(asked)) == tell_path(STRAIGHT[0], spi_i, bytes(8))
    assert tuple(notifies(told)) == tell_path(STRAIGHT[1], spi_i, spi_r)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, STRAIGHT[1]),
        (STRAIGHT[0], None),
        (Path(("0.0.0.0", 500), BOB_AT), STRAIGHT[1]),  # noqa: S104 - nothing is bound here
        (STRAIGHT[0], Path(("::", 500), ALICE_AT)),
    ],
)
def test_who_does_not_know_its_own_address_says_and_sees_nothing(ours: Path | None, theirs: Path | None) -> None:
    alice, bob = over(ours, theirs)
    alice.initiate(request())
    transcript = settle(alice, bob)
    assert len(notifies(transcript[0])) == (2 if ours == STRAIGHT[0] else 0)
    assert notifies(transcript[1]) == []
    assert alice.ike_sa.nat is bob.ike_sa.nat is None
    assert_same_keys(alice, bob)


@pytest.mark.parametrize(("ours", "theirs"), [(False, True), (True, False)])
def test_it_can_be_switched_off(*, ours: bool, theirs: bool) -> None:
    alice, bob = over(WAYS["alice"][0], WAYS["alice"][1])
    alice.settings = type(alice.settings)(nat_detection=ours)
    bob.settings = type(bob.settings)(nat_detection=theirs)
    alice.initiate(request())
    settle(alice, bob)
    assert alice.ike_sa.nat is bob.ike_sa.nat is None
    assert alice.of(NatDetected) == bob.of(NatDetected) == []


def test_staying_on_the_port_is_a_setting() -> None:
    alice, bob = over(*WAYS["bob"][:2], nat_port=None)
    alice.initiate(request())
    settle(alice, bob)
    assert alice.last(NatDetected).move_to is None


def test_a_sender_with_several_addresses_is_translated_if_none_of_them_is_seen() -> None:
    path = STRAIGHT[1]
    source, destination = tell_path(STRAIGHT[0], SPI_I, SPI_R)
    other = tell_path(Path(("192.0.2.99", 500), BOB_AT), SPI_I, SPI_R)[0]
    assert detect(path, SPI_I, SPI_R, (other, source, destination)) == Nat(local=False, remote=False)
    assert detect(path, SPI_I, SPI_R, (other, destination)) == Nat(local=False, remote=True)
    assert detect(path, SPI_I, SPI_R, (source,)) is None
    assert detect(path, SPI_I, SPI_R, ()) is None
    nonsense = Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, b"short")
    assert detect(path, SPI_I, SPI_R, (source, nonsense)) == Nat(local=True, remote=False)


def test_it_is_known_after_a_rekeying() -> None:
    alice, bob = over(*WAYS["alice"][:2])
    alice.initiate(request())
    settle(alice, bob)
    bob.ike_sa.rekey(1.0)
    bob.collect()
    settle(alice, bob, 1.0)
    assert alice.ike_sa.nat == WAYS["alice"][2]
    assert bob.ike_sa.nat == swapped(WAYS["alice"][2])


class Wary(Router):
    """A router that makes no key for a connection whose addresses are translated (G30)."""

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        if offer.nat is not None and (offer.nat.local or offer.nat.remote):
            raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "TCP-AO does not go through a NAT")
        return super().choose_child(remote_identity, offer)


@pytest.mark.parametrize("way", WAYS)
def test_policy_is_told_with_every_offer(way: str) -> None:
    alice, usual = over(*WAYS[way][:2])
    bob = Wary(
        identity=BOB,
        peer_identity=alice.identity,
        settings=usual.settings,
        seed=2,
        next_send_id=200,
        path=usual.path,
    )
    alice.initiate(request())
    settle(alice, bob)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    if way == "nobody":
        assert len(alice.keys) == 2
    else:
        assert alice.keys == {}
        assert refused(alice).reason is ChildRefusal.NO_PROPOSAL_CHOSEN


def test_an_initiator_s_caller_can_stop_before_anybody_asks_for_a_key() -> None:
    """The event comes with the IKE_AUTH request, and before it."""
    alice, bob = over(*WAYS["alice"][:2])
    ike_sa = alice.initiate(request())
    bob.receive(alice.sent()[0])
    ike_sa.receive(bob.sent()[0], 0.0)
    assert [type(event).__name__ for event in ike_sa.events()] == ["NatDetected"]
    ike_sa.abandon("addresses are translated", 0.0)
    alice.collect()
    assert closed(alice).message == "addresses are translated"


def test_a_path_is_not_needed() -> None:
    alice, _ = pair()
    ike_sa = IkeSa.initiate(alice.settings, alice, alice.random, request(), 0.0)
    assert notifies(ike_sa.datagrams()[0]) == []
    assert ike_sa.nat is None
