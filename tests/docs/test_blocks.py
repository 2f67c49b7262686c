"""Every block of code of every page is executed by a test, or is in a table that says why not.

Which test executes what is read from the marks ``page`` of all tests (:mod:`tests.docs.pages`), whose fixture sees to
it that a test takes what its mark says. Documents count as executed when an agent takes them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY, blocks_of, name_of

EXECUTED = {"sh", "console", "python", "xml", "json", "yaml", "toml", "ini", "c"}
SHOWN = {"text", "mermaid"}
"""Languages of blocks that are not for execution; those of drawings have tests of their own."""

REASONS: dict[tuple[str, str], str] = {
    ("README.md", "sh command: demo"): "CI runs it, word for word (.ci/run)",
    ("README.md", "sh command: test"): "CI runs it, word for word (.ci/run)",
    ("CONTRIBUTING.md", "sh"): "CI runs the same commands (.ci/run)",
    ("docs/key-api.md", "python"): "tests/guest uses client and sockets so, with a kernel that has TCP-AO",
}
"""By page and kind, why no test executes it."""


def declared() -> dict[tuple[str, str], set[str]]:
    """Return which tests execute a kind of blocks of a page, by page and kind."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted(REPOSITORY.glob("tests/**/*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.page(" in source:
            for test, call in _marks(ast.parse(source)):
                page, *kinds = (ast.literal_eval(argument) for argument in call.args)
                assert any(argument.arg == "page" for argument in test.args.args), f"{test.name} does not use the page"
                for kind in kinds:
                    found.setdefault((page, kind), set()).add(f"{name_of(path)}::{test.name}")
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, ast.Call]]:
    for test in ast.walk(tree):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in (inner for decorator in test.decorator_list for inner in ast.walk(decorator)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.page":
                    yield test, node


DECLARED = declared()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_executed_or_has_a_reason(page: Path) -> None:
    lacking = [
        f"{name_of(page)}:{block.line}: {block.kind}"
        for block in blocks_of(page)
        if block.language in EXECUTED and not {(name_of(page), block.kind)} & (DECLARED.keys() | REASONS.keys())
    ]
    assert not lacking, "no test executes these blocks"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language(page: Path) -> None:
    assert {block.line: block.kind for block in blocks_of(page) if block.language not in EXECUTED | SHOWN} == {}


def test_no_declaration_and_no_reason_is_left_over() -> None:
    there = {(name_of(page), block.kind) for page in PAGES for block in blocks_of(page)}
    assert DECLARED.keys() | REASONS.keys() <= there
    assert not DECLARED.keys() & REASONS.keys()


def test_ci_runs_the_commands_that_it_is_said_to_run() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert '"$(command demo)"' in script
    assert '"$(command test)"' in script
    for command in ("ruff check", "ruff format --check", "mypy"):
        assert f".venv/bin/{command}\n" in script
