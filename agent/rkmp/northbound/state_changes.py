"""Says when state of peers and keys is not what it was, so that subscribers can be told (RFC 8641 section 3.10).

Counters of messages, octets and failures change all the time and are left out; everything else is on-change capable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Protocol

from rkmp.engine.state import PeerSnapshot
from rkmp.keytable import KeyEvent, KeyTable
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

    def state_changed(self, tag: str) -> None:
        """Take note that state below a top-level node is not what it was."""

    def is_watched(self, tag: str) -> bool:
        """Whether anybody is to be told."""


class StateChanges:
    """Tells ``server`` of changes in ``engine`` and ``key_table``."""

    def __init__(self, engine: EngineAccess, key_table: KeyTable, server: Watched) -> None:
        self._engine = engine
        self._server = server
        self._known: tuple[PeerSnapshot, ...] | None = None
        server.tell_state_changes(Rkmp.RKMP, EXCEPTED)
        server.tell_state_changes(KeyTableNames.KEY_TABLE)
        engine.watch(self._engine_acted)
        key_table.subscribe(self._key_changed)

    def _engine_acted(self) -> None:
        if not self._server.is_watched(Rkmp.RKMP):
            self._known = None
            return
        known = tuple(_without_counters(peer) for peer in self._engine.peers())
        if known != self._known:
            self._known = known
            self._server.state_changed(Rkmp.RKMP)

    def _key_changed(self, _event: KeyEvent) -> None:
        self._server.state_changed(KeyTableNames.KEY_TABLE)


def _without_counters(peer: PeerSnapshot) -> PeerSnapshot:
    ike_sas = tuple(
        dataclasses.replace(ike_sa, messages_in=0, messages_out=0, octets_in=0, octets_out=0) for ike_sa in peer.ike_sas
    )
    return dataclasses.replace(peer, ike_sas=ike_sas, statistics={})
