"""The inventory: a file with the routers of a fleet and the links between them, as YAML, JSON or TOML.

domain: example.net            # r1 is r1.example.net to its peers
credentials: psk               # or certificate
user: ops                      # whom to log in as, and with which key file; a router may have its own
key: ~/.ssh/id_ed25519
routers:
  r1: {address: 192.0.2.1}
  r2: {address: 192.0.2.2, netconf: "198.51.100.2:830", ike-port: 500}
links:
  - [r1, r2]
  - {routers: [r2, r3], protocols: [bgp, ldp], addresses: [10.0.0.1, 10.0.0.2]}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rkmp.cli.command_line import DEFAULT_NETCONF_PORT
from rkmp.cli.exit_status import USAGE
from rkmp.cli.fleet.ansible import from_ansible, is_of_ansible
from rkmp.cli.fleet.documents import read_document
from rkmp.errors import CommandError

DEFAULT_IKE_PORT = 500
CREDENTIALS = ("psk", "certificate")
PROTOCOLS = ("bgp", "ldp", "msdp", "pim-port", "pcep")
RESERVED = "authority"
"""No router is called that: files of the fleet's authority are."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")
_DOMAIN_OCTETS = 253


@dataclass(frozen=True, slots=True)
class FleetRouter:
    """One router: the address that its peers speak to, and where its agent serves NETCONF, and to whom."""

    name: str
    identity: str
    address: str
    ike_port: int
    netconf_host: str
    netconf_port: int
    user: str | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class Link:
    """Two routers, by name and in the order of their names, their addresses, and the protocols between them."""

    routers: tuple[str, str]
    addresses: tuple[str, str]
    protocols: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the link is called in files."""
        return "--".join(self.routers)


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A router as the other end of one link sees it."""

    router: FleetRouter
    address: str
    link: Link


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that the inventory says."""

    credentials: str
    routers: Mapping[str, FleetRouter]
    links: tuple[Link, ...]
    _neighbors: dict[str, list[Neighbor]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        # By name, so that the order of an inventory's links changes nothing.
        for link in sorted(self.links, key=lambda link: link.routers):
            for ours, theirs in ((0, 1), (1, 0)):
                other = Neighbor(self.routers[link.routers[theirs]], link.addresses[theirs], link)
                self._neighbors.setdefault(link.routers[ours], []).append(other)

    def neighbors_of(self, router: str) -> list[Neighbor]:
        """Return the routers that ``router`` has links with."""
        return self._neighbors.get(router, [])


def read_inventory(path: Path) -> Fleet:
    """Return the fleet that the file describes; raise :class:`CommandError` that says where it is wrong."""
    document = read_document(path)
    reader = _Reader(path)
    return reader.fleet(from_ansible(document, reader.wrong) if is_of_ansible(document) else document)


class _Reader:
    """Reads one document; every complaint begins with the file and the place in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fleet(self, document: Any) -> Fleet:
        top = self._mapping("the inventory", document)
        self._only(top, "", ("domain", "credentials", "user", "key", "routers", "links"))
        credentials = top.get("credentials", "psk")
        if credentials not in CREDENTIALS:
            raise self.wrong("credentials", f"{credentials!r} is neither psk nor certificate")
        domain = top.get("domain", "rkmp.invalid")
        if not isinstance(domain, str) or _DOMAIN.fullmatch(domain) is None:
            raise self.wrong("domain", f"{domain!r} is no domain name")
        shared = {name: self._text("", name, top.get(name)) for name in ("user", "key")}
        routers: dict[str, FleetRouter] = {}
        for name, entry in self._mapping("routers", top.get("routers")).items():
            router = self._router(name, entry, domain, shared)
            routers[router.name] = router
        links = self._links(top.get("links"), routers)
        self._require_apart(routers, links)
        return Fleet(credentials, routers, links)

    def _router(self, name: Any, entry: Any, domain: str, shared: Mapping[str, str | None]) -> FleetRouter:
        where = f"routers: {name}"
        # A name such as `no` or 1.10 is something else in YAML than what was written; whole numbers are what they are.
        if isinstance(name, bool) or not isinstance(name, str | int) or _NAME.fullmatch(str(name)) is None:
            raise self.wrong(where, "the name is no label of a domain name")
        name = str(name)
        if name.lower() == RESERVED or len(f"{name}.{domain}") > _DOMAIN_OCTETS:
            what = "files of the fleet's authority are called that" if name.lower() == RESERVED else "is too long"
            raise self.wrong(where, what)
        values = self._mapping(where, entry)
        self._only(values, where, ("address", "netconf", "ike-port", "user", "key"))
        address = self._address(where, values.get("address"))
        host, port = self._host_and_port(where, values.get("netconf", address))
        key = self._text(where, "key", values.get("key", shared["key"]))
        return FleetRouter(
            name=name,
            identity=f"{name}.{domain}",
            address=address,
            ike_port=self._port(where, values.get("ike-port", DEFAULT_IKE_PORT)),
            netconf_host=host,
            netconf_port=port,
            user=self._text(where, "user", values.get("user", shared["user"])),
            key=None if key is None else Path(key).expanduser(),
        )

    def _links(self, entries: Any, routers: Mapping[str, FleetRouter]) -> tuple[Link, ...]:
        if not isinstance(entries, list) or not entries:
            raise self.wrong("links", "there is no list of them")
        links: dict[tuple[str, ...], Link] = {}
        for number, entry in enumerate(entries, start=1):
            link = self._link(f"links: number {number}", entry, routers)
            if link.routers in links:
                first, second = link.routers
                raise self.wrong(f"links: number {number}", f"{first} and {second} have a link already")
            links[link.routers] = link
        return tuple(links.values())

    def _link(self, where: str, entry: Any, routers: Mapping[str, FleetRouter]) -> Link:
        values = {"routers": entry} if isinstance(entry, list) else self._mapping(where, entry)
        self._only(values, where, ("routers", "protocols", "addresses"))
        ends, protocols = values.get("routers"), values.get("protocols", ["bgp"])
        if not isinstance(ends, list) or len(ends) != 2 or str(ends[0]) == str(ends[1]):
            raise self.wrong(where, "a link has two routers")
        ends = [str(end) for end in ends]
        for end in ends:
            if end not in routers:
                raise self.wrong(where, f"{end} is none of the routers")
        if not isinstance(protocols, list) or not protocols or not set(map(str, protocols)) <= set(PROTOCOLS):
            raise self.wrong(where, f"protocols are some of {', '.join(PROTOCOLS)}")
        addresses = values.get("addresses", [routers[end].address for end in ends])
        if not isinstance(addresses, list) or len(addresses) != 2:
            raise self.wrong(where, "addresses are two, in the order of the routers")
        addresses = [self._address(where, address) for address in addresses]
        if len({ipaddress.ip_address(address).version for address in addresses}) > 1:
            raise self.wrong(where, f"{addresses[0]} and {addresses[1]} are not of one version of IP")
        (first, its), (second, others) = sorted(zip(ends, addresses, strict=True))
        return Link((first, second), (its, others), tuple(dict.fromkeys(map(str, protocols))))

    def _require_apart(self, routers: Mapping[str, FleetRouter], links: tuple[Link, ...]) -> None:
        """Refuse routers that are one to their peers or to us: of one name, or at one address and port."""
        seen: dict[tuple[str, object], str] = {}
        for router in routers.values():
            for what, value in (
                ("name", router.name.lower()),
                ("address and ike-port", (router.address, router.ike_port)),
                ("NETCONF address", (router.netconf_host, router.netconf_port)),
            ):
                other = seen.setdefault((what, value), router.name)
                if other != router.name:
                    raise self.wrong(f"routers: {router.name}", f"{other} has the same {what}")
        for link in links:
            for name, address in zip(link.routers, link.addresses, strict=True):
                other = seen.setdefault(("address and ike-port", (address, routers[name].ike_port)), name)
                if other != name:
                    raise self.wrong(f"the link {link.name}", f"{name} and {other} have the same address and ike-port")

    def _mapping(self, where: str, value: Any) -> Mapping[Any, Any]:
        if not isinstance(value, dict) or not value:
            raise self.wrong(where, "names with values are expected here")
        return value

    def _only(self, values: Mapping[Any, Any], where: str, known: tuple[str, ...]) -> None:
        for name in values:
            if name not in known:
                raise self.wrong(where, f"{name!r} is not one of {', '.join(known)}")

    def _text(self, where: str, name: str, value: Any) -> str | None:
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(f"{where}: {name}" if where else name, "is not text")
        return value

    def _address(self, where: str, value: Any) -> str:
        # Not of a number, which would be taken for the address that has it.
        try:
            address = ipaddress.ip_address(value if isinstance(value, str) else "")
        except ValueError as error:
            raise self.wrong(where, f"address {value!r} is no IP address") from error
        if address.is_unspecified or address.is_multicast or getattr(address, "scope_id", None) is not None:
            raise self.wrong(where, f"address {value!r} is not that of one router alone")
        return str(address)

    def _host_and_port(self, where: str, value: Any) -> tuple[str, int]:
        text = str(value)
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise self.wrong(where, f"{text!r} is no address and port")
            port = rest.removeprefix(":")
        elif text.count(":") > 1:
            host, port = text, ""
        else:
            host, _, port = text.partition(":")
        if not host:
            raise self.wrong(where, f"{text!r} is no address and port")
        return host, self._port(where, port or DEFAULT_NETCONF_PORT)

    def _port(self, where: str, value: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise self.wrong(where, f"{text!r} is no port number")
        return int(text)

    def wrong(self, where: str, what: str) -> CommandError:
        return CommandError(f"{self._path}: {where}: {what}" if where else f"{self._path}: {what}", USAGE)
