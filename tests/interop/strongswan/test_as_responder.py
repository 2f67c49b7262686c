"""charon opens the IKE SA; we answer."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    CookieKeeper,
    Identity,
    IkeSaClosed,
    IkeSaEstablished,
    NegotiationFailed,
    NegotiationFailure,
    Role,
    Statistic,
)
from rkmp.wire import NotifyType
from tests.interop.strongswan.algorithms import SUITES, shown_suite
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import CHARON, ROUTER, Router, settings_for

SUITE = "aes128gcm16-prfsha256-x25519"


def towards(router: Router, proposals: str = SUITE, **changes: object) -> Connection:
    """Return a connection with ``router``, childless unless ``changes`` say otherwise."""
    connection = Connection(proposals, remote=router.address, childless="force")
    return replace(connection, **changes)  # type: ignore[arg-type]


def establish(charon: Charon, router: Router) -> IkeSaEstablished:
    """Have charon open an IKE SA without a child."""
    opening = router.attend(charon.initiate())
    assert opening.status == 0, opening.output
    return router.the(IkeSaEstablished)


@pytest.mark.parametrize("suite", SUITES)
def test_both_sides_agree_on_algorithms_and_keys(charon: Charon, make_router: MakeRouter, suite: str) -> None:
    router = make_router(settings=settings_for(suite))
    charon.load(towards(router, suite))
    established = establish(charon, router)
    assert established.role is Role.RESPONDER
    assert (established.local_identity, established.remote_identity) == (ROUTER, CHARON)
    (shown,) = charon.ike_sas()
    assert shown["state"] == "ESTABLISHED"
    assert (shown["initiator-spi"], shown["responder-spi"]) == (
        established.remote_spi.hex(),
        established.local_spi.hex(),
    )
    assert shown_suite(shown) == established.suite
    assert not router.has(ChildRefused)
    router.check_liveness()


def test_our_preference_decides_among_charons_proposals(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for("aes256gcm16-prfsha384-ecp256", SUITE))
    charon.load(towards(router, f"{SUITE}, aes256-sha256-prfsha256-ecp256, aes256gcm16-prfsha384-ecp256"))
    established = establish(charon, router)
    assert established.suite.encryption_name == "aes-gcm-16-256"
    assert established.suite == shown_suite(charon.ike_sas()[0])


def test_default_policies_suit_each_other(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router()
    charon.load(towards(router, "default"))
    established = establish(charon, router)
    assert established.suite.encryption_name == "aes-gcm-16-256"
    assert established.suite == shown_suite(charon.ike_sas()[0])


def test_charon_takes_another_group_when_we_want_it(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for("aes128gcm16-prfsha256-ecp384"))
    charon.load(towards(router, "aes128gcm16-prfsha256-x25519-ecp384"))
    assert establish(charon, router).suite.key_exchange_name == "ecp384"
    assert "it requested ECP_384" in charon.log
    # What was refused is over and forgotten, and what came of the second attempt is another IKE SA.
    assert router.ike_sas[0].is_finished
    assert len(router.ike_sas) == 2
    router.check_liveness()


@pytest.mark.parametrize("offered", [SUITE, "aes128gcm16-prfsha256-ecp256-x25519"], ids=["cookie", "and a group"])
def test_charon_returns_our_cookie(charon: Charon, make_router: MakeRouter, offered: str) -> None:
    router = make_router(settings=settings_for(SUITE), cookies=CookieKeeper(os.urandom))
    charon.load(towards(router, offered))
    opening = charon.initiate()
    router.run(lambda: len(router.sent) == 1)
    assert not router.ike_sas
    assert router.attend(opening).status == 0
    assert "parsed IKE_SA_INIT response 0 [ N(COOKIE) ]" in charon.log
    assert router.the(IkeSaEstablished).suite.key_exchange_name == "curve25519"
    router.check_liveness()


def test_an_esp_child_is_refused_and_the_ike_sa_stays(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router, childless="never"))
    opening = router.attend(charon.initiate(child=True))
    assert opening.status != 0
    assert "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built" in opening.output
    refused = router.the(ChildRefused)
    assert not refused.requester
    assert (refused.reason, refused.notify_type) == (ChildRefusal.NO_PROPOSAL_CHOSEN, NotifyType.NO_PROPOSAL_CHOSEN)
    assert router.has(IkeSaEstablished)
    assert charon.is_established()
    router.check_liveness()


def test_an_esp_child_that_is_refused_later_leaves_the_ike_sa(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router))
    establish(charon, router)
    asking = router.attend(charon.initiate(child=True))
    assert asking.status != 0
    assert "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built" in asking.output
    assert router.the(ChildRefused).reason is ChildRefusal.NO_PROPOSAL_CHOSEN
    assert charon.is_established()
    router.check_liveness()


def test_liveness_is_checked_by_charon(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router, dpd_delay=1))
    establish(charon, router)
    router.run(lambda: "parsed INFORMATIONAL response 2 [ ]" in charon.log)
    assert "sending DPD request" in charon.log
    assert charon.is_established()


def test_our_delete_reaches_charon(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router))
    establish(charon, router)
    router.ike_sa.close("the test is over", router.now)
    router.run(lambda: router.has(IkeSaClosed))
    assert router.the(IkeSaClosed).reason is CloseReason.CLOSED_LOCALLY
    router.run(charon.is_idle)


def test_the_delete_of_charon_reaches_us(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router))
    establish(charon, router)
    assert router.attend(charon.terminate()).status == 0
    assert router.the(IkeSaClosed).reason is CloseReason.CLOSED_BY_PEER
    router.run(charon.is_idle)


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ({"peer_psk": "a secret of somebody else"}, AuthenticationFailure.WRONG_KEY),
        ({"peer_identity": Identity.parse("fqdn", "other.example")}, AuthenticationFailure.UNKNOWN_IDENTITY),
    ],
    ids=["wrong secret", "somebody else"],
)
def test_we_reject_charon_and_it_learns_that(
    charon: Charon, make_router: MakeRouter, expected: dict[str, object], failure: AuthenticationFailure
) -> None:
    router = make_router(settings=settings_for(SUITE), **expected)
    charon.load(towards(router))
    opening = router.attend(charon.initiate())
    assert opening.status != 0
    assert "received AUTHENTICATION_FAILED notify error" in opening.output
    failed = router.the(AuthenticationFailed)
    assert (failed.identity, failed.reason) == (CHARON, failure)
    assert router.the(IkeSaClosed).reason is CloseReason.AUTHENTICATION_FAILED
    router.run(charon.is_idle)


@pytest.mark.parametrize(
    "ours",
    [{"psk": "a secret of nobody else"}, {"identity": Identity.parse("fqdn", "other.example")}],
    ids=["wrong secret", "somebody else"],
)
def test_charon_rejects_us_and_we_learn_that(charon: Charon, make_router: MakeRouter, ours: dict[str, object]) -> None:
    router = make_router(settings=settings_for(SUITE), **ours)
    charon.load(towards(router))
    assert router.attend(charon.initiate()).status != 0
    router.run(lambda: router.has(IkeSaClosed))
    # We had taken it for established until charon complained (RFC 7296 2.21.2).
    assert router.has(IkeSaEstablished)
    assert router.the(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER
    assert router.the(IkeSaClosed).reason is CloseReason.AUTHENTICATION_FAILED
    router.run(charon.is_idle)


def test_nothing_in_common_is_told_as_that(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(settings=settings_for(SUITE))
    charon.load(towards(router, "aes256-sha256-prfsha256-x25519"))
    opening = router.attend(charon.initiate())
    assert opening.status != 0
    assert "received NO_PROPOSAL_CHOSEN notify error" in opening.output
    assert router.the(NegotiationFailed).reason is NegotiationFailure.NO_PROPOSAL_CHOSEN


def test_what_charon_lost_is_repeated(make_charon: MakeCharon, make_router: MakeRouter) -> None:
    charon = make_charon(settings={"retransmit_timeout": "0.3"})
    router = make_router(settings=settings_for(SUITE), lost_outgoing={1, 3})
    charon.load(towards(router))
    establish(charon, router)
    # The same response went out again, to IKE_SA_INIT and to IKE_AUTH.
    assert len(set(router.sent)) == 2
    assert router.sent[0] == router.sent[1]
    assert router.count(Statistic.RESPONSES_REPEATED) == len(router.sent) - 2 >= 2
    assert charon.is_established()
