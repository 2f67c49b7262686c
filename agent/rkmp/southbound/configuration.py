"""Who gets keys, as frozen values; each raises nothing and checks nothing, since its model has done so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
class SouthboundConfiguration:
    """All of them, by name."""

    birds: Mapping[str, BirdConfiguration] = field(default_factory=dict)
    hooks: Mapping[str, HookConfiguration] = field(default_factory=dict)
    key_socket: KeySocketConfiguration | None = None
