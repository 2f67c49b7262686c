"""Address translation, as charon sees it and as it pretends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.ike import IkeSaEstablished, IkeSaRekeyed, Nat, NatDetected
from rkmp.ike.addressing import MARKER
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import Router, settings_for
from tests.interop.strongswan.test_as_initiator import SUITE, establish

PRETEND = "    encap = yes"
"""charon tells a wrong hash of where it sends from, as somebody does who is behind a NAT."""


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize("address", [("127.0.0.1", "127.0.0.2"), ("::1", "::1")], ids=["ipv4", "ipv6"])
def test_where_nothing_is_translated_both_know(
    make_charon: MakeCharon, make_router: MakeRouter, address: tuple[str, str], *, charon_opens: bool
) -> None:
    router = make_router(address=address[0], settings=settings_for(SUITE))
    charon = make_charon(address=address[1])
    charon.load(Connection(SUITE, router.address, childless="force" if charon_opens else "allow"))
    if charon_opens:
        assert router.attend(charon.initiate()).status == 0
    else:
        establish(router, charon)
    assert router.ike_sa.nat == Nat(local=False, remote=False)
    assert not router.has(NatDetected)
    assert "behind NAT" not in charon.log


def assert_it_works(router: Router, charon: Charon) -> None:
    """Whatever the ports, either side is heard."""
    router.check_liveness()
    router.ike_sa.rekey(router.now)
    router.run(lambda: router.has(IkeSaRekeyed))
    router.run(charon.is_established)
    router.attend(charon.terminate())
    assert router.ike_sa.is_closed


def test_we_move_to_the_other_port_of_a_charon_behind_a_nat(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE, own=PRETEND))
    router = make_router(settings=settings_for(SUITE))
    establish(router, charon)
    assert router.the(NatDetected) == NatDetected(local=False, remote=True, move_to=4500)
    assert router.ike_sa.nat == Nat(local=False, remote=True)
    assert not router.sent[0].startswith(MARKER)
    assert all(datagram.startswith(MARKER) for datagram in router.sent[1:])
    assert_it_works(router, charon)


def test_a_charon_behind_a_nat_moves_to_our_other_port(make_charon: MakeCharon, make_router: MakeRouter) -> None:
    router = make_router(port=4500, settings=settings_for(SUITE))
    charon = make_charon(nat_port=4600)
    charon.load(Connection(SUITE, router.address, childless="force", own=PRETEND))
    assert router.attend(charon.initiate()).status == 0
    assert router.the(NatDetected) == NatDetected(local=False, remote=True, move_to=None)
    assert_it_works(router, charon)


def test_charon_goes_on_with_one_that_stays_where_it_is(charon: Charon, make_router: MakeRouter) -> None:
    charon.load(Connection(SUITE, own=PRETEND))
    router = make_router(settings=replace(settings_for(SUITE), nat_port=None))
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaEstablished))
    assert router.the(NatDetected).move_to is None
    router.check_liveness()
