"""How datagrams fare between the routers of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]
Cut = tuple[float, float] | tuple[float, float, str, frozenset[int]]
"""From when to when nothing arrives; or nothing from a source of IKE's exchanges of some types (RFC 7296 3.1)."""
EXCHANGE_TYPE = 18
"""Which octet of a message that is."""


@dataclass
class Network:
    """How datagrams fare. ``loss`` and ``duplication`` are probabilities; delays are in seconds.

    ``filter`` may drop (return None) or change a datagram.
    ``translator`` stands before the router whose address it hides.
    """

    loss: float = 0.0
    duplication: float = 0.0
    delay: tuple[float, float] = (0.01, 0.02)
    cuts: list[Cut] = field(default_factory=list)
    filter: Callable[[str, str, bytes], bytes | None] = lambda _source, _destination, data: data
    translator: Translator | None = None

    def is_cut(self, now: float, source: str, data: bytes) -> bool:
        """Return whether what ``source`` has sent does not arrive now."""
        for start, end, *way in self.cuts:
            if start <= now < end and (not way or (source == way[0] and data[EXCHANGE_TYPE] in way[1])):
                return True
        return False


@dataclass
class Translator:
    """A NAT: what comes from ``inside`` seems to come from ``outside``, at a port of its own for each port inside."""

    inside: str
    outside: str
    ports: dict[int, int] = field(default_factory=dict)
    seen: list[tuple[int, int, bytes]] = field(default_factory=list)

    def outgoing(self, source: Address, destination: Address, data: bytes) -> Address:
        """Return what the source of a datagram turns into; remember the ports, and what it carries."""
        if source[0] != self.inside:
            return source
        self.seen.append((source[1], destination[1], data))
        return self.outside, self.ports.setdefault(source[1], 40000 + len(self.ports))

    def incoming(self, destination: Address) -> Address | None:
        """Return whom a datagram is for behind us, None where nobody has opened that port."""
        if destination[0] != self.outside:
            return destination
        inside = {outside: port for port, outside in self.ports.items()}.get(destination[1])
        return None if inside is None else (self.inside, inside)
