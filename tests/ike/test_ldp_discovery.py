"""Keys for the targeted Hellos of LDP: named by SA IDs of 32 bits, beside those for LDP's sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from rkmp.errors import IkeError
from rkmp.ike import (
    ChildChoice,
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildOffer,
    ChildRefusal,
    ChildRefused,
    ChildRequest,
    Identity,
    IkeSaState,
)
from rkmp.ike.purposes import FIRST_SA_ID, LDP_DISCOVERY, LDP_KEY_LENGTH
from rkmp.wire import (
    Delete,
    LdpAuthAlg,
    LdpDiscoveryTransform,
    Notify,
    NotifyType,
    RkmpProposal,
    RoutingProtocol,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
)
from tests.ike.network import AES, LDP, Router, assert_same_keys, established, inside, refused, request, settle

SHA256 = LdpAuthAlg.HMAC_SHA_256
SA_ID, PEER_SA_ID = 0x01020304, 0xFFFFFF00


@dataclass
class Speaker(Router):
    """A router that also keys Hellos; ``hello_algorithms`` are those that it takes, the most wanted first."""

    hello_algorithms: tuple[int, ...] = (LdpAuthAlg.HMAC_SHA_512, SHA256)
    next_sa_id: int = PEER_SA_ID

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        if offer.routing_protocol != LDP_DISCOVERY:
            return super().choose_child(remote_identity, offer)
        if LDP_DISCOVERY in self.refuse:
            raise self.refuse[LDP_DISCOVERY]
        for algorithm in self.hello_algorithms:
            for offered in offer.transforms:
                if offered.transform.auth_alg == algorithm:
                    self.next_sa_id += 1
                    return ChildChoice(offered, self.next_sa_id - 1)
        raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "nothing that we like")


def hello_request(*algorithms: int, sa_id: int = SA_ID) -> ChildRequest:
    """Return a request for a key of Hellos that offers ``algorithms`` in one proposal."""
    transforms = (LdpDiscoveryTransform(sa_id + n, algorithm) for n, algorithm in enumerate(algorithms or (SHA256,)))
    return ChildRequest(LDP_DISCOVERY, (tuple(transforms),))


def speakers() -> tuple[Speaker, Speaker]:
    """Return two with an IKE SA and a key for LDP's sessions."""
    alice, bob = established(request(10, 11, protocol=LDP))
    for router in (alice, bob):
        router.__class__ = Speaker
        router.hello_algorithms = Speaker.hello_algorithms  # type: ignore[attr-defined]
        router.next_sa_id = PEER_SA_ID  # type: ignore[attr-defined]
    return alice, bob  # type: ignore[return-value]


def ask(alice: Speaker, bob: Speaker, wanted: ChildRequest, replaces: int | None = None) -> list[bytes]:
    if replaces is None:
        alice.ike_sa.create_child(wanted, 1.0)
    else:
        alice.ike_sa.rekey_child(replaces, wanted, 1.0)
    alice.collect()
    return settle(alice, bob, 1.0)


def test_hellos_get_a_key_of_their_own_beside_that_of_the_sessions() -> None:
    alice, bob = speakers()
    transcript = ask(alice, bob, hello_request())
    assert_same_keys(alice, bob)
    (_, key), (child, hello_key) = alice.keys.values()
    assert (child.routing_protocol, child.send_id, child.peer_send_id) == (LDP_DISCOVERY, SA_ID, PEER_SA_ID)
    assert len(hello_key) == 32
    assert key.reveal()[:16] not in hello_key.reveal()
    association, _, selectors, _ = inside(bob, transcript[0])
    assert isinstance(association, SecurityAssociation)
    assert isinstance(selectors, TrafficSelectorsInitiator)
    (proposal,) = association.proposals
    assert isinstance(proposal, RkmpProposal)
    assert (proposal.protocol_id, proposal.spi, proposal.transforms) == (202, b"", hello_request().proposals[0])
    assert selectors.selectors[0].routing_protocol == RoutingProtocol.LDP  # type: ignore[union-attr]


