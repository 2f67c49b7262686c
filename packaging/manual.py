"""Writes rkmpd(8) and rkmp(1) into the folder that is named, out of the parsers that read the command lines.

``python packaging/manual.py FOLDER``, with an installed rkmp. The markup is that of man(7).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import rkmp
from rkmp.cli import command_line as client
from rkmp.cli.exit_status import MEANINGS
from rkmp.daemon import __main__ as process
from rkmp.daemon import command_line as agent

FILES = (
    ("/var/lib/rkmp", "the state of the agent that the unit rkmpd.service runs: keys, configuration, users"),
    ("/etc/default/rkmpd", "RKMPD_OPTIONS, more of the command line of that agent"),
)
PLAIN = "\\&"
"""What stands below a word that needs no explanation; without it, the next request would be the explanation."""
SEE_ALSO = ".BR systemd.exec (5),\n.BR systemd\\-creds (1),\n.BR {other}"


def main(folder: Path) -> None:
    """Write both pages."""
    statuses = re.findall(r"(\d+): ([^.]+)\.", process.__doc__ or "")
    subcommands = [make_parser() for make_parser, _run in process.COMMANDS.values()]
    pages = {
        "rkmpd.8": [
            *_head("rkmpd", 8, "agent for automatic TCP-AO keys (RKMP)"),
            *_synopsis(agent.serve_parser(), *subcommands),
            ".SH DESCRIPTION",
            _text(agent.serve_parser().description),
            *_options(agent.serve_parser()),
            ".SH COMMANDS",
            *(line for parser in subcommands for line in _command(parser)),
            ".SH SIGNALS",
            *_entry("SIGTERM, SIGINT", "Stop: what was acknowledged is on the disk, and peers are told."),
            *_entry("SIGHUP", "Open files of its own anew."),
            ".SH EXIT STATUS",
            *(line for status, meaning in statuses for line in _entry(status, meaning)),
            ".SH FILES",
            *(line for name, what in FILES for line in _entry(name, what)),
            ".SH SEE ALSO",
            SEE_ALSO.format(other="rkmp (1)"),
        ],
        "rkmp.1": [
            *_head("rkmp", 1, "operate an rkmp agent over NETCONF"),
            *_synopsis(client.parser()),
            ".SH DESCRIPTION",
            _text(client.parser().description),
            *_options(client.parser()),
            ".SH COMMANDS",
            *(line for parser in _commands(client.parser()) for line in _command(parser)),
            ".SH EXIT STATUS",
            *(line for status, meaning in MEANINGS.items() for line in _entry(str(status), meaning)),
            ".SH SEE ALSO",
            SEE_ALSO.format(other="rkmpd (8)"),
        ],
    }
    for name, lines in pages.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(name: str, section: int, what: str) -> Iterator[str]:
    yield f'.TH {name.upper()} {section} "" "rkmp {rkmp.__version__}"'
    yield f".SH NAME\n{name} \\- {_escape(what)}"


def _synopsis(*parsers: argparse.ArgumentParser) -> Iterator[str]:
    yield ".SH SYNOPSIS"
    for parser in parsers:
        usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
        words = usage.removeprefix(parser.prog)
        yield f".PP\n.B {_escape(parser.prog)}\n{_text(words)}"


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of the commands, and of what is below them."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other name for it
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                yield below
                yield from _commands(below)


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f".SS {_escape(parser.prog)}"
    yield _text(parser.description)
    yield from _options(parser)
    if parser.epilog:
        yield f".PP\n{_text(parser.epilog)}"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # noqa: SLF001
            continue
        value = (
            "" if action.nargs == 0 else str(action.metavar or (action.dest.upper() if action.option_strings else ""))
        )
        if action.choices is not None:
            value = "|".join(map(str, action.choices))
        names = ", ".join(action.option_strings) or (value or action.dest)
        yield from _entry(f"{names} {value}" if action.option_strings else names, action.help or "")


def _entry(term: str, what: str) -> Iterator[str]:
    yield f".TP\n.B {_escape(term.strip())}\n{_text(what) or PLAIN}"


def _text(text: str | None) -> str:
    return _escape(" ".join((text or "").replace("%(prog)s", "").split()))


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    # A line that begins so is a request.
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    main(Path(sys.argv[1]))
