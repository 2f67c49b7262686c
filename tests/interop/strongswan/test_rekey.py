"""The IKE SA replaced by another: by us, by charon, and by both at once."""

from __future__ import annotations

import pytest

from rkmp.ike import IkeSaRekeyed, IkeSaState, Role
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeRouter
from tests.interop.strongswan.router import Router, settings_for
from tests.interop.strongswan.test_as_initiator import SUITE, establish

SUITES = [SUITE, "aes256-sha384-prfsha384-ecp256"]


@pytest.fixture
def router(charon: Charon, make_router: MakeRouter) -> Router:
    """Return a router that has opened an IKE SA with charon."""
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    return router


def assert_in_use(router: Router, charon: Charon) -> None:
    """Both have one IKE SA left, the same, and it works in both directions."""
    ike_sa = router.ike_sa
    router.run(lambda: charon.is_established())
    (shown,) = charon.ike_sas()
    ours = {"initiator-spi": ike_sa.local_spi.hex(), "responder-spi": ike_sa.remote_spi.hex()}
    if ike_sa.role is Role.RESPONDER:
        ours = {"initiator-spi": ike_sa.remote_spi.hex(), "responder-spi": ike_sa.local_spi.hex()}
    assert {name: shown[name] for name in ours} == ours
    router.check_liveness()
    with charon.terminate() as command:
        router.run(lambda: ike_sa.is_closed)
        assert command.wait() == 0


@pytest.mark.parametrize("suite", SUITES)
def test_we_replace_it(charon: Charon, make_router: MakeRouter, suite: str) -> None:
    charon.load(Connection(suite))
    router = make_router(settings=settings_for(suite))
    established = establish(router, charon)
    router.ike_sa.rekey(router.now)
    router.run(lambda: router.has(IkeSaRekeyed))
    rekeyed = router.the(IkeSaRekeyed)
    assert (rekeyed.old_local_spi, rekeyed.role) == (established.local_spi, Role.INITIATOR)
    assert rekeyed.suite == established.suite
    assert_in_use(router, charon)


@pytest.mark.parametrize("suite", SUITES)
def test_charon_replaces_it(charon: Charon, make_router: MakeRouter, suite: str) -> None:
    charon.load(Connection(suite))
    router = make_router(settings=settings_for(suite))
    established = establish(router, charon)
    router.attend(charon.rekey())
    router.run(lambda: router.has(IkeSaRekeyed))
    rekeyed = router.the(IkeSaRekeyed)
    assert (rekeyed.old_local_spi, rekeyed.role) == (established.local_spi, Role.RESPONDER)
    assert_in_use(router, charon)


def test_it_is_replaced_again_and_again_from_both_sides(router: Router, charon: Charon) -> None:
    for count in range(1, 5):
        if count % 2:
            router.ike_sa.rekey(router.now)
        else:
            router.attend(charon.rekey())
        router.run(lambda count=count: sum(isinstance(event, IkeSaRekeyed) for event in router.events) == count)  # type: ignore[misc]
        router.run(lambda: charon.is_established())
    assert_in_use(router, charon)


def test_both_replace_it_at_once(charon: Charon, make_router: MakeRouter) -> None:
    """Our first request is lost on the way, so charon's crosses the one that we repeat."""
    charon.load(Connection(SUITE))
    router = make_router(settings=settings_for(SUITE), lost_outgoing={3})
    establish(router, charon)
    router.ike_sa.rekey(router.now)
    router.attend(charon.rekey())
    router.run(lambda: router.has(IkeSaRekeyed))
    assert_in_use(router, charon)


def test_children_are_refused_over_the_new_one_as_over_the_old(router: Router, charon: Charon) -> None:
    router.ike_sa.rekey(router.now)
    router.run(lambda: router.has(IkeSaRekeyed))
    assert router.ike_sa.state is IkeSaState.ESTABLISHED
    assert router.ike_sa.children == ()
    assert_in_use(router, charon)
