"""The main job without input or output: two routers are configured through their datastores, and agree on a key."""

from __future__ import annotations

import asyncio

import pytest
from lxml import etree

from rkmp.errors import RpcError, RpcErrors
from rkmp.netconf.handlers import PathStep
from rkmp.northbound.names import Rkmp
from tests.northbound.agents import Agent, World
from tests.northbound.world import NAMESPACES, config, rkmp

R1, R2 = "192.0.2.1", "192.0.2.2"
TCP_AO = """
  <proposal><name>ao</name>
    <transform><name>t1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
    <transform><name>t2</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>
  </proposal>"""


def configuration(
    name: str,
    peer: str,
    address: str,
    *,
    initiate: str = "on-demand",
    shared: str = "a long shared secret",
    proposal: str = TCP_AO,
    association: str = "<protocol>bgp</protocol><proposal>ao</proposal>",
    more: str = "",
) -> etree._Element:
    """Return the whole configuration of a router with one peer."""
    return rkmp(
        f"""{more}
        <local-identity><type>fqdn</type><value>{name}.example.net</value></local-identity>
        <credentials><pre-shared-key><name>k</name><secret><keystring>{shared}</keystring></secret></pre-shared-key>
        </credentials>
        <ike-policy><name>p</name></ike-policy>{proposal}
        <peer><name>{peer}</name><address>{address}</address><initiate>{initiate}</initiate><ike-policy>p</ike-policy>
          <authentication>
            <local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
            <remote>
              <identity><type>fqdn</type><value>{peer}.example.net</value></identity>
              <method>psk</method><pre-shared-key>k</pre-shared-key>
            </remote>
          </authentication>
          <association>{association}</association></peer>"""
    )


def two_routers(**of_r1: str) -> tuple[World, Agent, Agent]:
    """Return a world with r1 and r2, each configured to key BGP with the other; r1 opens the IKE SA."""
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never"))
    r1.edit(configuration("r1", "r2", R2, **of_r1))
    return world, r1, r2


def established(agent: Agent, peer: str) -> bool:
    return agent.association(peer, "state") == "established"


def test_two_routers_agree_on_a_key() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    assert established(r1, "r2")
    assert established(r2, "r1")
    (ours,), (theirs,) = r1.key_rows(), r2.key_rows()
    assert ours["fingerprint"] == theirs["fingerprint"]
    assert (ours["peer-key-name"], ours["local-key-name"]) == (theirs["local-key-name"], theirs["peer-key-name"])
    assert (ours["protocol"], ours["state"], ours["selected-for-sending"]) == ("ckt:bgp", "active", "true")
    # `peer` is there twice: whom the key is used with, and whom it was negotiated with.
    assert (ours["peer"], ours["role"], theirs["role"]) == ("r2", "initiator", "responder")
    assert r1.association("r2", "current-key") == ours["admin-key-name"]


def test_the_operator_sees_the_ike_sa_and_hears_of_everything() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    sa = "r:rkmp/r:peer/r:ike-sa/r:"
    assert r1.text(f"{sa}state") == r2.text(f"{sa}state") == "established"
    assert r1.text(f"{sa}local-spi") == r2.text(f"{sa}remote-spi")
    assert (r1.text(f"{sa}role"), r2.text(f"{sa}role")) == ("initiator", "responder")
    assert (r1.text(f"{sa}encryption"), r1.text(f"{sa}integrity")) == ("aes-gcm-16-256", None)
    assert int(r1.text("r:rkmp/r:statistics/r:datagrams-in") or 0) >= 2
    for agent, peer in ((r1, "r2"), (r2, "r1")):
        assert [event["peer"] for event in agent.heard("ike-sa-up")] == [peer]
        assert [event["protocol"] for event in agent.heard("key-installed")] == ["ckt:bgp"]
        assert agent.heard("association-state-change")[-1]["to"] == "established"
        assert agent.heard("negotiation-failure") == []


async def test_rekey_answers_when_the_new_key_is_there_and_both_roll_over() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    before = r1.association("r2", "current-key")
    association = (
        PathStep(Rkmp.RKMP, {}),
        PathStep(Rkmp.PEER, {str(Rkmp.NAME): "r2"}),
        PathStep(Rkmp.ASSOCIATION, {str(Rkmp.PROTOCOL): "bgp"}),
    )
    asked = asyncio.create_task(r1.act(*association, action=Rkmp.REKEY))
    await asyncio.sleep(0)
    world.run(1)
    output = await asked
    assert output is not None
    name = output[0].text
    assert name != before
    assert {key["admin-key-name"] for key in r1.key_rows()} == {before, name}
    world.run(86400 / 10 + 60)
    assert established(r1, "r2")
    assert established(r2, "r1")
    assert r1.association("r2", "current-key") == name
    assert [key["fingerprint"] for key in r1.key_rows()] == [key["fingerprint"] for key in r2.key_rows()]
    for agent in (r1, r2):
        assert len(agent.heard("rollover-started")) == len(agent.heard("rollover-completed")) == 1
    assert r1.heard("rollover-started")[0]["reason"] == "request"


async def test_clear_takes_the_keys_away_and_they_are_negotiated_anew() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    (first,) = r1.key_rows()
    peer = (PathStep(Rkmp.RKMP, {}), PathStep(Rkmp.PEER, {str(Rkmp.NAME): "r2"}))
    assert await r1.act(*peer, action=Rkmp.CLEAR) is None
    world.run(60)
    (second,) = r1.key_rows()
    assert second["admin-key-name"] != first["admin-key-name"]
    assert [key["fingerprint"] for key in r2.key_rows()] == [second["fingerprint"]]
    assert r1.heard("ike-sa-down")


