"""Each scenario runs inside a guest of its own, as tests there: files named ``scenario_*.py`` beside this one.

Without kernel and BIRD they are skipped with the reason, and fail where CI means them to run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.guest import guest

# What takes longest begins first.
SCENARIOS = sorted((path.name for path in Path(__file__).parent.glob("scenario_*.py")), reverse=True)
WITHIN_SECONDS = 1500
PYTEST = [
    *(sys.executable, "-m", "pytest", "-x", "-q", "--timeout=0", "-p", "no:cacheprovider", "--basetemp=/run/pytest"),
    "--durations=5",
]


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_SECONDS + 60)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    try:
        outcome = guest.run([*PYTEST, f"tests/guest/{scenario}"], seconds=WITHIN_SECONDS)
    except guest.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    print(outcome.output)
    assert outcome.status == 0
    assert " passed" in outcome.output
    assert "skipped" not in outcome.output
