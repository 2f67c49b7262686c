"""Two whole agents that know each other by certificate, from edit-config to the key that both hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from rkmp.datastore.redaction import Redactor
from rkmp.errors import RpcError
from rkmp.northbound.names import Rkmp
from tests.crypto.authorities import Holder, host, make, make_authority, usage
from tests.northbound.agents import BEGINNING, Agent, World
from tests.northbound.test_agents import R1, R2, TCP_AO, established
from tests.northbound.world import rkmp

DAY = timedelta(days=1)
SPAN: dict[str, Any] = {"not_before": BEGINNING - DAY, "not_after": BEGINNING + 3650 * DAY}
ROOT = make_authority("root", **SPAN)
PPK = "<ppk><name>q</name><id>r1-r2</id><secret><keystring>a long post-quantum secret</keystring></secret></ppk>"


def router_certificate(name: str, days: int = 365) -> Holder:
    """Return the certificate of a router and its key."""
    extensions = (host(f"{name}.example.net"), usage(sign=True))
    end = BEGINNING + days * DAY
    return make(name, ROOT, key_number=1, extensions=extensions, not_before=BEGINNING - DAY, not_after=end)


def key_of(holder: Holder) -> str:
    return holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(holder: Holder) -> str:
    """Return the entry of ``certificate`` for it."""
    chain = holder.pem.decode()
    return (
        f"<certificate><name>own</name><chain>{chain}</chain><private-key>{key_of(holder)}</private-key></certificate>"
    )


def configuration(
    name: str, peer: str, address: str, *, initiate: str = "on-demand", own: Holder | None = None, ppk: str = ""
) -> etree._Element:
    """Return the whole configuration of a router with a certificate and one peer."""
    return rkmp(
        f"""
        <local-identity><type>fqdn</type><value>{name}.example.net</value></local-identity>
        <credentials>{certificate(own or router_certificate(name))}
          <trust-anchor><name>root</name><certificate>{ROOT.pem.decode()}</certificate></trust-anchor>{PPK}
        </credentials>
        <ike-policy><name>p</name></ike-policy>{TCP_AO}
        <peer><name>{peer}</name><address>{address}</address><initiate>{initiate}</initiate><ike-policy>p</ike-policy>
          <authentication>
            <local><method>certificate</method><certificate>own</certificate></local>
            <remote>
              <identity><type>fqdn</type><value>{peer}.example.net</value></identity>
              <method>certificate</method><trust-anchor>root</trust-anchor>
            </remote>{ppk}
          </authentication>
          <association><protocol>bgp</protocol><proposal>ao</proposal></association></peer>"""
    )


def two_routers(**of_r1: Any) -> tuple[World, Agent, Agent]:
    """Return a world with r1 and r2, which trust one authority; r1 opens the IKE SA."""
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", ppk=of_r1.get("ppk", "")))
    r1.edit(configuration("r1", "r2", R2, **of_r1))
    world.run(1)
    return world, r1, r2


def fingerprints(agent: Agent) -> set[str]:
    """Return what tells the keys of a router from others."""
    return {row["fingerprint"] for row in agent.key_rows()}


def test_two_routers_agree_on_a_key() -> None:
    _, r1, r2 = two_routers()
    (ours,), (theirs,) = r1.key_rows(), r2.key_rows()
    assert ours["fingerprint"] == theirs["fingerprint"]
    sa = "r:rkmp/r:peer/r:ike-sa/r:"
    assert r1.text(f"{sa}auth-method") == r2.text(f"{sa}auth-method") == "certificate"
    assert r2.text(f"{sa}certificate-expires-at") == "2027-03-01T12:00:00Z"
    assert r1.text(f"{sa}uses-ppk") == "false"
    assert r1.text("r:rkmp/r:credentials/r:certificate/r:subject") == "CN=r1,C=XX"


def test_a_ppk_that_both_have_is_used() -> None:
    _, r1, r2 = two_routers(ppk="<ppk><name>q</name></ppk>")
    assert established(r1, "r2")
    for agent in (r1, r2):
        assert agent.text("r:rkmp/r:peer/r:ike-sa/r:uses-ppk") == "true"


def test_a_restart_finds_the_certificate_and_its_key() -> None:
    world, r1, r2 = two_routers()
    again = world.restart(r1)
    again.driver.initiate("r2")
    world.run(5)
    assert again.text("r:rkmp/r:peer/r:ike-sa/r:auth-method") == "certificate"
    assert fingerprints(again) == fingerprints(r2)
    assert len(fingerprints(r2)) == 2


def test_no_reply_shows_a_private_key() -> None:
    _, r1, _ = two_routers()
    inside = "".join(key_of(router_certificate("r1")).splitlines()[1:-1])
    running = r1.datastores.tree("running")
    shown = Redactor(r1.schema).without_secrets(running)
    assert inside in "".join(running.itertext()).replace("\n", "")
    assert inside not in "".join(shown.itertext()).replace("\n", "")
    assert "a long post-quantum secret" not in "".join(shown.itertext())
    assert shown.find(f".//{Rkmp.CHAIN}") is not None


def test_a_certificate_of_another_name_is_refused_when_it_is_configured() -> None:
    _, r1, _ = two_routers()
    before = r1.driver.engine.configuration
    with pytest.raises(RpcError) as refusal:
        r1.edit(rkmp(f"<credentials>{certificate(router_certificate('r7'))}</credentials>"))
    assert refusal.value.path == "/rkmp:rkmp/rkmp:peer[rkmp:name='r2']"
    assert "does not name our identity fqdn:r1.example.net" in refusal.value.message
    assert r1.driver.engine.configuration is before


def test_an_operator_hears_of_a_certificate_that_expires() -> None:
    world, r1, r2 = two_routers(own=router_certificate("r1", days=8))
    assert [event["certificate"] for event in r1.heard("certificate-expiring")] == ["own"]
    world.run(86_400 + 10)
    assert [event["expires-at"] for event in r1.heard("certificate-expiring")] == ["2026-03-09T12:00:00Z"] * 2
    assert [event["peer"] for event in r2.heard("certificate-expiring")] == ["r1"] * 2


def test_another_certificate_is_used_at_once() -> None:
    world, r1, r2 = two_routers()
    r1.edit(rkmp(f"<credentials>{certificate(router_certificate('r1', days=500))}</credentials>"))
    world.run(20)
    assert fingerprints(r1) == fingerprints(r2)
    assert len(fingerprints(r1)) == 2
    assert r2.text("r:rkmp/r:peer/r:ike-sa/r:certificate-expires-at") == "2027-07-14T12:00:00Z"
