"""Inside the guest: clocks that differ by minutes, keys that end without another, keys by hand before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ncclient.operations import RPCError

from tests.e2e.agents import KEY_TABLE, NETCONF, RKMP
from tests.guest.routers import (
    Router,
    Routers,
    aes_only,
    compiled,
    consumer_configuration,
    peer_configuration,
    sha1_only,
    wait_for,
)

MINUTES_OFF = 7
BY_HAND = """authentication ao; keys {{
  key {{ send id {send}; recv id {receive}; secret "by-hand"; algorithm hmac sha1; }};
}};"""


@pytest.fixture
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routers]:
    with ExitStack() as stack:
        pair = Routers(tmp_path_factory.mktemp("routers"), stack)
        try:
            yield pair
        finally:
            pair.print_logs()


def manual_key(router: Router, name: str, identifier: int, secret: str, start: datetime | None) -> str:
    """Return the configuration of a key by hand, the same on both sides but for the order of its KeyIDs."""
    local, remote = (identifier, identifier + 1)[:: 1 if router.number == 1 else -1]
    begins = "" if start is None else f"<send-lifetime><start>{start:%Y-%m-%dT%H:%M:%SZ}</start></send-lifetime>"
    return f"""<key-table xmlns="{KEY_TABLE}"><key><admin-key-name>{name}</admin-key-name>
      <local-key-name>{local:02x}</local-key-name><peer-key-name>{remote:02x}</peer-key-name>
      <peer>{router.neighbor}</peer><protocol>bgp</protocol><kdf>hmac-sha-1</kdf><alg-id>hmac-sha-1-96</alg-id>
      <keystring>{secret}</keystring><direction>both</direction>{begins}</key></key-table>"""


def without_key(name: str) -> str:
    return f"""<key-table xmlns="{KEY_TABLE}" xmlns:nc="{NETCONF}"><key nc:operation="delete">
      <admin-key-name>{name}</admin-key-name></key></key-table>"""


def without_peer(router: Router) -> str:
    return f"""<rkmp xmlns="{RKMP}" xmlns:nc="{NETCONF}"><peer nc:operation="delete"><name>r{3 - router.number}</name>
      </peer></rkmp>"""


def test_clocks_that_differ_by_minutes_make_no_difference(routers: Routers, tmp_path: Path) -> None:
    library = compiled("skewed_clock.c", tmp_path)
    skewed = routers.pair[1]
    skewed.environment = {"LD_PRELOAD": str(library), "RKMP_CLOCK_OFF": str(60 * MINUTES_OFF)}
    routers.start()
    routers.associate(lifetime=600)
    routers.wait_until_established()
    with routers.session_kept():
        for router in (*routers.pair, *routers.pair):
            routers.wait_until_settled(router.rekey())
        # By themselves, as the shorter lifetime says at each side.
        before = routers.names_preferred()
        wait_for("a rollover by itself", lambda: not before & routers.names_preferred(), seconds=700, interval=10)
        routers.wait_until_settled()
    hour = {name.split("-")[2][9:13] for name in skewed.key_names()}
    assert hour.isdisjoint(name.split("-")[2][9:13] for name in routers.pair[0].key_names())


def test_a_key_that_ends_without_another_closes_the_session_and_says_why(routers: Routers) -> None:
    routers.start(hold=30)
    routers.associate(lifetime=300)
    routers.wait_until_established()
    one, two = routers.pair
    two.configure(aes_only())
    with routers.session_kept():
        with pytest.raises(RPCError, match="NO_PROPOSAL_CHOSEN"):
            one.rekey()
        # The key is kept to its end.
        wait_for("the last of the key", lambda: "expiring" in one.log.read_text(), seconds=400, interval=5)
    wait_for("closed sessions", lambda: not (one.is_established or two.is_established), seconds=400, interval=5)
    wait_for("files that say so", lambda: all("disabled yes;" in each.keys_file for each in routers.pair), seconds=100)
    assert one.consumer()["state"] == "without-keys"
    assert "no transform in common" in (one.last_error() or "")
    two.configure(sha1_only())
    wait_for("a session again", lambda: one.has_session() and two.has_session(), seconds=900, interval=5)


def test_a_session_moves_from_a_key_by_hand_to_negotiated_ones_and_back(routers: Routers) -> None:
    for router in routers.pair:
        send, receive = (10, 11)[:: -1 if router.number == 1 else 1]
        (router.keys / "nb.conf").write_text(BY_HAND.format(send=send, receive=receive))
        router.write_bird_configuration()
        router.start_bird()
    routers.wait_until_established()
    with routers.session_kept():
        # The same key in the key table: the agent takes the session over as it is.
        for router in routers.pair:
            router.start_agent()
            router.configure(manual_key(router, "by-hand", 10, "by-hand", None), consumer_configuration(router))
        routers.wait_until_settled("by-hand", alone=True)
        for router in reversed(routers.pair):
            router.configure(peer_configuration(router))
        routers.wait_until_settled("r1-bgp-")
        for router in routers.pair:
            router.configure(without_key("by-hand"))
        routers.wait_until_settled("r1-bgp-", alone=True)
        # And back: what is sent with is what began last.
        for router in routers.pair:
            router.configure(
                manual_key(router, "again-by-hand", 20, "another", datetime.now(UTC) + timedelta(seconds=10))
            )
        routers.wait_until_settled("again-by-hand")
        for router in routers.pair:
            router.configure(without_peer(router))
        routers.wait_until_settled("again-by-hand", alone=True)


def test_a_session_on_an_operators_own_key_is_taken_over(routers: Routers) -> None:
    for router in routers.pair:
        send, receive = (10, 11)[:: -1 if router.number == 1 else 1]
        (router.keys / "nb.conf").write_text(BY_HAND.format(send=send, receive=receive))
        router.write_bird_configuration()
        router.start_bird()
    routers.wait_until_established()
    with routers.session_kept():
        # No key table has it, and it stays until a negotiated one is in use.
        for router in routers.pair:
            router.start_agent()
            router.configure(consumer_configuration(router))
        routers.associate()
        routers.wait_until_settled("r1-bgp-", alone=True)
