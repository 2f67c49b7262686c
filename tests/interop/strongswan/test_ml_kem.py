"""ML-KEM with strongSwan 6: several key exchanges, when an IKE SA is opened and when it is replaced.

The release of this machine may be older. ``RKMP_STRONGSWAN_6`` names the folder that a newer one was unpacked to.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from rkmp.crypto.suites import HYBRID_IKE_PROPOSALS
from rkmp.ike import IkeSaEstablished, IkeSaRekeyed, Role, Statistic
from rkmp.ike.addressing import MARKER
from rkmp.wire import ExchangeType, Header
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import CHARON_SETTINGS, Router, settings_for
from tests.interop.strongswan.test_fragmentation import fragmented
from tests.real_parts import lacking

SUITES = {
    "aes256gcm16-prfsha384-x25519-ke1_mlkem768": ("ml-kem-768",),
    "aes128gcm16-prfsha256-x25519-ke1_mlkem1024": ("ml-kem-1024",),
    "aes256-sha384-prfsha384-ecp256-ke1_mlkem768-ke2_ecp384": ("ml-kem-768", "ecp384"),
}


@pytest.fixture
def charon(make_charon: MakeCharon) -> Charon:
    """Return a charon that knows ML-KEM; skip where there is none, or fail where CI means it to be."""
    root = os.environ.get("RKMP_STRONGSWAN_6")
    if root is None:
        lacking("RKMP_STRONGSWAN_6 does not say where strongSwan 6 is")
    # From port 500 it would go to port 4500 of a peer that listens elsewhere.
    return make_charon(root=Path(root), port=15_500, nat_port=15_501, settings={"fragment_size": "576"})


def exchanges(datagrams: list[bytes]) -> list[int]:
    """Return the exchange types of our requests in order, each Message ID once."""
    headers = [Header.parse(datagram.removeprefix(MARKER)) for datagram in datagrams]
    requests = dict.fromkeys((h.initiator_spi, h.exchange_type, h.message_id) for h in headers if not h.is_response)
    return [exchange_type for _, exchange_type, _ in requests]


def open_ike_sa(router: Router, charon: Charon, suite: str, *, charon_opens: bool) -> IkeSaEstablished:
    charon.load(Connection(suite, router.address, childless="force" if charon_opens else "allow"))
    if charon_opens:
        opening = router.attend(charon.initiate())
        assert opening.status == 0, opening.output
    else:
        router.initiate(charon.address)
        router.run(lambda: router.has(IkeSaEstablished))
    router.run(charon.is_established)
    return router.the(IkeSaEstablished)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
def test_an_ike_sa_is_opened_with_ml_kem(
    charon: Charon, make_router: MakeRouter, suite: str, *, charon_opens: bool
) -> None:
    router = make_router(settings=settings_for(suite))
    established = open_ike_sa(router, charon, suite, charon_opens=charon_opens)
    assert established.suite.additional_key_exchange_names == SUITES[suite]
    asked = router.received if charon_opens else router.sent
    count = len(SUITES[suite])
    assert exchanges(asked)[: count + 2] == [
        ExchangeType.IKE_SA_INIT,
        *[ExchangeType.IKE_INTERMEDIATE] * count,
        ExchangeType.IKE_AUTH,
    ]
    assert (ExchangeType.IKE_INTERMEDIATE, charon_opens) in fragmented(router.sent)
    assert (ExchangeType.IKE_INTERMEDIATE, not charon_opens) in fragmented(router.received)
    router.check_liveness()


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize(
    ("suite", "methods"),
    [
        ("aes256gcm16-prfsha384-x25519-ke1_mlkem768", ("ml-kem-768",)),
        ("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none", ("ml-kem-768",)),
        ("aes256gcm16-prfsha384-x25519", ()),
    ],
    ids=["wanted", "optional", "unwanted"],
)
def test_an_operator_s_policy_without_proposals_takes_ml_kem_where_charon_does(
    charon: Charon, make_router: MakeRouter, suite: str, methods: tuple[str, ...], *, charon_opens: bool
) -> None:
    router = make_router(settings=replace(CHARON_SETTINGS, proposals=HYBRID_IKE_PROPOSALS))
    established = open_ike_sa(router, charon, suite, charon_opens=charon_opens)
    assert established.suite.additional_key_exchange_names == methods
    router.check_liveness()


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize("charon_rekeys", [False, True], ids=["we-rekey", "charon-rekeys"])
def test_an_ike_sa_is_replaced_with_ml_kem(
    charon: Charon, make_router: MakeRouter, suite: str, *, charon_opens: bool, charon_rekeys: bool
) -> None:
    router = make_router(settings=settings_for(suite))
    open_ike_sa(router, charon, suite, charon_opens=charon_opens)
    router.sent.clear()
    router.received.clear()
    if charon_rekeys:
        router.attend(charon.rekey())
    else:
        router.ike_sa.rekey(router.now)
    router.run(lambda: router.has(IkeSaRekeyed))
    router.run(charon.is_established)
    rekeyed = router.the(IkeSaRekeyed)
    assert rekeyed.role is (Role.RESPONDER if charon_rekeys else Role.INITIATOR)
    assert rekeyed.suite.additional_key_exchange_names == SUITES[suite]
    asked = exchanges(router.received if charon_rekeys else router.sent)
    assert asked == [
        ExchangeType.CREATE_CHILD_SA,
        *[ExchangeType.IKE_FOLLOWUP_KE] * len(SUITES[suite]),
        ExchangeType.INFORMATIONAL,
    ]
    router.check_liveness()
    (shown,) = charon.ike_sas()
    spis = {router.ike_sa.local_spi.hex(), router.ike_sa.remote_spi.hex()}
    assert {shown["initiator-spi"], shown["responder-spi"]} == spis


def test_lost_fragments_are_made_good(charon: Charon, make_router: MakeRouter) -> None:
    """The first of each side's fragments does not get through; what AUTH signs is the same all the same."""
    suite = next(iter(SUITES))
    router = make_router(settings=replace(settings_for(suite), datagram_size=576), lost_outgoing={2}, lost_incoming={2})
    open_ike_sa(router, charon, suite, charon_opens=False)
    assert router.count(Statistic.RETRANSMISSIONS) > 0
    assert router.count(Statistic.REASSEMBLED) > 0
    router.check_liveness()
