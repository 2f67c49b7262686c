"""The fragments of the page on IKE are configuration that an agent takes, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.crypto.authorities import Holder, host, make, make_authority, usage
from tests.crypto.test_revocation import pem as revocation_list
from tests.northbound.agents import World
from tests.northbound.test_agents import TCP_AO
from tests.northbound.world import rkmp

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "configure-ike.md"
IDENTITY = "<local-identity><type>fqdn</type><value>r1.example.net</value></local-identity>"


def key_of(holder: Holder) -> str:
    return holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_an_agent_takes_every_fragment() -> None:
    root = make_authority("root")
    own, older = (
        make("r1", root, key_number=number, extensions=(host("r1.example.net"), usage(sign=True))) for number in (1, 2)
    )
    files = {
        "own.pem": own.pem.decode(),
        "own.key": key_of(own),
        "older.pem": older.pem.decode(),
        "older.key": key_of(older),
        "root.pem": root.pem.decode(),
        "root.crl": revocation_list(root, 1).decode(),
    }
    fragments = re.findall(r"```xml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(fragments) == 4
    agent = World().agent("r1", "192.0.2.1")
    agent.edit(rkmp(IDENTITY + TCP_AO))
    for fragment in fragments:
        agent.edit(rkmp(re.sub(r"@([\w.]+)@", lambda match: files[match[1]], fragment)))
    peer = agent.northbound.configuration.current.peers["pop3"]
    assert len(peer.associations) == 3
    assert "sha-256" in agent.northbound.configuration.current.proposals
