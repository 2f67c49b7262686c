"""Runs of the fuzzer, seen from outside: what was tried, how much of the code that reached, and what broke."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LONGEST = 2048
"""Octets of an input; datagrams with the keys of a hybrid are shorter, and longer ones reach no other code."""
PATIENCE = 60
"""Seconds after which one input counts as a hang."""
MEMORY = 1024
"""MiB beyond which a run counts as one that leaks."""

_COVERAGE = re.compile(r"^#(\d+)\s+(\w+).*?cov: (\d+)", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``executions`` inputs were tried, after which so many edges of the code had been seen, ``seeded`` by the seeds.

    ``findings`` are files with inputs that broke something, ``said`` is what the fuzzer printed at the end.
    """

    target: str
    executions: int
    seeded: int
    edges: int
    findings: tuple[Path, ...]
    said: str


def fuzz(target: str, seeds: Sequence[bytes], seconds: int, findings: Path) -> Outcome:
    """Let the fuzzer loose for so many seconds, or until it finds something; findings go to that folder."""
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    with tempfile.TemporaryDirectory(prefix="rkmp-fuzz-") as corpus:
        for seed in seeds:
            (Path(corpus) / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
        run = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.worker", target, corpus),
                f"-max_total_time={seconds}",
                f"-max_len={LONGEST}",
                f"-timeout={PATIENCE}",
                f"-rss_limit_mb={MEMORY}",
                f"-artifact_prefix={findings}/{target.partition(':')[0]}-",
            ],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    # libFuzzer reports to one stream, and what was raised is in the other: at the end, so that it is kept.
    said = run.stderr + run.stdout
    coverage = [(int(number), what, int(edges)) for number, what, edges in _COVERAGE.findall(said)]
    found = tuple(sorted(set(findings.iterdir()) - before))
    done = _DONE.search(said)
    if not found and (run.returncode != 0 or done is None):
        raise RuntimeError(f"the fuzzer did not come to its end:\n{said[-3000:]}")
    return Outcome(
        target,
        int(done[1]) if done is not None else max((number for number, _, _ in coverage), default=0),
        next((edges for _, what, edges in coverage if what == "INITED"), 0),
        coverage[-1][2] if coverage else 0,
        found,
        said[-3000:],
    )
