"""A drawing of lifetimes shows each key where it lives, whatever the lifetimes are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rkmp.cli.lifetimes import Axis, axis_of, sessions
from rkmp.cli.timeline import ACCEPT, EXTENSION, NOW, ROLLOVER, SEND, drawn
from rkmp.cli.timeline_picture import SVG, picture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(hours: float) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


def key(name: str, start: float | None, end: float | None, kept: float = 2, **leaves: Any) -> dict[str, Any]:
    lifetime = {} if start is None else {"start": at(start)}
    send = {**lifetime, **({} if end is None else {"end": at(end)})}
    accept = {**lifetime, **({} if end is None else {"end": at(end + kept)})}
    return {
        "admin-key-name": name,
        "protocol": "ckt:bgp",
        "peer": ["192.0.2.2"],
        "state": "active",
        "send-lifetime": send,
        "accept-lifetime": accept,
        **leaves,
    }


ROLLING = {
    "key-table": {
        "key": [
            key("second", -2, 22) | {"selected-for-sending": "true"},
            key("first", -26, -1, state="accept-only"),
            key("by hand", None, None, protocol="ckt:ldp", peer=["192.0.2.9"]),
        ]
    },
    "rkmp": {
        "peer": [
            {"name": "r2", "association": [{"protocol": "bgp", "current-key": "second", "next-rollover-at": at(20)}]}
        ]
    },
}


def lines_of(data: dict[str, Any], width: int = 120) -> list[str]:
    found = sessions(data)
    return [line.plain for line in drawn(found, axis_of(found, NOON), width)]


def test_keys_are_drawn_with_their_session_in_the_order_in_which_they_take_over() -> None:
    head, first, second, pointers, other, by_hand, *_ = lines_of(ROLLING)
    assert head == "bgp with 192.0.2.2, rolls over in 20h00m"
    assert first.split()[0] == "first"
    assert first.endswith("1h00m accept-only")
    assert second.split()[0] == "second"
    assert second.endswith("1d00h active *")
    assert other == "ldp with 192.0.2.9"
    assert by_hand.endswith("- active")
    # Now is after the end of sending with the first and within both.
    now, rollover = pointers.index(NOW), pointers.index(ROLLOVER)
    assert (first[now], second[now]) == (ACCEPT, SEND)
    assert first.index(SEND) < second.index(SEND) < now < rollover < second.rindex(ACCEPT)
    assert first.rindex(ACCEPT) < second.rindex(SEND)


def test_no_keys_are_told() -> None:
    assert lines_of({}) == ["no keys"]


def test_a_direction_that_has_no_use_for_a_lifetime_draws_none() -> None:
    for direction, marks in (("in", {ACCEPT}), ("out", {SEND}), ("disabled", set())):
        line = lines_of({"key-table": {"key": [key("k", -1, 1, direction=direction)]}})[1]
        assert {mark for mark in (SEND, ACCEPT) if mark in line} == marks


EXTENDED = {
    "key-table": {
        "key": [
            key("past its life", -26, None) | {"extended-from": at(-2), "extended": "true"},
            key("extendable", -1, 25, protocol="ckt:ldp") | {"extended-from": at(23), "extended": "false"},
        ]
    }
}


def test_an_extension_is_drawn_apart_and_told() -> None:
    past, extendable = (lines_of(EXTENDED)[number] for number in (1, 4))
    assert past.endswith("2h00m over extended")
    assert past.index(SEND) < past.index(EXTENSION)
    assert extendable.endswith("23h00m active")
    assert extendable.rindex(SEND) < extendable.index(EXTENSION)
    root = picture(sessions(EXTENDED), axis_of(sessions(EXTENDED), NOON))
    assert len(root.findall(f".//{{{SVG}}}rect[@class='extension']")) == 2
    assert f"past its life: active\nsent with from {at(-26)} to for ever\nextended from {at(-2)} on" in "".join(
        title.text or "" for title in root.iter(f"{{{SVG}}}title")
    )


def test_a_key_that_was_replaced_before_its_life_ended_has_no_extension() -> None:
    line = lines_of({"key-table": {"key": [key("k", -26, -2) | {"extended-from": at(3)}]}})[1]
    assert EXTENSION not in line


def test_the_picture_has_a_bar_a_lifetime_and_says_all_of_it() -> None:
    found = sessions(ROLLING)
    root = picture(found, axis_of(found, NOON))
    document = etree.fromstring(etree.tostring(root))
    bars = document.findall(f".//{{{SVG}}}g")
    assert len(bars) == 3
    titles = [bar.findtext(f"{{{SVG}}}title") or "" for bar in bars]
    assert titles == [
        f"first: accept-only\nsent with from {at(-26)} to {at(-1)}\naccepted from {at(-26)} to {at(1)}",
        f"second: active\nsent with from {at(-2)} to {at(22)}\naccepted from {at(-2)} to {at(24)}",
        "by hand: active\nsent with from always to for ever\naccepted from always to for ever",
    ]
    assert len(document.findall(f".//{{{SVG}}}rect[@class='sending']")) == 1
    assert f"next rollover at {at(20)}" in etree.tostring(document, encoding="unicode")


def test_names_cannot_break_out_of_a_picture() -> None:
    data = {"key-table": {"key": [key("<script>alert(1)</script>", -1, 1)]}}
    found = sessions(data)
    document = etree.fromstring(etree.tostring(picture(found, axis_of(found, NOON))))
    assert document.find(f".//{{{SVG}}}script") is None
    assert "<script>" in "".join(document.itertext())


hours = st.none() | st.floats(-1e5, 1e5)


@given(st.lists(st.tuples(hours, hours, st.floats(0, 1e4)), max_size=6), st.integers(1, 250))
def test_whatever_the_lifetimes_something_is_drawn(
    lives: list[tuple[float | None, float | None, float]], width: int
) -> None:
    found = sessions({"key-table": {"key": [key(f"k{n}", *life) for n, life in enumerate(lives)]}})
    axis = axis_of(found, NOON)
    assert axis.start < NOON < axis.end
    assert drawn(found, axis, width)
    etree.fromstring(etree.tostring(picture(found, axis)))


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=20000)), st.integers(1, 20))
def test_marks_are_few_and_on_the_axis(length: timedelta, most: int) -> None:
    axis = Axis(NOON, NOON + length, NOON)
    marks = axis.marks(most)
    assert len(marks) <= most + 1
    assert all(axis.start <= mark <= axis.end for mark in marks)
