"""The command ``rkmp init-fleet``: files first, then, where asked for, the fleet itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lxml import etree

from rkmp.cli.exit_status import REFUSED
from rkmp.cli.fleet.configuration import router_configuration
from rkmp.cli.fleet.credentials import open_credentials
from rkmp.cli.fleet.inventory import Fleet, FleetRouter, read_inventory
from rkmp.cli.fleet.rollout import Rollout
from rkmp.cli.private_file import write_private
from rkmp.cli.session import Session
from rkmp.errors import CommandError


@dataclass(frozen=True, slots=True)
class FleetRequest:
    """What was asked for; times are in seconds."""

    inventory: Path
    output: Path
    rotate: bool
    push: bool
    confirm_within: int
    wait: int


def init_fleet(request: FleetRequest, connect: Callable[..., Session], now: datetime, *, as_json: bool) -> None:
    """Write each router's configuration below the output directory, and bring it to the routers where asked to.

    ``connect`` opens a session at an address, as whom the inventory says where the command line does not. Raises
    :class:`CommandError`; a fleet that has no keys in time is one, with what is missing.
    """
    fleet = read_inventory(request.inventory)
    credentials = open_credentials(fleet, request.output, rotate=request.rotate, now=now)
    configurations = {
        router.name: router_configuration(fleet, router, credentials) for router in fleet.routers.values()
    }
    for name, config in configurations.items():
        etree.indent(config)
        write_private(request.output / f"{name}.xml", etree.tostring(config, encoding="utf-8") + b"\n")
    if request.push:

        def open_session(router: FleetRouter) -> Session:
            return connect(router.netconf_host, router.netconf_port, user=fleet.user, key=fleet.key)

        with Rollout(fleet, open_session, request.confirm_within) as rollout:
            rollout.bring(configurations)
            missing = rollout.wait_for_keys(request.wait)
        if missing:
            raise CommandError("\n".join(("configured, and without a key:", *missing)), REFUSED)
    _tell(request, fleet, as_json=as_json)


def _tell(request: FleetRequest, fleet: Fleet, *, as_json: bool) -> None:
    if as_json:
        told = {"routers": sorted(fleet.routers), "links": len(fleet.links), "pushed": request.push}
        print(json.dumps(told, indent=2))
        return
    done = "have their keys" if request.push else f"are described in {request.output}; --push brings it to them"
    print(f"{len(fleet.routers)} routers with {len(fleet.links)} links {done}")
