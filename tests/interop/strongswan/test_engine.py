"""The engine itself behind its UDP driver, with charon for a peer that it takes no Vendor ID from."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from rkmp.engine import (
    AssociationConfiguration,
    Engine,
    EngineConfiguration,
    EngineDriver,
    EngineEvent,
    IkePolicy,
    IkeSaUp,
    Initiate,
    Listener,
    NegotiationFailure,
    PeerConfiguration,
    PreSharedKeyName,
    ProposalConfiguration,
    TransformConfiguration,
)
from rkmp.ike import Role
from rkmp.keytable import KeyTable
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer
from rkmp.wire import AuthAlg, Kdf, RoutingProtocol
from tests.interop.strongswan.algorithms import proposal
from tests.interop.strongswan.charon import SECRET, Charon, Connection, SwanctlResult
from tests.interop.strongswan.conftest import MakeCharon
from tests.interop.strongswan.namespace import NetworkNamespace
from tests.interop.strongswan.router import CHARON, PATIENCE, ROUTER, TICK

SUITE = "aes128gcm16-prfsha256-x25519"
ADDRESS = "127.0.0.1"


@dataclass
class Agent:
    """A driver and what its engine reported."""

    driver: EngineDriver
    listener: Listener
    events: list[EngineEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.driver.subscribe(self._note)

    def configure(self, charon: Charon, initiate: Initiate) -> None:
        """Make charon the one peer, for BGP."""
        peer = PeerConfiguration(
            name="charon",
            address=charon.address[0],
            port=charon.address[1],
            ike_policy="p",
            local_authentication=PreSharedKeyName("k"),
            remote_authentication=PreSharedKeyName("k"),
            remote_identity=CHARON,
            initiate=initiate,
            associations={
                RoutingProtocol.BGP: AssociationConfiguration(RoutingProtocol.BGP, charon.address[0], ("ao",))
            },
        )
        configuration = EngineConfiguration(
            listeners={self.listener.name: self.listener},
            require_vendor_id=False,
            local_identity=ROUTER,
            pre_shared_keys={"k": Secret(SECRET.encode())},
            ike_policies={"p": IkePolicy("p", proposals=(proposal(SUITE),))},
            proposals={
                "ao": ProposalConfiguration(
                    "ao", (TransformConfiguration("aes", AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC),)
                )
            },
            peers={"charon": peer},
        )
        self.driver.prepare(configuration).apply()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until ``condition`` holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.events
            await asyncio.sleep(TICK)

    async def attend(self, command: subprocess.Popen[str]) -> SwanctlResult:
        """Let time pass until a command to charon is carried out."""
        with command:
            await self.until(lambda: command.poll() is not None)
            return SwanctlResult.of(command)

    def happened(self, kind: type[EngineEvent]) -> list[EngineEvent]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def _note(self, event: EngineEvent, _wall: datetime) -> None:
        self.events.append(event)


@pytest.fixture(params=[500, 16500], ids=["port 500", "another port"])
async def agent(
    network: NetworkNamespace, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Agent]:
    """Return an agent in the test's network, to be configured."""

    def bind(address: str, port: int) -> socket.socket:
        bound = network.udp_socket(address, port)
        bound.setblocking(False)
        return bound

    monkeypatch.setattr("rkmp.engine.driver.bound_socket", bind)
    key_table = KeyTable(Database(":memory:"), Sealer(KeyEncryptionKey(Secret(os.urandom(32))), "keys"), os.urandom)
    listener = Listener("ike", ADDRESS, request.param)
    driver = EngineDriver(Engine(key_table, os.urandom, default_listener=listener), listener)
    yield Agent(driver, listener)
    driver.close()


@pytest.fixture
def charon(make_charon: MakeCharon) -> Charon:
    """Return a charon that leaves ports 500 and 4500 to the agent."""
    return make_charon(port=15500, nat_port=15501)


async def test_it_opens_an_ike_sa_and_keeps_it_when_the_child_is_refused(agent: Agent, charon: Charon) -> None:
    charon.load(Connection(SUITE))
    agent.configure(charon, Initiate.IMMEDIATELY)
    await agent.until(lambda: bool(agent.happened(NegotiationFailure)))
    (up,) = agent.happened(IkeSaUp)
    assert isinstance(up, IkeSaUp)
    assert (up.peer, up.role) == ("charon", Role.INITIATOR.value)
    failure = agent.happened(NegotiationFailure)[0]
    assert isinstance(failure, NegotiationFailure)
    assert failure.protocol == "bgp"
    assert failure.reason.startswith(("not configured at the other side", "no transform in common"))
    assert charon.is_established()
    (peer,) = agent.driver.peers()
    assert [ike_sa.state for ike_sa in peer.ike_sas] == ["established"]


async def test_it_answers_an_ike_sa_and_keeps_it_when_it_refuses_the_child(agent: Agent, charon: Charon) -> None:
    agent.configure(charon, Initiate.NEVER)
    charon.load(Connection(SUITE, remote=(ADDRESS, agent.listener.port), childless="never"))
    opening = await agent.attend(charon.initiate(child=True))
    assert "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built" in opening.output
    (up,) = agent.happened(IkeSaUp)
    assert isinstance(up, IkeSaUp)
    assert (up.peer, up.role) == ("charon", Role.RESPONDER.value)
    assert charon.is_established()
