"""Two routers, a bad network, and both of them busy: whatever happens, they agree, or both know that they do not.

Every run is a function of its seed and loss alone: ``simulate(seed, loss=...)`` replays one that failed.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, IkeProposal
from rkmp.ike import (
    ChildKeysEstablished,
    ChildRefused,
    ChildRequest,
    CloseReason,
    IkeSa,
    IkeSaClosed,
    IkeSaEstablished,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    IkeSaState,
    Role,
    Statistic,
)
from rkmp.wire import KeyExchangeId
from tests.ike.network import BGP, LDP, Network, Router, assert_same_keys, pair, request

PROTOCOLS = (BGP, LDP, 3)
REPLACING = ("rekey IKE SA", "rekey IKE SA", "create", "rekey", "retire")
SEVERAL = (
    replace(
        DEFAULT_IKE_PROPOSALS[0],
        additional_key_exchanges=((KeyExchangeId.ECP_256,), (KeyExchangeId.CURVE25519, KeyExchangeId.NONE)),
    ),
)
CHECKED_AT = 400.0
"""When all is quiet, and both look whether the other is still there."""
DEEDS = 4 * ("create", "rekey", "rekey", "retire", "liveness", "rekey IKE SA") + ("close",)


class Busy:
    """What one router does by chance: it asks for keys, replaces and retires them, and the same with the IKE SA."""

    def __init__(self, router: Router, chance: random.Random) -> None:
        self.router = router
        self._chance = chance
        self.asked = 0
        self.rekeys = 0

    def act(self, deed: str, protocol: int, now: float) -> None:
        """Do ``deed`` as far as it makes sense at the moment."""
        router = self.router
        if not router.ike_sas:
            return
        ike_sa = router.ike_sa
        current = router.current(protocol)
        match deed:
            case "create" if current is None:
                ike_sa.create_child(self._request(protocol), now)
            case "rekey" if current is not None:
                ike_sa.rekey_child(current[0].send_id, self._request(protocol), now)
            case "retire" if ike_sa.state is IkeSaState.ESTABLISHED:
                for child in ike_sa.children:
                    if child.replaced_by is not None:
                        ike_sa.delete_child(child.send_id, now)
            case "liveness":
                ike_sa.check_liveness(now)
            case "rekey IKE SA":
                self.rekeys += not is_rekeying(ike_sa)
                ike_sa.rekey(now)
            case "close":
                ike_sa.close("by chance", now)
        router.collect()

    def _request(self, protocol: int) -> ChildRequest:
        self.asked += 1
        ids = (self.router.take_send_id(), self.router.take_send_id())
        return request(*ids, protocol=protocol, pfs=self._chance.random() < 0.3)


def is_rekeying(ike_sa: IkeSa) -> bool:
    """Whether a command to rekey has not come to its end yet."""
    tasks = ike_sa._core.tasks
    return ike_sa._core.context.is_rekeying or any(exchange.rekeys_ike_sa for exchange in tasks.queued)


def simulate(
    seed: int, *, loss: float, deeds: int = 12, span: float = 120.0, kinds: tuple[str, ...] = DEEDS, **changes: object
) -> Network:
    """Run one seed and check what has to hold in the end; ``deeds`` of ``kinds`` are done within ``span`` seconds.

    ``changes`` are for the settings of both.
    """
    chance = random.Random(seed)
    alice, bob = pair(**changes)
    alice.seed, bob.seed = 2 * seed, 2 * seed + 1
    for router in (alice, bob):
        router.__post_init__()
    # The network is good again when both ask in the end whether the other is there.
    network = Network(alice, bob, seed, loss=loss, good_from=CHECKED_AT - 10.0)
    busy = (Busy(alice, chance), Busy(bob, chance))
    network.at(0.0, lambda now: alice.initiate(request(10, 11), now) and None)
    busy[0].asked += 1
    for _ in range(deeds):
        # Often both want the same at once, so that their requests cross.
        moment = chance.uniform(0.0, span)
        deed, protocol = chance.choice(kinds), chance.choice(PROTOCOLS)
        for side in busy:
            if chance.random() < 0.3:
                deed, protocol = chance.choice(kinds), chance.choice(PROTOCOLS)
            if chance.random() < 0.8:
                network.at(moment + chance.choice((0.0, 0.0, 0.5)), partial(side.act, deed, protocol))
    for moment in (CHECKED_AT, CHECKED_AT + 100.0):
        for router in (alice, bob):
            network.at(moment, lambda now, router=router: router.ike_sas and router.ike_sa.check_liveness(now))  # type: ignore[misc]
    network.run(until=1000.0)
    assert_agreement(alice, bob, busy)
    return network


def assert_agreement(alice: Router, bob: Router, busy: tuple[Busy, Busy]) -> None:
    for router, own in zip((alice, bob), busy, strict=True):
        keyed = [e for e in router.events if isinstance(e, ChildKeysEstablished) and e.child.requester]
        refusals = [e for e in router.events if isinstance(e, ChildRefused) and e.requester]
        assert len(keyed) + len(refusals) == own.asked, "a request did not come to exactly one end"
        rekeyed, failed = router.of(IkeSaRekeyed), [e for e in router.events if isinstance(e, IkeSaRekeyFailed)]
        assert len(rekeyed) + sum(e.requester for e in failed) >= own.rekeys, "a rekeying did not come to an end"
        assert router.next_timer() is None
        for ike_sa in router.ike_sas:
            assert ike_sa.state is IkeSaState.ESTABLISHED or ike_sa.is_finished
            assert not ike_sa._core.tasks.queued
            assert len(ike_sa.local_spis) == 1, "an IKE SA that was replaced is still there"
    states = {alice.ike_sa.state, bob.ike_sa.state if bob.ike_sas else IkeSaState.CLOSED}
    assert len(states) == 1, "one side thinks that there is an IKE SA and the other does not"
    if any_lost(alice, bob):
        # The peer fell silent for one of them, or heard nothing of a Delete, which is then reported by both.
        assert states == {IkeSaState.CLOSED}
        assert first_end(alice, bob) < CHECKED_AT, "one side has an IKE SA that the other has not, all the time"
        return
    if states == {IkeSaState.ESTABLISHED}:
        assert_same_ike_sa(alice, bob)
    assert_same_keys(alice, bob)
    assert alice.redundant == bob.redundant == set()
    for protocol in PROTOCOLS:
        ours, theirs = alice.current(protocol), bob.current(protocol)
        assert (ours and ours[1]) == (theirs and theirs[1]), "two current keys"


def assert_same_ike_sa(alice: Router, bob: Router) -> None:
    """Both use the same of all that replaced one another, with the same keys, and told the layer above which."""
    ours, theirs = alice.ike_sa._core.context, bob.ike_sa._core.context
    assert (ours.local_spi, ours.remote_spi) == (theirs.remote_spi, theirs.local_spi)
    assert (ours.role, ours.negotiated.keys) == (other(theirs.role), theirs.negotiated.keys)
    for router in (alice, bob):
        history = [e for e in router.events if isinstance(e, IkeSaEstablished | IkeSaRekeyed)]
        for before, after in pairwise(history):
            assert isinstance(after, IkeSaRekeyed)
            assert (after.old_local_spi, after.old_remote_spi) == (before.local_spi, before.remote_spi)
        assert history[-1].local_spi == router.ike_sa.local_spi
    assert len(alice.of(IkeSaRekeyed)) == len(bob.of(IkeSaRekeyed))


def other(role: Role) -> Role:
    return Role.RESPONDER if role is Role.INITIATOR else Role.INITIATOR


def any_lost(alice: Router, bob: Router) -> bool:
    """Whether an IKE SA ended because somebody got no answer."""
    silent = {CloseReason.LIVENESS_FAILED, CloseReason.NEGOTIATION_FAILED, CloseReason.HALF_OPEN_TIMEOUT}
    return any(
        isinstance(event, IkeSaClosed) and event.reason in silent for router in (alice, bob) for event in router.events
    )


def first_end(alice: Router, bob: Router) -> float:
    """Return when the first IKE SA ended."""
    return min(
        moment
        for router in (alice, bob)
        for event, moment in zip(router.events, router.moments, strict=True)
        if isinstance(event, IkeSaClosed)
    )


@pytest.mark.parametrize("seed", range(60))
def test_with_a_third_lost_both_agree_or_both_know(seed: int) -> None:
    simulate(seed, loss=0.3)


@pytest.mark.parametrize("seed", range(1000, 1020))
def test_when_everything_arrives_nothing_fails(seed: int) -> None:
    network = simulate(seed, loss=0.0)
    for router in (network.alice, network.bob):
        assert not any(
            isinstance(event, IkeSaClosed) and event.reason is CloseReason.LIVENESS_FAILED for event in router.events
        )
        assert len(router.of(ChildKeysEstablished)) >= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(2_000, 10**9), loss=st.floats(0.0, 0.6))
def test_at_any_loss(seed: int, loss: float) -> None:
    simulate(seed, loss=loss, deeds=6)


@pytest.mark.parametrize("seed", range(3000, 3120))
def test_with_much_at_once_both_agree_or_both_know(seed: int) -> None:
    simulate(seed, loss=(seed % 4) / 10, span=15.0, kinds=REPLACING)


@pytest.mark.parametrize("seed", range(4000, 4040))
def test_in_fragments_both_agree_or_both_know(seed: int) -> None:
    network = simulate(seed, loss=(seed % 3) / 10, span=60.0, datagram_size=200)
    for router in (network.alice, network.bob):
        for ike_sa in router.ike_sas:
            assert ike_sa._core.collections == {}


@pytest.mark.parametrize("seed", range(5000, 5060))
def test_with_several_key_exchanges_both_agree_or_both_know(seed: int) -> None:
    simulate(seed, loss=(seed % 4) / 10, span=20.0, kinds=REPLACING, proposals=SEVERAL)


@pytest.mark.slow
@pytest.mark.parametrize("proposals", [DEFAULT_IKE_PROPOSALS, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize("datagram_size", [200, 9000])
@pytest.mark.parametrize("kinds", [DEEDS, REPLACING], ids=["anything", "replacing"])
@pytest.mark.parametrize("span", [120.0, 20.0, 6.0])
@pytest.mark.parametrize("block", range(10))
def test_many_seeds(
    block: int, span: float, kinds: tuple[str, ...], datagram_size: int, proposals: tuple[IkeProposal, ...]
) -> None:
    for seed in range(100_000 + 100 * block, 100_000 + 100 * (block + 1)):
        simulate(seed, loss=(seed % 7) / 12, span=span, kinds=kinds, datagram_size=datagram_size, proposals=proposals)


def test_a_run_is_a_function_of_its_seed() -> None:
    runs = [simulate(4711, loss=0.3) for _ in range(2)]
    assert runs[0].alice.events == runs[1].alice.events
    assert runs[0].bob.ike_sa.statistics == runs[1].bob.ike_sa.statistics


def test_the_simulator_does_what_it_is_there_for() -> None:
    """Over the seeds above: collisions happen, requests are lost, and most runs keep their IKE SA."""
    counted: dict[str, int] = {"redundant": 0, "retransmissions": 0, "kept": 0, "repeated": 0, "rekeyed": 0}
    for seed in range(60):
        network = simulate(seed, loss=0.3)
        counted["rekeyed"] += len(network.alice.of(IkeSaRekeyed))
        for router in (network.alice, network.bob):
            counted["redundant"] += sum(e.redundant for e in router.of(ChildKeysEstablished))  # type: ignore[attr-defined]
            for ike_sa in router.ike_sas:
                counted["retransmissions"] += ike_sa.statistics.get(Statistic.RETRANSMISSIONS, 0)
                counted["repeated"] += ike_sa.statistics.get(Statistic.RESPONSES_REPEATED, 0)
        counted["kept"] += network.alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert counted["redundant"] > 15
    assert counted["rekeyed"] > 60
    assert counted["retransmissions"] > 100
    assert counted["repeated"] > 100
    assert counted["kept"] > 15


def test_a_network_that_loses_everything_is_reported_by_both() -> None:
    alice, bob = pair()
    network = Network(alice, bob, 1, loss=1.0, duplication=0.0)
    network.at(0.0, lambda now: alice.initiate(request(), now) and None)
    network.run()
    assert alice.kinds() == ["NegotiationFailed", "ChildRefused", "IkeSaClosed"]
    assert bob.events == []


def test_patience_is_a_setting() -> None:
    alice, bob = pair()
    patient = replace(alice.settings.retransmission, tries=12)
    alice.settings = replace(alice.settings, retransmission=patient)
    network = Network(alice, bob, 1, loss=1.0, duplication=0.0)
    network.at(0.0, lambda now: alice.initiate(request(), now) and None)
    network.run(until=1e9)
    assert alice.ike_sa.statistics[Statistic.RETRANSMISSIONS] == 11
