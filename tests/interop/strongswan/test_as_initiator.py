"""We open the IKE SA; charon answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, HYBRID_IKE_PROPOSALS, IkeProposal
from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    Identity,
    IkeSaClosed,
    IkeSaEstablished,
    IkeSaState,
    NegotiationFailed,
    NegotiationFailure,
    Retransmission,
    Role,
    Statistic,
)
from rkmp.wire import RoutingProtocol
from tests.interop.strongswan.algorithms import SUITES, proposal, shown_suite
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import BGP_REQUEST, CHARON, CHARON_SETTINGS, ROUTER, Router, settings_for

SUITE = "aes128gcm16-prfsha256-x25519"
REFUSALS = {ChildRefusal.NO_PROPOSAL_CHOSEN, ChildRefusal.TS_UNACCEPTABLE}
"""charon looks at traffic selectors first, and knows ours as little as our protocol."""


def establish(router: Router, charon: Charon) -> IkeSaEstablished:
    """Open an IKE SA without a child."""
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaEstablished))
    return router.the(IkeSaEstablished)


@pytest.mark.parametrize("suite", SUITES)
def test_both_sides_agree_on_algorithms_and_keys(charon: Charon, make_router: MakeRouter, suite: str) -> None:
    charon.load(Connection(suite))
    router = make_router(settings=settings_for(suite))
    established = establish(router, charon)
    assert established.role is Role.INITIATOR
    assert (established.local_identity, established.remote_identity) == (ROUTER, CHARON)
    (shown,) = charon.ike_sas()
    assert shown["state"] == "ESTABLISHED"
    assert (shown["initiator-spi"], shown["responder-spi"]) == (
        established.local_spi.hex(),
        established.remote_spi.hex(),
    )
    only = proposal(suite)
    assert shown_suite(shown) == established.suite
    assert ((established.suite.encryption, established.suite.key_bits),) == only.encryption
    assert (established.suite.prf, established.suite.key_exchange) == (*only.prf, *only.key_exchange)
    router.check_liveness()


def test_charon_chooses_from_several_proposals(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection("aes256-sha512-prfsha512-ecp256"))
    router = make_router(settings=settings_for("aes256gcm16-prfsha384-x25519", "aes128-aes256-sha512-prfsha512-ecp256"))
    assert establish(router, charon).suite == shown_suite(charon.ike_sas()[0])


@pytest.mark.parametrize("proposals", [DEFAULT_IKE_PROPOSALS, HYBRID_IKE_PROPOSALS], ids=["default", "with-ml-kem"])
def test_default_policy_suits_charon(
    charon: Charon, make_router: MakeRouter, proposals: tuple[IkeProposal, ...]
) -> None:
    charon.load(Connection("default"))
    settings = replace(CHARON_SETTINGS, proposals=proposals)
    established = establish(make_router(settings=settings), charon)
    assert established.suite.encryption_algorithm.is_combined
    assert established.suite == shown_suite(charon.ike_sas()[0])


def test_another_group_is_taken_when_charon_wants_it(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection("aes128gcm16-prfsha256-ecp384"))
    router = make_router(settings=settings_for("aes128gcm16-prfsha256-x25519-ecp256-ecp384"))
    established = establish(router, charon)
    assert established.suite.key_exchange_name == "ecp384"
    assert router.count(Statistic.INIT_RESTARTS) == 1
    router.check_liveness()


@pytest.mark.parametrize(
    ("offered", "restarts"), [(SUITE, 1), ("aes128gcm16-prfsha256-ecp256-x25519", 2)], ids=["cookie", "and a group"]
)
def test_a_cookie_is_returned_and_the_ike_sa_established(
    make_charon: MakeCharon, make_router: MakeRouter, offered: str, restarts: int
) -> None:
    charon = make_charon(settings={"cookie_threshold": "1", "block_threshold": "100"})
    charon.load(Connection(SUITE))
    # One that never comes to IKE_AUTH, and charon grows wary.
    stalled = make_router(settings=settings_for(SUITE), lost_outgoing=range(2, 100))
    stalled.initiate(charon.address)
    stalled.run(lambda: stalled.ike_sa.state is IkeSaState.AUTH_SENT)
    router = make_router(settings=settings_for(offered))
    establish(router, charon)
    assert "parsed IKE_SA_INIT request 0 [ N(COOKIE) SA KE No " in charon.log
    assert router.count(Statistic.INIT_RESTARTS) == restarts
    router.check_liveness()


def test_a_refused_child_leaves_the_ike_sa(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE))
    router.initiate(charon.address, BGP_REQUEST)
    router.run(lambda: router.has(ChildRefused))
    refused = router.the(ChildRefused)
    assert refused.requester
    assert refused.reason in REFUSALS
    assert (refused.routing_protocol, refused.send_ids) == (RoutingProtocol.BGP, (10, 11))
    assert router.has(IkeSaEstablished)
    assert not router.ike_sa.children
    router.check_liveness()
    assert charon.is_established()


@pytest.mark.parametrize("pfs", [False, True], ids=["", "pfs"])
def test_a_child_that_is_refused_later_leaves_the_ike_sa(charon: Charon, make_router: MakeRouter, pfs: bool) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    router.ike_sa.create_child(replace(BGP_REQUEST, perfect_forward_secrecy=pfs), router.now)
    router.run(lambda: router.has(ChildRefused))
    assert router.the(ChildRefused).reason in REFUSALS
    router.check_liveness()
    assert charon.is_established()


def test_liveness_is_checked_by_charon(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE, dpd_delay=1))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    router.run(lambda: router.ike_sa.requests_answered == 2)
    assert "sending DPD request" in charon.log
    router.run(lambda: "parsed INFORMATIONAL response 1 [ ]" in charon.log)
    assert charon.is_established()


def test_our_delete_reaches_charon(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    router.ike_sa.close("the test is over", router.now)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(IkeSaClosed).reason is CloseReason.CLOSED_LOCALLY
    router.run(charon.is_idle)


def test_the_delete_of_charon_reaches_us(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    assert router.attend(charon.terminate()).status == 0
    closed = router.the(IkeSaClosed)
    assert closed.reason is CloseReason.CLOSED_BY_PEER
    assert closed.was_established
    router.run(charon.is_idle)


def test_charon_rejects_a_wrong_secret(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE), psk="a secret of nobody else")
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER
    closed = router.the(IkeSaClosed)
    assert closed.reason is CloseReason.AUTHENTICATION_FAILED
    assert not closed.was_established
    router.run(charon.is_idle)


def test_charon_rejects_a_stranger(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE), identity=Identity.parse("fqdn", "stranger.example"))
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ({"peer_psk": "what charon should know"}, AuthenticationFailure.WRONG_KEY),
        ({"peer_identity": Identity.parse("fqdn", "other.example")}, AuthenticationFailure.UNKNOWN_IDENTITY),
    ],
    ids=["wrong secret", "somebody else"],
)
def test_we_reject_charon_and_it_learns_that(
    charon: Charon, make_router: MakeRouter, expected: dict[str, object], failure: AuthenticationFailure
) -> None:
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE), **expected)
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaClosed))
    failed = router.the(AuthenticationFailed)
    assert (failed.identity, failed.reason) == (CHARON, failure)
    assert not router.has(IkeSaEstablished)
    # charon thought otherwise until it heard our last word (RFC 7296 2.21.2).
    assert "IKE_SA rkmp[1] established" in charon.log
    router.run(charon.is_idle)


def test_nothing_in_common_is_told_as_that(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection("aes256-sha256-prfsha256-x25519"))
    settings = replace(settings_for(SUITE), unauthenticated_error_grace=0.2)
    router = make_router(settings=settings)
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(NegotiationFailed).reason is NegotiationFailure.NO_PROPOSAL_CHOSEN


def test_charon_is_no_router_where_that_is_asked_for(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    settings = replace(settings_for(SUITE), require_vendor_id=True, unauthenticated_error_grace=0.2)
    router = make_router(settings=settings)
    router.initiate(charon.address, BGP_REQUEST)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(NegotiationFailed).reason is NegotiationFailure.PEER_IS_NOT_RKMP


def test_charon_repeats_what_was_lost(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    retransmission = Retransmission(initial_timeout=0.3)
    router = make_router(settings=replace(settings_for(SUITE), retransmission=retransmission), lost_incoming={1, 3})
    establish(router, charon)
    # The same response came again, to IKE_SA_INIT and to IKE_AUTH.
    assert len(set(router.received)) == 2
    assert router.received[0] == router.received[1]
    assert router.count(Statistic.RETRANSMISSIONS) >= 2
    assert charon.is_established()


def test_silence_is_told_as_that(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    patience = Retransmission(initial_timeout=0.05, backoff=1.5, tries=3)
    router = make_router(settings=replace(CHARON_SETTINGS, retransmission=patience))
    router.initiate((charon.address[0], 501))
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(NegotiationFailed).reason is NegotiationFailure.NO_RESPONSE


def test_a_charon_that_dies_is_noticed(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE))
    patience = Retransmission(initial_timeout=0.05, backoff=1.5, tries=3)
    router = make_router(settings=replace(settings_for(SUITE), retransmission=patience))
    establish(router, charon)
    charon.kill()
    router.ike_sa.check_liveness(router.now)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(IkeSaClosed).reason is CloseReason.LIVENESS_FAILED