@pytest.mark.parametrize("algorithm", LdpAuthAlg)
def test_a_key_is_as_long_as_the_digest(algorithm: LdpAuthAlg) -> None:
    alice, bob = speakers()
    bob.hello_algorithms = (algorithm,)
    ask(alice, bob, hello_request(*LdpAuthAlg))
    assert_same_keys(alice, bob)
    child, key = list(alice.keys.values())[-1]
    assert (child.auth_alg, len(key)) == (algorithm, LDP_KEY_LENGTH[algorithm])


def test_the_responder_chooses_by_its_own_order() -> None:
    alice, bob = speakers()
    ask(alice, bob, hello_request(LdpAuthAlg.HMAC_SHA_1, SHA256, LdpAuthAlg.HMAC_SHA_512))
    assert list(alice.keys.values())[-1][0].auth_alg == LdpAuthAlg.HMAC_SHA_512


def test_a_peer_that_keys_no_hellos_refuses_and_the_ike_sa_goes_on() -> None:
    alice, bob = speakers()
    bob.refuse[LDP_DISCOVERY] = IkeError(NotifyType.TS_UNACCEPTABLE, "no Hellos here")
    ask(alice, bob, hello_request())
    event = refused(alice)
    assert (event.routing_protocol, event.reason) == (LDP_DISCOVERY, ChildRefusal.TS_UNACCEPTABLE)
    assert bob.last(ChildRefused).routing_protocol == LDP_DISCOVERY
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED
    assert len(alice.keys) == 1


def test_an_unknown_algorithm_is_passed_over() -> None:
    alice, bob = speakers()
    ask(alice, bob, hello_request(240, SHA256))
    assert list(alice.keys.values())[-1][0].auth_alg == SHA256
    ask(alice, bob, hello_request(240, sa_id=77_000))
    assert refused(alice).reason is ChildRefusal.NO_PROPOSAL_CHOSEN


def test_replacing_and_deleting_name_the_key_by_four_octets() -> None:
    alice, bob = speakers()
    ask(alice, bob, hello_request())
    transcript = ask(alice, bob, hello_request(sa_id=SA_ID + 100), replaces=SA_ID)
    rekey = next(payload for payload in inside(bob, transcript[0]) if isinstance(payload, Notify))
    assert (rekey.notify_type, rekey.protocol_id, rekey.spi) == (NotifyType.REKEY_SA, 202, bytes.fromhex("01020304"))
    assert alice.last(ChildKeysEstablished).rekeyed_send_id == SA_ID
    alice.ike_sa.delete_child(SA_ID, 2.0)
    alice.collect()
    transcript = settle(alice, bob, 2.0)
    assert inside(bob, transcript[0]) == (Delete(202, (bytes.fromhex("01020304"),)),)
    assert inside(alice, transcript[1]) == (Delete(202, (PEER_SA_ID.to_bytes(4),)),)
    assert bob.last(ChildDeleted).reason is ChildDeletion.BY_PEER
    assert_same_keys(alice, bob)


def test_the_octet_of_a_key_id_names_no_key_of_hellos() -> None:
    """Both sides' SA IDs end in the octet that is a KeyID of the sessions' key: the lengths keep them apart."""
    alice, bob = speakers()
    session = next(iter(alice.keys))
    ask(alice, bob, hello_request(sa_id=FIRST_SA_ID + session))
    alice.ike_sa.delete_child(session, 2.0)
    alice.collect()
    settle(alice, bob, 2.0)
    assert [child.routing_protocol for child, _ in bob.keys.values()] == [LDP_DISCOVERY]
    assert_same_keys(alice, bob)


def test_a_key_of_hellos_can_come_with_ike_auth() -> None:
    alice, bob = Speaker(), Speaker(seed=2)
    alice, bob = alice, replace(bob, identity=alice.peer_identity, peer_identity=alice.identity)
    alice.initiate(hello_request())
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert [child.routing_protocol for child, _ in alice.keys.values()] == [LDP_DISCOVERY]


@pytest.mark.parametrize("purpose", [LDP, LDP_DISCOVERY])
def test_transforms_of_the_other_security_protocol_cannot_be_asked_for(purpose: int) -> None:
    transform = TcpAoTransform(1, *AES) if purpose == LDP_DISCOVERY else LdpDiscoveryTransform(SA_ID, SHA256)
    with pytest.raises(ValueError, match="security protocol"):
        ChildRequest(purpose, ((transform,),))
