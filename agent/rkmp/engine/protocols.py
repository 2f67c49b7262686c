"""The routing protocols of the draft's section 4.2 by number, and as the key table names them."""

from __future__ import annotations

from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.wire import RoutingProtocol

PROTOCOL_NAMES: dict[int, str] = {
    RoutingProtocol.BGP: "bgp",
    RoutingProtocol.LDP: "ldp",
    RoutingProtocol.MSDP: "msdp",
    RoutingProtocol.PIM_PORT: "pim-port",
    RoutingProtocol.PCEP: "pcep",
    # Not a protocol of its own to the draft: the Hellos of LDP, whose keys are negotiated apart.
    LDP_DISCOVERY: "ldp-discovery",
}


def protocol_name(number: int) -> str:
    """Return the key table's name of a purpose (:mod:`rkmp.ike.purposes`): private-use numbers are decimal."""
    return PROTOCOL_NAMES.get(number, str(number))
