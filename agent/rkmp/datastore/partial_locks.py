"""Locks on parts of running (RFC 5717). Knows sessions by their number only, and nodes by their paths.

What a lock protects is found when it is granted: the nodes of its scope and all that is below them. A node that its
holder deletes leaves the scope. What would change protected nodes of another session is refused, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from rkmp.datastore import rejections
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.paths import step_text

ROOT = ""
"""The path of all of running."""

_LARGEST_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class LockedNode:
    """A node of a lock's scope: its own path, and the texts of those above it, from the root down."""

    path: InstancePath
    above: tuple[str, ...]


@dataclass(slots=True)
class PartialLock:
    """A lock that ``session_id`` has held ``since`` (an aware time, UTC)."""

    lock_id: int
    session_id: int
    since: datetime
    selects: tuple[str, ...]
    """The expressions that it was asked for with."""
    nodes: dict[str, LockedNode]
    """The scope, by the text of the path."""
    parents: frozenset[str] = field(default_factory=frozenset)
    """The paths above the nodes of the scope: what is deleted there takes some of them along."""


class PartialLocks:
    """The partial locks that are held, by their ids."""

    def __init__(self) -> None:
        self._held: dict[int, PartialLock] = {}
        self._last_id = 0

    def held(self) -> Mapping[int, PartialLock]:
        """The locks that are held, by their ids."""
        return MappingProxyType(self._held)

    def grant(self, nodes: Sequence[LockedNode], selects: Sequence[str], session_id: int, now: datetime) -> PartialLock:
        """Take a lock on ``nodes``. Raises RpcError (lock-denied) where another session protects any part of them."""
        scope = {node.path.text: node for node in nodes}
        parents = frozenset(text for node in nodes for text in node.above)
        for held in self._held.values():
            if held.session_id != session_id and _overlap(scope, parents, held):
                raise rejections.lock_denied("a part of this is locked already", held.session_id)
        lock = PartialLock(self._next_id(), session_id, now, tuple(selects), scope, parents)
        self._held[lock.lock_id] = lock
        return lock

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % _LARGEST_ID + 1
            if self._last_id not in self._held:
                return self._last_id

    def release(self, lock_id: int, session_id: int) -> None:
        """Give a lock back. Raises RpcError (invalid-value) for one that the session does not hold."""
        held = self._held.get(lock_id)
        if held is None or held.session_id != session_id:
            raise rejections.not_a_partial_lock()
        del self._held[lock_id]

    def release_all(self, session_id: int) -> None:
        """Give back every lock of a session that ends."""
        self._held = {lock_id: lock for lock_id, lock in self._held.items() if lock.session_id != session_id}

    def require_none(self) -> None:
        """Raise RpcError (lock-denied) where any part is locked, so that the whole cannot be (RFC 5717 2.5)."""
        for held in self._held.values():
            raise rejections.lock_denied("a part of running is locked", held.session_id)

    def require(self, edits: Iterable[Edit], session_id: int) -> None:
        """Raise RpcError (in-use, locked) where an edit changes what another session protects."""
        others = [lock for lock in self._held.values() if lock.session_id != session_id]
        if not others:
            return
        for edit in edits:
            steps = _texts(edit)
            for lock in others:
                if any(text in lock.nodes for text in steps) or (
                    edit.kind is EditKind.DELETED and steps[-1] in lock.parents
                ):
                    raise rejections.partially_locked(edit.path, lock.session_id)

    def carried_out(self, edits: Iterable[Edit]) -> None:
        """Take nodes that are gone out of the scopes, so that anybody can make them again (RFC 5717 2.4.1)."""
        if not self._held:
            return
        for edit in edits:
            if edit.kind is EditKind.DELETED:
                gone = _texts(edit)[-1]
                for lock in self._held.values():
                    if gone in lock.nodes or gone in lock.parents:
                        kept = {
                            text: node for text, node in lock.nodes.items() if text != gone and gone not in node.above
                        }
                        lock.nodes = kept
                        lock.parents = frozenset(text for node in kept.values() for text in node.above)


def _overlap(scope: Mapping[str, LockedNode], parents: frozenset[str], held: PartialLock) -> bool:
    """Whether the two have a node in common, or one has a node above one of the other's."""
    return not (held.nodes.keys().isdisjoint(scope.keys() | parents) and held.parents.isdisjoint(scope))


def _texts(edit: Edit) -> list[str]:
    """The paths of the root, of every node above an edit's, and of its own."""
    steps = [step_text(edit.element, edit.layout)]
    layout, at = edit.layout.parent, edit.parent
    while layout is not None and layout.parent is not None:
        steps.append(step_text(at, layout))
        above = at.getparent()
        if above is None:
            break
        at, layout = above, layout.parent
    texts = [ROOT]
    for step in reversed(steps):
        texts.append(f"{texts[-1]}/{step}")
    return texts
