"""The page of command lines: every program and subcommand with its arguments, from the parsers themselves."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from rkmp.cli import command_line as rkmp
from rkmp.daemon import __main__ as rkmpd_process
from rkmp.daemon import command_line as rkmpd
from tests.docs.reference.markdown import code, codes, document, plain, table

_STATUS = re.compile(r"(\d+): ([^.]+)\.")


def page() -> str:
    """Return the page."""
    return document(
        "Command lines",
        "Every argument of `rkmp` and `rkmpd`. What the commands are for, files of profiles, and the exit statuses of "
        "`rkmp` are on the page of [the rkmp command](../cli.md).",
        *_program(rkmp.parser(), "rkmp"),
        *_program(rkmpd.serve_parser(), "rkmpd"),
        "Its exit status:",
        table(("status", "what it means"), _STATUS.findall(rkmpd_process.__doc__ or "")),
        *(
            block
            for parser in (
                rkmpd.init_parser(),
                rkmpd.administrator_parser(),
                rkmpd.backup_parser(),
                rkmpd.restore_parser(),
            )
            for block in _program(parser, parser.prog)
        ),
    )


def _program(parser: argparse.ArgumentParser, called: str) -> Iterator[str]:
    """Yield the blocks of a program or subcommand, and of those below it."""
    yield f"## {called}"
    yield plain(parser.description or "")
    yield table(("argument", "default", "what it is"), _rows(parser))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _program(command, f"{called} {name}")


def _rows(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        words = plain(action.help or "")
        if action.choices is not None:
            words = "; ".join(filter(None, (words, f"one of {codes(map(str, action.choices))}")))
        default = _default(action.default)
        # A column has it already.
        yield _form(action), default, words.replace(f" (default {default.strip('`')})", "") if default else words


def _form(action: argparse.Action) -> str:
    if not action.option_strings:
        word = f"{action.metavar or action.dest}"
        return code({"?": f"[{word}]", "*": f"[{word}...]"}.get(str(action.nargs), word))
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    form = codes(option + value for option in action.option_strings)
    return f"{form}, required" if action.required else form


def _default(default: Any) -> str:
    """Return a default that a reader can type; those that are computed are told by the help."""
    can_be_typed = isinstance(default, str | int) and not isinstance(default, bool)
    return code(str(default)) if can_be_typed and default != argparse.SUPPRESS else ""
