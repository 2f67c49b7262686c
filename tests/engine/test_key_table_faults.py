"""A key table that refuses: nobody may believe in a key that is not durable, and all goes on when it works again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from rkmp.engine import AssociationState, Initiate, PeerStatistic, RequestCompleted
from rkmp.errors import StorageError
from rkmp.keytable import KeyTable
from rkmp.keytable.table import KeyTableChange
from tests.engine.simulation import BGP, Router, Simulation, configuration, peer, two_routers


class FullDisk:
    """Makes the key table of a router refuse every change while ``is_full``."""

    def __init__(self, router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = True
        real: Callable[[datetime], object] = router.key_table.transaction

        @contextmanager
        def transaction(wall: datetime) -> Iterator[KeyTableChange]:
            if self.is_full:
                raise StorageError("the disk is full")
            with KeyTable.transaction(router.key_table, wall) as change:
                yield change

        monkeypatch.setattr(router.key_table, "transaction", transaction)
        assert real is not None


def test_a_responder_that_cannot_keep_a_key_does_not_agree_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)]))
    disk = FullDisk(simulation["r2"], monkeypatch)
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(60)
    assert simulation["r1"].key_table.rows() == ()
    association = simulation["r2"].association("r1", BGP, simulation.now)
    assert association.state is not AssociationState.ESTABLISHED
    assert association.last_error == "the key table refuses the new key: the disk is full"
    assert simulation["r2"].snapshot("r1", simulation.now).statistics[PeerStatistic.INSTALLATIONS_FAILED] >= 1
    disk.is_full = False
    assert simulation.run_until(simulation.agree, 120)


def test_an_initiator_that_cannot_keep_a_key_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER)]))
    disk = FullDisk(simulation["r1"], monkeypatch)
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(1)
    assert simulation["r2"].key_table.rows() == ()
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.state is AssociationState.FAILED
    assert association.last_error == "the key table refuses the new key: the disk is full"
    disk.is_full = False
    assert simulation.run_until(simulation.agree, 60)


def test_a_rollover_on_a_full_disk_keeps_the_old_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("r1", "r2"):
        simulation = two_routers(overlap=60)
        simulation.run(2)
        before = simulation["r1"].sending("r2", BGP, simulation.now)
        disk = FullDisk(simulation[name], monkeypatch)
        request = simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
        simulation.run(300)
        assert simulation["r1"].sending("r2", BGP, simulation.now) == before, name
        done = [event for event in simulation["r1"].events if isinstance(event, RequestCompleted)]
        assert [event.request for event in done] == [request]
        assert done[0].error is not None
        disk.is_full = False
        simulation.run(900)
        assert simulation.agree(), name


def test_a_key_whose_second_step_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = two_routers(overlap=60)
    simulation.run(2)
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    assert simulation.run_until(lambda: len(simulation["r1"].key_table.rows()) == 2, 1)
    disk = FullDisk(simulation["r2"], monkeypatch)
    simulation.run(1)
    disk.is_full = False
    simulation.run(300)
    assert simulation.agree()
    assert len(simulation["r2"].key_table.rows()) == 1


def test_keys_that_cannot_be_removed_are_removed_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = two_routers(overlap=60)
    simulation.run(2)
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    simulation.run(2)
    disk = FullDisk(simulation["r1"], monkeypatch)
    simulation.run(100)
    assert len(simulation["r1"].key_table.rows()) == 2
    assert "the disk is full" in caplog.text
    disk.is_full = False
    simulation.run(20)
    assert len(simulation["r1"].key_table.rows()) == 1


def test_configuration_that_takes_keys_away_applies_on_a_full_disk_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = two_routers()
    simulation.run(2)
    simulation.forget_continuity()
    disk = FullDisk(simulation["r1"], monkeypatch)
    simulation.configure("r1", configuration("r1", []))
    assert len(simulation["r1"].key_table.rows()) == 1
    assert "the disk is full" in caplog.text
    simulation.run(1)
    assert simulation["r2"].key_table.rows() == ()
    # What could not be removed then goes at the next start.
    disk.is_full = False
    monkeypatch.undo()
    simulation.restart("r1")
    assert simulation["r1"].key_table.rows() == ()


def test_a_peers_delete_on_a_full_disk_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = two_routers()
    simulation.run(2)
    simulation.forget_continuity()
    simulation.checks_continuity = False
    disk = FullDisk(simulation["r2"], monkeypatch)
    simulation.configure("r1", configuration("r1", []))
    simulation.run(1)
    assert len(simulation["r2"].key_table.rows()) == 1
    assert "the disk is full" in caplog.text
    disk.is_full = False
