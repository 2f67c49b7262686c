"""Whatever the agent counts is shown, and under one name."""

from __future__ import annotations

import pytest

from rkmp.engine.statistics import EngineStatistic, PeerStatistic
from rkmp.ike import Statistic
from rkmp.metrics import names


@pytest.mark.parametrize("statistic", EngineStatistic)
def test_every_counter_of_the_engine_is_shown(statistic: EngineStatistic) -> None:
    assert (statistic in names.ENGINE) != (names.reason_of_drop(statistic) is not None)


@pytest.mark.parametrize("statistic", [*PeerStatistic, *Statistic])
def test_every_counter_of_a_peer_is_shown(statistic: str) -> None:
    assert (statistic in names.PEER) + (statistic in names.NOT_SHOWN) + (
        names.reason_of_drop(statistic) is not None
    ) == 1


def test_every_row_leads_to_a_metric_with_the_labels_it_has() -> None:
    for shown in (*names.ENGINE.values(), *names.PEER.values()):
        if shown.metric in names.GAUGES:
            assert shown.value is None
        else:
            assert (names.COUNTERS[shown.metric][1] is None) == (shown.value is None)


def test_failures_are_told_by_result_and_reason() -> None:
    assert names.reason_of_failure("failed-no-proposal-chosen") == ("failed", "no-proposal-chosen")
    assert names.reason_of_failure("authentication-failed-wrong-key") == ("not-authenticated", "wrong-key")
    assert names.reason_of_failure("retransmissions") is None
