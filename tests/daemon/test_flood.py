"""What repeats itself without end does not fill the disk, and what else there is to say is said."""

from __future__ import annotations

import logging

from rkmp.daemon.flood import BURST, KINDS, SECONDS, FloodFilter
from rkmp.daemon.log import JsonFormatter
from rkmp.log_context import about

DAY = 86_400


class Log:
    """A filter under a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._filter = FloodFilter(lambda: self.now)

    def write(
        self, message: str, *arguments: object, logger: str = "rkmp.x", level: int = logging.INFO, **fields: str
    ) -> str | None:
        """Return the line, as JSON has it, if it is written."""
        record = logging.LogRecord(logger, level, __file__, 1, message, arguments, None)
        record.__dict__.update(about(**fields))
        return JsonFormatter().format(record) if self._filter.filter(record) else None


def test_a_burst_is_written_and_then_a_line_now_and_then_that_says_what_was_left_out() -> None:
    log = Log()
    assert all(log.write("no login for %s", number) for number in range(BURST))
    assert not any(log.write("no login for %s", number) for number in range(41))
    log.now += SECONDS
    line = log.write("no login for %s", "42")
    assert line is not None
    assert '"message": "no login for 42 (after 41 more of the kind that were left out)"' in line
    assert '"left-out": 41' in line
    assert log.write("no login for %s", "43") is None
    log.now += SECONDS
    assert "after 1 more" in (log.write("no login for %s", "44") or "")


def test_a_day_of_floods_is_megabytes_at_most() -> None:
    log = Log()
    octets = 0
    for _ in range(DAY):
        log.now += 1
        octets += sum(len(log.write("a line of a hundred octets %s", "x" * 70) or "") for _ in range(3))
    assert octets < 5_000_000


def test_other_kinds_other_peers_and_a_worse_level_are_not_held_up() -> None:
    log = Log()
    for _ in range(BURST + 1):
        log.write("%s", "authentication-failure", event="authentication-failure", peer="r2")
    assert log.write("%s", "authentication-failure", event="authentication-failure", peer="r2") is None
    assert log.write("%s", "authentication-failure", event="authentication-failure", peer="r3")
    assert log.write("%s", "ike-sa-up", event="ike-sa-up", peer="r2")
    assert log.write("%s", "authentication-failure", level=logging.ERROR, event="authentication-failure", peer="r2")


def test_a_user_who_does_much_hides_nothing_that_another_does() -> None:
    log = Log()
    for _ in range(BURST + 1):
        log.write("%s has changed %s", "mallory", "it", event="running-changed", user="mallory")
    assert log.write("%s has changed %s", "mallory", "it", event="running-changed", user="mallory") is None
    assert log.write("%s has changed %s", "alice", "it", event="running-changed", user="alice")


def test_a_trace_is_complete() -> None:
    log = Log()
    assert all(log.write("%s", "IKE_AUTH", logger="rkmp.trace") for _ in range(3 * BURST))


def test_ten_thousand_peers_may_speak_at_once_and_what_is_remembered_has_an_end() -> None:
    log = Log()
    assert all(log.write("%s", "ike-sa-up", event="ike-sa-up", peer=f"r{number}") for number in range(KINDS + 1000))
    assert len(log._filter._kinds) == KINDS
