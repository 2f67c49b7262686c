"""Several peers at one address: who it is turns out in IKE_AUTH, and from then on its own settings count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, IkeProposal
from rkmp.engine import (
    AuthenticationFailure,
    Childless,
    EngineConfiguration,
    IkePolicy,
    IkeSaUp,
    Initiate,
    NatPolicy,
    PeerConfiguration,
    PreSharedKeyName,
    failure_statistic,
)
from rkmp.ike import AuthenticationFailure as Reason
from rkmp.ike import Identity, IkeSettings, Retransmission
from rkmp.secret import Secret
from tests.engine.simulation import BGP, Simulation, address_of, configuration, peer

NEVER = Initiate.NEVER
AES_128 = IkeProposal(encryption=((20, 128),), integrity=(), prf=(5,), key_exchange=(31,))
AES_256 = IkeProposal(encryption=((20, 256),), integrity=(), prf=(7,), key_exchange=(19,))
CBC = IkeProposal(encryption=((12, 256),), integrity=(12,), prf=(5,), key_exchange=(31,))
SLOW = Retransmission(5.0, 1.5, 4)


def sharing(*policies: IkePolicy) -> EngineConfiguration:
    """Return a configuration of r2 with peers p0, p1.. at the address of r1, each with a policy of its own."""
    peers: list[PeerConfiguration] = []
    for number, policy in enumerate(policies):
        neighbor = f"198.51.100.{number}"
        wanted = peer("r1", initiate=NEVER, neighbor=neighbor, remote_identity=identity(number), ike_policy=policy.name)
        peers.append(replace(wanted, name=f"p{number}"))
    return configuration("r2", peers, ike_policies={policy.name: policy for policy in policies})


def identity(number: int) -> Identity:
    return Identity.parse("fqdn", f"p{number}.example.net")


def as_peer(number: int, policy: IkePolicy) -> EngineConfiguration:
    """Return a configuration of r1 by which it is p``number``."""
    settings = peer("r2", neighbor=f"198.51.100.{100 + number}")
    policy = replace(policy, name="p")
    return replace(configuration("r1", [settings], policy=policy), local_identity=identity(number))


def settings_in_force(simulation: Simulation) -> IkeSettings:
    (conversation,) = simulation["r2"].engine._switchboard.all()
    return conversation.ike_sa._core.context.settings


POLICIES = (
    IkePolicy("a", proposals=(AES_128,), retransmission=SLOW, childless=Childless.NEVER),
    IkePolicy("b", proposals=(AES_256, AES_128), datagram_size=700, nat=NatPolicy.ALLOW),
    IkePolicy("c", proposals=(CBC,), allow_sha1=True, liveness_interval=7),
)


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_the_settings_of_the_peer_that_it_turns_out_to_be_are_those_of_its_ike_sa(number: int) -> None:
    simulation = Simulation(1)
    simulation.configure("r2", sharing(*POLICIES))
    simulation.configure("r1", as_peer(number, POLICIES[number]))
    simulation.run(5)
    (up,) = simulation["r2"].happened(IkeSaUp)
    assert isinstance(up, IkeSaUp)
    assert up.peer == f"p{number}"
    in_force = settings_in_force(simulation)
    assert in_force.proposals == POLICIES[number].proposals
    assert in_force.retransmission == POLICIES[number].retransmission
    assert in_force.allow_sha1 == POLICIES[number].allow_sha1
    assert in_force.datagram_size == POLICIES[number].datagram_size
    # It is rekeyed by them, too: with what only this peer allows.
    simulation["r2"].rekey_ike_sas(simulation.now)
    simulation.run(5)
    (shown,) = simulation["r2"].snapshot(f"p{number}", simulation.now).ike_sas
    assert shown.encryption == ("aes-gcm-16-128", "aes-gcm-16-256", "aes-cbc-256")[number]


def test_requests_are_repeated_as_the_policy_of_the_peer_says() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", sharing(POLICIES[1], POLICIES[0]))
    simulation.configure("r1", as_peer(1, POLICIES[0]))
    simulation.run(5)
    simulation["r1"].crash()
    simulation["r2"].rekey_ike_sas(simulation.now)
    sent = simulation.sent
    simulation.run(4.9)
    assert simulation.sent == sent + 1
    simulation.run(0.2)
    assert simulation.sent == sent + 2


def test_nobody_gets_by_with_what_is_allowed_to_another_at_the_same_address() -> None:
    simulation = Simulation(1)
    strict, lax = IkePolicy("strict", proposals=(AES_256,)), IkePolicy("lax", proposals=(CBC,))
    simulation.configure("r2", sharing(strict, lax))
    simulation.configure("r1", as_peer(0, IkePolicy("p", proposals=(CBC,))))
    simulation.run(30)
    assert not simulation["r2"].key_table.rows()
    assert not simulation["r2"].happened(IkeSaUp)
    (failure, *_) = simulation["r2"].happened(AuthenticationFailure)
    assert isinstance(failure, AuthenticationFailure)
    assert failure.peer == "p0"
    assert failure.reason.startswith("algorithms that the IKE policy does not allow: ")
    shown = simulation["r2"].snapshot("p0", simulation.now)
    assert shown.statistics[failure_statistic(Reason.SUITE_NOT_ALLOWED)] >= 1


def test_what_all_allow_is_chosen_before_what_one_allows() -> None:
    simulation = Simulation(1)
    first = IkePolicy("a", proposals=(AES_256, AES_128))
    simulation.configure("r2", sharing(first, IkePolicy("b", proposals=(AES_128,))))
    simulation.configure("r1", as_peer(1, IkePolicy("p", proposals=(AES_256, AES_128))))
    simulation.run(10)
    # By the order of the first peer it would be AES-256, which the second does not allow.
    assert simulation["r2"].sending("r1", BGP, simulation.now) is None
    (row,) = simulation["r2"].key_table.rows()
    assert row.provenance is not None
    assert row.provenance.peer == "p1"


def test_a_peer_that_may_not_go_without_a_key_is_told_apart_from_one_that_may() -> None:
    childless = IkePolicy("p", proposals=DEFAULT_IKE_PROPOSALS, childless=Childless.FORCE)
    for number, established in ((0, 0), (1, 1)):
        simulation = Simulation(1)
        never = replace(childless, name="never", childless=Childless.NEVER)
        simulation.configure("r2", sharing(never, replace(childless, name="may")))
        simulation.configure("r1", as_peer(number, childless))
        simulation.run(20)
        assert len(simulation["r2"].happened(IkeSaUp)) == established


def test_each_peer_has_a_secret_of_its_own() -> None:
    simulation = Simulation(1)
    wanted = sharing(*POLICIES)
    second = replace(wanted.peers["p1"], remote_authentication=PreSharedKeyName("other"))
    secrets = {**wanted.pre_shared_keys, "other": Secret(b"of the second peer alone")}
    simulation.configure("r2", replace(wanted, peers={**wanted.peers, "p1": second}, pre_shared_keys=secrets))
    simulation.configure("r1", as_peer(1, POLICIES[1]))
    simulation.run(10)
    assert not simulation["r2"].happened(IkeSaUp)
    assert address_of("r1") in {e.address for e in simulation["r2"].happened(AuthenticationFailure)}  # type: ignore[attr-defined]
