"""Who takes part in a change of running, and what they are told (style: validate, prepare, apply or abort).

A subscriber turns the new configuration into its own terms in ``prepare``, where it may refuse. What it returned is
applied once the change is durable, which cannot fail, or aborted when another refused or the disk did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from rkmp.datastore.edits import Edit
from rkmp.datastore.schema.nodes import Schema


@dataclass(frozen=True, slots=True)
class Change:
    """A change of running that is valid and not yet durable.

    ``after`` is running as it is to be: read it, and keep nothing of it. ``edits`` is what differs, never empty.
    """

    schema: Schema
    after: etree._Element
    edits: tuple[Edit, ...]
    make_before: Callable[[], etree._Element]

    @property
    def before(self) -> etree._Element:
        """A copy of running as it was; made when asked for, at a cost that grows with the whole of it."""
        return self.make_before()

    def touches(self, tag: str) -> bool:
        """Whether anything at or below the top-level node with this tag is not as it was."""
        return any(edit.top == tag for edit in self.edits)


class PreparedChange(Protocol):
    """A change that its subscriber has accepted."""

    def apply(self) -> None:
        """Carry the change out. Must not fail: everything that can be refused was refused in ``prepare``."""

    def abort(self) -> None:
        """Forget the change: it was not made. Must not fail."""


class ConfigurationSubscriber(Protocol):
    """Takes part in every change of running."""

    def prepare(self, change: Change) -> PreparedChange:
        """Get ready for ``change`` without any effect yet.

        Refuses by raising EngineRefusal, KeyTableError, RpcError or RpcErrors; the client gets an rpc-error.
        """


CommitListener = Callable[[int | None, Sequence[Edit]], None]
"""Called with the session (None: the agent itself) and the edits, after a change of running is durable and applied."""
