"""Snapshots of peers as an engine would show them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from rkmp.engine import AssociationSnapshot, IkeSaSnapshot, PeerSnapshot
from rkmp.engine.association_states import AssociationState

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def association(state: AssociationState, *, key: str | None = "key", **changes: object) -> AssociationSnapshot:
    """Return a snapshot of an association with BGP that rolls over in an hour and has done so three times."""
    snapshot = AssociationSnapshot(
        protocol="bgp",
        state=state,
        current_key=key,
        next_key=None,
        send_id=1,
        recv_id=2,
        established_at=NOW,
        next_rollover_at=NOW + timedelta(hours=1),
        rollovers=3,
        last_error=None,
    )
    return dataclasses.replace(snapshot, **changes)  # type: ignore[arg-type]


def ike_sa(**changes: object) -> IkeSaSnapshot:
    """Return a snapshot of an IKE SA of which nothing is known but ``changes``."""
    unknown: dict[str, object] = dict.fromkeys(field.name for field in dataclasses.fields(IkeSaSnapshot))
    return IkeSaSnapshot(**{**unknown, **changes})  # type: ignore[arg-type]


def keyed_peer(**of_ike_sa: object) -> PeerSnapshot:
    """Return a peer with a key and an IKE SA."""
    return PeerSnapshot("r2", (association(AssociationState.ESTABLISHED),), (ike_sa(**of_ike_sa),), {})
