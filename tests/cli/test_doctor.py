"""Conclusions from what agents answer: each cause from what shows it, and none from what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rkmp.cli.doctor.causes import BY_SENTENCE, Cause, Finding, cause_of
from rkmp.cli.doctor.diagnosis import diagnose
from rkmp.cli.doctor.facts import Event, Facts, Lock
from rkmp.engine.reasons import (
    AUTHENTICATION_FAILURES,
    CHILD_REFUSALS,
    NEGOTIATION_FAILURES,
    OUR_REFUSALS,
    explain,
    explain_refusal_of_ours,
)
from rkmp.ike import AuthenticationFailure, ChildRefusal, NegotiationFailure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WELL = {"protocol": "bgp", "state": "established", "current-key": "k"}


def peer(*associations: dict[str, Any], **leaves: Any) -> dict[str, Any]:
    return {"name": "r2", "address": "192.0.2.2", "initiate": "on-demand", "association": list(associations), **leaves}


def agent(
    *peers: dict[str, Any],
    name: str = "agent",
    events: Sequence[Event] = (),
    clock: datetime | None = NOON,
    asked: tuple[datetime, datetime] = (NOON, NOON),
    has_tcp_ao: bool | None = None,
    rkmp: dict[str, Any] | None = None,
    **tops: Any,
) -> Facts:
    return Facts(name, {"rkmp": {"peer": list(peers), **(rkmp or {})}, **tops}, events, asked, clock, has_tcp_ao)


def causes(*agents: Facts) -> list[Cause]:
    return [finding.cause for finding in diagnose(agents) if not finding.is_note]


def failed(reason: str, at: datetime = NOON, **body: str) -> Event:
    return Event(at, "authentication-failure", {"address": "192.0.2.2", "reason": reason, **body})


def test_nothing_is_found_where_all_is_well() -> None:
    assert causes(agent(peer(WELL))) == []
    assert causes(agent(peer({**WELL, "state": "rolling-over"}, initiate="never"))) == []


@pytest.mark.parametrize(
    "reason", [*NEGOTIATION_FAILURES, *AUTHENTICATION_FAILURES, *CHILD_REFUSALS], ids=lambda each: f"{each}"
)
def test_every_reason_of_an_agent_leads_to_a_cause(
    reason: NegotiationFailure | AuthenticationFailure | ChildRefusal,
) -> None:
    error = explain(reason, "what the IKE SA says: of the single case")
    found = causes(agent(peer({"protocol": "bgp", "state": "failed", "last-error": error})))
    expected = Cause.PSK_DIFFERS if reason is AuthenticationFailure.REJECTED_BY_PEER else cause_of(error)
    assert found == [expected]


@pytest.mark.parametrize("reason", [ChildRefusal.NO_PROPOSAL_CHOSEN, ChildRefusal.TS_UNACCEPTABLE])
def test_what_the_agent_refused_itself_has_the_cause_of_what_the_peer_refuses(reason: ChildRefusal) -> None:
    cause = cause_of(explain_refusal_of_ours(reason, "of the single case"))
    assert cause is cause_of(explain(reason, "of the single case"))
    assert cause is not Cause.REFUSED


def test_sentences_that_mean_different_causes_differ() -> None:
    sentences = [*NEGOTIATION_FAILURES.values(), *AUTHENTICATION_FAILURES.values(), *CHILD_REFUSALS.values()]
    assert set(BY_SENTENCE) <= {*sentences, *OUR_REFUSALS.values()}
    assert cause_of("something that a later agent says: of its own") is Cause.REFUSED


def test_a_clock_that_is_off_is_told_by_how_much_it_took_to_ask() -> None:
    asked = (NOON, NOON + timedelta(seconds=20))
    for seconds, is_off in ((-6, True), (-4, False), (0, False), (20, False), (24, False), (26, True), (-3600, True)):
        found = causes(agent(peer(WELL), clock=NOON + timedelta(seconds=seconds), asked=asked))
        assert found == ([Cause.CLOCK_SKEW] if is_off else []), seconds
    assert causes(agent(peer(WELL), clock=None)) == []


def test_two_clocks_are_held_against_each_other() -> None:
    later = NOON + timedelta(seconds=3)
    here, there = agent(peer(WELL)), agent(peer(WELL), name="peer", clock=later, asked=(later, later))
    assert causes(here, there) == []
    # Each within tolerance of ours, and on different sides of it.
    slow = agent(peer(WELL), clock=NOON - timedelta(seconds=60))
    fast = agent(peer(WELL), name="peer", clock=NOON + timedelta(seconds=60))
    assert causes(slow, fast) == [Cause.CLOCK_SKEW] * 3


def test_what_the_called_side_saw_takes_the_place_of_a_guess() -> None:
    rejected = explain(AuthenticationFailure.REJECTED_BY_PEER, "it has another pre-shared key or expects another name")
    here = agent(peer({"protocol": "bgp", "state": "failed", "last-error": rejected}))
    (guess,) = diagnose([here])
    assert (guess.cause, guess.is_guess) == (Cause.PSK_DIFFERS, True)
    unknown = explain(AuthenticationFailure.UNKNOWN_IDENTITY, "nobody is called that")
    there = agent(
        peer({"protocol": "bgp", "state": "idle"}, initiate="never"),
        name="peer",
        events=[failed(unknown, identity="fqdn:x")],
    )
    (certain,) = diagnose([here, there])
    assert certain == Finding(Cause.IDENTITY_DIFFERS, "peer called by 192.0.2.2", f"fqdn:x: {unknown}")


def test_a_certificate_takes_the_blame_where_one_is_used() -> None:
    rejected = explain(AuthenticationFailure.REJECTED_BY_PEER, "who knows")
    association = {"protocol": "bgp", "last-error": rejected}
    by_certificate = peer(association, authentication={"local": {"method": "certificate"}})
    assert causes(agent(by_certificate)) == [Cause.CERTIFICATE_REJECTED]


def test_what_has_been_mended_since_is_not_told() -> None:
    wrong = explain(AuthenticationFailure.WRONG_KEY, "")
    up = Event(NOON + timedelta(seconds=1), "ike-sa-up", {"peer": "r2"})
    assert causes(agent(peer(WELL), events=[failed(wrong)])) == [Cause.PSK_DIFFERS]
    assert causes(agent(peer(WELL), events=[failed(wrong), up])) == []
    again = failed(wrong, NOON + timedelta(seconds=2))
    assert causes(agent(peer(WELL), events=[failed(wrong), up, again])) == [Cause.PSK_DIFFERS]


def test_callers_from_nowhere_count_while_a_key_is_missing() -> None:
    counted = {"statistics": {"dropped-unknown-address": "7"}}
    assert causes(agent(peer({"protocol": "bgp", "state": "failed"}), rkmp=counted)) == [Cause.UNKNOWN_CALLER]
    assert causes(agent(peer(WELL), rkmp=counted)) == []
    wrong = failed(explain(AuthenticationFailure.WRONG_KEY, ""))
    keyless = peer({"protocol": "bgp", "state": "failed"})
    assert causes(agent(keyless, rkmp=counted, events=[wrong])) == [Cause.PSK_DIFFERS]


def test_a_configuration_that_is_not_in_force_explains_everything() -> None:
    stuck = {"in-force": "false", "why-not-in-force": "cannot listen on 192.0.2.1"}
    (found,) = diagnose([agent(peer({"protocol": "bgp"}), rkmp=stuck)])
    assert (found.cause, found.seen) == (Cause.NOT_IN_FORCE, "cannot listen on 192.0.2.1")


def test_keys_that_differ_are_seen_from_both_sides() -> None:
    def table(send: str, receive: str, fingerprint: str) -> dict[str, Any]:
        key = {"admin-key-name": "k", "peer-key-name": send, "local-key-name": receive, "fingerprint": fingerprint}
        return {"key-table": {"key": [{**key, "rkmp": {}}]}}

    here = agent(peer(WELL), **table("01", "02", "aa"))
    assert causes(here, agent(peer(WELL), name="peer", **table("02", "01", "aa"))) == []
    assert causes(here, agent(peer(WELL), name="peer", **table("02", "01", "bb"))) == [Cause.KEYS_DIFFER]


def test_a_key_that_is_used_past_its_lifetime_is_told_of_and_no_other() -> None:
    ended, ends = ((NOON + timedelta(hours=hours)).isoformat() for hours in (-3, 3))
    key = {"admin-key-name": "r2-bgp-1", "extended": "true", "extended-from": ended}
    other = {"admin-key-name": "r3-bgp-1", "extended": "false", "extended-from": ends}
    table: dict[str, Any] = {"key-table": {"key": [key, other]}}
    (finding,) = diagnose([agent(peer(WELL), **table)])
    assert finding.cause is Cause.KEY_EXTENDED
    assert finding.subject == "agent key r2-bgp-1"
    assert finding.seen == "its lifetime ended at 2026-03-01T09:00:00+00:00, and none has taken its place"


def test_a_consumer_that_does_not_do_its_steps_is_told_of() -> None:
    neighbor = {"address": "192.0.2.2", "protocol": "nb", "consumer-error": "BIRD does not answer"}
    south = {"southbound": {"bird": [{"name": "main", "neighbor": [neighbor]}]}}
    (finding,) = diagnose([agent(peer(WELL), agent=south)])
    assert (finding.cause, finding.seen) == (Cause.CONSUMER_FAILED, "BIRD does not answer")


def test_consumers_and_the_process_itself_are_looked_at() -> None:
    southbound = {"bird": {"neighbor": [{"name": "r2", "consumer-error": "birdc does not answer"}]}}
    (found,) = diagnose([agent(peer(WELL), agent={"southbound": southbound})])
    assert (found.cause, found.subject) == (Cause.CONSUMER_FAILED, "agent agent southbound bird neighbor r2")
    assert causes(agent(peer(WELL), rkmp={"key-log": "/lab/keys", "statistics": {"internal-errors": "2"}})) == [
        Cause.INTERNAL_ERRORS,
        Cause.KEY_LOG,
    ]


def test_a_kernel_without_tcp_ao_matters_where_its_keys_go_there() -> None:
    (note,) = diagnose([agent(peer(WELL), has_tcp_ao=False)])
    assert (note.cause, note.is_note) == (Cause.KERNEL_WITHOUT_TCP_AO, True)
    bird: dict[str, Any] = {"southbound": {"bird": {"neighbor": []}}}
    assert causes(agent(peer(WELL), has_tcp_ao=False, agent=bird)) == [Cause.KERNEL_WITHOUT_TCP_AO]
    assert causes(agent(peer(WELL), has_tcp_ao=True, agent=bird)) == []


def test_every_cause_has_a_name_of_its_own_and_advice() -> None:
    assert len({cause.label for cause in Cause}) == len(Cause)
    assert all(cause.advice and cause.label == cause.name.lower().replace("_", "-") for cause in Cause)


def test_a_lock_that_is_held_long_is_wrong_and_any_other_only_to_be_known() -> None:
    lock = Lock("candidate", False, "7", NOON - timedelta(minutes=6), "ops", "192.0.2.9")
    (finding,) = diagnose([replace(agent(peer(WELL)), locks=[lock])])
    assert (finding.cause, finding.subject, finding.is_note) == (Cause.LOCKED, "agent candidate", False)
    assert finding.seen == "session 7 of ops at 192.0.2.9 has held its lock since 2026-03-01T11:54:00+00:00"
    fresh = Lock("running", True, "0", NOON - timedelta(minutes=4), None, None)
    (note,) = diagnose([replace(agent(peer(WELL)), locks=[fresh])])
    assert note.is_note
    assert note.seen == "session 0 of somebody has held the lock of a part of it since 2026-03-01T11:56:00+00:00"
