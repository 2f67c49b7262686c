"""Changed, cut and foreign octets: nothing is raised, and nothing that is established changes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS
from rkmp.ike import IkeSa, IkeSaState, Statistic
from tests.fuzz.corpus import RECORDED, SEVERAL_KEY_EXCHANGES
from tests.fuzz.targets import snapshot
from tests.ike.network import JUMBO, LDP, Router, assert_same_keys, established, pair, request, settle


@dataclass(frozen=True)
class Mutation:
    """What happens to a datagram on its way."""

    kind: str
    position: float
    octets: bytes

    def __call__(self, datagram: bytes) -> bytes:
        at = int(self.position * len(datagram))
        match self.kind:
            case "replace":
                return datagram[:at] + self.octets + datagram[at + len(self.octets) :]
            case "insert":
                return datagram[:at] + self.octets + datagram[at:]
            case "cut":
                return datagram[:at]
            case "drop":
                return datagram[:at] + datagram[at + len(self.octets) :]
            case _:
                return self.octets + datagram


mutations = st.builds(
    Mutation,
    st.sampled_from(("replace", "replace", "insert", "cut", "drop", "prepend")),
    st.floats(0.0, 1.0),
    st.binary(min_size=1, max_size=40),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, len(RECORDED) - 1), mutation=mutations)
def test_an_established_ike_sa_is_not_changed_by_what_was_changed(number: int, mutation: Mutation) -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    bob.ike_sa.check_liveness(1.0)
    alice.collect()
    bob.collect()
    to_bob, to_alice = alice.sent(), bob.sent()
    originals = [*to_bob, *to_alice, RECORDED[number][1]]
    for router in (alice, bob):
        before, events = snapshot(router.ike_sa._core), list(router.events)
        for datagram in originals:
            mutated = mutation(datagram)
            if mutated == datagram or mutated in originals:
                continue
            router.ike_sa.receive(mutated, 2.0)
            router.collect()
            assert router.sent() == []
        assert snapshot(router.ike_sa._core) == before
        assert router.events == events
    # And the real ones still do what they are for.
    for datagram in to_bob:
        bob.receive(datagram, 3.0)
    for datagram in to_alice:
        alice.receive(datagram, 3.0)
    settle(alice, bob, 3.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutation=mutations, step=st.integers(0, 9), several=st.booleans(), cut=st.booleans())
def test_a_handshake_survives_what_was_changed_or_ends_in_a_report(
    mutation: Mutation, step: int, *, several: bool, cut: bool
) -> None:
    """Before anybody is authenticated a change can make a handshake fail, but never make anybody crash or disagree."""
    alice, bob = pair(
        proposals=SEVERAL_KEY_EXCHANGES if several else DEFAULT_IKE_PROPOSALS, datagram_size=200 if cut else JUMBO
    )
    alice.initiate(request(10, 11))
    count = 0
    while alice.outgoing or bob.outgoing:
        for sender, receiver in ((alice, bob), (bob, alice)):
            for datagram in sender.sent():
                if count == step:
                    receiver.receive(mutation(datagram), 0.0)
                receiver.receive(datagram, 0.0)
                count += 1
    for moment in range(200):
        alice.handle_timer(float(moment))
        bob.handle_timer(float(moment))
        settle(alice, bob, float(moment))
    if alice.ike_sa.state is IkeSaState.ESTABLISHED:
        assert_same_keys(alice, bob)
        assert len(alice.keys) == 1
    else:
        assert alice.kinds()[-1] == "IkeSaClosed"
        assert alice.keys == {}


@settings(max_examples=300, deadline=None)
@given(datagram=st.binary(max_size=120))
@pytest.mark.parametrize(
    "state", ["new", "init-sent", "intermediate", "half-open", "auth-sent", "established", "closing", "closed"]
)
def test_no_octets_raise_anything_in_any_state(state: str, datagram: bytes) -> None:
    ike_sa = in_state(state)
    ike_sa.receive(datagram, 0.0)
    ike_sa.receive(ike_sa.local_spi + ike_sa.remote_spi + datagram, 0.0)
    ike_sa.receive(ike_sa.remote_spi + ike_sa.local_spi + datagram, 0.0)
    assert ike_sa.statistics[Statistic.MESSAGES_IN] >= 3
    assert ike_sa.state.value == state or state == "new"


def in_state(state: str) -> IkeSa:
    alice, bob = pair(proposals=SEVERAL_KEY_EXCHANGES if state == "intermediate" else DEFAULT_IKE_PROPOSALS)
    if state == "new":
        return IkeSa.respond(bob.settings, bob, bob.random)
    alice.initiate(request())
    if state == "init-sent":
        return alice.ike_sa
    bob.receive(alice.sent()[0])
    if state in ("intermediate", "half-open"):
        return bob.ike_sa
    alice.receive(bob.sent()[0])
    if state == "auth-sent":
        return alice.ike_sa
    settle(alice, bob)
    if state == "closing":
        alice.ike_sa.close("enough", 0.0)
    if state == "closed":
        alice.ike_sa.abandon("enough", 0.0)
    return alice.ike_sa


def test_every_single_octet_of_a_handshake_counts() -> None:
    """One bit of any octet, in each message: nobody is fooled into another key than the peer has."""
    for step in range(4):
        length = len(RECORDED[step][1])
        for position in range(length):
            alice, bob = pair()
            alice.initiate(request(10, 11))
            routers: list[tuple[Router, Router]] = [(alice, bob), (bob, alice)]
            for number in range(4):
                sender, receiver = routers[number % 2]
                sent = sender.sent()
                if not sent:
                    break
                datagram = sent[0]
                if number == step:
                    datagram = datagram[:position] + bytes((datagram[position] ^ 1,)) + datagram[position + 1 :]
                receiver.receive(datagram, 0.0)
            if alice.ike_sa.state is IkeSaState.ESTABLISHED:
                assert_same_keys(alice, bob)
