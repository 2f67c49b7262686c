"""RKMP proposals from the configuration of two routers to the keys that both hold: order, flags, algorithms, Hellos."""

from __future__ import annotations

import asyncio

import pytest

from rkmp.errors import RpcErrors
from rkmp.netconf.handlers import PathStep
from rkmp.northbound.names import Rkmp
from tests.northbound.agents import Agent, World
from tests.northbound.test_agents import R1, R2, configuration, established
from tests.northbound.world import rkmp

SHA1 = "<auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf>"
AES = "<auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf>"
PRIVATE = "<auth-alg>241</auth-alg><kdf>250</kdf>"
MEANING = """<code-points><private-algorithm><auth-alg>241</auth-alg><kdf>250</kdf>
  <algorithm>hmac-sha-256-128</algorithm></private-algorithm></code-points>"""
BARE_OPTIONS = "<flags>ignore-tcp-options</flags>"
BGP = "<protocol>bgp</protocol><proposal>ao</proposal>"
HELLOS = "<protocol>ldp-discovery</protocol><proposal>ao</proposal>"


def proposal(name: str, *transforms: str, security_protocol: str = "tcp-ao") -> str:
    """Return an entry of ``proposal`` with these transforms."""
    numbered = (f"<transform><name>t{n}</name>{content}</transform>" for n, content in enumerate(transforms, 1))
    head = f"<name>{name}</name><security-protocol>{security_protocol}</security-protocol>"
    return f"<proposal>{head}{''.join(numbered)}</proposal>"


def hellos(*algorithms: str) -> str:
    """Return the proposal ``ao`` for LDP's Hellos."""
    contents = (f"<auth-alg>{algorithm}</auth-alg>" for algorithm in algorithms)
    return proposal("ao", *contents, security_protocol="ldp-discovery")


def two_routers(of_r1: str, of_r2: str, **of_both: str) -> tuple[World, Agent, Agent]:
    """Return r1, which opens, and r2, with these proposals."""
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", proposal=of_r2, **of_both))
    r1.edit(configuration("r1", "r2", R2, proposal=of_r1, **of_both))
    world.run(2)
    return world, r1, r2


def the_key(agent: Agent) -> dict[str, str]:
    (row,) = agent.key_rows()
    return row


def test_several_proposals_with_several_transforms_are_offered_and_the_responder_chooses_by_its_own_order() -> None:
    of_r1 = proposal("a", AES + BARE_OPTIONS, SHA1 + BARE_OPTIONS) + proposal("b", AES, SHA1)
    of_r2 = proposal("a", SHA1) + proposal("b", AES, AES + BARE_OPTIONS)
    association = "<protocol>bgp</protocol><proposal>a</proposal><proposal>b</proposal>"
    _, r1, r2 = two_routers(of_r1, of_r2, association=association)
    for row in (the_key(r1), the_key(r2)):
        assert (row["kdf"], row["alg-id"], row["ignore-tcp-options"]) == (
            "ckt:hmac-sha-1",
            "ckt:hmac-sha-1-96",
            "false",
        )
    assert the_key(r1)["fingerprint"] == the_key(r2)["fingerprint"]


@pytest.mark.parametrize(("flags", "ignores"), [("", "false"), (BARE_OPTIONS, "true")])
def test_both_sides_have_the_flag_of_the_transform_that_was_chosen(flags: str, ignores: str) -> None:
    offered = proposal("ao", SHA1, SHA1 + BARE_OPTIONS)
    _, r1, r2 = two_routers(offered, proposal("ao", SHA1 + flags))
    assert the_key(r1)["ignore-tcp-options"] == the_key(r2)["ignore-tcp-options"] == ignores


def test_a_flag_that_the_other_side_does_not_want_is_no_common_transform() -> None:
    _, r1, _ = two_routers(proposal("ao", SHA1 + BARE_OPTIONS), proposal("ao", SHA1))
    assert "no transform in common" in (r1.association("r2", "last-error") or "")


