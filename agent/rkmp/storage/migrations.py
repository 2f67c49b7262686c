"""Versioned tables: each component of the agent brings its own steps, and the file remembers how far each has come.

A step, once released, never changes; what a later release needs is one more step. A file that a newer release has
written is refused rather than guessed at: going back means restoring the backup taken before the upgrade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rkmp.errors import StorageError

if TYPE_CHECKING:
    from rkmp.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Migration:
    """The ``statements`` that take a component's tables from ``version`` - 1 to ``version``."""

    version: int
    statements: tuple[str, ...]


def migrate(transaction: Transaction, component: str, migrations: Sequence[Migration]) -> int:
    """Bring ``component`` to the last of ``migrations`` inside ``transaction``; return the version found before.

    The migrations must be numbered 1, 2, 3.. without a gap (ValueError). Raises :class:`StorageError` when the file
    holds a newer version than the last one.
    """
    if [migration.version for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise ValueError(f"the migrations of {component} are not numbered 1, 2, 3 and so on")
    found = transaction.rows("SELECT version FROM component_versions WHERE component = ?", (component,))
    current = int(found[0][0]) if found else 0
    if current > len(migrations):
        raise StorageError(
            f"the stored {component} has version {current}, written by a newer release; this one knows versions up "
            f"to {len(migrations)}: upgrade, or restore the backup from before the upgrade"
        )
    for migration in migrations[current:]:
        for statement in migration.statements:
            transaction.execute(statement)
    if current < len(migrations):
        transaction.execute(
            "INSERT INTO component_versions (component, version) VALUES (?, ?) "
            "ON CONFLICT (component) DO UPDATE SET version = excluded.version",
            (component, len(migrations)),
        )
    return current
