"""Fuzz every target for its share of so many seconds, or replay one input."""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from pathlib import Path

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS, seeds


def main() -> int:
    """Return 0, or 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="how long, all targets together")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; more than once for several")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where what is found is kept")
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"), help="try one input again, and nothing else")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        name, file = arguments.replay
        if name not in TARGETS:
            parser.error(f"there is no target {name}; there are {', '.join(TARGETS)}")
        tracemalloc.start(1)
        TARGETS[name](Path(file).read_bytes())
        print(f"{name} keeps its promises")
        return 0
    chosen: list[str] = arguments.target or list(TARGETS)
    findings: list[tuple[str, Path]] = []
    for name in chosen:
        outcome = fuzz(name, seeds(name), max(1, arguments.seconds // len(chosen)), arguments.findings.resolve())
        grown = f"{outcome.seeded:,} edges by the seeds, {outcome.edges:,} in the end"
        print(f"{name.ljust(max(map(len, chosen)))}  {outcome.executions:>10,} inputs, {grown}", flush=True)
        findings += [(name, file) for file in outcome.findings]
        if outcome.findings:
            print(outcome.said)
    for name, file in findings:
        print(f"python -m tests.fuzz --replay {name} {file}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
