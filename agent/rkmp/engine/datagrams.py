"""IKE messages on their way through UDP: where they go, and the marker that some of them travel behind (G37)."""

from __future__ import annotations

from dataclasses import dataclass

from rkmp.engine.configuration import IKE_PORT

NON_ESP_MARKER = bytes(4)
"""RFC 3948 2.2: an ESP packet would have a SPI here, and no SPI is zero. None of our IKE SPIs begins like this."""


@dataclass(frozen=True, slots=True)
class OutgoingDatagram:
    """What is to be sent through the listener of that name to an address and a port."""

    listener: str
    remote: tuple[str, int]
    data: bytes


def without_marker(data: bytes) -> tuple[bytes, bool]:
    """Return the IKE message in ``data``, and whether a marker stood before it."""
    if data.startswith(NON_ESP_MARKER):
        return data[len(NON_ESP_MARKER) :], True
    return data, False


def needs_marker(local_port: int, remote_port: int) -> bool:
    """Return whether an initiator sends the marker: as charon does, where neither port is that of IKE."""
    return IKE_PORT not in (local_port, remote_port)
