"""What operators configure beyond the plain case, between two agents of their own processes that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ncclient.manager import Manager

from tests.crypto.authorities import Holder, host, make, make_authority, usage
from tests.e2e.agents import KEY_TABLE, NAMESPACES, NETCONF, RKMP, AgentProcess, make_user_key, wait_for

NOW = datetime.now(UTC).replace(microsecond=0)
SPAN: dict[str, Any] = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=100)}
PSK = "<method>psk</method><pre-shared-key>k</pre-shared-key>"
SECRET = "<pre-shared-key><name>k</name><secret><keystring>a secret of these two</keystring></secret></pre-shared-key>"
AO = """<proposal><name>ao</name><transform><name>t</name><auth-alg>hmac-sha-1-96</auth-alg>
  <kdf>kdf-hmac-sha1</kdf></transform></proposal>"""
BGP = "<association><protocol>bgp</protocol><proposal>ao</proposal></association>"
RETRANSMISSION = "<retransmission><initial-timeout>0.5</initial-timeout><tries>4</tries></retransmission>"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two agents, with a session to it."""

    agent: AgentProcess
    session: Manager

    def configure(self, peer: Side, *, more: str = "", **parts: str) -> None:
        """Put a whole configuration in the place of whatever there is, for one peer."""
        options = {
            "credentials": SECRET,
            "policy": "",
            "proposals": AO,
            "associations": BGP,
            "local": PSK,
            "remote": PSK,
            "initiate": "on-demand",
            **parts,
        }
        name, other = self.agent.name, peer.agent.name
        identity = f"<identity><type>fqdn</type><value>{other}.example.net</value></identity>"
        self.edit(
            f"""{more}
            <local-identity><type>fqdn</type><value>{name}.example.net</value></local-identity>
            <credentials>{options["credentials"]}</credentials>
            <ike-policy><name>p</name>{options["policy"]}{RETRANSMISSION}</ike-policy>{options["proposals"]}
            <peer><name>{other}</name><address>127.0.0.1</address><port>{peer.agent.ike_port}</port>
              <initiate>{options["initiate"]}</initiate><ike-policy>p</ike-policy>
              <authentication><local>{options["local"]}</local><remote>{identity}{options["remote"]}</remote>
              </authentication>{options["associations"]}</peer>""",
            operation="replace",
        )

    def edit(self, content: str, operation: str = "merge") -> None:
        head = f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}"><rkmp xmlns="{RKMP}" nc:operation="{operation}">'
        self.session.edit_config(target="running", config=f"{head}{content}</rkmp></config>")

    def clear(self) -> None:
        """Have no peers and no keys any more."""
        self.edit("", operation="replace")

    def texts(self, path: str) -> list[str]:
        """Return the texts at ``path`` below what is configured and what is shown."""
        data = self.agent.get(self.session, f'<rkmp xmlns="{RKMP}"/>', f'<key-table xmlns="{KEY_TABLE}"/>')
        found: Any = data.xpath(path, namespaces=NAMESPACES)
        return [leaf.text or "" for leaf in found]

    def state(self, protocol: str = "bgp") -> str:
        return "".join(self.texts(f"//rkmp:association[rkmp:protocol='{protocol}']/rkmp:state"))

    def fingerprint(self, protocol: str = "bgp") -> str:
        return "".join(self.texts(f"//ckt:key[contains(ckt:protocol, '{protocol}')]/ckt:fingerprint"))


@pytest.fixture(scope="module")
def two_agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AgentProcess, AgentProcess]]:
    """Return two running agents, which are gone when the file is done."""
    directory = tmp_path_factory.mktemp("configured")
    key = make_user_key(directory)
    r1, r2 = (AgentProcess(name, directory / name, key) for name in ("r1", "r2"))
    try:
        for agent in (r1, r2):
            agent.initialise()
            agent.start()
        yield r1, r2
    finally:
        for agent in (r1, r2):
            agent.kill()


@pytest.fixture
def sides(two_agents: tuple[AgentProcess, AgentProcess]) -> Iterator[tuple[Side, Side]]:
    """Return both sides without any configuration."""
    with two_agents[0].connect() as one, two_agents[1].connect() as two:
        r1, r2 = Side(two_agents[0], one), Side(two_agents[1], two)
        for side in (r1, r2):
            side.clear()
        yield r1, r2


def meet(r1: Side, r2: Side, protocol: str = "bgp") -> None:
    def is_established() -> bool:
        return r1.state(protocol) == r2.state(protocol) == "established"

    wait_for(f"{protocol} is established", is_established)
    assert r1.fingerprint(protocol) == r2.fingerprint(protocol) != ""


