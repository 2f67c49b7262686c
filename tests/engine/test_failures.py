"""What keeps two routers from a key is told apart, on both sides: in state, in events and in counters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.engine import (
    AssociationState,
    AuthenticationFailure,
    IkePolicy,
    Initiate,
    NegotiationFailure,
    PeerStatistic,
    ProposalConfiguration,
    RequestCompleted,
    failure_statistic,
)
from rkmp.engine.reasons import AUTHENTICATION_FAILURES, CHILD_REFUSALS, NEGOTIATION_FAILURES, REKEY_FAILURES
from rkmp.ike import AuthenticationFailure as AuthenticationReason
from rkmp.ike import ChildRefusal, Identity, RekeyFailure
from rkmp.ike import NegotiationFailure as NegotiationReason
from rkmp.wire import CodePoints, NotifyType
from tests.engine.network import Network
from tests.engine.simulation import (
    AES,
    BGP,
    LDP,
    SHA1,
    Router,
    Simulation,
    configuration,
    peer,
    two_routers,
)

Reason = AuthenticationReason | ChildRefusal | NegotiationReason | RekeyFailure


@dataclass(frozen=True)
class Case:
    """How r1, which opens, and r2 differ; what each side's operator reads, and under which name it is counted."""

    says: str
    counted: Reason
    r1: dict[str, object] = field(default_factory=dict)
    r2: dict[str, object] | None = field(default_factory=dict)
    says_r2: str | None = None
    counted_r2: Reason | None = None
    notify: int | None = None
    event: type[NegotiationFailure] | type[AuthenticationFailure] = NegotiationFailure


STRONG = IkePolicy("p", proposals=(IkeProposal(((20, 256),), (), (6,), (31,)),))
STRONGER = IkePolicy("p", proposals=(IkeProposal(((20, 128),), (), (5,), (31,)),))
OTHER_NAME = Identity.parse("fqdn", "stranger.example.net")

CASES = {
    "wrong pre-shared key": Case(
        "pre-shared key",
        AuthenticationReason.REJECTED_BY_PEER,
        r1={"secret": b"one secret of our own"},
        r2={"secret": b"another secret altogether"},
        says_r2="wrong pre-shared key",
        counted_r2=AuthenticationReason.WRONG_KEY,
        event=AuthenticationFailure,
    ),
    "we are not who the peer expects": Case(
        "another name",
        AuthenticationReason.REJECTED_BY_PEER,
        r1={"local_identity": OTHER_NAME},
        says_r2="unknown identity",
        counted_r2=AuthenticationReason.UNKNOWN_IDENTITY,
        event=AuthenticationFailure,
    ),
    "the peer is not who we expect": Case(
        "unknown identity",
        AuthenticationReason.UNKNOWN_IDENTITY,
        r2={"local_identity": OTHER_NAME},
        event=AuthenticationFailure,
    ),
    "disjoint transforms": Case(
        "no transform in common",
        ChildRefusal.NO_PROPOSAL_CHOSEN,
        r1={"proposal": ProposalConfiguration("ao", (SHA1,))},
        r2={"proposal": ProposalConfiguration("ao", (AES,))},
        says_r2="no transform in common",
        counted_r2=ChildRefusal.NO_PROPOSAL_CHOSEN,
        notify=NotifyType.NO_PROPOSAL_CHOSEN,
    ),
    "disjoint IKE proposals": Case(
        "no IKE proposal in common",
        NegotiationReason.NO_PROPOSAL_CHOSEN,
        r1={"policy": STRONG},
        r2={"policy": STRONGER},
        says_r2="no IKE proposal in common",
        counted_r2=NegotiationReason.NO_PROPOSAL_CHOSEN,
        notify=NotifyType.NO_PROPOSAL_CHOSEN,
    ),
    "other protocol ids": Case(
        "other code points", NegotiationReason.CODE_POINTS_DIFFER, r1={"code_points": CodePoints(211, 212, 242)}
    ),
    "unreachable": Case("no answer", NegotiationReason.NO_RESPONSE, r2=None),
}


def run(case: Case) -> Simulation:
    simulation = Simulation(1)
    if case.r2 is None:
        simulation["r2"].crash()
    else:
        simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)], **case.r2))  # type: ignore[arg-type]
    simulation.configure("r1", configuration("r1", [peer("r2")], **case.r1))  # type: ignore[arg-type]
    simulation.run(50)
    return simulation


