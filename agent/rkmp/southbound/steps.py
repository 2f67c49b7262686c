"""The steps by which a consumer's keys follow the key table, one at a time, each acknowledged before the next.

The order keeps a connection verifiable whatever is lost in between: a key is *added*, which changes nothing that is
sent; then *preferred*, which with TCP-AO asks the peer to send with it (RNextKeyID, RFC 5925 section 6.1) and can
only be followed by a peer that has it; the peer's request for the same key makes our own side send with it; the
older key is *retired* and, at the end of its accept lifetime, *removed*. Pure: what is held and what is wanted go in,
the next step comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rkmp.southbound.keys import ConsumerKey, WantedKeys


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that a consumer has. ``is_foreign``: it came from elsewhere, and no row of the key table has its name."""

    key: ConsumerKey
    is_retired: bool = False
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """What a consumer has acknowledged: its keys, oldest first, and the name of the one that it prefers."""

    keys: tuple[HeldKey, ...] = ()
    preferred: str | None = None

    def get(self, name: str | None) -> HeldKey | None:
        """Return the key of that name."""
        return next((held for held in self.keys if held.key.name == name), None)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a consumer reports of the connections with the neighbor; None is what it does not.

    ``sending`` are the names of the keys that they send with now, none without a connection. Counters are of segments
    whose MAC was right, was wrong, which named a key that is not there, which had no TCP-AO though it is required; and
    of ICMP messages that were dropped because nothing authenticates them (RFC 5925 section 7.8).
    """

    sending: frozenset[str] = frozenset()
    connections: int | None = None
    good: int | None = None
    bad: int | None = None
    key_not_found: int | None = None
    unsigned: int | None = None
    dropped_icmps: int | None = None

    def confirms(self, name: str) -> bool:
        """Whether no connection sends with another key than ``name``: the peer has asked for it, and so has it."""
        return self.sending <= {name}


@dataclass(frozen=True, slots=True)
class Add:
    """Hold ``key`` as well."""

    key: ConsumerKey


@dataclass(frozen=True, slots=True)
class Prefer:
    """Ask the peer for the key of this name, and begin new connections with it."""

    name: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Begin nothing with the key of this name any more; it is still accepted."""

    name: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the key of this name, even if a connection still uses it: its time is over."""

    name: str


Step = Add | Prefer | Retire | Remove


def next_step(holding: Holding, wanted: WantedKeys, usage: Usage | None) -> Step | None:
    """Return what the consumer is to do next; None when it holds what is wanted.

    ``usage`` is None for a consumer that does not report; what it acknowledges is taken for done.
    """
    leaving = [held for held in holding.keys if _is_leaving(held, wanted)]
    for key in wanted.keys:
        # The same KeyID, or the same name, with new material: the kernel takes it only after the old one is gone.
        blocking = [held for held in holding.keys if held.key.name == key.name or held.key.shares_id(key)]
        if not blocking:
            return Add(key)
        obsolete = [held for held in blocking if held in leaving]
        if obsolete and len(obsolete) == len(blocking):
            return Remove(obsolete[0].key.name)
    if wanted.preferred is not None and wanted.preferred != holding.preferred and holding.get(wanted.preferred):
        return Prefer(wanted.preferred)
    is_switched = wanted.preferred == holding.preferred and is_confirmed(holding, usage)
    for held in holding.keys:
        if is_switched and held.key.name in wanted.retiring and not held.is_retired:
            return Retire(held.key.name)
    for held in leaving:
        if not held.is_foreign or (is_switched and wanted.preferred is not None):
            return Remove(held.key.name)
    return None


def is_confirmed(holding: Holding, usage: Usage | None) -> bool:
    """Whether every connection sends with the preferred key, so far as the consumer tells."""
    return holding.preferred is None or usage is None or usage.confirms(holding.preferred)


def adopted(holding: Holding, wanted: WantedKeys) -> Holding:
    """Return ``holding`` with the foreign keys that are the key table's own under the names that they have there."""
    names = {
        held.key.name: key.name
        for held in holding.keys
        for key in wanted.keys
        if held.is_foreign and replace(held.key, name=key.name) == key
    }
    if not names:
        return holding
    keys = tuple(
        replace(held, key=replace(held.key, name=names[held.key.name]), is_foreign=False)
        if held.key.name in names
        else held
        for held in holding.keys
    )
    return Holding(keys, names.get(holding.preferred or "", holding.preferred))


def after(holding: Holding, step: Step) -> Holding:
    """Return what the consumer holds once it has acknowledged ``step``."""
    match step:
        case Add(key):
            return replace(holding, keys=(*holding.keys, HeldKey(key)))
        case Prefer(name):
            keys = tuple(replace(held, is_retired=held.is_retired and held.key.name != name) for held in holding.keys)
            return replace(holding, keys=keys, preferred=name)
        case Retire(name):
            keys = tuple(replace(held, is_retired=held.is_retired or held.key.name == name) for held in holding.keys)
            return replace(holding, keys=keys)
        case Remove(name):
            keys = tuple(held for held in holding.keys if held.key.name != name)
            return replace(holding, keys=keys, preferred=None if holding.preferred == name else holding.preferred)


def _is_leaving(held: HeldKey, wanted: WantedKeys) -> bool:
    name = held.key.name
    return wanted.get(name) != held.key and name not in wanted.pending
