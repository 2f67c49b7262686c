"""What becomes of a key whose lifetime ends before another has taken its place: the operator's policy."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rkmp.engine import AssociationState, AtExpiry, NegotiationFailure
from rkmp.engine.association_keys import MOST_OPEN
from rkmp.keytable import KeyEvent, KeyExpired, KeyExtended, KeyExtensionEnded, KeyRow, KeyTableChange, Lifetime
from tests.engine.network import Network
from tests.engine.simulation import BASE, BGP, LDP, MSDP, Simulation, configuration, peer, two_routers

LIFE = 600
SETTINGS: dict[str, Any] = {"key_lifetime": LIFE, "rollover_lead": 100, "overlap": 60}
HOLDS_KEY = {AssociationState.ESTABLISHED, AssociationState.ROLLING_OVER}
EXTENDING: dict[str, Any] = SETTINGS | {"at_expiry": AtExpiry.EXTEND}


def keyed(**settings: Any) -> Simulation:
    """Return two routers with a first key, and a network that is cut from 100 s on."""
    simulation = two_routers(network=Network(cuts=[]), **settings)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60)
    simulation.network.cuts.append((100.0, float("inf")))
    return simulation


def recorded(simulation: Simulation, name: str) -> list[KeyEvent]:
    events: list[KeyEvent] = []
    simulation[name].key_table.subscribe(events.append)
    return events


def sending(simulation: Simulation, name: str) -> KeyRow | None:
    return simulation[name].sending("r2" if name == "r1" else "r1", BGP, simulation.now)


def state(simulation: Simulation, name: str) -> AssociationState:
    return simulation[name].association("r2" if name == "r1" else "r1", BGP, simulation.now).state


def reconfigure(simulation: Simulation, name: str, protocols: tuple[int, ...] = (BGP,), **settings: Any) -> None:
    other = "r2" if name == "r1" else "r1"
    mode = simulation[name].configuration.peers[other].initiate
    simulation.configure(name, configuration(name, [peer(other, protocols, initiate=mode, **settings)]))


def test_by_default_a_key_that_nothing_replaces_ends() -> None:
    simulation = keyed(**SETTINGS)
    simulation.checks_continuity = False
    simulation.run(LIFE + 1)
    assert sending(simulation, "r1") is None
    assert state(simulation, "r1") is not AssociationState.ESTABLISHED


def test_an_extended_key_works_until_another_has_taken_its_place() -> None:
    """At every step the simulation requires that what one sends with is accepted by the other."""
    simulation = keyed(**EXTENDING)
    first = sending(simulation, "r1")
    assert first is not None
    events = recorded(simulation, "r1")
    simulation.run(10 * LIFE)
    for name in ("r1", "r2"):
        assert state(simulation, name) in HOLDS_KEY
        assert simulation[name].key_table.extended(simulation[name].at(simulation.now).wall) == 1
    assert simulation["r1"].happened(NegotiationFailure)
    assert [type(event) for event in events].count(KeyExtended) == 1 + (10 * LIFE - LIFE) // 3600
    # The negotiation goes on to be tried, and the first that succeeds ends it in the usual order.
    simulation.network.cuts.clear()
    assert simulation.run_until(lambda: sending(simulation, "r1") not in (None, first), 600)
    simulation.run(70)
    assert simulation.agree()
    assert simulation.established()
    assert simulation["r1"].key_table.get(first.admin_key_name) is None
    assert [type(event) for event in events].count(KeyExtensionEnded) == 1
    for name in ("r1", "r2"):
        assert simulation[name].key_table.extended(simulation[name].at(simulation.now).wall) == 0


def test_no_extended_key_expires_while_it_serves() -> None:
    simulation = keyed(**EXTENDING)
    events = recorded(simulation, "r1")
    simulation.run(3 * LIFE)
    assert KeyExpired not in {type(event) for event in events}


def test_an_extension_survives_restarts_before_and_after_it_begins() -> None:
    simulation = keyed(**EXTENDING)
    first = sending(simulation, "r1")
    simulation.run_until(lambda: False, LIFE - simulation.now - 1)
    simulation.restart("r1")
    simulation.run(2 * LIFE)
    simulation.restart("r1")
    simulation.restart("r2")
    simulation.run(LIFE)
    assert sending(simulation, "r1") == first
    assert simulation.agree()
    assert {state(simulation, "r1"), state(simulation, "r2")} <= HOLDS_KEY


def test_an_agent_that_is_down_when_the_lifetime_ends_comes_up_with_its_key() -> None:
    simulation = keyed(**EXTENDING)
    first = sending(simulation, "r1")
    simulation["r1"].crash()
    simulation.run(5 * LIFE)
    simulation["r1"].start(simulation.now)
    simulation.pump()
    simulation.run(1)
    assert sending(simulation, "r1") == first
    assert state(simulation, "r1") in HOLDS_KEY


def test_the_longest_extension_ends_it() -> None:
    simulation = keyed(**EXTENDING, longest_extension=300)
    first = sending(simulation, "r1")
    assert first is not None
    assert first.extended_from is not None
    assert first.send_lifetime.end == first.extended_from + timedelta(seconds=300)
    simulation.run_until(lambda: False, LIFE + 298 - simulation.now)
    assert sending(simulation, "r1") == first
    simulation.checks_continuity = False
    simulation.run(5)
    assert sending(simulation, "r1") is None
    assert first in simulation["r1"].key_table.rows()
    simulation.run(60)
    assert first not in simulation["r1"].key_table.rows()
    assert state(simulation, "r1") in (AssociationState.FAILED, AssociationState.NEGOTIATING, AssociationState.IDLE)


def test_a_neighbor_that_fails_closed_is_no_longer_heard_and_comes_back_with_the_next_key() -> None:
    simulation = keyed(**EXTENDING)
    reconfigure(simulation, "r2", **SETTINGS)
    simulation.checks_continuity = False
    first = sending(simulation, "r1")
    simulation.run(LIFE + 70)
    assert sending(simulation, "r1") == first
    assert simulation["r2"].key_table.rows() == ()
    simulation.network.cuts.clear()
    assert simulation.run_until(simulation.agree, 600)
    simulation.run(70)
    assert simulation.established()
    assert len(simulation["r1"].key_table.rows()) == len(simulation["r2"].key_table.rows()) == 1


def test_the_policy_goes_for_the_keys_that_there_are() -> None:
    simulation = keyed(**SETTINGS)
    for name in ("r1", "r2"):
        reconfigure(simulation, name, **EXTENDING)
    simulation.run(2 * LIFE)
    assert simulation.agree()
    # As for a key that is being extended: it ends, and is accepted for the overlap.
    reconfigure(simulation, "r1", **SETTINGS)
    simulation.checks_continuity = False
    simulation.run(1)
    assert sending(simulation, "r1") is None
    (row,) = simulation["r1"].key_table.rows()
    assert row.accept_lifetime.end is not None
    assert row.accept_lifetime.end - simulation["r1"].at(simulation.now).wall == timedelta(seconds=59)


def test_a_policy_that_has_changed_before_a_lifetime_ends_lets_it_end_when_it_should() -> None:
    simulation = keyed(**EXTENDING)
    for name in ("r1", "r2"):
        reconfigure(simulation, name, **SETTINGS)
    rows = simulation["r1"].key_table.rows()
    assert [row.extended_from for row in rows] == [None]
    assert rows[0].send_lifetime.end == rows[0].accept_lifetime.start + timedelta(seconds=LIFE)
    assert rows[0].accept_lifetime.end == rows[0].accept_lifetime.start + timedelta(seconds=LIFE + 60)


@pytest.mark.parametrize("longest", [None, 10000])
def test_a_configuration_that_says_the_same_changes_no_key(longest: int | None) -> None:
    simulation = keyed(**EXTENDING, longest_extension=longest)
    simulation.run(2 * LIFE)
    before = simulation["r1"].key_table.rows()
    reconfigure(simulation, "r1", **EXTENDING, longest_extension=longest)
    simulation.restart("r1")
    assert simulation["r1"].key_table.rows() == before


def test_a_shorter_overlap_keeps_no_key_that_has_been_replaced() -> None:
    """The key before is accepted for the overlap of before, and no longer: another has taken its place for certain."""
    simulation = two_routers(**EXTENDING)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60)
    first = sending(simulation, "r1")
    assert first is not None
    assert simulation.run_until(lambda: simulation.agree() and sending(simulation, "r1") != first, LIFE)
    simulation.run(10)
    replaced = simulation["r1"].key_table.get(first.admin_key_name)
    assert replaced is not None
    assert replaced.extended_from is None
    for name in ("r1", "r2"):
        reconfigure(simulation, name, **(EXTENDING | {"overlap": 10}))
    assert simulation["r1"].key_table.get(first.admin_key_name) == replaced


def test_the_confirmation_that_never_comes_leaves_both_keys_in_force() -> None:
    """The neighbor has agreed on a new key and cannot know that we have it, and lifetimes end meanwhile."""
    simulation = keyed(**EXTENDING)
    simulation.network.cuts.clear()
    first = sending(simulation, "r1")
    agreed = simulation["r1"].key_table
    # What r1 sends once it has the new key does not arrive.
    simulation.network.filter = lambda source, _to, data: (
        None if source == simulation["r1"].address and len(agreed.rows()) > 1 else data
    )
    assert simulation.run_until(lambda: len(agreed.rows()) > 1, LIFE)
    simulation.run(20)
    assert sending(simulation, "r1") != first
    assert sending(simulation, "r2") is not None
    assert sending(simulation, "r2").peer_key_name == first.local_key_name  # type: ignore[union-attr]
    for _ in range(6):
        simulation.run(LIFE)
        simulation.restart("r1")
        simulation.restart("r2")
    simulation.network.filter = lambda _source, _to, data: data
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 900)
    assert len(agreed.rows()) >= 1


def test_a_clock_that_is_set_changes_nothing_of_it() -> None:
    simulation = keyed(**EXTENDING)
    simulation.run(2 * LIFE)
    for skew in (3600.0, -600.0, 0.0):
        simulation["r1"].skew = skew
        simulation["r1"]._moment = replace(simulation["r1"]._moment, monotonic=-1.0, wall=BASE)
        simulation["r1"].engine.handle_timer(simulation["r1"].at(simulation.now))
        simulation.run(30)
        assert simulation.agree()


def test_a_policy_for_many_is_one_change_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = two_routers(protocols=(BGP, LDP, MSDP), **SETTINGS)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60)
    table = simulation["r1"].key_table
    made: list[datetime] = []
    transaction = table.transaction

    def counted(wall: datetime) -> AbstractContextManager[KeyTableChange]:
        made.append(wall)
        return transaction(wall)

    monkeypatch.setattr(table, "transaction", counted)
    reconfigure(simulation, "r1", protocols=(BGP, LDP, MSDP), **EXTENDING)
    assert len(made) == 1
    assert all(row.extended_from is not None for row in table.rows())
    reconfigure(simulation, "r1", protocols=(BGP, LDP, MSDP), **EXTENDING, perfect_forward_secrecy=True)
    assert len(made) == 1


def test_a_key_that_would_be_mistaken_for_another_keeps_its_end_and_no_other_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulation = two_routers(protocols=(BGP, LDP), **SETTINGS)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60)
    table = simulation["r1"].key_table
    bgp, ldp = sorted(table.rows(), key=lambda row: row.protocol)
    # An operator's key for tomorrow, with the KeyIDs of today's.
    tomorrow = Lifetime(BASE + timedelta(days=1), None)
    manual = replace(bgp, admin_key_name="by hand", provenance=None, send_lifetime=tomorrow, accept_lifetime=tomorrow)
    table.apply_manual(table.prepare_manual([manual]), simulation["r1"].at(simulation.now).wall)
    reconfigure(simulation, "r1", protocols=(BGP, LDP), **EXTENDING)
    assert table.get(bgp.admin_key_name) == bgp
    extended = table.get(ldp.admin_key_name)
    assert extended is not None
    assert extended.extended_from == ldp.send_lifetime.end
    assert f"key {bgp.admin_key_name} ends as it would have" in caplog.text


def test_agreements_of_which_the_other_side_never_hears_leave_it_room_for_another() -> None:
    """Each leaves a key that is accepted, as the other side may have it, and has KeyIDs, of which there are 256."""
    simulation = two_routers(**EXTENDING)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60)
    answering, address = simulation["r2"].key_table, simulation["r2"].address
    first = sending(simulation, "r1")
    # RFC 7296 3.1: the exchange type is the 19th octet. What would tell r1 of a new key does not arrive.
    simulation.network.filter = lambda source, _to, data: None if source == address and data[18] in (35, 36) else data
    simulation.run(30_000)
    assert sending(simulation, "r1") == first
    # Those that may be extended, and those that are accepted for the rest of their lives.
    assert MOST_OPEN <= len(answering.rows()) < 2 * MOST_OPEN
    simulation.network.filter = lambda _source, _to, data: data
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 1500)
    assert sending(simulation, "r1") != first
    assert len(answering.rows()) == 1
