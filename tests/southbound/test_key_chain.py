"""Key chains of a router without rkmp, kept through a NETCONF server that is there."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from rkmp.southbound import KeyIds, NetconfNeighbor
from tests.keytable.rows import PEER, SECRET_OCTETS
from tests.southbound.pushing import OTHER_PEER, key_id, now, row, serving
from tests.southbound.router import Kind, Router, until

pytestmark = pytest.mark.usefixtures("impatience")


async def test_a_rollover_goes_in_steps_and_foreign_keys_stay(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    router.edit(
        "<key-chain><name>rolls</name><description>to the peer</description><key><key-id>7</key-id>"
        "<lifetime><send-lifetime><start-date-time>2020-01-01T00:00:00Z</start-date-time></send-lifetime>"
        "</lifetime><crypto-algorithm>md5</crypto-algorithm></key></key-chain>"
    )
    with caplog.at_level(logging.DEBUG):
        async with serving(router, "rolls", clock_tolerance=200) as agent:
            agent.install(row(1))
            await agent.settled(1)
            assert agent.status.usage is not None
            assert agent.status.usage.sending == {"key-1"}
            agent.install(row(2, 100, 7200))
            await until(lambda: len(agent.status.holding.keys) == 2)
            assert agent.status.holding.preferred == "key-1"
            assert key_id(2) not in (agent.shown().sending or ())
            agent.pass_time(100)
            await agent.settled(1, 2)
            shown = agent.shown()
            assert shown.description == f"to the peer [rkmpd: {key_id(1)} {key_id(2)}]"
            assert shown.keys.keys() == {7, key_id(1), key_id(2)}
            # The older is sent with for a while beside the newer one, for a clock that is behind.
            assert shown.sending is not None
            assert shown.sending == {7, key_id(1), key_id(2)}
            agent.table.remove("key-1", now(), "replaced")
            await agent.settled(2)
            assert agent.shown().keys.keys() == {7, key_id(2)}
            assert agent.reports == []
            link = agent.southbound.link("core")
            assert link is not None
            assert link.last_pushed is not None
    assert SECRET_OCTETS.hex() not in caplog.text.replace(":", "")
    assert "consumer core: prefer key-2" in caplog.text


async def test_lifetimes_follow_those_of_the_key_table(router: Router) -> None:
    async with serving(router, "follows") as agent:
        agent.install(row(1))
        await agent.settled(1)
        steps, longer = agent.status.steps, row(1, 0, 9000)
        agent.install(longer)
        end = longer.send_lifetime.end
        assert end is not None
        await until(lambda: agent.shown().keys[key_id(1)].send_lifetime.end_or(now()) >= end)
        assert agent.status.steps == steps


async def test_the_last_key_leaves_an_empty_chain_and_disabling_leaves_everything(router: Router) -> None:
    async with serving(router, "ends") as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.configure(enabled=False)
        assert agent.southbound.key_chains() == []
        assert agent.southbound.link("core") is None
        agent.table.remove("key-1", now(), "replaced")
        assert agent.shown().keys.keys() == {key_id(1)}
        agent.configure(enabled=True)
        # What is ours there by the chain's own words, and in no key table any more.
        await until(lambda: agent.status.state.value == "without-keys")
        assert (agent.shown().keys, agent.shown().description) == ({}, "[rkmpd:]")


async def test_neighbors_share_a_session_and_not_a_chain(router: Router) -> None:
    neighbors = (NetconfNeighbor(PEER, "bgp", "shared-a"), NetconfNeighbor(OTHER_PEER, "bgp", "shared-b"))
    async with serving(router, "shared-a", neighbors=neighbors) as agent:
        agent.install(row(1), row(2, peer=OTHER_PEER))
        await until(lambda: all(feed.state.value == "synchronised" for _, feed in agent.southbound.key_chains()))
        assert agent.shown().keys.keys() == {key_id(1)}
        other = router.chain("shared-b")
        assert other is not None
        assert other.keys.keys() == {key_id(2)}


@pytest.mark.parametrize("skew", [-25, 25])
async def test_a_clock_that_is_off_changes_nothing(own_router: Router, skew: float) -> None:
    own_router.kind = Kind(skew=skew, has_tcp=True)
    own_router.start()
    async with serving(own_router, "skewed", key_ids=KeyIds.SEND_ID) as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.install(row(2, 3, 7200))
        await until(lambda: len(agent.status.holding.keys) == 2)
        # Early: nobody sends with the new one yet. Late: it is sent with as soon as it is to be.
        assert (18 in (agent.shown().sending or ())) is False
        await agent.settled(1, 2)
        assert 18 in (agent.shown().sending or ())


def test_programs_that_take_keys_load_no_client_of_netconf() -> None:
    program = "import rkmp.southbound, sys; print(sorted({'ncclient', 'paramiko', 'asyncssh'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
