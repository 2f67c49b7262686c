"""The live screen shows what there is, fits the terminal, and takes nobody's words for markup."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from lxml import etree
from rich.console import Console

from rkmp.cli.live import Screen

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
DATA = {
    "rkmp": {
        "peer": [
            {
                "name": "r2",
                "address": "192.0.2.2",
                "association": [
                    {
                        "protocol": "bgp",
                        "state": "failed",
                        "current-key": "k1",
                        "next-rollover-at": (NOON + timedelta(minutes=5)).isoformat(),
                        "last-error": "no [bold]answer[/bold] from the peer [/]",
                    }
                ],
            }
        ]
    },
    "key-table": {"key": [{"admin-key-name": "k1", "protocol": "ckt:bgp", "peer": ["192.0.2.2"], "state": "active"}]},
}


def event(number: int) -> etree._Element:
    return etree.fromstring(
        f'<notification xmlns="{NOTIFICATION}"><eventTime>2026-03-01T12:00:00Z</eventTime>'
        f'<key-activated xmlns="urn:rkmp:yang:crypto-key-table"><admin-key-name>k{number}</admin-key-name>'
        "</key-activated></notification>"
    )


def lines(screen: Screen, now: datetime = NOON, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=160, height=height, color_system=None)
    with console.capture() as capture:
        console.print(screen.drawn(now, height))
    return capture.get().splitlines()


def test_the_screen_shows_state_time_left_and_events() -> None:
    screen = Screen("r1 port 830")
    assert any("none yet" in line for line in lines(screen))
    screen.note_state(DATA, NOON)
    screen.note_event(event(7))
    shown = lines(screen)
    assert shown[0].startswith("r1 port 830   2026-03-01 12:00:00 UTC")
    (association,) = [line for line in shown if line.startswith("r2") and " bgp " in line and "k1" in line]
    assert "5m00s" in association
    assert "no [bold]answer[/bold] from the peer [/]" in association
    assert shown[-1] == "2026-03-01T12:00:00Z key-activated admin-key-name=k7"
    # Time goes on without asking anybody.
    assert any("4m00s" in line for line in lines(screen, NOON + timedelta(minutes=1)))


def test_the_newest_events_have_what_room_there_is() -> None:
    screen = Screen("r1")
    screen.note_state(DATA, NOON)
    for number in range(300):
        screen.note_event(event(number))
    for height in (24, 50, 120):
        shown = lines(screen, height=height)
        assert len(shown) <= height
        assert shown[-1].endswith("=k299")


def test_an_extended_key_is_plain_to_see() -> None:
    since = (NOON - timedelta(hours=3)).isoformat()
    key = {**DATA["key-table"]["key"][0], "selected-for-sending": "true"}  # type: ignore[index]
    screen = Screen("r1")
    screen.note_state({"key-table": {"key": [{**key, "extended-from": since, "extended": "true"}]}}, NOON)
    (line,) = [line for line in lines(screen) if line.startswith("k1")]
    assert "extended *" in line
    assert "3h00m over" in line
    screen.note_state({"key-table": {"key": [{**key, "extended-from": (NOON + timedelta(hours=3)).isoformat()}]}}, NOON)
    (line,) = [line for line in lines(screen) if line.startswith("k1")]
    assert "active *" in line
    assert "3h00m" in line


def test_a_rollover_whose_time_has_come_is_due() -> None:
    screen = Screen("r1")
    screen.note_state(DATA, NOON)
    shown = lines(screen, NOON + timedelta(hours=1))
    (association,) = [line for line in shown if line.startswith("r2") and " bgp " in line and "k1" in line]
    assert " due " in association


def test_long_tables_leave_each_other_room() -> None:
    screen = Screen("r1")
    screen.note_state({"rkmp": {"peer": [{"name": f"r{number}", "association": []} for number in range(400)]}}, NOON)
    screen.note_event(event(7))
    screen.note_gone("nobody is there")
    shown = lines(screen, height=30)
    assert len(shown) <= 30
    assert shown[1] == "no answer since 2026-03-01 12:00:00 UTC, trying again: nobody is there"
    assert sum(line.rstrip() == "and 386 more" for line in shown) == 1, shown
    assert shown[-1].endswith("=k7")
    screen.note_state({}, NOON)
    assert not any("no answer since" in line for line in lines(screen))
