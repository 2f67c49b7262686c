"""Key chains of a router without rkmp where something goes wrong: the server, the way there, other people, us."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable

import pytest
from ncclient.operations.edit import Commit

from rkmp.secret import Secret
from tests.keytable.rows import SECRET_OCTETS
from tests.southbound.pushing import key_id, restarted, row, serving
from tests.southbound.router import ALL_FEATURES, KEY_CHAIN, PASSWORD, USER, Kind, Router, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("impatience")]


async def test_a_server_that_comes_later_is_waited_for(own_router: Router) -> None:
    own_router.start()
    own_router.kill()
    async with serving(own_router, "late") as agent:
        agent.install(row(1))
        await until(lambda: "nobody answers there" in agent.error)
        await until(lambda: agent.status.state.value == "not-responding")
        own_router.start()
        await agent.settled(1)
    assert [report.reason is None for report in agent.reports] == [False, True]


@pytest.mark.parametrize("which", [1, 2])
async def test_a_server_that_dies_in_the_middle_of_a_change_has_the_keys_of_before_and_then_all(
    own_router: Router, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """Before the commit, and before it is confirmed."""
    own_router.start()
    real: Callable[..., object] = Commit.request
    deaths: list[int] = []
    async with serving(own_router, "dies", timeout=3) as agent:
        agent.install(row(1))
        await agent.settled(1)

        def dying(self: Commit, *arguments: object, **options: object) -> object:
            deaths.append(1)
            if len(deaths) == which:
                own_router.kill()
            return real(self, *arguments, **options)

        monkeypatch.setattr(Commit, "request", dying)
        agent.install(row(2))
        await until(lambda: agent.error != "")
        own_router.start()
        await agent.settled(1, 2)
        assert agent.shown().keys.keys() == {key_id(1), key_id(2)}
    assert [report.reason is None for report in agent.reports] == [False, True]


async def test_a_server_that_restarts_between_changes_is_looked_at_again(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "restarts") as agent:
        agent.install(row(1))
        await agent.settled(1)
        own_router.kill()
        (own_router.folder / "router.db").unlink()
        own_router.start()
        await until(lambda: own_router.chain("restarts") is not None and bool(agent.shown().keys))
        await agent.settled(1)


async def test_a_server_that_hangs_is_given_up_in_time_and_stops_nobody(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "hangs", timeout=1) as agent:
        agent.install(row(1))
        await agent.settled(1)
        os.kill(own_router.pid, signal.SIGSTOP)
        agent.install(row(2))
        longest, loop = 0.0, asyncio.get_running_loop()
        while "does not answer within 1 s" not in agent.error:
            before = loop.time()
            await asyncio.sleep(0.02)
            longest = max(longest, loop.time() - before)
        assert longest < 0.8
        os.kill(own_router.pid, signal.SIGCONT)
        await agent.settled(1, 2)


async def test_another_host_key_gets_no_credentials(own_router: Router) -> None:
    own_router.start()
    async with serving(own_router, "changed", private_key=None, password=Secret(PASSWORD.encode())) as agent:
        agent.install(row(1))
        await agent.settled(1)
        known = own_router.host_key
        own_router.kill()
        (own_router.folder / "host_key").unlink()
        own_router.start()
        await until(lambda: "does not show a host key that is configured" in agent.error)
        agent.configure(host_keys=(known, own_router.host_key))
        await agent.settled(1)
        agent.configure(host_keys=(), trusts_any_host_key=True)
        await agent.settled(1)


async def test_whom_the_server_does_not_know_is_told_so(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(router, "nobody", user="mallory", password=Secret(b"hunter2hunter2")) as agent:
            await until(lambda: "does not accept user 'mallory'" in agent.error)
            agent.configure(user=USER)
            await until(lambda: agent.status.state.value == "without-keys")
    assert "hunter2" not in caplog.text


async def test_a_lock_of_somebody_else_is_waited_for(router: Router) -> None:
    async with serving(router, "locked") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        with router.connect() as operator:
            operator.lock("running")
            agent.install(row(1))
            await until(lambda: "lock-denied: " in agent.error)
            assert f"by session {operator.session_id}" in agent.error
            operator.unlock("running")
        await agent.settled(1)


async def test_what_somebody_has_not_committed_is_left_alone(router: Router) -> None:
    async with serving(router, "theirs") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        with router.connect() as operator:
            operator.edit_config(
                target="candidate",
                config=f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><key-chains xmlns="{KEY_CHAIN}">'
                "<key-chain><name>half done</name></key-chain></key-chains></config>",
            )
            agent.install(row(1))
            await until(lambda: "lock-denied" in agent.error)
            assert "half done" in operator.get_config("candidate").data_xml
            assert router.chain("half done") is None
            operator.discard_changes()
        await agent.settled(1)


async def test_a_refusal_is_told_with_its_path_and_without_the_key(own_router: Router) -> None:
    own_router.kind = Kind(may_write=False)
    own_router.start()
    async with serving(own_router, "refused") as agent:
        agent.install(row(1))
        await until(lambda: "access-denied" in agent.error)
        assert "key-chain[key-chain:name='refused']" in agent.error
        assert SECRET_OCTETS.hex() not in agent.error.replace(":", "")


async def test_what_is_changed_by_hand_is_put_right_and_what_is_not_ours_is_not(router: Router) -> None:
    async with serving(router, "by-hand", reconcile_interval=1) as agent:
        agent.install(row(1), row(2))
        await agent.settled(1, 2)
        before = agent.shown()
        router.edit(
            f"<key-chain><name>by-hand</name><description>mine [rkmpd: {key_id(1)} {key_id(2)} 99]</description>"
            f'<key nc:operation="delete"><key-id>{key_id(1)}</key-id></key>'
            f"<key><key-id>{key_id(2)}</key-id><crypto-algorithm>md5</crypto-algorithm></key>"
            "<key><key-id>98</key-id><crypto-algorithm>md5</crypto-algorithm></key>"
            "<key><key-id>99</key-id><crypto-algorithm>md5</crypto-algorithm></key></key-chain>"
        )
        await until(lambda: agent.shown().keys.keys() == {98, key_id(1), key_id(2)})
        after = agent.shown()
        assert after.keys[key_id(1)] == before.keys[key_id(1)]
        assert after.keys[key_id(2)] == before.keys[key_id(2)]
        assert after.description == f"mine [rkmpd: {key_id(1)} {key_id(2)}]"
        assert agent.reports == []


@pytest.mark.parametrize("shows_strings", [True, False])
async def test_an_agent_that_was_killed_goes_on_from_what_the_router_has(
    own_router: Router, shows_strings: bool
) -> None:
    own_router.kind = Kind(shows_strings=shows_strings)
    own_router.start()
    async with serving(own_router, "survives", clock_tolerance=200) as agent:
        agent.install(row(1))
        await agent.settled(1)
        agent.install(row(2, 100, 7200))
        await until(lambda: len(agent.status.holding.keys) == 2)
        before = agent.shown()
        async with restarted(agent) as again:
            await until(lambda: len(again.status.holding.keys) == 2)
            assert again.status.holding.preferred == "key-1"
            assert again.shown().keys == before.keys
            again.pass_time(100)
            await again.settled(1, 2)
            assert again.status.steps == 1
            assert again.reports == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind(has_key_chains=False), "the server does not have ietf-key-chain (RFC 8177)"),
        (Kind(features=ALL_FEATURES[1:]), "takes the feature hex-key-string; the server lacks it"),
    ],
)
async def test_what_a_server_does_not_support_is_said(own_router: Router, kind: Kind, words: str) -> None:
    own_router.kind = kind
    own_router.start()
    async with serving(own_router, "lacks") as agent:
        agent.install(row(1))
        await until(lambda: words in agent.error)


async def test_a_server_with_one_lifetime_and_text_alone_gets_what_it_can_have(own_router: Router) -> None:
    own_router.kind = Kind(features=("crypto-hmac-sha-1-12",))
    own_router.start()
    async with serving(own_router, "plain") as agent:
        agent.install(row(1, key=Secret(b"a key that is text")))
        await agent.settled(1)
        (shown,) = agent.shown().keys.values()
        assert shown.send_lifetime == shown.accept_lifetime


async def test_strings_that_are_to_be_wrapped_are_not_given_plain(own_router: Router) -> None:
    own_router.kind = Kind(features=(*ALL_FEATURES, "aes-key-wrap"))
    own_router.start()
    own_router.edit("<aes-key-wrap><enable>true</enable></aes-key-wrap>")
    async with serving(own_router, "wrapped") as agent:
        agent.install(row(1))
        await until(lambda: "encrypted with AES Key Wrap" in agent.error)
        assert own_router.chain("wrapped") is None
        own_router.edit("<aes-key-wrap><enable>false</enable></aes-key-wrap>")
        await agent.settled(1)


async def test_an_agent_that_dies_before_it_confirms_leaves_the_keys_of_before(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., object] = Commit.request
    commits: list[int] = []
    async with serving(router, "unconfirmed") as agent:
        agent.install(row(1))
        await agent.settled(1)

        def waiting(self: Commit, *arguments: object, **options: object) -> object:
            commits.append(1)
            if len(commits) == 2:
                time.sleep(1)
            return real(self, *arguments, **options)

        monkeypatch.setattr(Commit, "request", waiting)
        agent.install(row(2))
        await until(lambda: len(commits) == 2)
        assert agent.shown().keys.keys() == {key_id(1), key_id(2)}
        await agent.stop()
        await until(lambda: agent.shown().keys.keys() == {key_id(1)})
        assert agent.shown().description == f"[rkmpd: {key_id(1)}]"
        async with restarted(agent) as again:
            await again.settled(1, 2)
