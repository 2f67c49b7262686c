"""Says when state of peers and keys is not what it was, so that subscribers can be told (RFC 8641 section 3.10).

Counters of messages, octets and failures, and the seconds that are left to certificates, change all the time and are
left out, and so is what consumers do with keys; everything else is on-change capable.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.edits import Edit
from rkmp.datastore.schema import SchemaNode
from rkmp.keytable import KeyEvent, KeyTable
from rkmp.netconf.operational import EntryNames
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.engine_access import EngineAccess
from rkmp.northbound.names import KeyTableNames, Rkmp

EXCEPTED: tuple[tuple[str, ...], ...] = (
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.ASSOCIATION, AgentNames.CONSUMER),
    (Rkmp.RKMP, Rkmp.STATISTICS),
    (Rkmp.RKMP, Rkmp.PEER, Rkmp.STATISTICS),
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.CERTIFICATE, Rkmp.SECONDS_LEFT),
    (Rkmp.RKMP, Rkmp.CREDENTIALS, Rkmp.TRUST_ANCHOR, Rkmp.SECONDS_LEFT),
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


def tell_changes(datastores: Datastores, engine: EngineAccess, key_table: KeyTable, server: Watched) -> None:
    """Tell ``server`` whenever state may have changed, and where; what has, it finds when somebody asks."""
    server.tell_state_changes(Rkmp.RKMP, EXCEPTED)
    server.tell_state_changes(KeyTableNames.KEY_TABLE)
    engine.watch(lambda names: server.state_changed(Rkmp.RKMP, [(Rkmp.PEER, (name,)) for name in names]))

    def key_event(event: KeyEvent) -> None:
        rows = [row for peer in event.peers for row in key_table.rows_for(peer, event.protocol)]
        names = {event.admin_key_name, *(row.admin_key_name for row in rows)}
        # Of the keys with a peer, another can be selected now; a manual key can have had other peers before.
        keys = [(KeyTableNames.KEY, (name,)) for name in names] if event.is_negotiated else None
        server.state_changed(KeyTableNames.KEY_TABLE, keys)
        # An association shows which of its keys is current.
        owners = {row.provenance.peer for row in rows if row.provenance is not None}
        server.state_changed(Rkmp.RKMP, [(Rkmp.PEER, (owner,)) for owner in owners])

    key_table.subscribe(key_event)

    def running_changed(_session_id: int | None, edits: Sequence[Edit]) -> None:
        # What is configured for all of RKMP can show anywhere in it: a listener that opens closes the default one.
        if any(edit.top == Rkmp.RKMP and not _is_inside_a_peer(edit.node) for edit in edits):
            server.state_changed(Rkmp.RKMP)

    datastores.on_commit(running_changed)


def _is_inside_a_peer(node: SchemaNode) -> bool:
    at: SchemaNode | None = node
    while at is not None and at.tag != Rkmp.PEER:
        at = at.data_parent
    return at is not None
