"""Who gets keys, as frozen values; each raises nothing and checks nothing, since its model has done so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rkmp.secret import Secret
from rkmp.southbound.chain_keys import KeyIds


@dataclass(frozen=True, slots=True)
class BirdConfiguration:
    """A BIRD: its control socket, the directory of its files of keys, and BIRD's names of sessions by neighbor."""

    name: str
    control_socket: str
    include_directory: str
    neighbors: Mapping[str, str]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class HookConfiguration:
    """A program that gives a daemon its keys: its words, the seconds that it may take, (neighbor, protocol) pairs."""

    name: str
    command: tuple[str, ...]
    timeout: float
    neighbors: tuple[tuple[str, str], ...]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class KeyPermission:
    """What programs of some of the system's users and groups may read.

    ``protocols`` are as in the key table; ``neighbors`` are addresses, prefixes and names. Without any they are all.
    """

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    neighbors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeySocketConfiguration:
    """Where programs ask for keys, and who may read which; what no permission names is refused."""

    path: str
    permissions: tuple[KeyPermission, ...] = ()


@dataclass(frozen=True, slots=True)
class NetconfNeighbor:
    """A neighbor of a router without rkmp, as in the key table, and the key chain there that is for it."""

    address: str
    protocol: str
    key_chain: str


@dataclass(frozen=True, slots=True)
class NetconfServerConfiguration:
    """A router without rkmp, whose key chains are filled through its NETCONF server.

    ``private_key`` is PEM, ``host_keys`` are lines of OpenSSH's (algorithm and base64), of which none counts where
    ``trusts_any_host_key``. ``timeout``, ``reconcile_interval`` and ``clock_tolerance`` are in seconds.
    """

    name: str
    host: str
    port: int
    user: str
    private_key: Secret | None
    password: Secret | None
    host_keys: tuple[str, ...]
    trusts_any_host_key: bool
    timeout: float
    reconcile_interval: float
    clock_tolerance: float
    key_ids: KeyIds
    neighbors: tuple[NetconfNeighbor, ...]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SouthboundConfiguration:
    """All of them, by name."""

    birds: Mapping[str, BirdConfiguration] = field(default_factory=dict)
    hooks: Mapping[str, HookConfiguration] = field(default_factory=dict)
    netconf_servers: Mapping[str, NetconfServerConfiguration] = field(default_factory=dict)
    key_socket: KeySocketConfiguration | None = None
