"""The page on the local key API says what the messages are of which :mod:`rkmp.southbound.messages` has the table."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from rkmp.southbound import messages
from tests.docs.pages import REPOSITORY

PAGE = (REPOSITORY / "docs" / "key-api.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def told(heading: str) -> dict[str, tuple[set[str], set[str]]]:
    """Return what a table says of each type of message: the fields that it has, and those that it may have."""
    table = section(heading).partition("| type |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z]+)` \| (.*?) \|", table, re.MULTILINE)
    return {
        kind: (set(re.findall(r"`([a-z-]+)`(?!\?)", fields)), set(re.findall(r"`([a-z-]+)`\?", fields)))
        for kind, fields in rows
    }


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [("Messages of the program", messages.FROM_CLIENT), ("Messages of the agent", messages.FROM_AGENT)],
)
def test_messages_have_the_fields_that_the_page_says(heading: str, kinds: Mapping[str, Mapping[str, type]]) -> None:
    assert {kind: fields for kind, (fields, _) in told(heading).items()} == {
        kind: set(fields) for kind, fields in kinds.items()
    }


def test_every_field_that_some_messages_may_have_is_told() -> None:
    tables = {**told("Messages of the program"), **told("Messages of the agent")}
    may = {field for _, optional in tables.values() for field in optional}
    assert may == {*messages.OPTIONAL, *messages._COUNTERS}


def test_codes_fields_of_keys_and_limits_are_those_of_the_code() -> None:
    (codes,) = re.findall(r"^The codes are (.*?)\. ", section("Messages of the agent"), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([a-z-]+)`", codes)) == {code.value for code in messages.ErrorCode}
    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("A key has these fields:")[2], re.MULTILINE)
    fields = {field for row in rows for field in re.findall(r"`([a-z-]+)`", row)}
    assert fields == {*messages._KEY_FIELDS, "ignore-tcp-options"}
    assert f"The local key API, version {messages.VERSION}" in PAGE
    assert f"at most {messages.MOST_OCTETS:,} octets" in PAGE
