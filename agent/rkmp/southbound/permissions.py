"""Which keys a program on the key API may read: the user and groups that the kernel says it has, held against a list.

They are those of the process at the moment when it connects: its effective user and group (SO_PEERCRED) and its
supplementary groups (SO_PEERGROUPS, since Linux 4.13). What the system's databases say of the user is not asked, so
that a program which has given up a group has given up its keys too. Names are looked up when a program connects.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from rkmp.keytable.rules import canonical_peer
from rkmp.southbound.configuration import KeyPermission

_UCRED = struct.Struct("=iII")
_SO_PEERGROUPS = 59
_GID_OCTETS = 4
_FIRST_ROOM = 64 * _GID_OCTETS
MOST_REFUSALS_KNOWN = 1000

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom a program runs as: its process, user and every group, by number."""

    process: int
    user: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> Credentials:
        """Return those of the process that connected; raises OSError."""
        process, user, group = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return cls(process, user, frozenset({group, *_supplementary_groups(connection)}))

    @property
    def user_name(self) -> str:
        """The user's name, or its number where the system knows no name."""
        try:
            return pwd.getpwuid(self.user).pw_name
        except KeyError:
            return str(self.user)


@dataclass(frozen=True, slots=True)
class KeyAccessRefused:
    """A program asked for what no permission names; ``client`` and the rest are None where it may not even connect."""

    credentials: Credentials
    client: str | None = None
    protocol: str | None = None
    neighbor: str | None = None

    @property
    def reason(self) -> str:
        """What is told the program, and logged."""
        who = f"process {self.credentials.process} of user {self.credentials.user_name}"
        if self.protocol is None:
            return f"{who} is not permitted"
        return f"{who} is not permitted to read the keys of {self.protocol} with {self.neighbor}"


@dataclass(frozen=True, slots=True)
class Permitted:
    """What one program may read: the permissions that name its user or a group of it."""

    credentials: Credentials
    permissions: tuple[KeyPermission, ...]

    @classmethod
    def to(cls, permissions: Iterable[KeyPermission], credentials: Credentials) -> Permitted:
        """Choose those of ``permissions`` that are for whoever has ``credentials``."""
        user = credentials.user_name
        chosen = (
            permission
            for permission in permissions
            if user in permission.users or not credentials.groups.isdisjoint(_group_numbers(permission.groups))
        )
        return cls(credentials, tuple(chosen))

    def covers(self, protocol: str, neighbor: str) -> bool:
        """Whether it may read the keys of ``protocol`` with ``neighbor``, an address or a name in any writing."""
        return any(
            (not permission.protocols or protocol in permission.protocols)
            and (not permission.neighbors or any(_covers(each, neighbor) for each in permission.neighbors))
            for permission in self.permissions
        )


class Refusals:
    """Counts refusals, and tells which are news: each user, protocol and neighbor once until :meth:`forget`."""

    def __init__(self) -> None:
        self.count = 0
        self._known: set[tuple[int, str | None, str | None]] = set()

    def is_news(self, refusal: KeyAccessRefused) -> bool:
        """Count one. Whoever makes up neighbors fills no log: from some number on nothing is news."""
        self.count += 1
        what = (refusal.credentials.user, refusal.protocol, refusal.neighbor)
        if what in self._known or len(self._known) >= MOST_REFUSALS_KNOWN:
            return False
        self._known.add(what)
        return True

    def forget(self) -> None:
        """Take everything for news again: the permissions have changed."""
        self._known.clear()


def _covers(permitted: str, neighbor: str) -> bool:
    """Whether ``permitted``, an address, a prefix or a name, is of ``neighbor``."""
    network = _network(permitted)
    if network is None:
        return canonical_peer(permitted) == canonical_peer(neighbor)
    try:
        return ip_address(neighbor) in network
    except ValueError:
        return False


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _group_numbers(names: Iterable[str]) -> Iterator[int]:
    for name in names:
        with contextlib.suppress(KeyError):
            yield grp.getgrnam(name).gr_gid


def _supplementary_groups(connection: socket.socket) -> list[int]:
    """Return the numbers of all of them: there may be 65,536, and the kernel says how much room they take."""
    length = ctypes.c_uint32(_FIRST_ROOM)
    while True:
        buffer = ctypes.create_string_buffer(length.value)
        if not _libc.getsockopt(connection.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(length)):
            return [number for (number,) in struct.iter_unpack("=I", buffer.raw[: length.value])]
        number = ctypes.get_errno()
        if number != errno.ERANGE:
            raise OSError(number, os.strerror(number))
