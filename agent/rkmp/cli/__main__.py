"""Entry point of ``rkmp``: the command line and its exit statuses.

0: done. 1: the agent refused. 2: the command line or a file is wrong. 3: no session with the agent.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console

import rkmp
from rkmp.errors import CommandError

DEFAULT_NETCONF_PORT = 830
HOURS_OF_A_YEAR = 24 * 366


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")

    root = argparse.ArgumentParser(
        prog="rkmp",
        description="Operate an rkmp agent over NETCONF, or run the demonstration.",
        parents=[machine],
    )
    root.add_argument("--version", action="version", version=f"rkmp {rkmp.__version__}")
    root.add_argument("--host", default="127.0.0.1", help="the agent's address (default 127.0.0.1)")
    root.add_argument("--port", type=_port, default=DEFAULT_NETCONF_PORT, help="its NETCONF port (default 830)")
    root.add_argument("--user", help="whom to log in as (default: you)")
    credential = root.add_mutually_exclusive_group()
    credential.add_argument("--key", type=Path, help="private key file (default: the SSH agent and ~/.ssh)")
    credential.add_argument("--password-stdin", action="store_true", help="read a password from standard input")
    root.add_argument("--strict-host-key", action="store_true", help="refuse a host key that is not yet known")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[machine])

    show = add("show", "Show peers, keys, associations, the configuration or the log of events.")
    show.add_argument("subject", choices=["peers", "keys", "associations", "config", "events"])
    show.add_argument("--source", choices=["running", "candidate", "startup"], default="running")
    show.add_argument(
        "--hours", type=_hours, default=timedelta(hours=24), help="how far back events go (default 24 hours)"
    )
    add("watch", "Print notifications as they come, until interrupted.")
    for name, text in (
        ("apply", "Merge a configuration file into running, all or nothing."),
        ("diff", "Show what applying a configuration file would change."),
    ):
        add(name, text).add_argument("file", type=Path)
    rekey = add("rekey", "Replace the key of one association now.")
    rekey.add_argument("peer")
    rekey.add_argument("protocol")
    add("initiate", "Negotiate now whatever a peer's associations lack.").add_argument("peer")
    add("clear", "Remove a peer's IKE SAs and negotiated keys.").add_argument("peer")
    demo = add("demo", "Run two agents on loopback and check the main job, step by step.")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep the two agents' state in DIR")
    return root


def _hours(text: str) -> timedelta:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_OF_A_YEAR:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours up to a year")
    return timedelta(hours=hours)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)


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
    from rkmp.cli import configure, demo, show, watch
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
