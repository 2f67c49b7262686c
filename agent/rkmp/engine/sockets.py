"""UDP sockets of the driver: bound to one address and port, or to a port of all addresses.

A socket for all addresses tells of each datagram to which of them it came, and answers from there: a peer takes nothing
from another address than the one that it has asked.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import ip_address

from rkmp.errors import EngineRefusal

DATAGRAM_OCTETS = 65535
"""More than any UDP datagram carries."""
RECEIVE_BUFFER_OCTETS = 4 << 20
"""What thousands of peers send at once when this router, or the network, comes up. What does not fit is lost, and comes
again later and later; the kernel counts each datagram as more than twice its octets."""
_RECEIVE_BUFFER_FORCE = 33
"""SO_RCVBUFFORCE of Linux, which Python has no name for; ``socket(7)``."""
_IPV4_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
"""Of Linux; ``ip(7)``. Its structure: interface (native integer), our address, the address in the IP header."""
_IPV4_INFO = struct.Struct("=I4s4s")
_IPV6_INFO = struct.Struct("=16sI")
"""``struct in6_pktinfo``: our address, interface (RFC 3542 section 6.1)."""
_ANCILLARY_OCTETS = socket.CMSG_SPACE(max(_IPV4_INFO.size, _IPV6_INFO.size))

Address = tuple[str, int]


class UdpEndpoint:
    """A bound, non-blocking socket; ``address`` is its address and port, a port that was chosen for it included."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        host, port = bound.getsockname()[:2]
        self.address: Address = (host, port)
        self._serves_all = ip_address(host).is_unspecified
        self._is_v6 = bound.family == socket.AF_INET6
        if self._serves_all and self._is_v6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif self._serves_all:
            bound.setsockopt(socket.IPPROTO_IP, _IPV4_PKTINFO, 1)

    def fileno(self) -> int:
        """Return the file descriptor, for the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of the port."""
        self._socket.close()

    def __enter__(self) -> UdpEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def receive(self) -> tuple[bytes, Address, Address]:
        """Return a datagram, the address and port of ours that it came to, and where it came from.

        Raises BlockingIOError when there is none, OSError for what the network reports of an earlier one.
        """
        if not self._serves_all:
            data, remote = self._socket.recvfrom(DATAGRAM_OCTETS)
            return data, self.address, (remote[0], remote[1])
        data, ancillary, _, remote = self._socket.recvmsg(DATAGRAM_OCTETS, _ANCILLARY_OCTETS)
        host = self.address[0]
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IPV4_PKTINFO):
                host = str(ip_address(_IPV4_INFO.unpack(octets[: _IPV4_INFO.size])[1]))
            elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                host = str(ip_address(_IPV6_INFO.unpack(octets[: _IPV6_INFO.size])[0]))
        return data, (host, self.address[1]), (remote[0], remote[1])

    def send(self, data: bytes, source: str, remote: Address) -> None:
        """Send ``data`` from the address ``source``, or from whichever suits where that is none in particular.

        Raises OSError.
        """
        if not self._serves_all or ip_address(source).is_unspecified:
            self._socket.sendto(data, remote)
        elif self._is_v6:
            info = _IPV6_INFO.pack(ip_address(source).packed, 0)
            self._socket.sendmsg((data,), ((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info),), 0, remote)
        else:
            info = _IPV4_INFO.pack(0, ip_address(source).packed, bytes(4))
            self._socket.sendmsg((data,), ((socket.IPPROTO_IP, _IPV4_PKTINFO, info),), 0, remote)


def bound_socket(address: str, port: int) -> socket.socket:
    """Return a non-blocking UDP socket bound to ``address`` and ``port``; raise EngineRefusal when it can't be."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        _enlarge_receive_buffer(bound)
    except OSError as error:
        bound.close()
        raise EngineRefusal(f"cannot listen on {address} port {port}: {os.strerror(error.errno or 0)}") from error
    return bound


def _enlarge_receive_buffer(bound: socket.socket) -> None:
    try:
        bound.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, RECEIVE_BUFFER_OCTETS)
    except OSError:
        # Beyond the limit of the system (net.core.rmem_max) with a privilege only; up to it, otherwise.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)


def source_towards(remote: Address) -> str | None:
    """Return the address from which this host would send to ``remote``, None where there is no way; nothing is sent."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError:
            return None
        host: str = probe.getsockname()[0]
        return host
