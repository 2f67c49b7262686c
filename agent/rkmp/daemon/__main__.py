"""Entry point of ``rkmpd``: the command line, the exit statuses, and the life of the process.

0: stopped in good order. 1: it could not go on. 2: the command line is wrong. 4: the state directory cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rkmp
from rkmp.daemon import garbage, log, recovery
from rkmp.daemon.agent import Agent
from rkmp.daemon.backup import back_up, restore
from rkmp.daemon.command_line import (
    administrator_parser,
    backup_parser,
    init_parser,
    restore_parser,
    serve_parser,
)
from rkmp.daemon.initialise import add_administrator, initialise
from rkmp.daemon.service_manager import ServiceManager
from rkmp.daemon.state_directory import EXIT_STATE, StateDirectory, has_key_credential
from rkmp.daemon.watching import KeyLog, Watching
from rkmp.errors import CommandError, CorruptStoreError, RkmpError, SchemaError, StorageError
from rkmp.secret import Secret

_log = logging.getLogger("rkmp.daemon")


def run_init(arguments: argparse.Namespace) -> None:
    """Carry out ``rkmpd init``; raises :class:`CommandError`."""
    keys, password = _credential(arguments)
    directory = StateDirectory(arguments.state_dir)
    initialise(directory, user=arguments.user, authorized_keys=keys, password=password, random=os.urandom)
    print(f"its host key is {directory.host_key_fingerprint()}; the first login shows it again")
    print(f"{directory.path} is ready; start the agent with `rkmpd --state-dir {directory.path}`")


def run_add_administrator(arguments: argparse.Namespace) -> None:
    """Carry out ``rkmpd add-administrator``; raises :class:`CommandError`."""
    keys, password = _credential(arguments)
    add_administrator(
        StateDirectory(arguments.state_dir),
        user=arguments.user,
        authorized_keys=keys,
        password=password,
        random=os.urandom,
    )
    print(f"{arguments.user} is an administrator of the agent in {arguments.state_dir}")


def _credential(arguments: argparse.Namespace) -> tuple[tuple[str, ...], Secret | None]:
    """Return the public keys or the password that an administrator is given."""
    if not arguments.password_stdin:
        return _authorized_keys(arguments.authorized_key), None
    # Octets, as the client will send them: whether they are text is not our business.
    password = Secret(sys.stdin.buffer.readline().rstrip(b"\r\n"))
    if not len(password):
        raise CommandError("the password on standard input is empty", 2)
    return (), password


def _authorized_keys(path: Path) -> tuple[str, ...]:
    try:
        # Standard input, for a user who may not read the file.
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {error}", 2) from error
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not keys:
        raise CommandError(f"{path} holds no public key", 2)
    return keys


def run_backup(arguments: argparse.Namespace) -> None:
    """Carry out ``rkmpd backup``; raises :class:`CommandError`."""
    directory = StateDirectory(arguments.state_dir)
    with_key = not (arguments.without_key or has_key_credential(os.environ))
    directory.require_without_key()
    if with_key and not directory.key_encryption_key.exists():
        raise CommandError(
            f"{directory.path} holds no key-encryption key; where it is kept elsewhere, --without-key makes a backup "
            "without it",
            EXIT_STATE,
        )
    back_up(directory, arguments.output, with_key=with_key, now=datetime.now(UTC))
    print(f"{arguments.output} holds the state of {directory.path}" + ("" if with_key else ", without its key"))


def run_restore(arguments: argparse.Namespace) -> None:
    """Carry out ``rkmpd restore``; raises :class:`CommandError`."""
    directory = StateDirectory(arguments.state_dir)
    made = restore(
        directory,
        arguments.input,
        key=arguments.key,
        environment=os.environ,
        now=datetime.now(UTC),
        random=os.urandom,
    )
    print(f"{directory.path} is as it was at {made}, without the keys that were negotiated")


COMMANDS: Mapping[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], None]]] = {
    "init": (init_parser, run_init),
    "add-administrator": (administrator_parser, run_add_administrator),
    "backup": (backup_parser, run_backup),
    "restore": (restore_parser, run_restore),
}


def run_agent(arguments: argparse.Namespace) -> None:
    """Run the agent until it is told to stop; raises :class:`CommandError` when it cannot start."""
    log.configure(arguments.log_format)
    garbage.look_rarely()
    directory = StateDirectory(arguments.state_dir)
    directory.require(os.environ)
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

    def told_to_stop(number: signal.Signals) -> None:
        _log.info("told to stop by %s", number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop, number)
    if arguments.exit_on_stdin_eof:
        try:
            loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, stop)
        except OSError as error:
            raise CommandError("--exit-on-stdin-eof needs a pipe or a terminal for standard input", 2) from error
    service_manager = ServiceManager(os.environ, os.getpid())
    key_log = None if arguments.key_log is None else KeyLog(arguments.key_log)
    watching = Watching(has_trace=arguments.trace, key_log=key_log)

    def make_agent() -> Agent:
        return Agent(directory, netconf=arguments.netconf_listen, ike=arguments.ike_listen, watching=watching)

    # Whoever moves files need not know that the agent is still starting, and shall not end it.
    loop.add_signal_handler(signal.SIGHUP, watching.reopen)
    _log.info("rkmpd %s starts, with the state in %s", rkmp.__version__, directory.path)
    agent = make_agent()
    try:
        try:
            await agent.start()
        except CorruptStoreError as error:
            if not arguments.from_last_good:
                raise recovery.with_way_out(directory, error) from error
            await agent.stop()
            recovery.recover(directory, error, environment=os.environ, now=datetime.now(UTC), random=os.urandom)
            agent = make_agent()
            await agent.start()
        status = f"netconf={agent.netconf_address} ike={agent.ike_address}"

        def reload() -> None:
            service_manager.reloading()
            watching.reopen()
            _log.info("told to reload by SIGHUP: files that are written to were opened again")
            service_manager.ready(status)

        # Before anybody is told that there is somebody to send a signal to.
        loop.add_signal_handler(signal.SIGHUP, reload)
        if arguments.log_format == "json":
            # Standard output is the log's, whose every line is an object.
            _log.info("rkmpd ready %s", status)
        else:
            with contextlib.suppress(BrokenPipeError):
                print(f"rkmpd ready {status}", flush=True)
        service_manager.ready(status)
        await stop.wait()
    finally:
        await service_manager.stopping()
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
        if words[:1] and words[0] in COMMANDS:
            make_parser, run = COMMANDS[words[0]]
            run(make_parser().parse_args(words[1:]))
        else:
            run_agent(serve_parser().parse_args(words))
    except CommandError as error:
        log.tell_why(error)
        return error.exit_status
    except (StorageError, SchemaError) as error:
        log.tell_why(error)
        return EXIT_STATE
    except RkmpError as error:
        log.tell_why(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
