"""A year of daily rollovers on a live BGP session, in a guest whose time skips."""

from __future__ import annotations

import pytest

from tests.guest.scenarios import WITHIN_SECONDS, run_scenario


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_SECONDS + 60)
def test_a_year_passes() -> None:
    run_scenario("scenario_year.py")