def test_key_ids_are_those_that_are_asked_for_as_long_as_they_are_free() -> None:
    _, r1, r2 = two_routers(
        proposal("ao", f"<send-id>0</send-id>{SHA1}"), proposal("ao", f"<send-id>255</send-id>{SHA1}")
    )
    assert (r1.association("r2", "send-id"), r1.association("r2", "recv-id")) == ("0", "255")
    assert (r2.association("r1", "send-id"), r2.association("r1", "recv-id")) == ("255", "0")


# -- private-use algorithms ------------------------------------------------------------------------------------------


def test_private_use_numbers_mean_what_both_sides_configure() -> None:
    _, r1, r2 = two_routers(proposal("ao", PRIVATE), proposal("ao", PRIVATE), more=MEANING)
    assert established(r1, "r2")
    for row in (the_key(r1), the_key(r2)):
        assert (row["kdf"], row["alg-id"]) == ("ckt:hmac-sha-256", "ckt:hmac-sha-256-128")
    assert the_key(r1)["fingerprint"] == the_key(r2)["fingerprint"]
    assert len(r1.key_table.rows()[0].key) == 32


def test_without_a_meaning_a_private_use_number_is_refused_where_it_is_configured() -> None:
    agent = World().agent("r1", R1)
    with pytest.raises(RpcErrors, match="private-use numbers with what private-algorithm says") as refusal:
        agent.edit(rkmp(proposal("ao", SHA1, PRIVATE)))
    assert "rkmp:transform[rkmp:name='t2']" in (refusal.value.errors[0].path or "")


def test_a_private_use_number_that_means_nothing_here_is_passed_over_in_an_offer() -> None:
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", proposal=proposal("ao", SHA1)))
    r1.edit(configuration("r1", "r2", R2, proposal=proposal("ao", PRIVATE, SHA1), more=MEANING))
    world.run(2)
    assert the_key(r1)["alg-id"] == the_key(r2)["alg-id"] == "ckt:hmac-sha-1-96"


def test_a_meaning_that_is_taken_away_while_it_is_used_is_missed() -> None:
    _, r1, _ = two_routers(proposal("ao", PRIVATE), proposal("ao", PRIVATE), more=MEANING)
    entry = '<private-algorithm nc:operation="delete"><auth-alg>241</auth-alg></private-algorithm>'
    with pytest.raises(RpcErrors, match="private-algorithm"):
        r1.edit(rkmp(f"<code-points>{entry}</code-points>"))
    assert established(r1, "r2")


# -- LDP discovery ---------------------------------------------------------------------------------------------------


def ldp_and_hellos() -> tuple[World, Agent, Agent]:
    """Return two routers that key LDP's sessions, and of which only r1 keys its Hellos so far."""
    sessions, association = proposal("tcp", SHA1), "<protocol>ldp</protocol><proposal>tcp</proposal>"
    world, r1, r2 = two_routers(sessions + hellos("hmac-sha-256"), sessions, association=association)
    r1.edit(rkmp(f"<peer><name>r2</name><association>{HELLOS}</association></peer>"))
    world.run(2)
    return world, r1, r2


def test_hellos_are_refused_cleanly_where_nobody_has_asked_for_them() -> None:
    _, r1, r2 = ldp_and_hellos()
    assert "not configured at the other side" in (r1.association("r2", "last-error", "ldp-discovery") or "")
    assert r1.association("r2", "state", "ldp-discovery") == "failed"
    assert r1.association("r2", "state", "ldp") == r2.association("r1", "state", "ldp") == "established"
    assert [event["protocol"] for event in r2.heard("negotiation-failure")] == ["ldp-discovery"]
    assert [row["protocol"] for row in r1.key_rows()] == ["ckt:ldp"]


