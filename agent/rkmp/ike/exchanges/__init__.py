"""The exchanges of an IKE SA, each with the same verbs (:mod:`rkmp.ike.exchanges.exchange`), and who answers which."""

from __future__ import annotations

from collections.abc import Callable

from rkmp.ike.exchanges.create_child_sa import CreateChildSa
from rkmp.ike.exchanges.exchange import Exchange, Payloads
from rkmp.ike.exchanges.ike_auth import IkeAuth
from rkmp.ike.exchanges.ike_followup_ke import IkeFollowupKe
from rkmp.ike.exchanges.ike_intermediate import IkeIntermediate
from rkmp.ike.exchanges.ike_sa_init import IkeSaInit
from rkmp.ike.exchanges.informational import Informational
from rkmp.ike.exchanges.rekey_ike_sa import RekeyIkeSa, is_for_ike_sa
from rkmp.wire import ExchangeType

ANSWERING: dict[int, Callable[[], Exchange]] = {
    ExchangeType.IKE_SA_INIT: IkeSaInit,
    ExchangeType.IKE_INTERMEDIATE: IkeIntermediate,
    ExchangeType.IKE_AUTH: IkeAuth,
    ExchangeType.CREATE_CHILD_SA: CreateChildSa,
    ExchangeType.IKE_FOLLOWUP_KE: IkeFollowupKe,
    ExchangeType.INFORMATIONAL: Informational,
}
"""By exchange type, what answers a request, as far as the type tells."""


def answering(exchange_type: int, payloads: Payloads) -> Exchange:
    """Return what answers a request with ``payloads``: CREATE_CHILD_SA is for children and for the IKE SA itself."""
    if exchange_type == ExchangeType.CREATE_CHILD_SA and is_for_ike_sa(payloads):
        return RekeyIkeSa()
    return ANSWERING[exchange_type]()
