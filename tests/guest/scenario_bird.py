"""Inside the guest: BGP sessions of two real BIRDs under TCP-AO, keyed only by two agents, and what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from ncclient.operations import RPCError

from tests.guest.routers import Router, Routers, aes_only, sha1_only, wait_for


@pytest.fixture(scope="module")
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routers]:
    with ExitStack() as stack:
        pair = Routers(tmp_path_factory.mktemp("routers"), stack)
        pair.start()
        assert not any(router.is_established for router in pair.pair)
        pair.associate()
        pair.wait_until_established()
        try:
            yield pair
        finally:
            pair.print_logs()


def test_only_the_owner_reads_the_keys(routers: Routers) -> None:
    for router in routers.pair:
        file: Path = router.keys / "nb.conf"
        assert file.stat().st_mode & 0o777 == 0o600


def test_five_rollovers_and_nobody_notices(routers: Routers) -> None:
    with routers.session_kept():
        for turn in range(5):
            name = routers.pair[turn % 2].rekey()
            routers.wait_until_settled(name)
        routers.wait_until_settled(name, alone=True)


def test_what_a_bird_counts_is_as_old_as_the_last_look_at_most(routers: Routers) -> None:
    one, _ = routers.pair
    wait_for("segments", lambda: one.consumer()["good-segments"] is not None)
    before = one.consumer()
    # Keepalives pass, and nobody has a step to do.
    wait_for("more of them", lambda: int(one.consumer()["good-segments"]) > int(before["good-segments"]), seconds=60)
    after = one.consumer()
    assert (after["bad-segments"], after["connections"]) == ("0", "1")
    assert after["steps"] == before["steps"]
    assert after["reported-at"] > before["reported-at"]


@pytest.mark.parametrize("victim", [0, 1])
def test_an_agent_that_is_killed_in_a_rollover_finishes_it_when_it_is_back(routers: Routers, victim: int) -> None:
    router = routers.pair[victim]
    with routers.session_kept():
        # The new key has just been agreed, and nobody prefers it yet. Which rollover was lost cannot be known after
        # the restart, so that another key may take its place.
        old = routers.names_preferred()
        routers.pair[0].rekey()
        router.kill_agent()
        router.start_agent()
        routers.wait_until_settled(alone=True)
        assert not old & routers.names_preferred()


def test_a_third_of_the_datagrams_lost_delays_a_rollover_and_nothing_else(routers: Routers) -> None:
    routers.lose_rkmp(30)
    with routers.session_kept():
        old = routers.names_preferred()
        for _ in range(5):
            # Whoever asks is told when the peer cannot be reached for too long, and may ask again.
            with suppress(RPCError):
                routers.pair[0].rekey()
                break
        wait_for("another key", lambda: not old & routers.names_preferred(), seconds=900)
        routers.lose_rkmp(0)
        routers.wait_until_settled(alone=True)


def test_a_peer_that_refuses_to_rekey_costs_nothing_before_the_key_ends(routers: Routers) -> None:
    one, two = routers.pair
    two.configure(aes_only())
    with routers.session_kept():
        with pytest.raises(RPCError, match="NO_PROPOSAL_CHOSEN"):
            one.rekey()
        assert one.consumer()["state"] == "synchronised"
        assert one.last_error() is not None
    two.configure(sha1_only())
    with routers.session_kept():
        routers.wait_until_settled(one.rekey())


def test_a_bird_that_cannot_read_its_configuration_is_reported_and_goes_on_when_it_can(routers: Routers) -> None:
    one, two = routers.pair
    sound = (two.directory / "bird.conf").read_text()
    with routers.session_kept():
        (two.directory / "bird.conf").write_text(f"{sound}\nnonsense;")
        name = one.rekey()
        wait_for("the report", lambda: two.consumer()["state"] == "not-responding")
        assert "syntax error" in two.consumer()["consumer-error"]
        assert "does not respond" in two.log.read_text()
        (two.directory / "bird.conf").write_text(sound)
        routers.wait_until_settled(name)


def test_a_peer_that_boots_again_comes_back_under_the_same_key(routers: Routers) -> None:
    one, two = routers.pair
    before = one.consumer()["preferred-key"]
    two.kill_agent()
    two.kill_bird()
    reboot(two)
    routers.wait_until_established()
    assert one.consumer()["preferred-key"] == before
    with routers.session_kept():
        routers.wait_until_settled(two.rekey())


def reboot(router: Router) -> None:
    router.start_bird()
    router.start_agent()
