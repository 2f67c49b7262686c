"""The actions of module ``rkmp``, carried out by the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from lxml import etree

from rkmp.errors import EngineRefusal, RpcError
from rkmp.netconf.handlers import Handler, Invocation
from rkmp.northbound.elements import add
from rkmp.northbound.engine_access import EngineAccess
from rkmp.northbound.names import RKMP_NAMESPACE, Rkmp
from rkmp.northbound.values import routing_protocol_number

REKEY_ANSWERS_WITHIN = 25.0
"""Seconds. Clients commonly wait 30 for an answer; whether a silent peer is there takes longer to find out."""


class Actions:
    """The handlers, by the path of their action in :attr:`handlers`; ``patience`` is in seconds."""

    def __init__(self, engine: EngineAccess, patience: float = REKEY_ANSWERS_WITHIN) -> None:
        self._engine = engine
        self._patience = patience
        peer = (Rkmp.RKMP, Rkmp.PEER)
        self.handlers: Mapping[tuple[str, ...], Handler] = {
            (*peer, Rkmp.INITIATE_NOW): self.initiate_now,
            (*peer, Rkmp.CLEAR): self.clear,
            (*peer, Rkmp.ASSOCIATION, Rkmp.REKEY): self.rekey,
        }

    async def rekey(self, invocation: Invocation) -> Sequence[etree._Element]:
        """Replace a key and answer with the new one's name; raises RpcError when there is none, or not yet."""
        peer, protocol = _peer(invocation), invocation.key(Rkmp.ASSOCIATION, Rkmp.PROTOCOL)
        try:
            async with asyncio.timeout(self._patience):
                name = await self._engine.rekey(peer, routing_protocol_number(protocol))
        except TimeoutError as late:
            raise RpcError(
                "operation-failed",
                f"{peer} has not answered in {self._patience:g} seconds; the agent goes on trying, and the "
                "association's state and last-error tell what comes of it",
            ) from late
        except EngineRefusal as refusal:
            raise _refused(refusal) from refusal
        output = etree.Element("output", nsmap={None: RKMP_NAMESPACE})
        add(output, Rkmp.ADMIN_KEY_NAME, name)
        return list(output)

    async def initiate_now(self, invocation: Invocation) -> None:
        """Negotiate what the associations of a peer lack."""
        try:
            self._engine.initiate(_peer(invocation))
        except EngineRefusal as refusal:
            raise _refused(refusal) from refusal

    async def clear(self, invocation: Invocation) -> None:
        """Drop the IKE SAs and the negotiated keys of a peer."""
        try:
            self._engine.clear(_peer(invocation))
        except EngineRefusal as refusal:
            raise _refused(refusal) from refusal


def _peer(invocation: Invocation) -> str:
    return invocation.key(Rkmp.PEER, Rkmp.NAME)


def _refused(refusal: EngineRefusal) -> RpcError:
    return RpcError("operation-failed", refusal.reason)
