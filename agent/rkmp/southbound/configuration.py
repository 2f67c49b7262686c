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
class KeySocketConfiguration:
    """Where programs ask for keys, and the system's users and groups whose programs may."""

    path: str
    permitted_users: frozenset[str]
    permitted_groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class SouthboundConfiguration:
    """All of them, by name."""

    birds: Mapping[str, BirdConfiguration] = field(default_factory=dict)
    hooks: Mapping[str, HookConfiguration] = field(default_factory=dict)
    key_socket: KeySocketConfiguration | None = None
