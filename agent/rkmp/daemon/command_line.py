"""The command lines of ``rkmpd`` and of its subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import rkmp
from rkmp.daemon import log
from rkmp.daemon.listen_address import ListenAddress, parse_listen_address
from rkmp.daemon.recovery import OPTION

DEFAULT_NETCONF_PORT = 830
DEFAULT_IKE_PORT = 500


def serve_parser() -> argparse.ArgumentParser:
    """Build the command line of the agent itself."""
    parser = argparse.ArgumentParser(
        prog="rkmpd",
        description="Run the rkmp agent in the foreground until SIGTERM.",
        epilog="`rkmpd init` makes a state directory, `rkmpd backup` and `rkmpd restore` keep one, and "
        "`rkmpd add-administrator` opens one; each has --help.",
    )
    parser.add_argument("--version", action="version", version=f"rkmpd {rkmp.__version__}")
    parser.add_argument("--state-dir", type=Path, required=True, help="where the agent keeps its state")
    parser.add_argument(
        "--netconf-listen",
        type=_address(DEFAULT_NETCONF_PORT),
        default=ListenAddress("0.0.0.0", DEFAULT_NETCONF_PORT),  # noqa: S104 - the contract: reachable unless told not
        metavar="HOST:PORT",
        help="where NETCONF over SSH listens while no endpoint of the configuration does (default 0.0.0.0:830; port 0 "
        "picks a free one)",
    )
    parser.add_argument(
        "--ike-listen",
        type=_address(DEFAULT_IKE_PORT),
        default=ListenAddress("0.0.0.0", DEFAULT_IKE_PORT),  # noqa: S104
        metavar="HOST:PORT",
        help="where IKE listens while the configuration names no listener (default 0.0.0.0:500)",
    )
    parser.add_argument(
        "--log-format",
        choices=log.FORMATS,
        default="text",
        help="text on standard error, or json on standard output (default text)",
    )
    parser.add_argument("--trace", action="store_true", help="log every IKE message, decoded, without its secrets")
    parser.add_argument(
        "--key-log",
        type=Path,
        metavar="FILE",
        help="DANGER: write the keys of IKE SAs to FILE, with which Wireshark can decrypt them; for a lab only",
    )
    parser.add_argument(
        OPTION,
        action="store_true",
        help="where the database is corrupt, set it aside and start from the last good copy",
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
    _add_credential(parser)
    return parser


def administrator_parser() -> argparse.ArgumentParser:
    """Build the command line of ``rkmpd add-administrator``."""
    parser = argparse.ArgumentParser(
        prog="rkmpd add-administrator",
        description="Give an agent that is at rest one more administrator, where nobody can log in any more.",
        epilog="What the configuration says of a user of that name counts more: take a name that it does not have.",
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="the directory of the agent")
    parser.add_argument("--user", required=True, help="a name that no administrator has yet")
    _add_credential(parser)
    return parser


def _add_credential(parser: argparse.ArgumentParser) -> None:
    credential = parser.add_mutually_exclusive_group(required=True)
    credential.add_argument(
        "--authorized-key",
        type=Path,
        metavar="FILE",
        help="OpenSSH public keys, one a line; - for standard input",
    )
    credential.add_argument("--password-stdin", action="store_true", help="read a password from standard input")


def backup_parser() -> argparse.ArgumentParser:
    """Build the command line of ``rkmpd backup``."""
    parser = argparse.ArgumentParser(
        prog="rkmpd backup",
        description="Write the whole state to one file, from a running agent or one at rest.",
        epilog="With the key-encryption key in it, the file opens every key of the agent: keep it as you keep those.",
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="the directory of the agent")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the file to write; a new one")
    parser.add_argument(
        "--without-key", action="store_true", help="leave out the key-encryption key, which is kept elsewhere"
    )
    return parser


def restore_parser() -> argparse.ArgumentParser:
    """Build the command line of ``rkmpd restore``."""
    parser = argparse.ArgumentParser(
        prog="rkmpd restore",
        description="Make a state directory out of a backup.",
        epilog="Negotiated keys are left out, since the peers may have replaced them: the agent negotiates new ones.",
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="the directory to make; it must hold no state")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="the backup")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the key-encryption key, where it is not in the backup"
    )
    return parser


def _address(default_port: int) -> Callable[[str], ListenAddress]:
    def parse(text: str) -> ListenAddress:
        try:
            return parse_listen_address(text, default_port)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse
