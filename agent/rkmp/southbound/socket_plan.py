"""What to do to one socket so that its keys are those that are held: decided from what the kernel says it has.

Declarative, so that a socket that missed any number of changes, such as a connection that was accepted in the middle
of one, is brought to the present in one go. Pure: the keys that are installed go in, operations come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

from rkmp.secret import Secret
from rkmp.southbound.keys import MasterKeyTuple
from rkmp.southbound.tcp_ao import InstalledKey

_AES_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Install:
    """Add ``key``; ``selected``: to send with and to ask for at once, where no connection is there yet."""

    key: MasterKeyTuple
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Ask the peer for the key with this RecvID."""

    recv_id: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Take out the key with these IDs; a key in use is replaced by the one with ``current`` and ``rnext``."""

    send_id: int
    recv_id: int
    current: int | None = None
    rnext: int | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """There is no key left that this connection may use."""


Operation = Install | Request | Delete | Close


def plan_listener(
    installed: Sequence[InstalledKey], held: Sequence[MasterKeyTuple], barrier: MasterKeyTuple
) -> Iterator[Operation]:
    """Yield what makes a listening socket have the keys in ``held``.

    Without any it gets ``barrier``, a key that nobody knows: a listener without keys for an address would take
    connections from there without TCP-AO.
    """
    wanted = list(held) or [barrier]
    obsolete = [each for each in installed if not _is_among(each, wanted)]
    late = []
    for key in wanted:
        if any(_is(each, key) for each in installed):
            continue
        if any(_shares_id(each, key) for each in obsolete):
            late.append(key)
        else:
            yield Install(key)
    if late and len(late) == len(wanted) and not any(_is_among(each, wanted) for each in installed):
        # Nothing else would be there for a moment between deleting the old material and installing the new.
        spare = _with_free_ids(barrier, installed, wanted)
        yield Install(spare)
        yield from (Delete(each.send_id, each.recv_id) for each in obsolete)
        yield from (Install(key) for key in late)
        yield Delete(spare.send_id, spare.recv_id)
        return
    yield from (Delete(each.send_id, each.recv_id) for each in obsolete)
    yield from (Install(key) for key in late)


def plan_connection(
    installed: Sequence[InstalledKey], held: Sequence[MasterKeyTuple], preferred: MasterKeyTuple | None
) -> Iterator[Operation]:
    """Yield what makes a connection have the keys in ``held`` and its peer be asked for ``preferred``.

    Without ``preferred`` the peer is asked for what it was asked before, so long as that is there.
    """
    if not held:
        yield Close()
        return
    obsolete = [each for each in installed if not _is_among(each, held)]
    present = [key for key in held if any(_is(each, key) for each in installed)]
    late = []
    for key in held:
        if key in present:
            continue
        if any(_shares_id(each, key) for each in obsolete):
            late.append(key)
        else:
            yield Install(key)
            present.append(key)
    if not present:
        # What is in use cannot be deleted before something takes its place, and that has the same ID.
        yield Close()
        return
    successor = preferred if preferred is not None and preferred in present else present[-1]
    rnext = next((each for each in installed if each.is_rnext), None)
    if preferred is not None and preferred in present and not (rnext is not None and _is(rnext, preferred)):
        yield Request(preferred.recv_id)
        rnext = None
    for each in obsolete:
        yield Delete(
            each.send_id,
            each.recv_id,
            current=successor.send_id if each.is_current else None,
            rnext=successor.recv_id if rnext is not None and each is rnext else None,
        )
    yield from (Install(key) for key in late)
    if preferred is not None and preferred in late:
        yield Request(preferred.recv_id)


def plan_connecting(held: Sequence[MasterKeyTuple], preferred: MasterKeyTuple | None) -> Iterator[Operation]:
    """Yield what gets a socket ready to connect: the preferred key signs the first segment."""
    if not held:
        yield Close()
        return
    first = preferred if preferred is not None and preferred in held else held[-1]
    yield Install(first, selected=True)
    yield from (Install(key) for key in held if key != first)


def kernel_material(key: MasterKeyTuple) -> Secret:
    """Return what the kernel makes of a master key, and shows of it (RFC 5926 section 3.1.1.2)."""
    octets = key.secret.reveal()
    if not key.alg_id.startswith("aes-128") or len(octets) == _AES_OCTETS:
        return key.secret
    context = CMAC(algorithms.AES(bytes(_AES_OCTETS)))
    context.update(octets)
    return Secret(context.finalize())


def _is(installed: InstalledKey, key: MasterKeyTuple) -> bool:
    return (
        (installed.send_id, installed.recv_id) == (key.send_id, key.recv_id)
        and installed.algorithm.startswith("cmac") == key.alg_id.startswith("aes-128")
        and installed.material == kernel_material(key)
    )


def _is_among(installed: InstalledKey, keys: Iterable[MasterKeyTuple]) -> bool:
    return any(_is(installed, key) for key in keys)


def _shares_id(installed: InstalledKey, key: MasterKeyTuple) -> bool:
    return installed.send_id == key.send_id or installed.recv_id == key.recv_id


def _with_free_ids(
    barrier: MasterKeyTuple, installed: Sequence[InstalledKey], wanted: Sequence[MasterKeyTuple]
) -> MasterKeyTuple:
    taken = {number for each in installed for number in (each.send_id, each.recv_id)}
    taken |= {number for key in wanted for number in (key.send_id, key.recv_id)}
    free = next(number for number in range(256) if number not in taken)
    return MasterKeyTuple(barrier.name, free, free, barrier.alg_id, barrier.secret, barrier.ignore_tcp_options)
