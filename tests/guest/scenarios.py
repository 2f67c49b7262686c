"""Runs a scenario, a file of tests named ``scenario_*.py`` beside this one, inside a guest of its own.

Without kernel and BIRD it is skipped with the reason, and fails where CI means it to run.
"""

from __future__ import annotations

import os
import sys

from tests.guest import guest
from tests.real_parts import lacking

WITHIN_SECONDS = 1500
PYTEST = [
    *(sys.executable, "-m", "pytest", "-x", "-q", "--timeout=0", "-p", "no:cacheprovider", "--basetemp=/run/pytest"),
    "--durations=5",
]


def run_scenario(scenario: str) -> None:
    """Fail with what the guest printed unless every test of the scenario ran and passed."""
    try:
        # How many days a year has is for scenario_year.py.
        days = {name: value for name, value in os.environ.items() if name == "RKMP_GUEST_DAYS"}
        outcome = guest.run([*PYTEST, f"tests/guest/{scenario}"], seconds=WITHIN_SECONDS, environment=days)
    except guest.Unavailable as reason:
        lacking(str(reason))
    print(outcome.output)
    assert outcome.status == 0
    assert " passed" in outcome.output
    assert "skipped" not in outcome.output
