"""What the modules tell an operator: units where a number has one, and every default in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyang.context import Context
from pyang.repository import FileRepository
from pyang.statements import Statement

from tests.yang.modules import MODULES, NAMES, SEARCH_PATH


def statements(name: str) -> Iterator[Statement]:
    repository = FileRepository(":".join(map(str, SEARCH_PATH)), use_env=False)
    context = Context(repository)
    module = context.add_module(name, (MODULES / f"{name}.yang").read_text(encoding="utf-8"))
    assert module is not None
    pending = [module]
    while pending:
        statement = pending.pop()
        yield statement
        pending.extend(statement.substmts)


def argument(statement: Statement, keyword: str) -> str:
    found = statement.search_one(keyword)
    return "" if found is None else str(found.arg)


def is_state(statement: Statement) -> bool:
    above = statement
    while above is not None and argument(above, "config") != "false":
        above = above.parent
    return above is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_told_in_words(name: str) -> None:
    silent = [
        str(statement.pos)
        for statement in statements(name)
        if statement.keyword in ("leaf", "leaf-list")
        and statement.search_one("default") is not None
        and "default" not in argument(statement, "description")
    ]
    assert not silent


@pytest.mark.parametrize("name", NAMES)
def test_every_optional_leaf_says_what_its_absence_means(name: str) -> None:
    """Configuration only: state is absent where there is none."""
    silent = []
    for statement in statements(name):
        parent = statement.parent
        if (
            statement.keyword == "leaf"
            and not any(statement.search_one(word) for word in ("default", "mandatory", "config"))
            and "Absent:" not in argument(statement, "description")
            and parent.keyword in ("container", "list", "grouping")
            and statement.arg not in argument(parent, "key").split()
            and not is_state(statement)
            and not str(parent.arg).endswith("-reference")
            and statement.arg != "description"
        ):
            silent.append(f"{statement.pos} {statement.arg}")
    assert not silent


@pytest.mark.parametrize("name", NAMES)
def test_every_number_with_a_unit_has_it(name: str) -> None:
    """Whatever speaks of a time span, and every counter and gauge."""
    words = ("lifetime", "timeout", "interval", "lead", "overlap", "seconds")
    lacking = []
    for statement in statements(name):
        if statement.keyword != "leaf":
            continue
        spans_time = any(word in str(statement.arg) for word in words)
        counts = argument(statement, "type") in ("yang:counter64", "yang:gauge32")
        if (spans_time or counts) and statement.search_one("units") is None:
            lacking.append(f"{statement.pos} {statement.arg}")
    assert not lacking
