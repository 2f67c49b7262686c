"""A router without rkmp beside an agent: it has the other router's key at every moment of rollovers and restarts."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree
from ncclient.manager import Manager

from rkmp.secret import Secret
from rkmp.southbound.chain_documents import read_chain
from rkmp.southbound.chain_keys import ChainKey
from tests.e2e.agents import KEY_TABLE, NAMESPACES, NETCONF, AgentProcess, peer_configuration, wait_for
from tests.e2e.test_keys import readers
from tests.e2e.test_two_agents import is_established
from tests.southbound.router import AUDITOR, KEY_CHAIN, Kind, Router

AGENT = "urn:rkmp:yang:rkmp-agent"
KEYS = f'<key-table xmlns="{KEY_TABLE}"/>'
SOUTHBOUND = f'<agent xmlns="{AGENT}"><southbound/></agent>'
LIVES = "<key-lifetime>60</key-lifetime><rollover-lead>20</rollover-lead><overlap>4</overlap>"

pytestmark = pytest.mark.slow


def router_configuration(router: Router) -> str:
    return f"""<config xmlns="{NETCONF}"><agent xmlns="{AGENT}"><southbound><netconf-server>
      <name>core</name><host>127.0.0.1</host><port>{router.port}</port><user>agent</user>
      <private-key>{router.private_key.decode()}</private-key><host-key>{router.host_key}</host-key>
      <timeout>10</timeout><clock-tolerance>2</clock-tolerance>
      <neighbor><address>127.0.0.1</address><protocol>bgp</protocol><key-chain>to-r2</key-chain></neighbor>
    </netconf-server></southbound></agent></config>"""


def keys_of_chain(router: Router) -> dict[tuple[int, int], ChainKey]:
    """Return what the router has, strings and all, by SendID and RecvID."""
    selection = (
        f'<key-chains xmlns="{KEY_CHAIN}"><key-chain><name>to-r2</name><description/><key><key-id/><lifetime/>'
        "<crypto-algorithm/><key-string><hexadecimal-string/></key-string></key></key-chain></key-chains>"
    )
    with router.connect(AUDITOR) as session:
        data = etree.fromstring(session.get_config("running", filter=("subtree", selection)).data_xml.encode())
    chain = read_chain(data, "to-r2")
    return {} if chain is None else {divmod(key_id, 256): key for key_id, key in chain.keys.items()}


def exported(agent: AgentProcess) -> dict[tuple[int, int], Secret]:
    """Return the keys of the other side's table, by what are SendID and RecvID on the router's."""
    done = agent.run_client("--json", "keys", "export")
    assert done.returncode == 0, done.stderr
    return {
        (int(key["local-key-name"], 16), int(key["peer-key-name"], 16)): Secret(
            bytes.fromhex(key["hexadecimal-string"].replace(":", ""))
        )
        for key in json.loads(done.stdout)["key-table"]["key"]
    }


def sent_by_peer(agent: AgentProcess, session: Manager) -> tuple[int, int]:
    """Return SendID and RecvID, as the router has them, of the key that the other side sends with."""
    found = agent.get(session, KEYS).xpath("//ckt:key[ckt:selected-for-sending='true']", namespaces=NAMESPACES)
    assert len(found) == 1
    local, peer = (found[0].findtext(f"{{{KEY_TABLE}}}{name}") for name in ("local-key-name", "peer-key-name"))
    return int(local or "", 16), int(peer or "", 16)


def accepts_and_sends(router: Router, agent: AgentProcess, session: Manager) -> bool:
    """Whether the router accepts what the other side sends with, and sends with what that side accepts."""
    now, keys = datetime.now(UTC), keys_of_chain(router)
    wanted = keys.get(sent_by_peer(agent, session))
    return wanted is not None and wanted.accept_lifetime.contains(now) and wanted.send_lifetime.contains(now)


def test_a_router_without_rkmp_has_the_keys_of_its_neighbor(
    pair: tuple[AgentProcess, AgentProcess], tmp_path: Path
) -> None:
    r1, r2 = pair
    (tmp_path / "router").mkdir()
    router = Router(tmp_path / "router", Kind())
    router.start()
    try:
        with r1.connect() as one, r2.connect() as two:
            one.edit_config(target="running", config=router_configuration(router))
            one.edit_config(
                target="running", config=peer_configuration("r1", "r2", port=r2.ike_port, association=LIVES)
            )
            two.edit_config(
                target="running",
                config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never", association=LIVES),
            )
            two.edit_config(target="running", config=readers("merge"))
            wait_for("established", functools.partial(is_established, r1, one))
            shared = functools.partial(accepts_and_sends, router, r2, two)
            wait_for("the first key is with the router", shared)
            first = sent_by_peer(r2, two)
            # The very octets, by way of IKE on one side and NETCONF on the other.
            (key,) = keys_of_chain(router).values()
            assert key.secret == exported(r2)[first]
        assert r1.run_client("rekey", "r2", "bgp").returncode == 0
        # In the middle of it the agent beside the router dies, and the router with it.
        r1.kill()
        kept = b"".join(path.read_bytes() for path in r1.directory.glob("rkmp.db*"))
        assert b"netconf-server" in kept or b"to-r2" in kept
        assert b"PRIVATE KEY" not in kept
        router.kill()
        router.start()
        r1.start()
        with r1.connect() as one, r2.connect() as two:
            wait_for("the other side rolls", lambda: sent_by_peer(r2, two) != first, seconds=40)
            wait_for("the second key is with the router", functools.partial(accepts_and_sends, router, r2, two))
            second = sent_by_peer(r2, two)
            assert keys_of_chain(router)[second].secret == exported(r2)[second]
            wait_for("the first key has gone", lambda: first not in keys_of_chain(router), seconds=40)
            state = r1.get(one, SOUTHBOUND)
            assert [each.text for each in state.iter(f"{{{AGENT}}}status")] == ["connected"]
            assert state.find(f".//{{{AGENT}}}last-pushed") is not None
            reply = one.get().data_xml
        secrets = [secret.reveal().hex() for secret in exported(r2).values()]
        assert secrets
        told = f"{r1.log.read_text()}{r2.log.read_text()}{router.log.read_text()}{reply}".replace(":", "").lower()
        assert not [secret for secret in secrets if secret in told]
        assert "private key-----" not in told
    finally:
        router.kill()
