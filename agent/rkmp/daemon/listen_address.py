"""``HOST:PORT`` as the command line takes and the ready line prints it; IPv6 addresses stand in brackets."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address to bind and a port, 0 to 65535; port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(text: str, default_port: int) -> ListenAddress:
    """Return the address that ``text`` names: ``192.0.2.1``, ``192.0.2.1:830``, ``[2001:db8::1]:830`` or ``:830``.

    Raises ValueError, with a message for the operator, for anything else; names are not resolved.
    """
    host, port = _split(text)
    if not host:
        host = "0.0.0.0"  # noqa: S104 - a port alone means every address
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address") from None
    if not port:
        return ListenAddress(str(address), default_port)
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{port!r} is not a port number")
    return ListenAddress(str(address), int(port))


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [ADDRESS]:PORT")
        return host, rest[1:]
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port