def reasons(router: Router) -> list[str]:
    events = [*router.happened(NegotiationFailure), *router.happened(AuthenticationFailure)]
    return [event.reason for event in events if isinstance(event, NegotiationFailure | AuthenticationFailure)]


@pytest.mark.parametrize("name", CASES)
def test_each_reason_is_told_apart(name: str) -> None:
    case = CASES[name]
    simulation = run(case)
    r1 = simulation["r1"]
    association = r1.association("r2", BGP, simulation.now)
    assert association.state in (AssociationState.FAILED, AssociationState.NEGOTIATING)
    assert association.last_error is not None
    assert case.says in association.last_error
    told = r1.happened(case.event)
    assert told
    first = told[0]
    assert isinstance(first, case.event)
    assert first.peer == "r2"
    assert case.says in first.reason
    if isinstance(first, NegotiationFailure):
        assert first.notify_type == case.notify
    counted = r1.snapshot("r2", simulation.now).statistics
    assert counted[failure_statistic(case.counted)] >= 1
    assert counted[PeerStatistic.NEGOTIATIONS_FAILED] >= 1
    if case.says_r2 is not None and case.counted_r2 is not None:
        r2 = simulation["r2"]
        shown = r2.association("r1", BGP, simulation.now).last_error
        assert shown is not None
        assert case.says_r2 in shown
        assert any(case.says_r2 in reason for reason in reasons(r2))
        assert r2.snapshot("r1", simulation.now).statistics[failure_statistic(case.counted_r2)] >= 1


def test_no_reason_can_be_mistaken_for_another() -> None:
    shown = {}
    for name, case in CASES.items():
        simulation = run(case)
        shown[name] = simulation["r1"].association("r2", BGP, simulation.now).last_error
    # A responder does not say whether it is the name or the key that it does not like.
    del shown["we are not who the peer expects"]
    sentences = [str(error).partition(":")[0] for error in shown.values()]
    assert len(set(sentences)) == len(sentences), sentences


def test_an_association_that_the_peer_does_not_have_fails_alone() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP,), initiate=Initiate.NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2", (LDP, BGP))]))
    simulation.run(10)
    r1, r2 = simulation["r1"], simulation["r2"]
    assert r1.association("r2", BGP, simulation.now).state is AssociationState.ESTABLISHED
    association = r1.association("r2", LDP, simulation.now)
    assert association.last_error is not None
    assert "not configured at the other side" in association.last_error
    refused = [event for event in r1.happened(NegotiationFailure) if isinstance(event, NegotiationFailure)]
    assert {(event.protocol, event.notify_type) for event in refused} == {("ldp", NotifyType.TS_UNACCEPTABLE)}
    # The IKE SA that brought the refusal stays, and serves the other association (G18, G38).
    assert r1.engine.statistics()["ike-sas"] == 1
    told = [event for event in r2.happened(NegotiationFailure) if isinstance(event, NegotiationFailure)]
    assert told
    assert told[0].protocol == "ldp"
    assert "no enabled association for ldp" in told[0].reason
    # Once the peer has it, the next attempt succeeds.
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP, LDP), initiate=Initiate.NEVER)]))
    assert simulation.run_until(simulation.agree, 60)
    assert r1.association("r2", LDP, simulation.now).last_error is None


def test_failures_are_tried_again_ever_more_slowly() -> None:
    simulation = Simulation(1, network=Network(delay=(0.001, 0.001)))
    simulation.configure(
        "r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)], secret=b"another secret altogether")
    )
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    attempts: list[float] = []
    while simulation.now < 900:
        before = len(simulation["r1"].events)
        simulation.run(1)
        if any(isinstance(e, AuthenticationFailure) for e in simulation["r1"].events[before:]):
            attempts.append(simulation.now)
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[0] <= 4
    assert pauses == sorted(pauses)
    assert 128 <= pauses[-1] <= 376
    # An operator need not wait for that.
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)]))
    simulation["r1"].engine.initiate("r2", simulation["r1"].at(simulation.now))
    assert simulation.run_until(simulation.agree, 1)


def test_the_pause_is_over_when_the_configuration_changes() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2")], secret=b"a slip of the pen, nothing more"))
    simulation.run(300)
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    assert simulation.run_until(simulation.agree, 1)


