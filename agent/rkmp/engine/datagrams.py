"""IKE messages on their way through UDP: from where to where, and the marker that some of them travel behind (G37).

RFC 7296 2.23 and RFC 3948. Beside the port of IKE there is one for peers behind a translator, on which all messages are
marked; on other ports they are by the rule of :func:`needs_marker`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rkmp.engine.configuration import IKE_PORT, NAT_PORT, Listener
from rkmp.ike import Path

NON_ESP_MARKER = bytes(4)
"""RFC 3948 2.2: an ESP packet would have a SPI here, and no SPI is zero. None of our IKE SPIs begins like this."""
NAT_KEEPALIVE = b"\xff"
"""RFC 3948 2.3: what keeps a translator from forgetting us. It is never answered."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class OutgoingDatagram:
    """What is to be sent through the listener of that name, from one of its ports to an address and a port.

    The address in ``local`` is unspecified where any of ours will do.
    """

    listener: str
    local: Address
    remote: Address
    data: bytes


def without_marker(data: bytes) -> tuple[bytes, bool]:
    """Return the IKE message in ``data``, and whether a marker stood before it."""
    if data.startswith(NON_ESP_MARKER):
        return data[len(NON_ESP_MARKER) :], True
    return data, False


def needs_marker(path: Path) -> bool:
    """Return whether an initiator sends the marker: as charon does, where neither port is that of IKE."""
    return IKE_PORT not in (path.local[1], path.remote[1])


def opening_path(listener: Listener, remote: Address) -> Path:
    """Return the way on which an IKE SA with ``remote`` begins: from one port for translated peers to another such."""
    port = listener.marked_port if remote[1] == NAT_PORT and listener.marked_port is not None else listener.port
    return Path((listener.address, port), remote)


def moved_path(listener: Listener, path: Path, port: int) -> Path | None:
    """Return ``path`` as it goes to the peer's ``port`` for translated peers, None where we have none to send from."""
    if listener.marked_port is None:
        return None
    return Path((path.local[0], listener.marked_port), (path.remote[0], port))
