"""Says when state of peers and keys is not what it was, so that subscribers can be told (RFC 8641 section 3.10).

Counters of messages, octets and failures change all the time and are left out; everything else is on-change capable.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from rkmp.keytable import KeyEvent, KeyTable
from rkmp.netconf.operational import EntryNames
from rkmp.northbound.engine_access import EngineAccess
from rkmp.northbound.names import KeyTableNames, Rkmp

EXCEPTED: tuple[tuple[str, ...], ...] = (
    (Rkmp.RKMP, Rkmp.STATISTICS),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.STATISTICS),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.IKE_SA, Rkmp.MESSAGES_IN),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.IKE_SA, Rkmp.MESSAGES_OUT),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.IKE_SA, Rkmp.OCTETS_IN),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.IKE_SA, Rkmp.OCTETS_OUT),
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.CERTIFICATE, Rkmp.SECONDS_LEFT),
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.TRUST_ANCHOR, Rkmp.SECONDS_LEFT),
)
"""The nodes that are not on-change capable."""


class Watched(Protocol):
    """What is told of changes (:class:`rkmp.netconf.server.NetconfServer`)."""

    def tell_state_changes(self, tag: str, excepted: Collection[tuple[str, ...]] = ()) -> None:
        """Have the state below a top-level node be on-change capable, but for some nodes."""

    def state_changed(self, tag: str, entries: EntryNames | None = None) -> None:
        """Take note that state below a top-level node may not be what it was, of ``entries`` or anywhere."""


def tell_changes(engine: EngineAccess, key_table: KeyTable, server: Watched) -> None:
    """Tell ``server`` whenever ``engine`` or ``key_table`` may have changed; what has, it finds when somebody asks."""
    server.tell_state_changes(Rkmp.RKMP, EXCEPTED)
    server.tell_state_changes(KeyTableNames.KEY_TABLE)
    engine.watch(lambda: server.state_changed(Rkmp.RKMP))
    key_table.subscribe(lambda event: server.state_changed(KeyTableNames.KEY_TABLE, _touched(key_table, event)))


def _touched(key_table: KeyTable, event: KeyEvent) -> EntryNames | None:
    """Return the keys whose state ``event`` can have changed: which of those with a peer is selected may be another."""
    if not event.is_negotiated:
        # A manual key can have had other peers before.
        return None
    names = {event.admin_key_name}
    for peer in event.peers:
        names.update(row.admin_key_name for row in key_table.rows_for(peer, event.protocol))
    return [(KeyTableNames.KEY, (name,)) for name in names]
