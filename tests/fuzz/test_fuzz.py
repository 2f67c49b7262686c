"""Fuzzing itself: hypothesis and, for a moment, the coverage-guided fuzzer; and that it finds what is wrong."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.wire import PayloadType, parse_payloads
from tests.fuzz.corpus import INSIDES, RECORDED
from tests.fuzz.run import REPOSITORY, fuzz
from tests.fuzz.targets import TARGETS, Broken, frugal, seeds
from tests.real_parts import lacking

SECONDS = 2


@pytest.fixture(scope="module", autouse=True)
def _traced() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@pytest.fixture
def fuzzer() -> None:
    """Skip where there is no fuzzer for this system, or fail where CI means it to be."""
    try:
        import atheris  # noqa: F401
    except ImportError as reason:
        lacking(str(reason))


def mutated(target: str) -> st.SearchStrategy[bytes]:
    """Return seeds of a target that are cut, changed, doubled and put together."""
    seed = st.sampled_from(seeds(target))
    place, some = st.floats(0, 1), st.binary(max_size=24)

    def replaced(octets: bytes, at: float, by: bytes, gone: int) -> bytes:
        start = int(at * len(octets))
        return octets[:start] + by + octets[start + gone :]

    changed = st.builds(replaced, seed, place, some, st.integers(0, 40))
    twice = st.builds(replaced, changed, place, some, st.integers(0, 40))
    cut = st.builds(lambda octets, at: octets[: int(at * len(octets))], seed, place)
    joined = st.builds(lambda one, other, at: one[: int(at * len(one))] + other, seed, seed, place)
    return st.one_of(changed, twice, cut, joined, st.binary(max_size=300))


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_keeps_the_promises(target: str) -> None:
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_becomes_of_seeds_keeps_the_promises(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(mutated(target)))


def test_every_cut_of_every_seed_of_the_codec_keeps_the_promises() -> None:
    for target in ("message", "payloads"):
        for seed in seeds(target)[:40]:
            for length in range(len(seed)):
                TARGETS[target](seed[:length])


def test_the_seeds_have_every_exchange_in_both_directions_and_every_payload() -> None:
    seen = {(datagram[18], bool(datagram[19] & 0x20)) for _, datagram in RECORDED}
    assert seen == {(exchange, response) for exchange in (34, 35, 36, 37, 43, 44) for response in (False, True)}
    inside = {payload.payload_type for first, octets in INSIDES for payload in parse_payloads(first, octets)}
    assert inside >= {
        PayloadType.SA,
        PayloadType.KE,
        PayloadType.ID_I,
        PayloadType.ID_R,
        PayloadType.AUTH,
        PayloadType.NONCE,
        PayloadType.NOTIFY,
        PayloadType.DELETE,
        PayloadType.TS_I,
        PayloadType.TS_R,
    }


def test_memory_that_no_length_justifies_breaks_a_promise() -> None:
    with pytest.raises(Broken, match="octets were allocated for 3"), frugal(b"abc"):
        bytes(1_000_000)


def test_a_moment_of_the_guided_fuzzer_finds_new_ways_and_nothing_wrong(fuzzer: None, tmp_path: Path) -> None:
    outcome = fuzz("message", seeds("message"), SECONDS, tmp_path)
    assert outcome.findings == ()
    assert outcome.executions > 2 * len(seeds("message"))
    assert outcome.edges > outcome.seeded > 50


def test_it_finds_what_is_wrong_and_one_command_shows_it_again(fuzzer: None, tmp_path: Path) -> None:
    outcome = fuzz("tests.fuzz.planted:fault", [b"a message"], 30, tmp_path)
    (file,) = outcome.findings
    assert file.read_bytes().startswith(b"RKMP")
    assert "this was planted" in outcome.said
    # That input is harmless to what is really fuzzed.
    command = [sys.executable, "-m", "tests.fuzz", "--replay", "message", str(file)]
    replayed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (replayed.returncode, replayed.stdout) == (0, "message keeps its promises\n")
