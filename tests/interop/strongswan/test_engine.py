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
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    Initiate,
    Listener,
    NatFound,
    NegotiationFailure,
    PeerConfiguration,
    PreSharedKeyName,
    ProposalConfiguration,
    TransformConfiguration,
)
from rkmp.engine.state import IkeSaSnapshot
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

    def configure(self, charon: Charon, initiate: Initiate, *, lifetime: int = 14400) -> None:
        """Make charon the one peer, for BGP; ``lifetime`` is that of IKE SAs, in seconds."""
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
            ike_policies={"p": IkePolicy("p", proposals=(proposal(SUITE),), lifetime=lifetime)},
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

    def ike_sas(self) -> tuple[IkeSaSnapshot, ...]:
        """Return what is shown of the IKE SAs with charon."""
        (peer,) = self.driver.peers()
        return peer.ike_sas

    def happened(self, kind: type[EngineEvent]) -> list[EngineEvent]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def _note(self, event: EngineEvent, _wall: datetime) -> None:
        self.events.append(event)


@pytest.fixture
async def make_agent(
    network: NetworkNamespace, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[Listener], Agent]]:
    """Return a function that returns an agent in the test's network, to be configured."""
    drivers: list[EngineDriver] = []

    def bind(address: str, port: int) -> socket.socket:
        bound = network.udp_socket(address, port)
        bound.setblocking(False)
        return bound

    monkeypatch.setattr("rkmp.engine.driver.bound_socket", bind)

    def make(listener: Listener) -> Agent:
        sealer = Sealer(KeyEncryptionKey(Secret(os.urandom(32))), "keys")
        key_table = KeyTable(Database(":memory:"), sealer, os.urandom)
        driver = EngineDriver(Engine(key_table, os.urandom, default_listener=listener), listener)
        drivers.append(driver)
        return Agent(driver, listener)

    yield make
    for driver in drivers:
        driver.close()


@pytest.fixture(params=[500, 16500], ids=["port 500", "another port"])
async def agent(make_agent: Callable[[Listener], Agent], request: pytest.FixtureRequest) -> Agent:
    """Return an agent on one port or another."""
    return make_agent(Listener("ike", ADDRESS, request.param))


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
    (ike_sa,) = agent.ike_sas()
    assert ike_sa.state == "established"
    assert (ike_sa.nat_local, ike_sa.nat_remote) == (False, False)


async def test_it_answers_an_ike_sa_and_keeps_it_when_it_refuses_the_child(agent: Agent, charon: Charon) -> None:
    agent.configure(charon, Initiate.NEVER)
    charon.load(Connection(SUITE, remote=(ADDRESS, agent.listener.port), childless="never"))
    opening = await agent.attend(charon.initiate(child=True))
    assert "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built" in opening.output
    (up,) = agent.happened(IkeSaUp)
    assert isinstance(up, IkeSaUp)
    assert (up.peer, up.role) == ("charon", Role.RESPONDER.value)
    assert charon.is_established()


@pytest.mark.parametrize("by_agent", [True, False])
async def test_an_ike_sa_goes_on_when_either_side_rekeys_it(agent: Agent, charon: Charon, by_agent: bool) -> None:
    charon.load(Connection(SUITE))
    # The agent rekeys when a tenth of the lifetime is left, and asks for its key over whatever is there.
    agent.configure(charon, Initiate.IMMEDIATELY, lifetime=2 if by_agent else 14400)
    await agent.until(lambda: bool(agent.happened(NegotiationFailure)))
    if not by_agent:
        await agent.attend(charon.rekey())
    await agent.until(lambda: bool(agent.happened(IkeSaReplaced)))
    replaced = agent.happened(IkeSaReplaced)[0]
    assert isinstance(replaced, IkeSaReplaced)
    assert replaced.role == (Role.INITIATOR if by_agent else Role.RESPONDER).value
    failures = len(agent.happened(NegotiationFailure))
    await agent.until(lambda: len(agent.happened(NegotiationFailure)) > failures)
    assert charon.is_established()
    assert not agent.happened(IkeSaDown)
    assert len(agent.happened(IkeSaUp)) == 1
    assert len(agent.ike_sas()) == 1


async def test_after_a_translator_was_found_messages_go_to_the_ports_for_that(
    network: NetworkNamespace, make_agent: Callable[[Listener], Agent], make_charon: MakeCharon
) -> None:
    charon = make_charon()
    # charon pretends to be behind a translator.
    charon.load(Connection(SUITE, own="encap = yes"))
    agent = make_agent(Listener("ike", ADDRESS, 16500, 16501))
    agent.configure(charon, Initiate.IMMEDIATELY)
    await agent.until(lambda: bool(agent.happened(NegotiationFailure)))
    (found,) = agent.happened(NatFound)
    assert isinstance(found, NatFound)
    assert found.nat_remote
    assert found.refused
    failure = agent.happened(NegotiationFailure)[0]
    assert isinstance(failure, NegotiationFailure)
    assert "translated on the way" in failure.reason
    assert charon.is_established()
    (ike_sa,) = charon.ike_sas()
    assert (ike_sa["local-port"], ike_sa["remote-port"]) == ("4500", "16501")
