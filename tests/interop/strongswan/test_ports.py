"""Ports, address families, and the non-ESP marker in front of every message where neither port is 500 (G37).

charon takes its port on every address there is, so not both can have 500 on one machine.
"""

from __future__ import annotations

import pytest

from rkmp.ike import IkeSaEstablished
from rkmp.ike.addressing import MARKER
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import Router, settings_for

SUITE = "aes128gcm16-prfsha256-x25519"

every_pair_of_ports = pytest.mark.parametrize(
    ("charon_port", "router_port"), [(500, 16500), (15500, 500), (15500, 16500)]
)
both_families = pytest.mark.parametrize(
    ("charon_address", "router_address"), [("127.0.0.2", "127.0.0.1"), ("fd00::2", "fd00::1")], ids=["IPv4", "IPv6"]
)


def assert_marked_by(charon: Charon, router: Router) -> None:
    """Each datagram begins with the marker, or none does, as the ports have it."""
    is_marked = 500 not in (charon.address[1], router.address[1])
    assert router.sent
    assert router.received
    assert {data.startswith(MARKER) for data in router.sent + router.received} == {is_marked}


@every_pair_of_ports
@both_families
def test_we_initiate(
    make_charon: MakeCharon,
    make_router: MakeRouter,
    charon_address: str,
    router_address: str,
    charon_port: int,
    router_port: int,
) -> None:
    charon = make_charon(address=charon_address, port=charon_port)
    charon.load(Connection(SUITE))
    router = make_router(address=router_address, port=router_port, settings=settings_for(SUITE))
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaEstablished))
    router.check_liveness()
    assert_marked_by(charon, router)


@every_pair_of_ports
@both_families
def test_charon_initiates(
    make_charon: MakeCharon,
    make_router: MakeRouter,
    charon_address: str,
    router_address: str,
    charon_port: int,
    router_port: int,
) -> None:
    charon = make_charon(address=charon_address, port=charon_port)
    router = make_router(address=router_address, port=router_port, settings=settings_for(SUITE))
    charon.load(Connection(SUITE, remote=router.address, childless="force"))
    opening = router.attend(charon.initiate())
    assert opening.status == 0, opening.output
    router.check_liveness()
    assert_marked_by(charon, router)
