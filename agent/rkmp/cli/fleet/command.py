"""The command ``rkmp init-fleet``: from the inventory to files and, where asked for, to the fleet itself."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lxml import etree

from rkmp.cli.exit_status import REFUSED, USAGE
from rkmp.cli.fleet.configuration import router_configuration
from rkmp.cli.fleet.credentials import Credentials, open_credentials
from rkmp.cli.fleet.inventory import RESERVED, Fleet, FleetRouter, read_inventory
from rkmp.cli.fleet.rollout import Rollout
from rkmp.cli.private_file import read_private, write_private
from rkmp.cli.session import Session
from rkmp.errors import CommandError
from rkmp.secret import Secret

PASSPHRASE_OCTETS = 1023
"""What the library can encrypt a key with."""


@dataclass(frozen=True, slots=True)
class FleetRequest:
    """What was asked for; times are in seconds. A ``dry_run`` says what would change, and changes nothing."""

    inventory: Path
    output: Path
    rotate: bool
    push: bool
    dry_run: bool
    confirm_within: int
    wait: int
    passphrase_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be: configurations by router, and the files of the directory that are to be written."""

    fleet: Fleet
    credentials: Credentials
    configurations: Mapping[str, etree._Element]
    files: Mapping[str, Secret]
    left_over: tuple[str, ...]

    def write(self, directory: Path) -> None:
        for name, content in self.files.items():
            write_private(directory / name, content.reveal())


def init_fleet(request: FleetRequest, connect: Callable[..., Session], now: datetime, *, as_json: bool) -> None:
    """Write each router's configuration below the output directory, and bring it to the routers where asked to.

    What is brought is written once the routers have taken it, so that the directory holds what they have: all of it or
    nothing. ``connect`` opens a session at an address, as whom the inventory says where the command line does not.
    Raises :class:`CommandError`; a fleet that has no keys in time is one, with what is missing.
    """
    if request.push and request.wait >= request.confirm_within:
        raise CommandError("--wait has to be shorter than --confirm-within, or it waits for keys in vain", USAGE)
    plan = _plan(request, now)
    missing: list[str] = []
    if not request.dry_run:
        _make_directory(request.output)
    if request.push:

        def open_session(router: FleetRouter) -> Session:
            return connect(router.netconf_host, router.netconf_port, user=router.user, key=router.key)

        with Rollout(plan.fleet, open_session, request.confirm_within) as rollout:
            if request.dry_run:
                _tell_dry(plan, rollout.differences(plan.configurations), as_json=as_json)
                return
            rollout.stage(plan.configurations)
            missing = rollout.wait_for_keys(request.wait, plan.credentials.renewed)
            plan.write(request.output)
            rollout.confirm()
    elif request.dry_run:
        _tell_dry(plan, {}, as_json=as_json)
        return
    else:
        plan.write(request.output)
    if missing:
        raise CommandError("\n".join(("configured, and without a key:", *missing)), REFUSED)
    _tell(request, plan, as_json=as_json)


def _plan(request: FleetRequest, now: datetime) -> _Plan:
    fleet = read_inventory(request.inventory)
    passphrase = None if request.passphrase_file is None else _passphrase(request.passphrase_file)
    credentials = open_credentials(fleet, request.output, rotate=request.rotate, now=now, passphrase=passphrase)
    configurations = {
        router.name: router_configuration(fleet, router, credentials) for router in fleet.routers.values()
    }
    files = dict(credentials.files)
    for name, config in configurations.items():
        etree.indent(config)
        content = etree.tostring(config, encoding="utf-8") + b"\n"
        if read_private(request.output / f"{name}.xml") != content:
            files[f"{name}.xml"] = Secret(content)
    return _Plan(fleet, credentials, configurations, files, _left_over(request.output, fleet))


def _passphrase(path: Path) -> Secret:
    octets = read_private(path)
    if octets is None:
        raise CommandError(f"there is no {path}", USAGE)
    passphrase = octets.rstrip(b"\r\n")
    if not 0 < len(passphrase) <= PASSPHRASE_OCTETS:
        raise CommandError(f"{path} holds no passphrase of 1 to {PASSPHRASE_OCTETS} octets", USAGE)
    return Secret(passphrase)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise CommandError(f"cannot make {path}: {error.strerror}", USAGE) from error
    if mode & 0o022:
        # Whoever can write there can put a key of his in the place of ours.
        raise CommandError(f"others than you can write to {path}: make it 0700 (chmod 700)", USAGE)


def _left_over(directory: Path, fleet: Fleet) -> tuple[str, ...]:
    """Return the files of routers that are not in the inventory any more."""
    known = {RESERVED, *fleet.routers}
    files = [*directory.glob("*.xml"), *directory.glob("*.pem")]
    return tuple(sorted(file.name for file in files if not {file.stem, file.stem.removesuffix("-key")} & known))


def _tell(request: FleetRequest, plan: _Plan, *, as_json: bool) -> None:
    fleet = plan.fleet
    if as_json:
        told = {
            "routers": sorted(fleet.routers),
            "links": len(fleet.links),
            "made": list(plan.credentials.made),
            "written": sorted(plan.files),
            "left-over": list(plan.left_over),
            "pushed": request.push,
        }
        print(json.dumps(told, indent=2))
        return
    done = "have their keys" if request.push else f"are described in {request.output}; --push brings it to them"
    print(f"{len(fleet.routers)} routers with {len(fleet.links)} links {done}")
    if plan.left_over:
        print(f"of no router of the inventory, and still there: {', '.join(plan.left_over)}")


def _tell_dry(plan: _Plan, differences: Mapping[str, list[str]], *, as_json: bool) -> None:
    if as_json:
        told = {
            "made": list(plan.credentials.made),
            "written": sorted(plan.files),
            "left-over": list(plan.left_over),
            "differences": {name: differences[name] for name in sorted(differences)},
        }
        print(json.dumps(told, indent=2))
        return
    for what in plan.credentials.made:
        print(f"would make {what}")
    for name in sorted(plan.files):
        print(f"would write {name}")
    for name, lines in sorted(differences.items()):
        print(f"{name}:", *(lines or ["  nothing to change that is shown; secrets are not"]), sep="\n")
    if not (plan.credentials.made or plan.files or any(differences.values())):
        print("nothing would change")
