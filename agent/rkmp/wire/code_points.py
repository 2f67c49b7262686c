"""The three numbers that the draft leaves to be assigned (TBD-1, TBD-2, TBD-3), which IANA never assigned.

Private-use numbers stand in for them; an operator can set others. Both ends must agree, so a Vendor ID announces them
(RFC 7296 3.12).
"""

from __future__ import annotations

from dataclasses import dataclass

from rkmp.wire.registries import ProtocolId, TrafficSelectorType

_LAST_ASSIGNED_PROTOCOL = max(ProtocolId)
_LAST_ASSIGNED_SELECTOR_TYPE = max(TrafficSelectorType)


@dataclass(frozen=True, slots=True)
class CodePoints:
    """The Protocol IDs of TCP-AO and LDP discovery proposals and the type of routing-protocol traffic selectors.

    Raises ValueError for a number that is no octet, that IANA has assigned to something else, or that would make the
    two protocols one.
    """

    tcp_ao_protocol: int = 201
    ldp_discovery_protocol: int = 202
    traffic_selector_type: int = 241

    def __post_init__(self) -> None:
        for protocol in (self.tcp_ao_protocol, self.ldp_discovery_protocol):
            if not _LAST_ASSIGNED_PROTOCOL < protocol <= 255:
                raise ValueError(f"{protocol} is not free to be a Protocol ID of RKMP")
        if self.tcp_ao_protocol == self.ldp_discovery_protocol:
            raise ValueError(f"Protocol ID {self.tcp_ao_protocol} cannot mean both TCP-AO and LDP discovery")
        if not _LAST_ASSIGNED_SELECTOR_TYPE < self.traffic_selector_type <= 255:
            raise ValueError(f"{self.traffic_selector_type} is not free to be a traffic selector type of RKMP")


DEFAULT_CODE_POINTS = CodePoints()
"""Private-use numbers of RFC 7296's registries: 201 and 202, and 241."""
