"""All feeds of keys that there are, found by what a key is for: with thousands of neighbors a key wakes its own."""

from __future__ import annotations

from collections.abc import Iterator

from rkmp.keytable import KeyEvent, KeyUpdated
from rkmp.keytable.rules import canonical_peer
from rkmp.southbound.feed import KeyFeed

_Scope = tuple[str, str]
"""A neighbor, as the key table finds it, and a protocol."""


class Feeds:
    """The feeds by neighbor and protocol."""

    def __init__(self) -> None:
        self._by_scope: dict[_Scope, set[KeyFeed]] = {}

    def __iter__(self) -> Iterator[KeyFeed]:
        for feeds in self._by_scope.values():
            yield from feeds

    def add(self, feed: KeyFeed) -> None:
        """Have ``feed`` woken for its keys."""
        self._by_scope.setdefault(_scope_of(feed), set()).add(feed)

    def discard(self, feed: KeyFeed) -> None:
        """Forget ``feed``."""
        scope = _scope_of(feed)
        feeds = self._by_scope.get(scope, set())
        feeds.discard(feed)
        if not feeds:
            self._by_scope.pop(scope, None)

    def wake(self, event: KeyEvent) -> None:
        """Have those look at the key table whose keys are not what they were."""
        scopes = {(canonical_peer(peer), event.protocol) for peer in event.peers}
        if isinstance(event, KeyUpdated):
            scopes |= {(canonical_peer(peer), event.former_protocol) for peer in event.former_peers}
        for scope in scopes:
            for feed in self._by_scope.get(scope, ()):
                feed.wake()


def _scope_of(feed: KeyFeed) -> _Scope:
    return canonical_peer(feed.neighbor), feed.protocol
