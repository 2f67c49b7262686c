"""Messages in fragments, from us to charon and from charon to us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rkmp.crypto.signature_keys import KeyType
from rkmp.ike import IkeSaEstablished, IkeSaRekeyed, Statistic
from rkmp.ike.addressing import MARKER
from rkmp.wire import EncryptedFragment, ExchangeType, Message
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.router import settings_for
from tests.interop.strongswan.test_as_initiator import establish
from tests.interop.strongswan.test_authentication import certificate, certified_policy, connection, equip

SUITE = "aes128gcm16-prfsha256-x25519"
CBC = "aes256-sha384-prfsha384-ecp256"
SMALL = 200
"""The size of a datagram at which CREATE_CHILD_SA does not go in one piece."""


def fragmented(datagrams: Sequence[bytes]) -> set[tuple[int, bool]]:
    """Return the exchanges that had a message in fragments: its type, and whether that was a response."""
    messages = [Message.parse(datagram.removeprefix(MARKER)) for datagram in datagrams]
    return {
        (message.exchange_type, message.is_response)
        for message in messages
        if isinstance(message.payloads[-1], EncryptedFragment)
    }


@pytest.mark.parametrize("suite", [SUITE, CBC])
def test_we_open_and_replace_an_ike_sa_in_fragments(
    make_charon: MakeCharon, make_router: MakeRouter, suite: str
) -> None:
    charon = make_charon(settings={"fragment_size": str(SMALL)})
    charon.load(Connection(suite, own="    fragmentation = yes"))
    router = make_router(settings=replace(settings_for(suite), datagram_size=SMALL))
    establish(router, charon)
    router.ike_sa.rekey(router.now)
    router.run(lambda: router.has(IkeSaRekeyed))
    router.run(lambda: charon.is_established())
    router.check_liveness()
    assert (ExchangeType.CREATE_CHILD_SA, False) in fragmented(router.sent)
    assert (ExchangeType.CREATE_CHILD_SA, True) in fragmented(router.received)
    assert router.count(Statistic.REASSEMBLED) > 0


@pytest.mark.parametrize("suite", [SUITE, CBC])
def test_charon_opens_and_replaces_an_ike_sa_in_fragments(
    make_charon: MakeCharon, make_router: MakeRouter, suite: str
) -> None:
    router = make_router(settings=replace(settings_for(suite), datagram_size=SMALL))
    charon = make_charon(settings={"fragment_size": str(SMALL)})
    charon.load(Connection(suite, router.address, childless="force", own="    fragmentation = yes"))
    assert router.attend(charon.initiate()).status == 0
    router.attend(charon.rekey())
    router.run(lambda: router.has(IkeSaRekeyed))
    router.check_liveness()
    assert (ExchangeType.CREATE_CHILD_SA, False) in fragmented(router.received)
    assert (ExchangeType.CREATE_CHILD_SA, True) in fragmented(router.sent)
    router.run(lambda: charon.is_established())


def test_certificates_in_fragments_with_losses(make_charon: MakeCharon, make_router: MakeRouter) -> None:
    """Pieces get lost both ways; each message comes again until it is whole."""
    charon = make_charon(settings={"fragment_size": "576"})
    equip(charon, certificate(CHARON_NAME, KeyType.RSA))
    router = make_router(
        settings=settings_for(SUITE),
        policy=certified_policy(certificate(ROUTER_NAME, KeyType.RSA)),
        lost_outgoing={3},
        lost_incoming={3},
    )
    charon.load(connection(router, own="    fragmentation = yes"))
    router.initiate(charon.address)
    router.run(lambda: router.has(IkeSaEstablished))
    assert fragmented(router.sent) == {(ExchangeType.IKE_AUTH, False)}
    assert fragmented(router.received) == {(ExchangeType.IKE_AUTH, True)}
    assert router.count(Statistic.RETRANSMISSIONS) > 0
    router.check_liveness()


@pytest.mark.parametrize("ours", [True, False])
def test_one_side_without_fragments_means_none(make_charon: MakeCharon, make_router: MakeRouter, *, ours: bool) -> None:
    charon = make_charon(settings={"fragment_size": str(SMALL)})
    charon.load(Connection(SUITE, own=f"    fragmentation = {'no' if ours else 'yes'}"))
    router = make_router(settings=replace(settings_for(SUITE), datagram_size=SMALL, fragmentation=ours))
    establish(router, charon)
    assert fragmented(router.sent) == fragmented(router.received) == set()
