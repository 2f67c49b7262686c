"""Each scenario runs inside a guest of its own, as tests there: files named ``scenario_*.py`` beside this one.

Guests use one processor, so that two run at a time. Without kernel and BIRD the scenarios are skipped with the
reason, and fail where CI means them to run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.guest import guest

# What takes longest begins first.
SCENARIOS = sorted((path.name for path in Path(__file__).parent.glob("scenario_*.py")), reverse=True)
GUESTS_AT_A_TIME = 2
WITHIN_SECONDS = 1500
PYTEST = [
    *(sys.executable, "-m", "pytest", "-x", "-q", "--timeout=0", "-p", "no:cacheprovider", "--basetemp=/run/pytest"),
    "--durations=5",
]

Outcomes = dict[str, "Future[guest.Outcome]"]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """Run the scenarios that were selected, and return how each ends."""
    selected = {
        item.callspec.params["scenario"]
        for item in request.session.items
        if hasattr(item, "callspec") and "scenario" in item.callspec.params
    }
    with ThreadPoolExecutor(GUESTS_AT_A_TIME) as executor:
        yield {
            name: executor.submit(guest.run, [*PYTEST, f"tests/guest/{name}"], seconds=WITHIN_SECONDS)
            for name in SCENARIOS
            if name in selected
        }
        executor.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.timeout(2 * WITHIN_SECONDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, outcomes: Outcomes) -> None:
    try:
        outcome = outcomes[scenario].result()
    except guest.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    print(outcome.output)
    assert outcome.status == 0
    assert " passed" in outcome.output
    assert "skipped" not in outcome.output