def test_the_peer_at_fault_appears_in_what_is_told_of_an_unknown_identity() -> None:
    simulation = run(CASES["we are not who the peer expects"])
    (told, *_) = simulation["r2"].happened(AuthenticationFailure)
    assert isinstance(told, AuthenticationFailure)
    assert (told.address, told.identity) == ("192.0.2.1", "stranger.example.net")


def test_the_same_failure_of_a_stranger_is_told_seldom_and_counted_always() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)], secret=b"another secret"))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(1)
    for _ in range(20):
        simulation["r1"].engine.initiate("r2", simulation["r1"].at(simulation.now))
        simulation.run(0.3)
    assert len(simulation["r2"].happened(AuthenticationFailure)) == 1
    counted = simulation["r2"].snapshot("r1", simulation.now).statistics
    assert counted[failure_statistic(AuthenticationReason.WRONG_KEY)] >= 20


def test_a_key_that_the_initiator_disowns_is_removed_by_the_responder() -> None:
    """r2 proves itself with another key than r1 expects: r2 has installed the key by then, and hears of it."""
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)], local_identity=OTHER_NAME))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(1)
    assert simulation["r1"].key_table.rows() == ()
    assert simulation["r2"].key_table.rows() == ()
    association = simulation["r2"].association("r1", BGP, simulation.now)
    assert association.current_key is None
    assert association.state is not AssociationState.ESTABLISHED


def test_an_established_association_is_not_marked_by_what_strangers_send() -> None:
    simulation = two_routers()
    simulation.run(5)
    stranger = Router("r1", 99)
    stranger.configure(configuration("r1", [peer("r2")], secret=b"not the shared secret"), simulation.now)
    for _ in range(5):
        for datagram in stranger.engine.datagrams():
            simulation["r2"].engine.receive(
                datagram.data, "ike", (stranger.address, 500), simulation["r2"].at(simulation.now)
            )
        for answer in simulation["r2"].engine.datagrams():
            stranger.engine.receive(answer.data, "ike", (simulation["r2"].address, 500), stranger.at(simulation.now))
    association = simulation["r2"].association("r1", BGP, simulation.now)
    assert association.state is AssociationState.ESTABLISHED
    assert association.last_error is None
    assert simulation["r2"].engine.statistics()["ike-sas"] == 1


@pytest.mark.parametrize(
    ("table", "reasons"),
    [
        (NEGOTIATION_FAILURES, NegotiationReason),
        (AUTHENTICATION_FAILURES, AuthenticationReason),
        (CHILD_REFUSALS, ChildRefusal),
        (REKEY_FAILURES, RekeyFailure),
    ],
)
def test_every_reason_has_a_sentence(table: dict[Reason, str], reasons: type[Reason]) -> None:
    assert set(table) == set(reasons)
    assert len({failure_statistic(reason) for reason in reasons}) == len(list(reasons))
    assert all(table.values())


def test_a_peer_that_puts_us_off_for_ever_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)]))
    monkeypatch.setattr(
        simulation["r2"].engine._peers["r1"], "crossing", lambda *_: "there is always something more urgent"
    )
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    monkeypatch.setattr(simulation["r2"].engine._peers["r1"].associations[BGP], "wants_key", lambda _at: False)
    request = simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(0.0))
    simulation.run(10)
    # Not at once: RFC 7296 2.25 asks to be patient.
    assert reasons(simulation["r1"]) == []
    simulation.run(3000)
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.last_error is not None
    assert "put off by the peer" in association.last_error
    done = [event for event in simulation["r1"].events if isinstance(event, RequestCompleted)]
    assert [event.request for event in done] == [request]
    assert done[0].error is not None


@pytest.mark.parametrize("seed", range(20))
def test_both_sides_say_why_there_is_no_key_however_bad_the_network(seed: int) -> None:
    simulation = Simulation(seed, network=Network(loss=0.3, duplication=0.3, delay=(0.001, 1.0)))
    for name, other, secret in (("r1", "r2", b"one secret"), ("r2", "r1", b"another secret")):
        wanted = configuration(name, [peer(other, initiate=Initiate.IMMEDIATELY)], secret=secret)
        simulation.configure(name, wanted)
    simulation.run(300)
    for name, other in (("r1", "r2"), ("r2", "r1")):
        assert simulation[name].key_table.rows() == ()
        association = simulation[name].association(other, BGP, simulation.now)
        assert association.last_error is not None
        assert any("pre-shared key" in reason for reason in reasons(simulation[name]))
