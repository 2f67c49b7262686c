"""The routing protocols of the draft's section 4.2 by number, and as the key table names them."""

from __future__ import annotations

from rkmp.wire import RoutingProtocol

PROTOCOL_NAMES: dict[int, str] = {
    RoutingProtocol.BGP: "bgp",
    RoutingProtocol.LDP: "ldp",
    RoutingProtocol.MSDP: "msdp",
    RoutingProtocol.PIM_PORT: "pim-port",
    RoutingProtocol.PCEP: "pcep",
}


def protocol_name(number: int) -> str:
    """Return the key table's name of a Rtg. Prot. ID: private-use numbers are written in decimal."""
    return PROTOCOL_NAMES.get(number, str(number))