async def test_initiate_now_opens_what_the_configuration_would_wait_for() -> None:
    world, r1, _ = two_routers(initiate="never")
    world.run(5)
    assert r1.key_rows() == []
    peer = (PathStep(Rkmp.RKMP, {}), PathStep(Rkmp.PEER, {str(Rkmp.NAME): "r2"}))
    await r1.act(*peer, action=Rkmp.INITIATE_NOW)
    world.run(1)
    assert established(r1, "r2")


def test_a_key_rolls_over_by_itself() -> None:
    lifetimes = "<key-lifetime>600</key-lifetime><rollover-lead>300</rollover-lead><overlap>60</overlap>"
    world, r1, r2 = two_routers(association=f"<protocol>bgp</protocol><proposal>ao</proposal>{lifetimes}")
    world.run(1)
    (first,) = r1.key_rows()
    world.run(420)
    assert r1.association("r2", "rollovers") == "1"
    assert first["fingerprint"] not in {key["fingerprint"] for key in r1.key_rows()}
    assert {key["fingerprint"] for key in r1.key_rows()} == {key["fingerprint"] for key in r2.key_rows()}
    assert r1.heard("rollover-started")[0]["reason"] == "lifetime"


@pytest.mark.parametrize(
    ("of_r1", "event", "words"),
    [
        ({"shared": "another secret"}, "authentication-failure", "pre-shared key"),
        (
            {
                "proposal": TCP_AO.replace("<kdf>", "<flags>ignore-tcp-options</flags><kdf>"),
            },
            "negotiation-failure",
            "no transform in common",
        ),
        (
            {"more": "<code-points><tcp-ao-protocol-id>222</tcp-ao-protocol-id></code-points>"},
            "negotiation-failure",
            "code points",
        ),
    ],
)
def test_each_misfit_has_its_own_reason_in_state_and_notification(
    of_r1: dict[str, str], event: str, words: str
) -> None:
    world, r1, _ = two_routers(**of_r1)
    world.run_until(lambda: r1.association("r2", "state") == "failed")
    assert words in (r1.association("r2", "last-error") or "")
    assert any(words in heard["reason"] for heard in r1.heard(event)), r1.heard(event)
    assert r1.key_rows() == []


def test_a_peer_that_does_not_answer_has_its_own_reason() -> None:
    world = World()
    r1 = world.agent("r1", R1)
    r1.edit(configuration("r1", "r2", R2))
    world.run(60)
    assert r1.association("r2", "state") in ("failed", "negotiating")
    assert "no answer" in (r1.association("r2", "last-error") or "")
    assert r1.heard("negotiation-failure")[0]["peer"] == "r2"


def test_a_restart_keeps_configuration_and_keys() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    before = etree.tostring(r2.datastores.tree("running"), method="c14n2")
    (key,) = r2.key_rows()
    r2 = world.restart(r2)
    assert etree.tostring(r2.datastores.tree("running"), method="c14n2") == before
    assert [again["fingerprint"] for again in r2.key_rows()] == [key["fingerprint"]]
    assert established(r2, "r1")
    assert r1.key_rows()[0]["fingerprint"] == key["fingerprint"]


def test_an_agent_without_configuration_listens_all_the_same() -> None:
    world = World()
    agent = world.agent("r1", R1)
    assert agent.driver.engine.configuration == agent.northbound.configuration.current
    assert agent.driver._listeners
    assert agent.key_rows() == []


@pytest.mark.parametrize(
    ("edit", "tag"),
    [
        ("<peer><name>r2</name><ike-policy>missing</ike-policy></peer>", "data-missing"),
        (
            "<peer><name>r2</name><association><protocol>bgp</protocol><overlap>86400</overlap></association></peer>",
            "operation-failed",
        ),
        ("<peer><name>r2</name><address>224.0.0.1</address></peer>", "operation-failed"),
        ("<local-identity><type>ipv4</type><value>300.1.1.1</value></local-identity>", "invalid-value"),
    ],
)
def test_a_bad_edit_changes_nothing_anywhere(edit: str, tag: str) -> None:
    world, r1, _ = two_routers()
    world.run(1)
    before = etree.tostring(r1.datastores.tree("running"))
    configured, keys = r1.driver.engine.configuration, r1.key_rows()
    with pytest.raises((RpcError, RpcErrors)) as refused:
        r1.edit(rkmp(edit))
    (error,) = refused.value.errors if isinstance(refused.value, RpcErrors) else (refused.value,)
    assert isinstance(error, RpcError)
    assert error.tag == tag
    assert error.path is not None
    assert error.path.startswith("/rkmp:rkmp/rkmp:")
    assert etree.tostring(r1.datastores.tree("running")) == before
    assert r1.driver.engine.configuration is configured
    assert r1.key_rows() == keys


def test_removing_an_association_removes_its_key_on_both_sides() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    r1.edit(
        rkmp('<peer><name>r2</name><association nc:operation="delete"><protocol>bgp</protocol></association></peer>')
    )
    world.run(5)
    assert r1.key_rows() == []
    assert r2.key_rows() == []
    assert r1.heard("key-removed")


def test_nothing_that_an_operator_sees_or_hears_shows_a_key() -> None:
    world, r1, r2 = two_routers()
    world.run(1)
    for agent in (r1, r2):
        (row,) = agent.key_table.rows()
        state = agent.get()
        for secret in state.xpath("//r:secret", namespaces=NAMESPACES):
            secret.getparent().remove(secret)
        shown = [state, *(event for _, event in agent.desk.heard)]
        for element in shown:
            text = etree.tostring(element, encoding="unicode").lower()
            assert row.key.reveal().hex() not in text
            assert "a long shared secret" not in text


def test_an_empty_edit_is_no_change() -> None:
    world = World()
    agent = world.agent("r1", R1)
    agent.edit(config())
    assert agent.key_rows() == []
