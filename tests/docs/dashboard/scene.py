"""Two agents with all that the dashboard shows: certificates, a revocation list, a consumer of keys, and rollovers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.e2e.agents import NETCONF, RKMP, AgentProcess, peer_configuration
from tests.e2e.test_keys import readers
from tests.e2e.test_metrics import AGENT, configure_metrics, free_port
from tests.netconf.certificates import AUTHORITY, SERVER

PSK = "a shared secret that must not be seen"
SECRETS = (PSK, SERVER.private_key.reveal().decode().splitlines()[1])
"""What no scrape and no line of a log may hold."""
KEY_LIFETIME, LEAD, OVERLAP = 60, 30, 2
"""Seconds: a key is replaced every half minute."""


def _association() -> str:
    return (
        f"<key-lifetime>{KEY_LIFETIME}</key-lifetime><rollover-lead>{LEAD}</rollover-lead><overlap>{OVERLAP}</overlap>"
    )


def revocation_list(due: timedelta) -> str:
    """Return a list of nothing by the authority of the tests, in PEM; the next one is due then."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(AUTHORITY.certificate.subject)
    signed = builder.last_update(now).next_update(now + due).sign(AUTHORITY.key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def _credentials() -> str:
    return f"""<config xmlns="{NETCONF}">
      <rkmp xmlns="{RKMP}"><credentials>
        <trust-anchor><name>root</name><certificate>{AUTHORITY.pem.decode()}</certificate></trust-anchor>
        <revocation-list><name>root</name><crl>{revocation_list(timedelta(hours=8))}</crl></revocation-list>
      </credentials></rkmp>
      <agent xmlns="{AGENT}">
        <netconf><certificate><name>server</name><chain>{SERVER.pem.decode()}</chain>
          <private-key>{SERVER.private_key.reveal().decode()}</private-key></certificate></netconf>
        <southbound><hook><name>speaker</name><command>/bin/true</command>
          <neighbor><address>127.0.0.1</address><protocol>bgp</protocol></neighbor></hook></southbound>
      </agent></config>"""


def serve_metrics(*agents: AgentProcess) -> Mapping[str, int]:
    """Have agents serve metrics, and give them all that these show but peers; return the ports by the agents' names."""
    ports = {}
    for agent in agents:
        ports[agent.name] = free_port()
        with agent.connect() as session:
            session.edit_config(target="running", config=_credentials())
            session.edit_config(target="running", config=readers("merge"))
            configure_metrics(session, f"<enabled>true</enabled><port>{ports[agent.name]}</port>")
    return ports


def negotiated_keys(agent: AgentProcess) -> list[str]:
    """Return the keys that an agent holds, in hexadecimal."""
    exported = json.loads(agent.run_client("--json", "keys", "export").stdout)
    return [key["hexadecimal-string"] for key in exported["key-table"]["key"]]


def introduce(r1: AgentProcess, r2: AgentProcess) -> None:
    """Have the agents negotiate; the first one begins."""
    for agent, other, initiate in ((r2, r1, "never"), (r1, r2, "on-demand")):
        wanted = peer_configuration(
            agent.name, other.name, port=other.ike_port, psk=PSK, initiate=initiate, association=_association()
        )
        with agent.connect() as session:
            session.edit_config(target="running", config=wanted)
