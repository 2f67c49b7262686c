"""What of a router's key chain is what the key table has, and what is to change in it. Pure.

A chain cannot say which key is preferred: that shows in the lifetimes (:mod:`rkmp.southbound.chain_keys`). So what was
acknowledged before a restart is found by trying which preferred key explains most of what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyRow
from rkmp.secret import Secret
from rkmp.southbound.chain_documents import ChainEdit, RemoteChain, owned_after
from rkmp.southbound.chain_keys import ChainKey, ChainTerms
from rkmp.southbound.keys import ConsumerKey, MasterKeyTuple, WantedKeys, consumer_key
from rkmp.southbound.steps import HeldKey, Holding


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a chain holds of ours, and the key-ids of all that by name."""

    holding: Holding
    key_ids: Mapping[str, int]


def recognised(chain: RemoteChain, rows: Sequence[KeyRow], wanted: frozenset[str], terms: ChainTerms) -> Recognised:
    """Return what of ``chain`` is ``rows``, but for the keys' strings, and what else is ours.

    A key that is among the names ``wanted``, and is there otherwise than it should be, is not held: it is put in the
    place of what is there. What is ours and nobody's any more is held under a name of its own, so that it is removed.
    """
    by_start = sorted(rows, key=lambda row: row.send_lifetime.start, reverse=True)
    explanations = [(preferred, _explained(chain, rows, preferred, terms)) for preferred in (*by_start, None)]
    # The first of equals: of a preferred key that is itself there, which began last.
    preferred, best = max(explanations, key=lambda each: (len(each[1]), any(row is each[0] for row, _ in each[1])))
    names = {row.admin_key_name for row, _ in best}
    expected = {key.key_id for _, key in best} | {
        terms.key_id(key) for row in rows if row.admin_key_name in wanted and (key := consumer_key(row))
    }
    strays = sorted(key_id for key_id in chain.owned & chain.keys.keys() if key_id not in expected)
    held = [HeldKey(key) for row, _ in best if (key := consumer_key(row)) is not None]
    held += [HeldKey(_stray(key_id)) for key_id in strays]
    name = preferred.admin_key_name if preferred is not None else None
    return Recognised(
        holding=Holding(tuple(held), name if name in names else None),
        key_ids={row.admin_key_name: key.key_id for row, key in best}
        | {_stray(key_id).name: key_id for key_id in strays},
    )


def decided(holding: Holding, wanted: WantedKeys) -> Holding:
    """Return ``holding`` with a preferred key, where none was said to be and the one that is wanted is there.

    So a first key is one change and not two, and none that is put again is sent with any later than before.
    """
    if holding.preferred is not None or holding.get(wanted.preferred) is None:
        return holding
    return replace(holding, preferred=wanted.preferred)


def planned(
    chain: RemoteChain,
    holding: Holding,
    rows: Sequence[KeyRow],
    terms: ChainTerms,
    is_proved: Callable[[ChainKey, ChainKey], bool],
    removals: frozenset[int] = frozenset(),
) -> ChainEdit:
    """Return what makes ``chain`` have the keys of ``holding``, and the key-ids ``removals`` no more.

    ``is_proved`` tells whether a key that is to be there is, string and all, what is shown, which is like it otherwise.
    Raises :class:`SouthboundError` where a key cannot be written, or its key-id is that of a key of somebody else's.
    """
    by_name = {row.admin_key_name: row for row in rows}
    preferred = by_name.get(holding.preferred or "")
    puts: list[ChainKey] = []
    for row in (by_name[held.key.name] for held in holding.keys if held.key.name in by_name):
        key = terms.key(row, preferred)
        there, is_owned = chain.keys.get(key.key_id), key.key_id in chain.owned
        if there is not None and not is_owned and there.secret != key.secret:
            raise SouthboundError(f"the key-id {key.key_id} of key {row.admin_key_name!r} is somebody else's there")
        if there is None or there != key or not is_owned or not is_proved(key, there):
            puts.append(key)
    return ChainEdit(tuple(puts), removals & chain.owned & chain.keys.keys())


def difference(chain: RemoteChain, edit: ChainEdit) -> bool:
    """Whether ``edit`` changes anything of ``chain``: a key, or what it says of which are ours."""
    return bool(edit.puts or edit.removals) or owned_after(chain, edit) != chain.owned


def unlike(chain: RemoteChain | None, edit: ChainEdit) -> int | None:
    """Return the key-id of a key that is not as ``edit`` left it, by all but its string; None when all are."""
    known = chain or RemoteChain()
    for key in edit.puts:
        if known.keys.get(key.key_id) != key:
            return key.key_id
    return next((key_id for key_id in edit.removals if key_id in known.keys), None)


def _explained(
    chain: RemoteChain, rows: Sequence[KeyRow], preferred: KeyRow | None, terms: ChainTerms
) -> list[tuple[KeyRow, ChainKey]]:
    """Return the rows that are in ``chain`` just as they are while ``preferred`` is preferred."""
    found: list[tuple[KeyRow, ChainKey]] = []
    for row in rows:
        try:
            key = terms.key(row, preferred)
        except SouthboundError:
            continue
        if key.key_id in chain.owned and chain.keys.get(key.key_id) == key:
            found.append((row, key))
    return found


def _stray(key_id: int) -> ConsumerKey:
    # With KeyIDs that no key has, so that it stands in no other's way.
    return MasterKeyTuple(f"key-id {key_id} of the router", -1 - key_id, -1 - key_id, "", Secret(b""), False)
