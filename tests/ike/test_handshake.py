"""From the first datagram to the first key: IKE_SA_INIT and IKE_AUTH where nothing goes wrong."""

from __future__ import annotations

import pytest

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, IkeProposal
from rkmp.ike import (
    ChildKeysEstablished,
    ChildRefused,
    CloseReason,
    IkeSaEstablished,
    IkeSaState,
    IkeSettings,
    NegotiationFailed,
    NegotiationFailure,
    Retransmission,
    Role,
    Statistic,
)
from rkmp.wire import (
    CodePoints,
    EncryptionId,
    ExchangeType,
    Header,
    IntegrityId,
    KeyExchangeId,
    Message,
    Notify,
    NotifyType,
    PrfId,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
)
from tests.ike.network import (
    AES,
    ALICE,
    BGP,
    BOB,
    LDP,
    SHA1,
    Router,
    assert_same_keys,
    closed,
    established,
    inside,
    pair,
    request,
    settle,
)

CBC = IkeProposal(
    ((EncryptionId.AES_CBC, 256), (EncryptionId.AES_CBC, 128)),
    (IntegrityId.HMAC_SHA2_512_256, IntegrityId.HMAC_SHA2_256_128),
    (PrfId.HMAC_SHA2_512,),
    (KeyExchangeId.ECP_384,),
)


def test_both_sides_hold_one_key_with_mirrored_key_ids() -> None:
    alice, bob = established(request(10, 11))
    assert alice.kinds() == bob.kinds() == ["IkeSaEstablished", "ChildKeysEstablished"]
    assert_same_keys(alice, bob)
    (child, key), (peer_child, peer_key) = alice.keys[10], bob.keys[200]
    assert (child.send_id, child.peer_send_id) == (10, 200) == (peer_child.peer_send_id, peer_child.send_id)
    assert (child.auth_alg, child.kdf, child.routing_protocol) == (*AES, BGP)
    assert key == peer_key
    assert len(key) == 16
    assert (child.requester, peer_child.requester) == (True, False)


def test_a_key_for_hmac_sha_1_has_20_octets() -> None:
    alice, bob = established(request(7, pairs=(SHA1,)))
    assert len(alice.keys[7][1]) == 20
    assert_same_keys(alice, bob)


def test_the_responder_chooses_by_its_own_preference() -> None:
    alice, bob = pair()
    bob.pairs = (SHA1, AES)
    alice.initiate(request(10, 11, pairs=(AES, SHA1)))
    settle(alice, bob)
    assert list(alice.keys) == [11]
    assert_same_keys(alice, bob)


def test_the_flag_for_tcp_options_travels() -> None:
    asked = request(1)
    ignoring = type(asked)(BGP, ((TcpAoTransform(1, *AES, ignore_tcp_options=True),),))
    alice, bob = established(ignoring)
    assert alice.keys[1][0].ignore_tcp_options
    assert_same_keys(alice, bob)


def test_several_transforms_of_one_proposal_are_alternatives() -> None:
    asked = request(1)
    alternatives = type(asked)(LDP, ((TcpAoTransform(1, *SHA1), TcpAoTransform(2, *AES)),))
    alice, bob = established(alternatives)
    assert list(alice.keys) == [2]
    assert_same_keys(alice, bob)


def test_what_is_established_says_who_and_how() -> None:
    alice, bob = established()
    ours, theirs = alice.last(IkeSaEstablished), bob.last(IkeSaEstablished)
    assert (ours.role, theirs.role) == (Role.INITIATOR, Role.RESPONDER)
    assert (
        (ours.local_identity, ours.remote_identity) == (ALICE, BOB) == (theirs.remote_identity, theirs.local_identity)
    )
    assert (ours.local_spi, ours.remote_spi) == (theirs.remote_spi, theirs.local_spi)
    assert ours.local_spi == alice.ike_sa.local_spi
    assert ours.suite == theirs.suite
    assert ours.suite.key_exchange_name == "curve25519"
    assert ours.nonces == theirs.nonces
    assert ours.remote_code_points == CodePoints()
    assert not ours.initial_contact
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_an_initiator_can_announce_that_it_has_no_other_ike_sa() -> None:
    _, bob = established(initial_contact=True)
    assert bob.last(IkeSaEstablished).initial_contact


