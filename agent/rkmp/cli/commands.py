"""What each command of ``rkmp`` runs: a table by name. What they do is told where they are.

Each imports what it needs when it runs, so that no command waits for the libraries of another.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rkmp.cli.exit_status import DONE, USAGE
from rkmp.errors import CommandError

if TYPE_CHECKING:
    from rich.console import Console

    from rkmp.capture import VerificationKey
    from rkmp.cli.doctor import Connect
    from rkmp.cli.session import Session


@dataclass(frozen=True, slots=True)
class Call:
    """One command line; ``connect`` opens a session with the agent that it names, or with another at an address."""

    arguments: argparse.Namespace
    console: Console
    as_json: bool
    connect: Callable[..., Session]


Command = Callable[[Call], int | None]
"""Carries out a call and returns the exit status, None for done; raises CommandError where it cannot."""


def run(call: Call) -> int:
    """Carry out a parsed command line and return the exit status."""
    return COMMANDS[call.arguments.command](call) or DONE


def _demo(call: Call) -> None:
    from rkmp.cli import demo

    demo.run(call.console, keep=call.arguments.keep, as_json=call.as_json)


def _show(call: Call) -> None:
    from rkmp.cli import show, watch

    arguments = call.arguments
    if call.as_json and arguments.xml:
        raise CommandError("--json and --xml are two ways to print one thing: give one of them", USAGE)
    with call.connect() as session:
        if arguments.subject == "config":
            show.show_config(session, arguments.source, call.console, as_json=call.as_json)
        elif arguments.subject == "events":
            watch.show_events(session, arguments.hours, as_json=call.as_json, as_xml=arguments.xml)
        else:
            show.show(session, arguments.subject, call.console, as_json=call.as_json, as_xml=arguments.xml)


def _watch(call: Call) -> None:
    from rkmp.cli import live, watch

    if call.console.is_terminal and not (call.as_json or call.arguments.lines):
        live.watch(call.connect, call.console, f"{call.arguments.host} port {call.arguments.port}")
        return
    with call.connect() as session:
        watch.watch(session, as_json=call.as_json)


def _apply(call: Call) -> None:
    from rkmp.cli import configure
    from rkmp.cli.configuration_files import read_configuration

    arguments = call.arguments
    # Before anybody is bothered for it.
    file = read_configuration(arguments.file)
    with call.connect() as session:
        configure.apply(
            session,
            file,
            call.console,
            call.connect,
            as_json=call.as_json,
            asks=arguments.ask,
            confirm_within=arguments.confirm_within,
        )


def _diff(call: Call) -> None:
    from rkmp.cli import configure
    from rkmp.cli.configuration_files import read_configuration

    file = read_configuration(call.arguments.file)
    with call.connect() as session:
        configure.diff(session, file, call.console, as_json=call.as_json)


def _settle(call: Call) -> None:
    from rkmp.cli import configure

    settle = configure.confirm if call.arguments.command == "confirm" else configure.cancel
    with call.connect() as session:
        settle(session, call.arguments.token, as_json=call.as_json)


def _rekey(call: Call) -> None:
    from rkmp.cli import configure
    from rkmp.cli.progress import telling

    peer, protocol = call.arguments.peer, call.arguments.protocol
    waiting = telling(f"waiting for {peer} to agree on a new key for {protocol} (Ctrl-C leaves it to the agent)")
    with call.connect() as session:
        configure.rekey(session, peer, protocol, waiting, as_json=call.as_json)


def _act(call: Call) -> None:
    from rkmp.cli import configure

    act = configure.initiate if call.arguments.command == "initiate" else configure.clear
    with call.connect() as session:
        act(session, call.arguments.peer, as_json=call.as_json)


def _keys(call: Call) -> None:
    from rkmp.cli import exported_keys, timeline

    arguments = call.arguments
    with call.connect() as session:
        if arguments.subject == "export":
            exported_keys.export(session, arguments.name, arguments.output, as_json=call.as_json)
        else:
            timeline.show(session, call.console, arguments.svg, as_json=call.as_json)


def _verify(call: Call) -> int:
    from rkmp.cli import exported_keys, verify
    from rkmp.cli.key_documents import keys_of_table, read_keys

    def of_the_agent() -> list[VerificationKey]:
        with call.connect() as session:
            return keys_of_table(exported_keys.fetch(session, with_withheld=True))

    file = call.arguments.keys
    return verify.verify(
        call.arguments.capture,
        of_the_agent if file is None else lambda: read_keys(file),
        call.console,
        tells_all=call.arguments.all,
        as_json=call.as_json,
    )


def _doctor(call: Call) -> int:
    from rkmp.cli import doctor
    from rkmp.cli.progress import telling

    arguments = call.arguments

    def connect(host: str, port: int) -> Session:
        return call.connect(host, port, waiting=telling(f"connecting to {host} port {port}"))

    addresses = [("agent", arguments.host, arguments.port)]
    if arguments.peer_agent is not None:
        addresses.append(("peer's agent", *arguments.peer_agent))
    agents: list[tuple[str, str, Connect]] = [
        (name, host, partial(connect, host, port)) for name, host, port in addresses
    ]
    return doctor.doctor(call.console, agents, arguments.peer, arguments.hours, as_json=call.as_json)


def _init_fleet(call: Call) -> None:
    from datetime import UTC, datetime

    from rkmp.cli.fleet import FleetRequest, init_fleet

    arguments = call.arguments
    request = FleetRequest(
        inventory=arguments.inventory,
        output=arguments.output,
        rotate=arguments.rotate,
        push=arguments.push,
        dry_run=arguments.dry_run,
        passphrase_file=arguments.authority_passphrase_file,
        confirm_within=arguments.confirm_within,
        wait=arguments.wait,
    )
    init_fleet(request, call.connect, datetime.now(UTC), as_json=call.as_json)


def _completion(call: Call) -> None:
    from rkmp.cli.completion import SCRIPTS

    print(SCRIPTS[call.arguments.shell], end="")


COMMANDS: Mapping[str, Command] = {
    "show": _show,
    "watch": _watch,
    "apply": _apply,
    "diff": _diff,
    "confirm": _settle,
    "cancel": _settle,
    "rekey": _rekey,
    "initiate": _act,
    "clear": _act,
    "keys": _keys,
    "verify": _verify,
    "doctor": _doctor,
    "init-fleet": _init_fleet,
    "completion": _completion,
    "demo": _demo,
}