def test_ml_kem_comes_on_top_and_is_shown(sides: tuple[Side, Side]) -> None:
    r1, r2 = sides
    r2.configure(r1, initiate="never")
    r1.configure(r2, policy="<childless>force</childless><datagram-size>300</datagram-size>")
    meet(r1, r2)
    for side in sides:
        assert side.texts("//rkmp:ike-sa[rkmp:state='established']/rkmp:additional-key-exchange") == ["ml-kem-768"]
        assert int(side.texts("/*/rkmp:rkmp/rkmp:statistics/rkmp:reassembled")[0]) >= 1


def test_private_algorithms_and_hellos_are_keyed_where_both_sides_mean_the_same(sides: tuple[Side, Side]) -> None:
    r1, r2 = sides
    meaning = """<code-points><private-algorithm><auth-alg>250</auth-alg><kdf>250</kdf>
      <algorithm>hmac-sha-256-128</algorithm></private-algorithm></code-points>"""
    proposals = """
      <proposal><name>ao</name><transform><name>t</name><auth-alg>250</auth-alg><kdf>250</kdf></transform></proposal>
      <proposal><name>hellos</name><security-protocol>ldp-discovery</security-protocol>
        <transform><name>t</name><auth-alg>hmac-sha-384</auth-alg></transform></proposal>"""
    hellos = "<association><protocol>ldp-discovery</protocol><proposal>hellos</proposal></association>"
    r2.configure(r1, initiate="never", more=meaning, proposals=proposals)
    r1.configure(r2, more=meaning, proposals=proposals, associations=BGP + hellos)
    meet(r1, r2)
    wait_for("hellos are refused", lambda: r1.state("ldp-discovery") == "failed")
    assert "not configured at the other side" in "".join(r1.texts("//rkmp:association/rkmp:last-error"))
    r2.edit(f"<peer><name>r1</name>{hellos}</peer>")
    meet(r1, r2, "ldp-discovery")
    assert r2.texts("//ckt:key[contains(ckt:protocol, 'bgp')]/ckt:alg-id")[0].endswith("hmac-sha-256-128")
    assert r2.texts("//ckt:key[contains(ckt:protocol, 'ldp-discovery')]/ckt:alg-id")[0].endswith("hmac-sha-384")


def certificate(name: str, holder: Holder) -> str:
    key = holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pem = holder.pem.decode()
    return f"<certificate><name>{name}</name><chain>{pem}</chain><private-key>{key}</private-key></certificate>"


def anchor(name: str, holder: Holder) -> str:
    return f"<trust-anchor><name>{name}</name><certificate>{holder.pem.decode()}</certificate></trust-anchor>"


def test_of_two_certificates_the_right_one_is_shown_until_it_is_revoked(sides: tuple[Side, Side]) -> None:
    """r1 proves itself by certificate and r2 by pre-shared key."""
    r1, r2 = sides
    root, other = make_authority("root", **SPAN), make_authority("other", key_number=5, **SPAN)
    names = (host("r1.example.net"), usage(sign=True))
    first = make("r1", other, key_number=1, extensions=names, **SPAN)
    second = make("r1", root, key_number=3, extensions=names, **SPAN)
    r2.configure(
        r1,
        initiate="never",
        credentials=SECRET + anchor("root", root),
        remote="<method>certificate</method><trust-anchor>root</trust-anchor>",
    )
    both = "<method>certificate</method><certificate>first</certificate><certificate>second</certificate>"
    r1.configure(
        r2,
        credentials=SECRET + certificate("first", first) + certificate("second", second) + anchor("root", root),
        local=both,
    )
    meet(r1, r2)
    assert r2.texts("//rkmp:ike-sa/rkmp:auth-method") == ["certificate"]
    assert r1.texts("//rkmp:ike-sa/rkmp:auth-method") == ["psk"]
    assert 99 * 86_400 < int(r1.texts("//rkmp:certificate[rkmp:name='second']/rkmp:seconds-left")[0]) < 100 * 86_400
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject).last_update(NOW)
    entry = x509.RevokedCertificateBuilder().serial_number(second.certificate.serial_number).revocation_date(NOW)
    crl = builder.next_update(NOW + timedelta(days=1)).add_revoked_certificate(entry.build())
    pem = crl.sign(root.handle, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    r2.edit(f"<credentials><revocation-list><name>root</name><crl>{pem}</crl></revocation-list></credentials>")
    wait_for("the IKE SA is gone", lambda: "established" not in r2.texts("//rkmp:ike-sa/rkmp:state"))
    r1.agent.run_client("initiate", "r2")
    revoked = "//rkmp:peer/rkmp:statistics/rkmp:authentication-failed-revoked-certificate"
    wait_for("the certificate is refused", lambda: r2.texts(revoked) != [])
    wait_for("r1 hears of it", lambda: "rejected by the peer" in "".join(r1.texts("//rkmp:last-error")))
    # The key stays: routing does not break at once because an IKE SA may not be opened any more.
    assert r2.state() == "established"
