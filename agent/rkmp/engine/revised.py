"""Entries by name that remember which of them are not as they were, so that looking for what has changed costs that.

A configuration of thousands of peers is handed over whole at each change of one. Whoever reads it from the datastore
knows which peers were touched; comparing all of them to find that out again would make every change cost the same as
the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar
from weakref import ref

_Entry = TypeVar("_Entry")


class Revised(dict[str, _Entry]):
    """``earlier`` with the entries in ``changed``, of which None are gone. Not to be changed itself."""

    __slots__ = ("__weakref__", "_earlier", "_names")

    def __init__(self, earlier: Mapping[str, _Entry], changed: Mapping[str, _Entry | None]) -> None:
        super().__init__(earlier)
        for name, entry in changed.items():
            if entry is None:
                self.pop(name, None)
            else:
                self[name] = entry
        # Not held: each would hold the one before, and so all that ever were.
        self._earlier = ref(earlier) if isinstance(earlier, Revised) else None
        self._names = tuple(changed)

    def changed_since(self, earlier: Mapping[str, _Entry]) -> Collection[str] | None:
        """The names whose entries may not be as they are in ``earlier``; None where that is not known."""
        return self._names if self._earlier is not None and self._earlier() is earlier else None


def may_differ(before: Mapping[str, _Entry], after: Mapping[str, _Entry]) -> Collection[str]:
    """Return the names whose entries may not be the same ones in ``before`` and ``after``."""
    if before is after:
        return ()
    known = after.changed_since(before) if isinstance(after, Revised) else None
    if known is not None:
        return known
    return [name for name in dict.fromkeys([*before, *after]) if before.get(name) is not after.get(name)]