@pytest.mark.parametrize("proposal", [*DEFAULT_IKE_PROPOSALS, CBC], ids=["gcm", "cbc"])
@pytest.mark.parametrize(
    "method", [KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256, KeyExchangeId.ECP_384, KeyExchangeId.ECP_521]
)
def test_every_cipher_and_curve(proposal: IkeProposal, method: int) -> None:
    chosen = IkeProposal(proposal.encryption, proposal.integrity, proposal.prf, (method,))
    alice, bob = established(proposals=(chosen,))
    assert_same_keys(alice, bob)
    assert alice.last(IkeSaEstablished).suite.key_exchange == method


def test_the_draft_s_messages_and_nothing_else() -> None:
    alice, bob = pair(fragmentation=False)
    alice.initiate(request(10, 11))
    transcript = settle(alice, bob)
    headers = [Header.parse(datagram) for datagram in transcript]
    assert [(h.exchange_type, h.message_id, h.is_response, h.is_initiator) for h in headers] == [
        (ExchangeType.IKE_SA_INIT, 0, False, True),
        (ExchangeType.IKE_SA_INIT, 0, True, False),
        (ExchangeType.IKE_AUTH, 1, False, True),
        (ExchangeType.IKE_AUTH, 1, True, False),
    ]
    names = [
        [type(p).__name__ for p in Message.parse(transcript[0]).payloads],
        [type(p).__name__ for p in Message.parse(transcript[1]).payloads],
        [type(p).__name__ for p in inside(bob, transcript[2])],
        [type(p).__name__ for p in inside(alice, transcript[3])],
    ]
    assert names == [
        ["SecurityAssociation", "KeyExchange", "Nonce", "Notify", "VendorId"],
        ["SecurityAssociation", "KeyExchange", "Nonce", "Notify", "Notify", "VendorId"],
        [
            "IdInitiator",
            "Authentication",
            "SecurityAssociation",
            "TrafficSelectorsInitiator",
            "TrafficSelectorsResponder",
        ],
        [
            "IdResponder",
            "Authentication",
            "SecurityAssociation",
            "TrafficSelectorsInitiator",
            "TrafficSelectorsResponder",
        ],
    ]
    offer, answer = inside(bob, transcript[2]), inside(alice, transcript[3])
    assert offer[2] == SecurityAssociation(
        (
            RkmpProposal(1, 201, b"", (TcpAoTransform(10, *AES),)),
            RkmpProposal(2, 201, b"", (TcpAoTransform(11, *SHA1),)),
        )
    )
    assert answer[2] == SecurityAssociation((RkmpProposal(1, 201, b"", (TcpAoTransform(200, *AES),)),))
    selectors = (RoutingProtocolSelector(BGP),)
    assert offer[3:] == answer[3:] == (TrafficSelectorsInitiator(selectors), TrafficSelectorsResponder(selectors))


def test_code_points_can_be_others_when_both_sides_use_them() -> None:
    alice, bob = established(code_points=CodePoints(210, 211, 250))
    assert_same_keys(alice, bob)
    assert alice.keys[10][0].security_protocol == 210


def test_an_ike_sa_can_do_without_a_child() -> None:
    alice, bob = pair()
    alice.initiate(None)
    transcript = settle(alice, bob)
    assert alice.kinds() == bob.kinds() == ["IkeSaEstablished"]
    assert [type(p).__name__ for p in inside(bob, transcript[2])] == ["IdInitiator", "Authentication"]
    alice.ike_sa.create_child(request(), 1.0)
    alice.collect()
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


def test_an_initiator_keeps_to_what_the_responder_announced() -> None:
    alice, bob = pair()
    alice.initiate(None)
    bob.receive(alice.sent()[0])
    answer = Message.parse(bob.sent()[0])
    childless = Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED, protocol_id=1)
    assert childless in answer.payloads
    stripped = tuple(payload for payload in answer.payloads if payload != childless)
    alice.receive(type(answer)(*_fields(answer), stripped, is_response=True).to_bytes())
    alice.handle_timer(100.0)
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.CHILDLESS_UNSUPPORTED


def _fields(message: Message) -> tuple[bytes, bytes, int, int]:
    return message.initiator_spi, message.responder_spi, message.exchange_type, message.message_id


def test_the_same_chance_makes_the_same_transcript() -> None:
    transcripts = []
    for _ in range(2):
        alice, bob = pair()
        alice.initiate(request())
        transcript = settle(alice, bob)
        alice.ike_sa.rekey_child(10, request(20, 21, pfs=True), 5.0)
        alice.collect()
        transcripts.append((transcript + settle(alice, bob), [key.reveal() for _, key in alice.keys.values()]))
    assert transcripts[0] == transcripts[1]
    assert len(transcripts[0][0]) == 6


