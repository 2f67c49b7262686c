"""What each command of ``rkmp`` runs: a table by name. What they do is told where they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from rkmp.capture import VerificationKey
from rkmp.cli import configure, demo, doctor, exported_keys, live, show, timeline, verify, watch
from rkmp.cli.completion import SCRIPTS
from rkmp.cli.configuration_files import read_configuration
from rkmp.cli.exit_status import DONE
from rkmp.cli.fleet import FleetRequest, init_fleet
from rkmp.cli.key_documents import keys_of_table, read_keys
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
    demo.run(call.console, keep=call.arguments.keep, as_json=call.as_json)


def _show(call: Call) -> None:
    arguments = call.arguments
    with call.connect() as session:
        if arguments.subject == "config":
            show.show_config(session, arguments.source, as_json=call.as_json)
        elif arguments.subject == "events":
            watch.show_events(session, arguments.hours, as_json=call.as_json, as_xml=arguments.xml)
        else:
            show.show(session, arguments.subject, call.console, as_json=call.as_json, as_xml=arguments.xml)


def _watch(call: Call) -> None:
    with call.connect() as session:
        if call.console.is_terminal and not (call.as_json or call.arguments.lines):
            live.watch(session, call.console, f"{call.arguments.host} port {call.arguments.port}")
        else:
            watch.watch(session, as_json=call.as_json)


def _apply(call: Call) -> None:
    arguments = call.arguments
    # Before anybody is bothered for it.
    file = read_configuration(arguments.file)
    with call.connect() as session:
        configure.apply(
            session, file, as_json=call.as_json, asks=arguments.ask, confirm_within=arguments.confirm_within
        )


def _diff(call: Call) -> None:
    file = read_configuration(call.arguments.file)
    with call.connect() as session:
        configure.diff(session, file, as_json=call.as_json)


def _settle(call: Call) -> None:
    settle = configure.confirm if call.arguments.command == "confirm" else configure.cancel
    with call.connect() as session:
        settle(session, call.arguments.token, as_json=call.as_json)


def _rekey(call: Call) -> None:
    with call.connect() as session:
        configure.rekey(session, call.arguments.peer, call.arguments.protocol, as_json=call.as_json)


def _act(call: Call) -> None:
    act = configure.initiate if call.arguments.command == "initiate" else configure.clear
    with call.connect() as session:
        act(session, call.arguments.peer, as_json=call.as_json)


def _keys(call: Call) -> None:
    arguments = call.arguments
    with call.connect() as session:
        if arguments.subject == "export":
            exported_keys.export(session, arguments.name, arguments.output, as_json=call.as_json)
        else:
            timeline.show(session, call.console, arguments.svg, as_json=call.as_json)


def _verify(call: Call) -> int:
    def of_the_agent() -> list[VerificationKey]:
        with call.connect() as session:
            return keys_of_table(exported_keys.fetch(session))

    file = call.arguments.keys
    return verify.verify(
        call.arguments.capture,
        of_the_agent if file is None else lambda: read_keys(file),
        call.console,
        tells_all=call.arguments.all,
        as_json=call.as_json,
    )


def _doctor(call: Call) -> int:
    arguments = call.arguments
    agents: list[tuple[str, str, doctor.Connect]] = [("agent", arguments.host, call.connect)]
    if arguments.peer_agent is not None:
        host, port = arguments.peer_agent
        agents.append(("peer's agent", host, lambda: call.connect(host, port)))
    return doctor.doctor(call.console, agents, arguments.peer, arguments.hours, as_json=call.as_json)


def _init_fleet(call: Call) -> None:
    arguments = call.arguments
    request = FleetRequest(
        inventory=arguments.inventory,
        output=arguments.output,
        rotate=arguments.rotate,
        push=arguments.push,
        confirm_within=arguments.confirm_within,
        wait=arguments.wait,
    )
    init_fleet(request, call.connect, datetime.now(UTC), as_json=call.as_json)


def _completion(call: Call) -> None:
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
