"""Entry point of ``rkmp``: from the words of the command line to an exit status."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rkmp.cli.command_line import parser
from rkmp.cli.completion import candidates
from rkmp.cli.exit_status import DONE, INTERRUPTED, USAGE
from rkmp.cli.profiles import profile
from rkmp.errors import CommandError


def _you() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CommandError("this system does not know who you are: give --user", USAGE) from error


def _password() -> str:
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        # Not the error's own text, which shows what was read.
        raise CommandError("the password on standard input is not UTF-8", USAGE) from error


def _width() -> int | None:
    # A pipe has no width of its own: don't fold columns there.
    if sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and int(columns) else 200


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Carry out a parsed command line and return the exit status; raise :class:`CommandError` when it cannot be."""
    # Imported here so that `rkmp --help` answers at once.
    from rkmp.cli import commands
    from rkmp.cli.session import Session, Target

    password: list[str] = []
    reading = threading.Lock()
    chosen = profile(arguments.profile)
    arguments.host = arguments.host or chosen.host
    arguments.port = arguments.port or chosen.port
    given_key = arguments.key or (None if arguments.password_stdin else chosen.key)
    strict = chosen.strict_host_key if arguments.strict_host_key is None else arguments.strict_host_key

    def connect(
        host: str = arguments.host, port: int = arguments.port, user: str | None = None, key: Path | None = None
    ) -> Session:
        # Several agents may be connected to at a time, and there is one password to be read.
        with reading:
            if arguments.password_stdin and not password:
                password.append(_password())
        return Session(
            Target(
                host=host,
                port=port,
                user=arguments.user or user or chosen.user or _you(),
                key=given_key or (None if arguments.password_stdin else key),
                password=password[0] if password else None,
                strict_host_key=strict,
            )
        )

    return commands.run(commands.Call(arguments, console, getattr(arguments, "json", False), connect))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:2] == ["complete", "--"]:
        # Asked by a shell, about words that are no command line yet.
        print("\n".join(candidates(parser(), words[2:])))
        return DONE
    arguments = parser().parse_args(words)
    try:
        status = run(arguments, Console(width=_width()))
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
