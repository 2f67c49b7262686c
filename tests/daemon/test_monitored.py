"""What metrics are made of is what somebody waits for."""

from __future__ import annotations

import dataclasses

from rkmp.daemon.monitored import without_disabled
from rkmp.engine import PeerSnapshot
from rkmp.engine.association_states import AssociationState
from rkmp.wire import RoutingProtocol
from tests.engine.configurations import configuration, peer
from tests.metrics.snapshots import association


def test_of_associations_that_are_disabled_nothing_is_missed() -> None:
    bgp, ldp = RoutingProtocol.BGP, RoutingProtocol.LDP
    wanted = peer("r2", (bgp, ldp))
    off = dataclasses.replace(wanted.associations[ldp], enabled=False)
    router = configuration("r1", [dataclasses.replace(wanted, associations={**wanted.associations, ldp: off})])
    keyed, idle = (
        association(AssociationState.ESTABLISHED),
        association(AssociationState.IDLE, key=None, protocol="ldp"),
    )
    snapshot = PeerSnapshot("r2", (keyed, idle), (), {})
    (shown,) = without_disabled([snapshot], router)
    assert shown == dataclasses.replace(snapshot, associations=(keyed,))
    assert without_disabled([snapshot], configuration("r1", [wanted])) == (snapshot,)
