"""More documents for the judges than a test has time for: ``python -m tests.datastore.differential [NUMBER]``.

Prints how many documents of each kind had one verdict, and how many of those were valid; the exit status is 1 where
one had not, whose smallest form is shown.
"""

from __future__ import annotations

import sys
import traceback

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datastore.generated import payloads
from tests.datastore.test_document_judges import OURS, ROUTER, STANDARD, ZOO, Court
from tests.datastore.test_incremental_validation import FULL

COURTS: dict[str, tuple[Court, tuple[str, ...]]] = {
    "every kind of constraint": (ZOO, ("", FULL)),
    "our modules": (OURS, ("", ROUTER)),
    "standard modules": (STANDARD, ("",)),
}


def judge(name: str, number: int) -> bool:
    """Return whether ``number`` documents of one kind have one verdict."""
    court, starts = COURTS[name]
    valid: list[bool] = []

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(starts), st.tuples(*(payloads(court.schema) for _ in range(3))))
    def have_one_verdict(start: str, edits: tuple[str, ...]) -> None:
        tree = court.tree(start, *edits)
        valid.append(not court.validator.check(tree))
        court.require_one_verdict(tree)

    try:
        have_one_verdict()
    except AssertionError:
        traceback.print_exc()
        return False
    print(f"{name}: {len(valid)} documents, {sum(valid)} of them valid", flush=True)
    return True


def main() -> int:
    """Judge documents of every kind."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    verdicts = [judge(name, number) for name in COURTS]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
