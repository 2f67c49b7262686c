"""Entry point of ``rkmp``: the command line and its exit statuses.

0: done. 1: the agent refused. 2: the command line or a file is wrong. 3: no session with the agent.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from rkmp.cli.command_line import parser
from rkmp.errors import CommandError


def _you() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CommandError("this system does not know who you are: give --user", 2) from error


def _password() -> str:
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        # Not the error's own text, which shows what was read.
        raise CommandError("the password on standard input is not UTF-8", 2) from error


def _width() -> int | None:
    # A pipe has no width of its own: don't fold columns there.
    if sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and int(columns) else 200


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Carry out a parsed command line; raise :class:`CommandError` when it cannot be."""
    # Imported here so that `rkmp --help` answers at once.
    from rkmp.cli import configure, demo, exported_keys, show, watch
    from rkmp.cli.session import Session, Target

    as_json = getattr(arguments, "json", False)
    if arguments.command == "demo":
        demo.run(console, keep=arguments.keep, as_json=as_json)
        return
    # Before anybody is bothered for it.
    config = configure.read_configuration(arguments.file) if arguments.command in ("apply", "diff") else None
    target = Target(
        host=arguments.host,
        port=arguments.port,
        user=arguments.user or _you(),
        key=arguments.key,
        password=_password() if arguments.password_stdin else None,
        strict_host_key=arguments.strict_host_key,
    )
    with Session(target) as session:
        if arguments.command == "show" and arguments.subject == "config":
            show.show_config(session, arguments.source, as_json=as_json)
        elif arguments.command == "show" and arguments.subject == "events":
            watch.show_events(session, arguments.hours, as_json=as_json)
        elif arguments.command == "show":
            show.show(session, arguments.subject, console, as_json=as_json)
        elif arguments.command == "watch":
            watch.watch(session, as_json=as_json)
        elif arguments.command == "keys":
            exported_keys.export(session, arguments.name, arguments.output, as_json=as_json)
        elif arguments.command == "rekey":
            configure.rekey(session, arguments.peer, arguments.protocol, as_json=as_json)
        elif config is not None:
            getattr(configure, arguments.command)(session, config, as_json=as_json)
        else:
            getattr(configure, arguments.command)(session, arguments.peer, as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        run(arguments, Console(width=_width()))
        # Here, where it can be told that nobody reads it.
        sys.stdout.flush()
    except CommandError as error:
        print(f"rkmp: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has left; that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
