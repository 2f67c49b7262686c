"""From what agents have answered to what is likely wrong. Asks nobody, and reads no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rkmp.cli.doctor.causes import REJECTED_BY_PEER, Cause, Finding, cause_of
from rkmp.cli.doctor.facts import Facts
from rkmp.cli.views import entries, identity

WELL = ("established", "rolling-over")
CLOCK_TOLERANCE = timedelta(seconds=5)
LONG_LOCK = timedelta(minutes=5)


def diagnose(agents: Sequence[Facts], peer: str | None = None) -> list[Finding]:
    """Return what is wrong with the first of ``agents``; the second, where there is one, is its peer's.

    ``peer`` is the name of the one peer that is looked at; None for all.
    """
    found = [list(_of_agent(facts, peer if facts is agents[0] else None)) for facts in agents]
    if len(agents) > 1:
        # What a peer would not say over IKE its own agent has said: then nobody has to guess.
        if any(not (finding.is_guess or finding.is_note) for each in found for finding in each):
            found = [[finding for finding in each if not finding.is_guess] for each in found]
        found.append(list(_between(agents[0], agents[1])))
    merged = [finding for each in found for finding in each]
    return [finding for place, finding in enumerate(merged) if finding not in merged[:place]]


def _of_agent(facts: Facts, peer: str | None) -> Iterator[Finding]:
    rkmp = facts.data.get("rkmp")
    if rkmp is None:
        yield Finding(Cause.ACCESS_DENIED, facts.name, "the agent shows nothing below /rkmp")
        return
    yield from _clock(facts)
    yield from _locks(facts)
    if rkmp.get("enabled") == "false":
        yield Finding(Cause.DISABLED, facts.name, "/rkmp/enabled is false: nothing is negotiated")
        return
    if "why-not-in-force" in rkmp:
        yield Finding(Cause.NOT_IN_FORCE, facts.name, rkmp["why-not-in-force"])
        return
    peers = [entry for entry in entries(rkmp, "peer") if peer in (None, entry["name"])]
    if not peers:
        what = "no peer is configured" if peer is None else f"no peer is called {peer!r}"
        yield Finding(Cause.NOTHING_CONFIGURED, facts.name, what)
    for entry in peers:
        yield from _of_peer(facts, entry)
    yield from _strangers(facts, rkmp)
    yield from _certificates(facts, rkmp)
    yield from _keys(facts)
    yield from _consumers(facts)
    yield from _process(facts, rkmp)


def _of_peer(facts: Facts, peer: Mapping[str, Any]) -> Iterator[Finding]:
    subject = f"{facts.name} peer {peer['name']}"
    if peer.get("enabled") == "false":
        yield Finding(Cause.DISABLED, subject, "the peer is not enabled")
        return
    associations = entries(peer, "association")
    if not associations:
        yield Finding(Cause.NOTHING_CONFIGURED, subject, "the peer has no association, so there is nothing to key")
    for association in associations:
        yield from _of_association(facts, peer, association, f"{subject} {identity(association['protocol'])}")


def _of_association(
    facts: Facts, peer: Mapping[str, Any], association: Mapping[str, Any], subject: str
) -> Iterator[Finding]:
    if association.get("enabled") == "false":
        yield Finding(Cause.DISABLED, subject, "the association is not enabled")
        return
    error = association.get("last-error")
    if error is None:
        state = association.get("state", "idle")
        if state not in WELL and peer.get("initiate") == "never" and not _has_been_called(facts, peer):
            seen = "it has no key, does not call, and has not been called"
            yield Finding(Cause.NOBODY_INITIATES, subject, seen, is_guess=True)
        return
    if error.startswith(REJECTED_BY_PEER):
        local = (peer.get("authentication") or {}).get("local") or {}
        by_psk = local.get("method", "psk") == "psk"
        cause = Cause.PSK_DIFFERS if by_psk else Cause.CERTIFICATE_REJECTED
        yield Finding(cause, subject, error, is_guess=True)
        return
    cause = cause_of(error)
    yield Finding(cause, subject, error, is_guess=cause in (Cause.NO_ANSWER, Cause.REFUSED))


def _has_been_called(facts: Facts, peer: Mapping[str, Any]) -> bool:
    return bool(entries(peer, "ike-sa")) or any(
        event.body.get("address") == peer.get("address") or event.body.get("peer") == peer["name"]
        for event in facts.events
        if event.name in ("authentication-failure", "ike-sa-up")
    )


def _strangers(facts: Facts, rkmp: Mapping[str, Any]) -> Iterator[Finding]:
    """What callers did wrong of whom no association here has an error: they called us."""
    addresses = {entry["name"]: entry.get("address") for entry in entries(rkmp, "peer")}
    well: dict[str, datetime] = {}
    for event in facts.events:
        if event.name == "ike-sa-up":
            well[str(addresses.get(event.body.get("peer", "")))] = event.at
    for event in facts.events:
        if event.name != "authentication-failure":
            continue
        address, reason = event.body.get("address", ""), event.body.get("reason", "")
        if well.get(address, event.at) > event.at or reason.startswith(REJECTED_BY_PEER):
            continue
        who = event.body.get("identity", "somebody")
        yield Finding(cause_of(reason), f"{facts.name} called by {address}", f"{who}: {reason}")
    dropped = int((rkmp.get("statistics") or {}).get("dropped-unknown-address", 0))
    if dropped:
        seen = f"{dropped} first messages came from addresses at which no enabled peer is configured"
        # It counts since the agent started: where keys are there, or a caller is known, it tells of somebody else.
        states = [each.get("state") for peer in entries(rkmp, "peer") for each in entries(peer, "association")]
        is_known = any(event.name in ("ike-sa-up", "authentication-failure") for event in facts.events)
        is_note = is_known or all(state in WELL for state in states)
        yield Finding(Cause.UNKNOWN_CALLER, facts.name, seen, is_note=is_note)


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.clock is None:
        return
    started, answered = facts.asked
    ahead = max(started - facts.clock, facts.clock - answered)
    if ahead > CLOCK_TOLERANCE:
        seen = f"its clock says {facts.clock.isoformat()} where ours says {answered.isoformat()}"
        yield Finding(Cause.CLOCK_SKEW, facts.name, seen)


def _locks(facts: Facts) -> Iterator[Finding]:
    now = facts.clock or facts.asked[1]
    for lock in facts.locks:
        what = "the lock of a part of it" if lock.is_partial else "its lock"
        who = f"session {lock.session} of {lock.user or 'somebody'}{f' at {lock.source}' if lock.source else ''}"
        seen = f"{who} has held {what} since {lock.since.isoformat()}"
        # Whoever changes something holds one for as long as that takes.
        yield Finding(Cause.LOCKED, f"{facts.name} {lock.datastore}", seen, is_note=now - lock.since < LONG_LOCK)


def _certificates(facts: Facts, rkmp: Mapping[str, Any]) -> Iterator[Finding]:
    now = facts.clock or facts.asked[1]
    for kind in ("certificate", "trust-anchor"):
        for entry in entries(rkmp, "credentials", kind):
            subject = f"{facts.name} {kind} {entry['name']}"
            told = f"and the agent's clock says {now.isoformat()}"
            if "not-before" in entry and datetime.fromisoformat(entry["not-before"]) > now:
                yield Finding(Cause.CLOCK_SKEW, subject, f"it is not valid before {entry['not-before']}, {told}")
            if "not-after" in entry and datetime.fromisoformat(entry["not-after"]) < now:
                yield Finding(Cause.CERTIFICATE_EXPIRED, subject, f"it was valid until {entry['not-after']}, {told}")


def _keys(facts: Facts) -> Iterator[Finding]:
    for key in entries(facts.data, "key-table", "key"):
        if key.get("extended") == "true":
            seen = f"its lifetime ended at {key.get('extended-from')}, and none has taken its place"
            yield Finding(Cause.KEY_EXTENDED, f"{facts.name} key {key['admin-key-name']}", seen)


def _consumers(facts: Facts) -> Iterator[Finding]:
    for path, error in _errors(facts.data.get("agent") or {}, "agent"):
        yield Finding(Cause.CONSUMER_FAILED, f"{facts.name} {path}", error)


def _errors(data: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for leaf in ("last-error", "consumer-error"):
        if leaf in data:
            yield path, data[leaf]
    for name, value in data.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                called = entry.get("name")
                yield from _errors(entry, f"{path} {name}{f' {called}' if isinstance(called, str) else ''}")


def _process(facts: Facts, rkmp: Mapping[str, Any]) -> Iterator[Finding]:
    errors = int((rkmp.get("statistics") or {}).get("internal-errors", 0))
    if errors:
        yield Finding(Cause.INTERNAL_ERRORS, facts.name, f"{errors} faults of the agent itself since it started")
    if "key-log" in rkmp:
        yield Finding(Cause.KEY_LOG, facts.name, f"keys of IKE SAs are written to {rkmp['key-log']}")
    if facts.has_tcp_ao is False:
        southbound = (facts.data.get("agent") or {}).get("southbound") or {}
        seen = "this machine's kernel takes no TCP-AO keys"
        # A local key API may have users that bring a TCP of their own.
        yield Finding(Cause.KERNEL_WITHOUT_TCP_AO, facts.name, seen, is_note="bird" not in southbound)


def _between(here: Facts, there: Facts) -> Iterator[Finding]:
    if here.clock is not None and there.clock is not None:
        # Each as it was when it was asked, which took its time.
        difference = abs((there.clock - here.clock) - (there.asked[0] - here.asked[0]))
        if difference > 2 * CLOCK_TOLERANCE:
            seen = f"the clocks of both routers differ by about {difference.total_seconds():.0f} seconds"
            yield Finding(Cause.CLOCK_SKEW, f"{here.name} and {there.name}", seen)
    sends = {
        (key.get("peer-key-name"), key.get("local-key-name")): key.get("fingerprint")
        for key in entries(there.data, "key-table", "key")
        if "rkmp" in key
    }
    for key in entries(here.data, "key-table", "key"):
        theirs = sends.get((key.get("local-key-name"), key.get("peer-key-name")))
        if "rkmp" in key and theirs is not None and theirs != key.get("fingerprint"):
            yield Finding(Cause.KEYS_DIFFER, f"key {key['admin-key-name']}", "its fingerprint differs at the peer")
