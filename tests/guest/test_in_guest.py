"""The scenarios, each in a guest of its own; the year has a file of its own, so that another worker may take it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.scenarios import WITHIN_SECONDS, run_scenario

SCENARIOS = sorted(path.name for path in Path(__file__).parent.glob("scenario_*.py"))


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_SECONDS + 60)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "scenario_year.py"])
def test_scenario(scenario: str) -> None:
    run_scenario(scenario)
