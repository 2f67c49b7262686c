"""The command line of ``rkmp``: every command with its arguments, and nothing of what they do."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import rkmp
from rkmp.cli.exit_status import MEANINGS
from rkmp.cli.profiles import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_NETCONF_PORT = DEFAULT_PORT
HOURS_OF_A_YEAR = 24 * 366
_PEER = "its name in the configuration"


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")

    root = argparse.ArgumentParser(
        prog="rkmp",
        description="Operate an rkmp agent over NETCONF, or run the demonstration.",
        epilog="exit status: " + "; ".join(f"{status} {meaning}" for status, meaning in MEANINGS.items()),
        parents=[machine],
    )
    root.add_argument("--version", action="version", version=f"rkmp {rkmp.__version__}")
    root.add_argument("--profile", metavar="NAME", help="the agent of this name in rkmp/config.toml")
    root.add_argument("--host", help=f"the agent's address (default {DEFAULT_HOST})")
    root.add_argument("--port", type=_port, help=f"its NETCONF port (default {DEFAULT_NETCONF_PORT})")
    root.add_argument("--user", help="whom to log in as (default: you)")
    credential = root.add_mutually_exclusive_group()
    credential.add_argument("--key", type=Path, help="private key file (default: the SSH agent and ~/.ssh)")
    credential.add_argument("--password-stdin", action="store_true", help="read a password from standard input")
    root.add_argument(
        "--strict-host-key",
        action=argparse.BooleanOptionalAction,
        help="refuse a host key that is not yet known (default: trust it at first use, and say so)",
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[machine])

    _add_show(add("show", "Show peers, keys, associations, the configuration or the log of events."), machine)
    watch = add("watch", "Show peers, associations, keys and events as they change, until interrupted.")
    watch.add_argument("--lines", action="store_true", help="print events line by line, as where no terminal is")
    kinds = "XML, JSON (RFC 7951) or YAML by its ending or by its content; - for standard input"
    apply = add("apply", "Merge a configuration file into running, all or nothing, and show what that changes.")
    apply.add_argument("file", type=Path, help=kinds)
    apply.add_argument(
        "--ask",
        action=argparse.BooleanOptionalAction,
        help="show what changes, and ask before it does (default: ask where there is a terminal)",
    )
    apply.add_argument(
        "--confirm-within",
        type=_seconds,
        metavar="SECONDS",
        help="undo it after so long, unless `rkmp confirm` keeps it: for changes that may cut you off",
    )
    diff = add("diff", "Show what applying a configuration file would change.")
    diff.add_argument("file", type=Path, help=kinds)
    for name, text in (
        ("confirm", "Keep what was applied with --confirm-within."),
        ("cancel", "Undo at once what was applied with --confirm-within."),
    ):
        add(name, text).add_argument("token", help="what `rkmp apply` has printed")
    rekey = add("rekey", "Replace the key of one association now.")
    rekey.add_argument("peer", help=_PEER)
    rekey.add_argument("protocol", help="the routing protocol of the association, such as bgp")
    add("initiate", "Negotiate now whatever a peer's associations lack.").add_argument("peer", help=_PEER)
    add("clear", "Remove a peer's IKE SAs and negotiated keys.").add_argument("peer", help=_PEER)
    _add_keys(add("keys", "Export keys, or draw their lifetimes."), machine)
    verify = add("verify", "Check the TCP-AO MAC of every segment in a capture against the keys of the agent.")
    verify.add_argument("capture", type=Path, help="a pcap or pcapng file; - for standard input")
    verify.add_argument("--keys", type=Path, metavar="FILE", help="keys that were exported, instead of the agent's")
    verify.add_argument("--all", action="store_true", help="tell every segment, and those that are verified too")
    doctor = add("doctor", "Look at an agent, and at its peer's where you may, and name what is likely wrong.")
    doctor.add_argument("peer", nargs="?", help="look at this peer only")
    doctor.add_argument(
        "--peer-agent",
        type=_address,
        metavar="HOST:PORT",
        help="the NETCONF address of the peer's agent, which knows what the peer does not say over IKE",
    )
    doctor.add_argument(
        "--hours", type=_hours, default=timedelta(hours=1), help="how far back events count (default 1 hour)"
    )
    _add_init_fleet(
        add("init-fleet", "Make credentials and configurations for the routers of an inventory, and push them.")
    )
    completion = add("completion", "Print what makes a shell complete rkmp's words: source <(rkmp completion bash)")
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])
    demo = add("demo", "Run two agents on loopback and check the main job, step by step.")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep the two agents' state in DIR")
    return root


def _add_show(show: argparse.ArgumentParser, machine: argparse.ArgumentParser) -> None:
    subjects = show.add_subparsers(dest="subject", required=True, metavar="WHAT")

    def add(name: str, text: str, xml: str = "print the agent's XML") -> argparse.ArgumentParser:
        subject = subjects.add_parser(name, help=text, description=text, parents=[machine])
        subject.add_argument("--xml", action="store_true", help=xml)
        return subject

    add("peers", "Show peers, whether they are reached, and what went wrong last.")
    add("keys", "Show the key table: which keys are used, and when they roll over.")
    add("associations", "Show for which routing protocols there are keys, and the state of each negotiation.")
    config = add("config", "Show a configuration datastore, without its secrets; XML, unless --json is given.")
    config.add_argument(
        "--source", choices=["running", "candidate", "startup"], default="running", help="which (default running)"
    )
    events = add("events", "Show what the agent has logged.", "print one notification a line, as XML")
    events.add_argument(
        "--hours", type=_hours, default=timedelta(hours=24), help="how far back events go (default 24 hours)"
    )


def _add_keys(keys: argparse.ArgumentParser, machine: argparse.ArgumentParser) -> None:
    subjects = keys.add_subparsers(dest="subject", required=True, metavar="WHAT")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return subjects.add_parser(name, help=text, description=text, parents=[machine])

    export = add("export", "Export keys themselves, as far as access control lets you read them, as XML or --json.")
    export.add_argument("name", nargs="*", help="AdminKeyNames (default: every key that you may read)")
    timeline = add("timeline", "Draw when each key is sent with and accepted, and when the next takes over.")
    timeline.add_argument("--svg", type=Path, metavar="FILE", help="write a picture in the place of text")
    export.add_argument("--output", type=Path, metavar="FILE", help="write a file that only you can read (0600)")


def _add_init_fleet(fleet: argparse.ArgumentParser) -> None:
    fleet.add_argument(
        "inventory",
        type=Path,
        help="routers and links, as YAML, JSON, TOML, or what `ansible-inventory --list` prints; - for standard input",
    )
    fleet.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="where secrets and configurations are kept (0700)"
    )
    fleet.add_argument("--rotate", action="store_true", help="make the secrets anew that are there")
    fleet.add_argument("--push", action="store_true", help="bring the configurations to the routers, to all or to none")
    fleet.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    fleet.add_argument(
        "--authority-passphrase-file",
        type=Path,
        metavar="FILE",
        help="what the key of the authority is encrypted with (default: it is not)",
    )
    fleet.add_argument(
        "--confirm-within",
        type=_seconds,
        default=120,
        metavar="SECONDS",
        help="after so long routers go back by themselves, should this program die (default 120)",
    )
    fleet.add_argument(
        "--wait", type=_seconds, default=60, metavar="SECONDS", help="how long to wait for keys (default 60)"
    )


def _hours(text: str) -> timedelta:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_OF_A_YEAR:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours up to a year")
    return timedelta(hours=hours)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), _port(port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)
