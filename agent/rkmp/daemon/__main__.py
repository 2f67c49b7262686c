"""Entry point of ``rkmpd``: the command line, the exit statuses, and the life of the process.

0: stopped in good order. 1: it could not go on. 2: the command line is wrong. 4: the state directory cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import rkmp
from rkmp.daemon import garbage, log
from rkmp.daemon.agent import Agent
from rkmp.daemon.initialise import initialise
from rkmp.daemon.listen_address import ListenAddress, parse_listen_address
from rkmp.daemon.state_directory import EXIT_STATE, StateDirectory
from rkmp.daemon.watching import KeyLog, Watching
from rkmp.errors import CommandError, RkmpError, SchemaError, StorageError
from rkmp.secret import Secret

DEFAULT_NETCONF_PORT = 830
DEFAULT_IKE_PORT = 500


def serve_parser() -> argparse.ArgumentParser:
    """Build the command line of the agent itself."""
    parser = argparse.ArgumentParser(
        prog="rkmpd",
        description="Run the rkmp agent in the foreground until SIGTERM.",
        epilog="`rkmpd init` makes a state directory; see `rkmpd init --help`.",
    )
    parser.add_argument("--version", action="version", version=f"rkmpd {rkmp.__version__}")
    parser.add_argument("--state-dir", type=Path, required=True, help="where the agent keeps its state")
    parser.add_argument(
        "--netconf-listen",
        type=_address(DEFAULT_NETCONF_PORT),
        default=ListenAddress("0.0.0.0", DEFAULT_NETCONF_PORT),  # noqa: S104 - the contract: reachable unless told not
        metavar="HOST:PORT",
        help="where NETCONF over SSH listens (default 0.0.0.0:830; port 0 picks a free one)",
    )
    parser.add_argument(
        "--ike-listen",
        type=_address(DEFAULT_IKE_PORT),
        default=ListenAddress("0.0.0.0", DEFAULT_IKE_PORT),  # noqa: S104
        metavar="HOST:PORT",
        help="where IKE listens while the configuration names no listener (default 0.0.0.0:500)",
    )
    parser.add_argument("--log-format", choices=log.FORMATS, default="text", help="how log lines look (default text)")
    parser.add_argument("--trace", action="store_true", help="log every IKE message, decoded, without its secrets")
    parser.add_argument(
        "--key-log",
        type=Path,
        metavar="FILE",
        help="DANGER: write the keys of IKE SAs to FILE, with which Wireshark can decrypt them; for a lab only",
    )
    parser.add_argument(
        "--exit-on-stdin-eof",
        action="store_true",
        help="stop when standard input closes, so that the agent never outlives what started it",
    )
    return parser


def init_parser() -> argparse.ArgumentParser:
    """Build the command line of ``rkmpd init``."""
    parser = argparse.ArgumentParser(
        prog="rkmpd init",
        description="Make a state directory: host key, key-encryption key and the first administrator.",
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="the directory to make; it must hold no state")
    parser.add_argument("--user", required=True, help="name of the first administrator")
    credential = parser.add_mutually_exclusive_group(required=True)
    credential.add_argument("--authorized-key", type=Path, metavar="FILE", help="OpenSSH public keys, one a line")
    credential.add_argument("--password-stdin", action="store_true", help="read a password from standard input")
    return parser


def _address(default_port: int) -> Callable[[str], ListenAddress]:
    def parse(text: str) -> ListenAddress:
        try:
            return parse_listen_address(text, default_port)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def run_init(arguments: argparse.Namespace) -> None:
    """Carry out ``rkmpd init``; raises :class:`CommandError`."""
    password: Secret | None = None
    keys: tuple[str, ...] = ()
    if arguments.password_stdin:
        # Octets, as the client will send them: whether they are text is not our business.
        password = Secret(sys.stdin.buffer.readline().rstrip(b"\r\n"))
        if not len(password):
            raise CommandError("the password on standard input is empty", 2)
    else:
        keys = _authorized_keys(arguments.authorized_key)
    directory = StateDirectory(arguments.state_dir)
    initialise(directory, user=arguments.user, authorized_keys=keys, password=password, random=os.urandom)
    print(f"{directory.path} is ready; start the agent with `rkmpd --state-dir {directory.path}`")


def _authorized_keys(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {error}", 2) from error
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not keys:
        raise CommandError(f"{path} holds no public key", 2)
    return keys


def run_agent(arguments: argparse.Namespace) -> None:
    """Run the agent until it is told to stop; raises :class:`CommandError` when it cannot start."""
    log.configure(arguments.log_format)
    garbage.look_rarely()
    directory = StateDirectory(arguments.state_dir)
    directory.require()
    with directory.locked():
        _run(_serve(directory, arguments))


def _run(main: Coroutine[Any, Any, None]) -> None:
    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    with contextlib.suppress(ImportError):
        import uvloop

        run = uvloop.run
    run(main)


async def _serve(directory: StateDirectory, arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.exit_on_stdin_eof:
        try:
            loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, stop)
        except OSError as error:
            raise CommandError("--exit-on-stdin-eof needs a pipe or a terminal for standard input", 2) from error
    key_log = None if arguments.key_log is None else KeyLog(arguments.key_log)
    watching = Watching(has_trace=arguments.trace, key_log=key_log)
    agent = Agent(directory, netconf=arguments.netconf_listen, ike=arguments.ike_listen, watching=watching)
    try:
        await agent.start()
        with contextlib.suppress(BrokenPipeError):
            print(f"rkmpd ready netconf={agent.netconf_address} ike={agent.ike_address}", flush=True)
        await stop.wait()
    finally:
        await agent.stop()
        watching.close()


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["init"]:
            run_init(init_parser().parse_args(words[1:]))
        else:
            run_agent(serve_parser().parse_args(words))
    except CommandError as error:
        print(f"rkmpd: {error}", file=sys.stderr)
        return error.exit_status
    except (StorageError, SchemaError) as error:
        print(f"rkmpd: {error}", file=sys.stderr)
        return EXIT_STATE
    except RkmpError as error:
        print(f"rkmpd: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