async def test_hellos_have_keys_of_their_own_that_are_rolled_over_and_deleted() -> None:
    world, r1, r2 = ldp_and_hellos()
    r2.edit(rkmp(f"{hellos('hmac-sha-256')}<peer><name>r1</name><association>{HELLOS}</association></peer>"))
    world.run_until(lambda: r1.association("r2", "state", "ldp-discovery") == "established")
    (ours,) = (row for row in r1.key_rows() if row["protocol"] == "ckt:ldp-discovery")
    (theirs,) = (row for row in r2.key_rows() if row["protocol"] == "ckt:ldp-discovery")
    assert ours["fingerprint"] == theirs["fingerprint"]
    assert (ours["kdf"], ours["alg-id"]) == ("ckt:none", "ckt:hmac-sha-256")
    assert (ours["peer-key-name"], ours["local-key-name"]) == (theirs["local-key-name"], theirs["peer-key-name"])
    assert int(ours["peer-key-name"], 16) == int(r1.association("r2", "send-id", "ldp-discovery") or "")
    assert min(int(ours["peer-key-name"], 16), int(ours["local-key-name"], 16)) > 255
    sessions = next(row["fingerprint"] for row in r1.key_rows() if row["protocol"] == "ckt:ldp")
    assert sessions != ours["fingerprint"]
    step = PathStep(Rkmp.ASSOCIATION, {str(Rkmp.PROTOCOL): "ldp-discovery"})
    asked = asyncio.create_task(
        r1.act(PathStep(Rkmp.RKMP, {}), PathStep(Rkmp.PEER, {str(Rkmp.NAME): "r2"}), step, action=Rkmp.REKEY)
    )
    await asyncio.sleep(0)
    world.run(2)
    output = await asked
    assert output is not None
    assert output[0].text in (r1.association("r2", leaf, "ldp-discovery") for leaf in ("current-key", "next-key"))
    gone = "<association nc:operation='delete'><protocol>ldp-discovery</protocol></association>"
    r1.edit(rkmp(f"<peer><name>r2</name>{gone}</peer>"))
    world.run(2)
    for agent in (r1, r2):
        assert [row["protocol"] for row in agent.key_rows()] == ["ckt:ldp"]


def test_a_restart_keeps_the_keys_of_hellos() -> None:
    world, r1, r2 = ldp_and_hellos()
    r2.edit(rkmp(f"{hellos('hmac-sha-512')}<peer><name>r1</name><association>{HELLOS}</association></peer>"))
    r1.edit(rkmp(hellos("hmac-sha-512")))
    r1.edit(rkmp(hellos("hmac-sha-512", "hmac-sha-256")))
    world.run_until(lambda: r1.association("r2", "state", "ldp-discovery") == "established")
    before = r1.key_rows()
    r1 = world.restart(r1)
    assert [row["fingerprint"] for row in r1.key_rows()] == [row["fingerprint"] for row in before]
    assert r1.association("r2", "state", "ldp-discovery") == "established"


def test_code_points_are_those_that_both_sides_configure() -> None:
    numbers = """<code-points><tcp-ao-protocol-id>231</tcp-ao-protocol-id>
      <ldp-discovery-protocol-id>232</ldp-discovery-protocol-id><traffic-selector-type>251</traffic-selector-type>
      </code-points>"""
    _, r1, r2 = two_routers(hellos("hmac-sha-1"), hellos("hmac-sha-1"), association=HELLOS, more=numbers)
    assert the_key(r1)["fingerprint"] == the_key(r2)["fingerprint"]
    _, r1, r2 = two_routers(proposal("ao", SHA1), proposal("ao", SHA1), more=numbers)
    assert the_key(r1)["fingerprint"] == the_key(r2)["fingerprint"]


def test_the_guard_of_private_numbers_covers_hellos_too() -> None:
    other = "<code-points><ldp-discovery-protocol-id>222</ldp-discovery-protocol-id></code-points>"
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", proposal=hellos("hmac-sha-256"), association=HELLOS))
    r1.edit(configuration("r1", "r2", R2, proposal=hellos("hmac-sha-256"), association=HELLOS, more=other))
    world.run(10)
    assert "other code points" in (r1.association("r2", "last-error", "ldp-discovery") or "")
    override = "<code-points><require-vendor-id>false</require-vendor-id></code-points>"
    for agent in (r1, r2):
        agent.edit(rkmp(override))
    world.run(60)
    # Without the guard each side reads the other's numbers as its own, and finds nothing that it knows.
    assert "no transform in common" in (r1.association("r2", "last-error", "ldp-discovery") or "")
