"""The Vendor ID by which two RKMP routers know that they mean the same by the same private numbers.

RFC 7296 section 3.12; G1. The draft's code points were never assigned, so they come from private-use ranges, which are
only meaningful towards a peer that announced the very same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rkmp.wire import CodePoints, Payload, VendorId

VENDOR_ID_PREFIX = b"RKMP-draft-mahesh-karp-rkmp-01"
"""What the data of our Vendor ID begins with; three octets follow: the code points in use."""


def vendor_id(code_points: CodePoints) -> VendorId:
    """Return the payload that announces ``code_points``: the prefix, TCP-AO and LDP protocol IDs, TS type."""
    numbers = (
        code_points.tcp_ao_protocol,
        code_points.ldp_discovery_protocol,
        code_points.traffic_selector_type,
    )
    return VendorId(VENDOR_ID_PREFIX + bytes(numbers))


def announced_code_points(payloads: Iterable[Payload]) -> CodePoints | None:
    """Return the code points that the first RKMP Vendor ID among ``payloads`` announces, or None without one."""
    for payload in payloads:
        if not isinstance(payload, VendorId) or not payload.data.startswith(VENDOR_ID_PREFIX):
            continue
        numbers = payload.data[len(VENDOR_ID_PREFIX) :]
        if len(numbers) == 3:
            return _code_points(numbers)
    return None


# Nearly always the same.
@lru_cache(maxsize=16)
def _code_points(numbers: bytes) -> CodePoints | None:
    try:
        return CodePoints(*numbers)
    except ValueError:
        # Numbers that cannot be: whatever that peer speaks, it is not what we do.
        return None


def describe(code_points: CodePoints) -> str:
    """Return ``code_points`` for a message to an operator."""
    return (
        f"TCP-AO protocol {code_points.tcp_ao_protocol}, LDP discovery protocol {code_points.ldp_discovery_protocol}, "
        f"traffic selector type {code_points.traffic_selector_type}"
    )
