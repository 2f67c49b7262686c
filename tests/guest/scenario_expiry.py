"""Inside the guest: agents that cannot reach each other for longer than keys live, and what their policy does then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from lxml import etree

from tests.e2e.agents import KEY_TABLE, RKMP
from tests.guest.routers import NAMES, Router, Routers, wait_for

LIFE = 300


@pytest.fixture(scope="module")
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routers]:
    with ExitStack() as stack:
        pair = Routers(tmp_path_factory.mktemp("routers"), stack)
        pair.start(hold=60, keepalive=20)
        pair.associate(lifetime=LIFE)
        for router in pair.pair:
            router.configure(at_expiry(router, "extend"))
        pair.wait_until_established()
        try:
            yield pair
        finally:
            pair.print_logs()


def at_expiry(router: Router, policy: str) -> str:
    return f"""<rkmp xmlns="{RKMP}"><peer><name>r{3 - router.number}</name><association><protocol>bgp</protocol>
      <at-expiry>{policy}</at-expiry></association></peer></rkmp>"""


def key_table(router: Router) -> etree._Element:
    return router.get(f'<key-table xmlns="{KEY_TABLE}"/>')


def extended(router: Router) -> list[str]:
    keys = key_table(router).xpath("//ckt:key[ckt:extended='true']/ckt:admin-key-name/text()", namespaces=NAMES)
    return [str(name) for name in keys]


def test_a_session_outlives_its_key_under_an_alarm_and_rolls_over_when_it_can(routers: Routers) -> None:
    one, two = routers.pair
    with routers.session_kept():
        routers.lose_rkmp(100)
        before = {str(router.consumer()["preferred-key"]) for router in routers.pair}
        wait_for("the end of the key's life", lambda: all(map(extended, routers.pair)), seconds=3 * LIFE, interval=30)
        time.sleep(LIFE)
        # An agent that comes up later finds its key as it was.
        two.kill_agent()
        two.start_agent()
        time.sleep(LIFE)
        assert {name for router in routers.pair for name in extended(router)} == before
        for router in routers.pair:
            assert "WARNING rkmp.daemon.event_log: key-extended" in router.log.read_text()
            assert router.consumer()["state"] == "synchronised"
        routers.lose_rkmp(0)
        wait_for("another key", lambda: not before & routers.names_preferred(), seconds=900, interval=20)
        routers.wait_until_settled(alone=True)
        assert not extended(one)
        assert not extended(two)
    # The association knows who uses its key, and how far that is.
    for router in routers.pair:
        preferred = str(router.consumer()["preferred-key"])
        data = router.get(f'<rkmp xmlns="{RKMP}"><peer/></rkmp>')
        (consumer,) = data.xpath("//rkmp:association/rkmpa:consumer", namespaces=NAMES)
        said = {etree.QName(leaf).localname: leaf.text for leaf in consumer}
        assert (said["kind"], said["name"], said["state"]) == ("bird", "main", "synchronised")
        assert said["sending-key"] == said["accepted-key"] == said["preferred-key"] == preferred
        assert said["last-step"] == "remove"


def test_a_policy_that_is_taken_back_ends_what_was_extended(routers: Routers) -> None:
    one, two = routers.pair
    routers.lose_rkmp(100)
    wait_for("the end of the key's life", lambda: all(map(extended, routers.pair)), seconds=3 * LIFE, interval=30)
    for router in routers.pair:
        router.configure(at_expiry(router, "fail-closed"))
    wait_for("closed sessions", lambda: not (one.is_established or two.is_established), seconds=400, interval=20)
    routers.lose_rkmp(0)
    wait_for("a session again", lambda: one.has_session() and two.has_session(), seconds=900, interval=20)
