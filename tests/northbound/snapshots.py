"""Snapshots in which every field has a value."""

from __future__ import annotations

from rkmp.engine.association_states import AssociationState
from rkmp.engine.state import AssociationSnapshot, IkeSaSnapshot, PeerSnapshot
from rkmp.engine.statistics import EngineStatistic, PeerStatistic, failure_statistic
from rkmp.ike import AuthenticationFailure, ChildRefusal, NegotiationFailure, RekeyFailure, Statistic
from tests.northbound.world import NOON

ENGINE_COUNTERS = tuple(dict.fromkeys([*map(str, EngineStatistic), *map(str, Statistic)]))
PEER_COUNTERS = tuple(
    dict.fromkeys(
        [
            *map(str, PeerStatistic),
            *map(failure_statistic, NegotiationFailure),
            *map(failure_statistic, AuthenticationFailure),
            *map(failure_statistic, ChildRefusal),
            *map(failure_statistic, RekeyFailure),
            "notify-11-received",
        ]
    )
)

IKE_SA = IkeSaSnapshot(
    local_spi=bytes.fromhex("0102030405060708"),
    remote_spi=bytes.fromhex("1112131415161718"),
    role="initiator",
    state="established",
    established_at=NOON,
    rekey_at=NOON,
    expires_at=NOON,
    encryption="aes-cbc-256",
    integrity="hmac-sha2-256-128",
    prf="hmac-sha2-256",
    key_exchange="curve25519",
    additional_key_exchanges=("ml-kem-768", "ecp384"),
    remote_identity="r2.example.net",
    auth_method="certificate",
    certificate_expires_at=NOON,
    uses_ppk=True,
    nat_local=False,
    nat_remote=True,
    messages_in=1,
    messages_out=2,
    octets_in=3,
    octets_out=4,
)
ASSOCIATION = AssociationSnapshot(
    protocol="bgp",
    state=AssociationState.ROLLING_OVER,
    current_key="r2-bgp-1",
    next_key="r2-bgp-2",
    send_id=0,
    recv_id=255,
    established_at=NOON,
    next_rollover_at=NOON,
    rollovers=7,
    last_error="no answer from the peer",
)
PEER = PeerSnapshot(
    name="r2",
    associations=(ASSOCIATION,),
    ike_sas=(IKE_SA,),
    statistics={name: number for number, name in enumerate(PEER_COUNTERS, 1)},
)
