"""Entry point of ``rkmp``: from the words of the command line to an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rkmp.cli.command_line import parser
from rkmp.cli.exit_status import DONE, INTERRUPTED
from rkmp.cli.profiles import Profile, profile
from rkmp.errors import CommandError

if TYPE_CHECKING:
    from rkmp.cli.connections import Connections
    from rkmp.cli.session import Session


def _width() -> int | None:
    # A pipe has no width of its own: don't fold columns there.
    if sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and int(columns) else 200


def run(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command line and return the exit status; raise :class:`CommandError` when it cannot be."""
    # Imported here so that `rkmp --help`, and completion, answer at once.
    from rich.console import Console

    from rkmp.cli import commands

    chosen = profile(arguments.profile)
    arguments.host = arguments.host or chosen.host
    arguments.port = arguments.port or chosen.port
    console = Console(width=_width())
    return commands.run(
        commands.Call(arguments, console, getattr(arguments, "json", False), _Connect(arguments, chosen))
    )


class _Connect:
    """Opens sessions, and loads what that takes when the first is wanted: not every command wants one."""

    def __init__(self, arguments: argparse.Namespace, chosen: Profile) -> None:
        self._arguments, self._profile = arguments, chosen

    @cached_property
    def _connections(self) -> Connections:
        from rkmp.cli.connections import Connections

        return Connections(self._arguments, self._profile)

    def __call__(self, *address: Any, **login: Any) -> Session:
        return self._connections.connect(*address, **login)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:2] == ["complete", "--"]:
        # Asked by a shell, about words that are no command line yet.
        from rkmp.cli.completion import complete

        return complete(parser(), words[2:])
    arguments = parser().parse_args(words)
    try:
        status = run(arguments)
        # Here, where it can be told that nobody reads it.
        sys.stdout.flush()
    except CommandError as error:
        print(f"rkmp: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status


if __name__ == "__main__":
    sys.exit(main())
