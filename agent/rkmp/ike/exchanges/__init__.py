"""The exchanges of an IKE SA, each with the same verbs (:mod:`rkmp.ike.exchanges.exchange`), and who answers which."""

from __future__ import annotations

from collections.abc import Callable

from rkmp.ike.exchanges.create_child_sa import CreateChildSa
from rkmp.ike.exchanges.exchange import Exchange
from rkmp.ike.exchanges.ike_auth import IkeAuth
from rkmp.ike.exchanges.ike_sa_init import IkeSaInit
from rkmp.ike.exchanges.informational import Informational
from rkmp.wire import ExchangeType

ANSWERING: dict[int, Callable[[], Exchange]] = {
    ExchangeType.IKE_SA_INIT: IkeSaInit,
    ExchangeType.IKE_AUTH: IkeAuth,
    ExchangeType.CREATE_CHILD_SA: CreateChildSa,
    ExchangeType.INFORMATIONAL: Informational,
}
"""By exchange type, what answers a request."""