def test_other_chance_makes_other_keys() -> None:
    keys = set()
    for seed in range(3):
        alice, bob = pair()
        alice.seed = seed
        alice.__post_init__()
        alice.initiate(request())
        settle(alice, bob)
        keys.add(alice.keys[10][1].reveal())
    assert len(keys) == 3


def test_requests_are_repeated_with_growing_patience_and_the_same_octets() -> None:
    alice = Router(settings=IkeSettings(retransmission=Retransmission(1.0, 2.0, 4)))
    alice.initiate(request())
    first = alice.sent()
    moments, repeated = [], []
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
        if sent := alice.sent():
            moments.append(timer)
            repeated += sent
    assert moments == [1.0, 3.0, 7.0]
    assert repeated == first * 3
    assert alice.ike_sa.statistics[Statistic.RETRANSMISSIONS] == 3
    assert timer is None
    assert alice.kinds() == ["NegotiationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.ike_sa.is_finished


def test_a_repeated_request_gets_the_same_response_and_nothing_else_happens() -> None:
    alice, bob = pair()
    alice.initiate(request())
    for _ in range(2):
        (datagram,) = alice.sent()
        bob.receive(datagram)
        (response,) = bob.sent()
        before = list(bob.events)
        for _ in range(3):
            bob.receive(datagram)
            assert bob.sent() == [response]
        assert bob.events == before
        alice.receive(response)
    assert bob.ike_sa.statistics[Statistic.RESPONSES_REPEATED] == 6
    assert len(bob.ike_sas) == 1
    assert_same_keys(alice, bob)


def test_a_response_that_comes_twice_counts_once() -> None:
    alice, bob = pair()
    alice.initiate(request())
    responses = []
    for _ in range(2):
        bob.receive(alice.sent()[0])
        responses += bob.sent()
        alice.receive(responses[-1])
    events = list(alice.events)
    for response in responses:
        alice.receive(response)
    assert alice.events == events
    assert alice.ike_sa.statistics[Statistic.DROPPED_STALE] == 2


def test_commands_wait_until_the_ike_sa_is_established() -> None:
    alice, bob = pair()
    alice.initiate(request())
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 0.0)
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert {child.routing_protocol for child, _ in alice.keys.values()} == {BGP, LDP}
    assert alice.of(ChildRefused) == []
    assert [event.child.send_id for event in alice.events if isinstance(event, ChildKeysEstablished)] == [10, 30]


def test_counters_of_messages_and_octets() -> None:
    alice, bob = pair()
    alice.initiate(request())
    transcript = settle(alice, bob)
    counted = alice.ike_sa.statistics
    assert (counted[Statistic.MESSAGES_OUT], counted[Statistic.MESSAGES_IN]) == (2, 2)
    assert counted[Statistic.OCTETS_OUT] == len(transcript[0]) + len(transcript[2])
    assert counted[Statistic.OCTETS_IN] == len(transcript[1]) + len(transcript[3])
    assert set(counted) == {
        Statistic.MESSAGES_OUT,
        Statistic.MESSAGES_IN,
        Statistic.OCTETS_OUT,
        Statistic.OCTETS_IN,
    }


def test_a_silent_initiator_is_forgotten() -> None:
    alice, bob = pair(half_open_timeout=30.0)
    alice.initiate(request())
    bob.receive(alice.sent()[0], 5.0)
    assert bob.ike_sa.state is IkeSaState.HALF_OPEN
    assert bob.next_timer() == 35.0
    bob.handle_timer(34.9)
    assert not bob.ike_sa.is_closed
    bob.handle_timer(35.0)
    assert closed(bob).reason is CloseReason.HALF_OPEN_TIMEOUT
    assert not closed(bob).was_established
    assert bob.ike_sa.is_finished


def test_progress_is_told_by_what_was_asked_and_answered() -> None:
    alice, bob = pair()
    alice.initiate(request())
    assert (alice.ike_sa.requests_completed, alice.ike_sa.requests_answered) == (0, 0)
    settle(alice, bob)
    assert (alice.ike_sa.role, bob.ike_sa.role) == (Role.INITIATOR, Role.RESPONDER)
    assert (alice.ike_sa.requests_completed, alice.ike_sa.requests_answered) == (2, 0)
    assert (bob.ike_sa.requests_completed, bob.ike_sa.requests_answered) == (0, 2)
    bob.ike_sa.check_liveness(1.0)
    bob.collect()
    assert bob.ike_sa.requests_completed == 0
    settle(alice, bob, 1.0)
    assert (bob.ike_sa.requests_completed, alice.ike_sa.requests_answered) == (1, 1)
