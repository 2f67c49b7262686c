"""Negotiated keys from before a restart that nothing is configured for any more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address

from rkmp.engine.peer import Peer
from rkmp.errors import KeyTableError, StorageError
from rkmp.keytable import KeyRow, KeyTable

_log = logging.getLogger(__name__)


def remove_orphans(key_table: KeyTable, peers: Mapping[str, Peer], wall: datetime) -> None:
    """Remove the negotiated keys that belong to no association of ``peers``, which are those that are enabled."""
    orphans = [row for row in key_table.rows() if row.provenance is not None and not _is_owned(row, peers)]
    try:
        for row in orphans:
            key_table.remove(row.admin_key_name, wall, "no longer configured")
    except (StorageError, KeyTableError) as error:
        _log.error("keys that are no longer configured cannot be removed: %s", error)


def _is_owned(row: KeyRow, peers: Mapping[str, Peer]) -> bool:
    peer = peers.get(row.provenance.peer) if row.provenance is not None else None
    if peer is None:
        return False
    return any(
        association.protocol == row.protocol
        and ip_address(association.configuration.neighbor) in map(ip_address, row.peers)
        for association in peer.associations.values()
        if association.configuration.enabled
    )
