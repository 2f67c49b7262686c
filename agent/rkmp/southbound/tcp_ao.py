"""The system calls by which Linux takes TCP-AO keys (since 6.7): four socket options, and the structures they carry.

One socket at a time and no decisions: what to install when is :mod:`rkmp.southbound.socket_plan`'s. The layouts are
those of ``include/uapi/linux/tcp.h``: ``tcp_ao_add`` has 288 octets, ``tcp_ao_del`` 144, ``tcp_ao_info_opt`` 48 and
``tcp_ao_getsockopt`` 304.

Reading goes through the C library, not through :meth:`socket.socket.getsockopt`: the kernel also reads the buffer that
it is to fill, and Python hands it one with whatever was in that memory.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from rkmp.errors import TcpAoError, TcpAoUnavailable
from rkmp.secret import Secret
from rkmp.southbound.keys import MasterKeyTuple

TCP_AO_ADD_KEY, TCP_AO_DEL_KEY, TCP_AO_INFO, TCP_AO_GET_KEYS = 38, 39, 40, 41
_KEYF_IFINDEX, _KEYF_EXCLUDE_OPT = 1, 2
_ADD = struct.Struct("=128s64siIHBBBBBB80s")
_DELETE = struct.Struct("=128siIHBBBBBB")
_INFO = struct.Struct("=IHBBQQQQQ")
_GET = struct.Struct("=128s64s80sIHBBBBBBiQQ")
_SOCKADDR_IN = struct.Struct("=HH4s")
_SOCKADDR_IN6 = struct.Struct("=HHI16sI")

MAXIMUM_KEY_OCTETS = 80
_NEW_KEYS_A_READ = 16

ALGORITHMS = {
    "hmac-sha-1-96": (b"hmac(sha1)", 12),
    "aes-128-cmac-96": (b"cmac(aes128)", 12),
    "hmac-sha-256-128": (b"hmac(sha256)", 16),
}
"""The kernel's names by RFC 7210's AlgID, each with the octets of its MAC."""
STANDARD = ("hmac-sha-1-96", "aes-128-cmac-96")
"""The algorithms of RFC 5926, which a kernel has to have."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Whom a key is for: an address, or all of a prefix, reached through any interface or one VRF.

    ``prefix_length`` of None is the whole address. ``interface_index`` is that of the VRF's own device (an l3mdev
    master); 0 is any. The kernel knows no zones, so that a link-local address is meant on every link, and takes no
    address with bits beyond its prefix.
    """

    address: IPv4Address | IPv6Address
    prefix_length: int | None = None
    interface_index: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.address, IPv6Address) and self.address.scope_id is not None:
            object.__setattr__(self, "address", IPv6Address(int(self.address)))
        if self.prefix_length is not None:
            network = ip_network((self.address, self.prefix_length), strict=False)
            object.__setattr__(self, "address", network.network_address)

    @classmethod
    def of(cls, address: str, *, prefix_length: int | None = None, interface_index: int = 0) -> Neighbor:
        """Return the neighbor with ``address`` in text; raises ValueError."""
        return cls(ip_address(address), prefix_length, interface_index)

    @property
    def prefix(self) -> int:
        """The length of the prefix in bits."""
        return self.address.max_prefixlen if self.prefix_length is None else self.prefix_length


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """What TCP_AO_INFO tells of a connection; the IDs are None where the kernel has chosen no key yet.

    ``current`` is the SendID that segments carry, ``rnext`` the RecvID that the peer is asked to use. The counters
    count segments: verified, with a wrong MAC, with a KeyID that is not there, without TCP-AO though it is required.
    """

    current: int | None
    rnext: int | None
    good: int
    bad: int
    key_not_found: int
    unsigned: int
    dropped_icmps: int


@dataclass(frozen=True, slots=True)
class InstalledKey:
    """What TCP_AO_GET_KEYS tells of one key. ``material`` is what the kernel made of the key it was given."""

    neighbor: Neighbor
    send_id: int
    recv_id: int
    algorithm: str
    material: Secret
    is_current: bool
    is_rnext: bool
    good: int
    bad: int


def require_tcp_ao() -> None:
    """Raise :class:`TcpAoUnavailable` unless this kernel takes keys of both algorithms."""
    probe = Neighbor.of("127.0.0.1")
    for alg_id in STANDARD:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as unconnected:
            add_key(unconnected, probe, MasterKeyTuple("probe", 1, 1, alg_id, Secret(bytes(16)), False))


def add_key(sock: socket.socket, neighbor: Neighbor, key: MasterKeyTuple, *, selected: bool = False) -> None:
    """Install ``key``; ``selected`` makes it Current and RNext at once, for a socket that is not connected yet.

    Raises :class:`TcpAoUnavailable` where the kernel lacks TCP-AO or the algorithm, :class:`TcpAoError` with EEXIST
    where one of the IDs is in use with this neighbor.
    """
    octets = key.secret.reveal()
    if len(octets) > MAXIMUM_KEY_OCTETS:
        raise TcpAoError(f"key {key.name!r} has {len(octets)} octets; Linux takes {MAXIMUM_KEY_OCTETS}", errno.EINVAL)
    algorithm, mac_octets = ALGORITHMS[key.alg_id]
    flags = _flags(selected, selected)
    key_flags = (_KEYF_EXCLUDE_OPT if key.ignore_tcp_options else 0) | _key_flags(neighbor)
    request = _ADD.pack(
        _socket_address(neighbor),
        algorithm,
        neighbor.interface_index,
        flags,
        0,
        neighbor.prefix,
        key.send_id,
        key.recv_id,
        mac_octets,
        key_flags,
        len(octets),
        octets,
    )
    _set(sock, TCP_AO_ADD_KEY, request, f"install key {key.name!r}")


def delete_key(
    sock: socket.socket,
    neighbor: Neighbor,
    send_id: int,
    recv_id: int,
    *,
    current: int | None = None,
    rnext: int | None = None,
) -> None:
    """Take a key out; ``current`` (a SendID) and ``rnext`` (a RecvID) name the keys that take its place.

    Raises :class:`TcpAoError` with EBUSY for a key that is in use, with ENOENT for one that is not there.
    """
    request = _DELETE.pack(
        _socket_address(neighbor),
        neighbor.interface_index,
        _flags(current is not None, rnext is not None),
        0,
        neighbor.prefix,
        send_id,
        recv_id,
        current or 0,
        rnext or 0,
        _key_flags(neighbor),
    )
    _set(sock, TCP_AO_DEL_KEY, request, f"delete the key with SendID {send_id} and RecvID {recv_id}")


def request_key(sock: socket.socket, recv_id: int) -> None:
    """Ask the peer, with every segment from now on, to use the key that we know by ``recv_id`` (RNextKeyID).

    This is the one lever that lasts: a Current key that is set by hand is set back by the peer's next segment.
    """
    _set(sock, TCP_AO_INFO, _INFO.pack(_flags(False, True), 0, 0, recv_id, 0, 0, 0, 0, 0), f"request RecvID {recv_id}")


def socket_info(sock: socket.socket) -> SocketInfo:
    """Return the keys and counters of a connection; raises :class:`TcpAoError` with ENOENT where it has no keys."""
    raw = _get(sock, TCP_AO_INFO, bytes(_INFO.size), _INFO.size, "read the state of TCP-AO")
    flags, _, current, rnext, good, bad, key_not_found, unsigned, dropped_icmps = _INFO.unpack(raw)
    return SocketInfo(
        current=current if flags & _flags(True, False) else None,
        rnext=rnext if flags & _flags(False, True) else None,
        good=good,
        bad=bad,
        key_not_found=key_not_found,
        unsigned=unsigned,
        dropped_icmps=dropped_icmps,
    )


def installed_keys(sock: socket.socket) -> tuple[InstalledKey, ...]:
    """Return every key of a socket, of all its neighbors; none where it has no TCP-AO state."""
    room = _NEW_KEYS_A_READ
    while True:
        request = _GET.pack(b"", b"", b"", room, _flag(2), 0, 0, 0, 0, 0, 0, 0, 0, 0).ljust(_GET.size * room, b"\0")
        try:
            # The length is that of one element, whatever there is room for.
            raw = _get(sock, TCP_AO_GET_KEYS, request, _GET.size, "read the keys")
        except TcpAoError as error:
            if error.errno == errno.ENOENT:
                return ()
            raise
        present = _GET.unpack_from(raw)[3]
        if present <= room:
            return tuple(_installed_key(_GET.unpack_from(raw, place * _GET.size)) for place in range(present))
        room = present


def _installed_key(fields: tuple[bytes | int, ...]) -> InstalledKey:
    address, algorithm, material, _, flags, send_id, recv_id, prefix, _, _, octets, index, good, bad = fields
    assert isinstance(address, bytes)  # noqa: S101 - narrows what struct returns
    assert isinstance(material, bytes)  # noqa: S101
    assert isinstance(algorithm, bytes)  # noqa: S101
    numbers = [int(number) for number in (flags, send_id, recv_id, prefix, octets, index, good, bad)]
    is_v4 = struct.unpack_from("=H", address)[0] == socket.AF_INET
    host = ip_address(address[4:8] if is_v4 else address[8:24])
    return InstalledKey(
        neighbor=Neighbor(host, None if numbers[3] == host.max_prefixlen else numbers[3], max(numbers[5], 0)),
        send_id=numbers[1],
        recv_id=numbers[2],
        algorithm=algorithm.rstrip(b"\0").decode(),
        material=Secret(material[: numbers[4]]),
        is_current=bool(numbers[0] & _KEYS_IS_CURRENT),
        is_rnext=bool(numbers[0] & _KEYS_IS_RNEXT),
        good=numbers[6],
        bad=numbers[7],
    )


def _flag(place: int, bits: int = 16) -> int:
    """Return the bit-field of one bit that is declared in that place of an integer of so many bits."""
    return 1 << place if sys.byteorder == "little" else 1 << bits - 1 - place


_KEYS_IS_CURRENT, _KEYS_IS_RNEXT = _flag(0), _flag(1)


def _flags(set_current: bool, set_rnext: bool) -> int:
    return set_current * _flag(0, 32) | set_rnext * _flag(1, 32)


def _key_flags(neighbor: Neighbor) -> int:
    return _KEYF_IFINDEX if neighbor.interface_index else 0


def _socket_address(neighbor: Neighbor) -> bytes:
    packed = neighbor.address.packed
    if neighbor.address.version == 4:
        return _SOCKADDR_IN.pack(socket.AF_INET, 0, packed)
    return _SOCKADDR_IN6.pack(socket.AF_INET6, 0, 0, packed, 0)


def _set(sock: socket.socket, option: int, request: bytes, deed: str) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, request)
    except OSError as error:
        raise _error(error.errno or 0, deed) from error


def _get(sock: socket.socket, option: int, request: bytes, octets: int, deed: str) -> bytes:
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(octets)
    if _libc.getsockopt(sock.fileno(), socket.IPPROTO_TCP, option, buffer, ctypes.byref(length)):
        raise _error(ctypes.get_errno(), deed)
    return buffer.raw


def _error(number: int, deed: str) -> TcpAoError:
    if number in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
        return TcpAoUnavailable(
            f"cannot {deed}: this kernel has no TCP-AO; it takes Linux 6.7 or later built with CONFIG_TCP_AO", number
        )
    if number == errno.ENOENT and deed.startswith("install"):
        return TcpAoUnavailable(f"cannot {deed}: this kernel lacks the algorithm", number)
    return TcpAoError(f"cannot {deed}: {os.strerror(number)}", number)
