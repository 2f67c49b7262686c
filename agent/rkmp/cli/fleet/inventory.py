"""The inventory: a YAML file with the routers of a fleet and the links between them.

domain: example.net            # r1 is r1.example.net to its peers
credentials: psk               # or certificate
user: ops                      # whom to log in as, and with which key file
key: ~/.ssh/id_ed25519
routers:
  r1: {address: 192.0.2.1}
  r2: {address: 192.0.2.2, netconf: "198.51.100.2:830", ike-port: 500}
links:
  - [r1, r2]
  - {routers: [r2, r3], protocols: [bgp, ldp]}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rkmp.cli.command_line import DEFAULT_NETCONF_PORT
from rkmp.cli.exit_status import USAGE
from rkmp.errors import CommandError

DEFAULT_IKE_PORT = 500
CREDENTIALS = ("psk", "certificate")
PROTOCOLS = ("bgp", "ldp", "msdp", "pim-port", "pcep")

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")


@dataclass(frozen=True, slots=True)
class FleetRouter:
    """One router: the address that its peers speak to, and where its agent serves NETCONF."""

    name: str
    identity: str
    address: str
    ike_port: int
    netconf_host: str
    netconf_port: int


@dataclass(frozen=True, slots=True)
class Link:
    """Two routers, by name and in the order of their names, and the routing protocols between them."""

    routers: tuple[str, str]
    protocols: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the link is called in files."""
        return "--".join(self.routers)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that the inventory says."""

    credentials: str
    user: str | None
    key: Path | None
    routers: Mapping[str, FleetRouter]
    links: tuple[Link, ...]

    def peers_of(self, router: str) -> list[tuple[FleetRouter, Link]]:
        """Return the routers that ``router`` has links with, each with its link."""
        found = []
        for link in self.links:
            if router in link.routers:
                other = next(name for name in link.routers if name != router)
                found.append((self.routers[other], link))
        return found


def read_inventory(path: Path) -> Fleet:
    """Return the fleet that the file describes; raise :class:`CommandError` that says where it is wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" line {mark.line + 1}"
        raise CommandError(f"{path}{where}: this is no YAML", USAGE) from error
    return _Reader(path).fleet(document)


class _Reader:
    """Reads one document; every complaint begins with the file and the place in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fleet(self, document: Any) -> Fleet:
        top = self._mapping("the inventory", document)
        self._only(top, "", ("domain", "credentials", "user", "key", "routers", "links"))
        credentials = top.get("credentials", "psk")
        if credentials not in CREDENTIALS:
            raise self._wrong("credentials", f"{credentials!r} is neither psk nor certificate")
        domain = top.get("domain", "rkmp.invalid")
        if not isinstance(domain, str) or _DOMAIN.fullmatch(domain) is None:
            raise self._wrong("domain", f"{domain!r} is no domain name")
        user, key = top.get("user"), top.get("key")
        for name, value in (("user", user), ("key", key)):
            if value is not None and not isinstance(value, str):
                raise self._wrong(name, "is not text")
        routers = {
            str(name): self._router(str(name), entry, domain)
            for name, entry in self._mapping("routers", top.get("routers")).items()
        }
        return Fleet(
            credentials=credentials,
            user=user,
            key=None if key is None else Path(key).expanduser(),
            routers=routers,
            links=self._links(top.get("links"), routers),
        )

    def _router(self, name: str, entry: Any, domain: str) -> FleetRouter:
        where = f"routers: {name}"
        if _NAME.fullmatch(name) is None:
            raise self._wrong(where, "the name is no label of a domain name")
        values = self._mapping(where, entry)
        self._only(values, where, ("address", "netconf", "ike-port"))
        try:
            address = ipaddress.ip_address(values.get("address", ""))
        except ValueError as error:
            raise self._wrong(where, f"address {values.get('address')!r} is no IP address") from error
        host, port = self._host_and_port(where, values.get("netconf", str(address)))
        return FleetRouter(
            name=name,
            identity=f"{name}.{domain}",
            address=str(address),
            ike_port=self._port(where, values.get("ike-port", DEFAULT_IKE_PORT)),
            netconf_host=host,
            netconf_port=port,
        )

    def _links(self, entries: Any, routers: Mapping[str, FleetRouter]) -> tuple[Link, ...]:
        if not isinstance(entries, list) or not entries:
            raise self._wrong("links", "there is no list of them")
        links: dict[tuple[str, ...], Link] = {}
        for number, entry in enumerate(entries, start=1):
            where = f"links: number {number}"
            values = {"routers": entry} if isinstance(entry, list) else self._mapping(where, entry)
            self._only(values, where, ("routers", "protocols"))
            ends, protocols = values.get("routers"), values.get("protocols", ["bgp"])
            if not isinstance(ends, list) or len(ends) != 2 or ends[0] == ends[1]:
                raise self._wrong(where, "a link has two routers")
            for end in map(str, ends):
                if end not in routers:
                    raise self._wrong(where, f"{end} is none of the routers")
            if not isinstance(protocols, list) or not protocols or not set(map(str, protocols)) <= set(PROTOCOLS):
                raise self._wrong(where, f"protocols are some of {', '.join(PROTOCOLS)}")
            first, second = sorted(map(str, ends))
            if (first, second) in links:
                raise self._wrong(where, f"{first} and {second} have a link already")
            links[first, second] = Link((first, second), tuple(dict.fromkeys(map(str, protocols))))
        return tuple(links.values())

    def _mapping(self, where: str, value: Any) -> Mapping[Any, Any]:
        if not isinstance(value, dict) or not value:
            raise self._wrong(where, "names with values are expected here")
        return value

    def _only(self, values: Mapping[Any, Any], where: str, known: tuple[str, ...]) -> None:
        for name in values:
            if name not in known:
                raise self._wrong(where, f"{name!r} is not one of {', '.join(known)}")

    def _host_and_port(self, where: str, value: Any) -> tuple[str, int]:
        text = str(value)
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            return host, self._port(where, rest.removeprefix(":") or DEFAULT_NETCONF_PORT)
        if text.count(":") > 1:
            return text, DEFAULT_NETCONF_PORT
        host, _, port = text.partition(":")
        return host, self._port(where, port or DEFAULT_NETCONF_PORT)

    def _port(self, where: str, value: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise self._wrong(where, f"{text!r} is no port number")
        return int(text)

    def _wrong(self, where: str, what: str) -> CommandError:
        return CommandError(f"{self._path}: {where}: {what}" if where else f"{self._path}: {what}", USAGE)
