"""What the engine shows of itself: frozen snapshots, taken on request, that the northbound turns into YANG state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rkmp.engine.association_states import AssociationState


@dataclass(frozen=True, slots=True)
class IkeSaSnapshot:
    """One IKE SA. SPIs are 8 octets; algorithms are IANA names as YANG writes them, None until negotiated.

    ``rekey_at`` is when this side is going to rekey it, None where it is not retained; ``expires_at`` when it
    ends, should nothing come of that. ``auth_method`` is how the peer has proved who it is; ``certificate_expires_at``
    when the first certificate of its chain expires, where that was by certificate. ``nat_local`` and ``nat_remote`` are
    whether our address or the peer's is translated on the way, None where that has not been found out.
    """

    local_spi: bytes
    remote_spi: bytes
    role: str
    state: str
    established_at: datetime | None
    rekey_at: datetime | None
    expires_at: datetime | None
    encryption: str | None
    integrity: str | None
    prf: str | None
    key_exchange: str | None
    additional_key_exchanges: tuple[str, ...]
    remote_identity: str | None
    auth_method: str | None
    certificate_expires_at: datetime | None
    uses_ppk: bool | None
    nat_local: bool | None
    nat_remote: bool | None
    messages_in: int
    messages_out: int
    octets_in: int
    octets_out: int


@dataclass(frozen=True, slots=True)
class AssociationSnapshot:
    """One routing protocol with one peer; key names are AdminKeyNames of the key table."""

    protocol: str
    state: AssociationState
    current_key: str | None
    next_key: str | None
    send_id: int | None
    recv_id: int | None
    established_at: datetime | None
    next_rollover_at: datetime | None
    rollovers: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class PeerSnapshot:
    """One configured peer. ``statistics`` counts by the names of :mod:`rkmp.engine.statistics`.

    ``ike_statistics`` counts by the names of :class:`rkmp.ike.Statistic` what all IKE SAs with it have, those included
    that are gone.
    """

    name: str
    associations: tuple[AssociationSnapshot, ...]
    ike_sas: tuple[IkeSaSnapshot, ...]
    statistics: Mapping[str, int]
    ike_statistics: Mapping[str, int] = field(default_factory=dict)
