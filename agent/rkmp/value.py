"""Values that are made by the hundred with every handshake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(eq_default=True, frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """Make a slotted dataclass of ``cls`` that is compared and hashed by its fields, and frozen to the type checker.

    ``dataclass(frozen=True)`` also checks at run time, and pays for that when a value is made: four to six times as
    much. That was a tenth of a handshake. What is shared, such as what a cache hands out, is better frozen by that.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
