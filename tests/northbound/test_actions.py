"""Actions reach the engine with the names of their instance, and its refusals reach the caller."""

from __future__ import annotations

import asyncio

import pytest
from lxml import etree

from rkmp.errors import EngineRefusal, RpcError
from rkmp.netconf import Client
from rkmp.netconf.access_control import AccessControl
from rkmp.netconf.handlers import Invocation, PathStep
from rkmp.northbound.actions import REKEY_ANSWERS_WITHIN, Actions
from rkmp.northbound.names import Rkmp
from tests.northbound.world import FakeEngine, schema

PEER = PathStep(Rkmp.PEER, {str(Rkmp.NAME): "r2"})
PATHS = {
    "rekey": (Rkmp.RKMP, Rkmp.PEER, Rkmp.ASSOCIATION, Rkmp.REKEY),
    "initiate": (Rkmp.RKMP, Rkmp.PEER, Rkmp.INITIATE_NOW),
    "clear": (Rkmp.RKMP, Rkmp.PEER, Rkmp.CLEAR),
}


def invocation(action: str, protocol: str = "bgp") -> Invocation:
    path = PATHS[action]
    node = schema().node_at(path)
    assert node is not None
    steps = [PathStep(Rkmp.RKMP, {}), PEER]
    if Rkmp.ASSOCIATION in path:
        steps.append(PathStep(Rkmp.ASSOCIATION, {str(Rkmp.PROTOCOL): protocol}))
    reader = AccessControl(schema()).access_of(Client("admin", "192.0.2.99", "netconf-ssh")).reader
    return Invocation(node, etree.Element(path[-1]), tuple(steps), username="admin", session_id=1, reader=reader)


@pytest.mark.parametrize(
    ("action", "protocol", "call"),
    [
        ("rekey", "bgp", ("rekey", "r2", 1)),
        ("rekey", "pim-port", ("rekey", "r2", 4)),
        ("rekey", "250", ("rekey", "r2", 250)),
        ("initiate", "", ("initiate", "r2")),
        ("clear", "", ("clear", "r2")),
    ],
)
async def test_an_action_reaches_the_engine(action: str, protocol: str, call: tuple[object, ...]) -> None:
    engine = FakeEngine()
    await Actions(engine).handlers[PATHS[action]](invocation(action, protocol))
    assert engine.calls == [call]


async def test_rekey_answers_with_the_name_of_the_new_key() -> None:
    output = await Actions(FakeEngine()).handlers[PATHS["rekey"]](invocation("rekey"))
    assert output is not None
    assert [(leaf.tag, leaf.text) for leaf in output] == [(str(Rkmp.ADMIN_KEY_NAME), "the-new-key")]


async def test_a_silent_peer_is_told_of_before_clients_give_up() -> None:
    class Silent(FakeEngine):
        async def rekey(self, peer: str, protocol: int) -> str:
            await asyncio.Event().wait()
            raise AssertionError(peer, protocol)

    with pytest.raises(RpcError) as late:
        await Actions(Silent(), patience=0.01).handlers[PATHS["rekey"]](invocation("rekey"))
    assert late.value.tag == "operation-failed"
    assert "r2 has not answered in 0.01 seconds; the agent goes on trying" in str(late.value.message)
    # ncclient's default is 30 seconds.
    assert REKEY_ANSWERS_WITHIN < 30


@pytest.mark.parametrize("action", PATHS)
async def test_a_refusal_of_the_engine_is_an_error_with_its_reason(action: str) -> None:
    engine = FakeEngine(refusal=EngineRefusal("the peer does not answer"))
    with pytest.raises(RpcError) as refused:
        await Actions(engine).handlers[PATHS[action]](invocation(action))
    assert (refused.value.tag, refused.value.message) == ("operation-failed", "the peer does not answer")
    assert refused.value.type == "application"
