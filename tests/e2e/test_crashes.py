"""Agents are killed at random instants; what they acknowledged is there when they come back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
from ncclient.operations.errors import OperationError
from ncclient.operations.rpc import RPCError
from ncclient.transport.errors import TransportError

from tests.e2e.agents import KEY_TABLE, NAMESPACES, RKMP, AgentProcess, peer_configuration, wait_for

RESTARTS = 50


def proposal(name: str) -> str:
    return f"""
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><rkmp xmlns="{RKMP}">
  <proposal><name>{name}</name><security-protocol>tcp-ao</security-protocol>
    <transform><name>t</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform></proposal>
</rkmp></config>"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_kills_lose_no_committed_configuration_and_no_installed_key(
    make_agent: Callable[[str], AgentProcess],
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    r1, r2 = make_agent("r1"), make_agent("r2")
    committed: set[str] = set()
    keys: dict[str, str] = {}
    with r2.connect() as two:
        two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
    with r1.connect() as one:
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
        wait_for("a key", lambda: bool(_keys(r1)))
    for round_number in range(RESTARTS):
        keys.update(_keys(r1))
        killer = threading.Timer(chance.uniform(0.0, 0.6), r1.kill)
        one = r1.connect()
        killer.start()
        try:
            for number in range(1000):
                name = f"p{round_number}-{number}"
                one.edit_config(target="running", config=proposal(name))
                committed.add(name)
        except RPCError:
            # A refusal, which is no kind of end.
            raise
        except (OperationError, TransportError, OSError):
            pass
        killer.join()
        one._session.close()
        r1.start()
        with r1.connect() as one:
            data = r1.get(one, f'<rkmp xmlns="{RKMP}"><proposal><name/></proposal></rkmp>')
            present = set(data.xpath("//rkmp:proposal/rkmp:name/text()", namespaces=NAMESPACES))
        assert committed <= present, f"lost after restart {round_number} (seed {seed}): {committed - present}"
        now = _keys(r1)
        # Its lifetime is a day and nobody asks for another: every key that was ever seen has to be there.
        assert keys.items() <= now.items(), f"lost after restart {round_number} (seed {seed}): {keys} but {now}"
    assert len(committed) > RESTARTS


def _keys(agent: AgentProcess) -> dict[str, str]:
    with agent.connect() as session:
        data = agent.get(session, f'<key-table xmlns="{KEY_TABLE}"/>')
    rows = data.xpath("//ckt:key", namespaces=NAMESPACES)
    return {row.findtext(f"{{{KEY_TABLE}}}admin-key-name"): row.findtext(f"{{{KEY_TABLE}}}fingerprint") for row in rows}


def test_a_killed_agent_comes_back_with_its_keys_and_rolls_them_on(
    pair: tuple[AgentProcess, AgentProcess],
) -> None:
    r1, r2 = pair
    with r1.connect() as one, r2.connect() as two:
        two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
        wait_for("a key on both sides", lambda: bool(_keys(r1)) and bool(_keys(r2)))
    before = _keys(r2)
    r2.kill()
    time.sleep(0.1)
    r2.start()
    assert _keys(r2) == before
    done = r1.run_client("rekey", "r2", "bgp")
    assert done.returncode == 0, done.stderr
    newest = set(_keys(r1).values()) - set(before.values())
    wait_for("r2 holds the replacement too", lambda: newest <= set(_keys(r2).values()))


def test_sigterm_ends_an_agent_in_good_order(make_agent: Callable[[str], AgentProcess]) -> None:
    agent = make_agent("r1")
    assert agent.stop() == 0
    agent.start()
    assert agent.stop() == 0
