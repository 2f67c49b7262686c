"""Inside the guest: clocks that differ by minutes, keys that end without another, keys by hand before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ncclient.operations import RPCError

from tests.docs.pages import Page
from tests.guest.routers import (
    Router,
    Routers,
    aes_only,
    compiled,
    consumer_configuration,
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


def as_written_for(router: Router, document: str) -> str:
    """Return a document of the page, which is written for r1, as this router takes it."""
    if router.number == 2:
        document = _swapped(document, "r1.example", "r2.example")
        document = _swapped(document, "<name>r2</name>", "<name>r1</name>")
        document = _swapped(document, "local-key-name", "peer-key-name")
    start = datetime.now(UTC) + timedelta(seconds=10)
    for place, value in {
        "192.0.2.2": router.neighbor,
        "198.51.100.2": f"10.9.0.{3 - router.number}",
        "/run/bird/bird.ctl": str(router.control),
        "/etc/bird/keys": str(router.keys),
        "2030-01-01T03:00:00Z": f"{start:%Y-%m-%dT%H:%M:%SZ}",
    }.items():
        document = document.replace(place, value)
    return document


def _swapped(text: str, one: str, other: str) -> str:
    return "\0".join(part.replace(other, one) for part in text.split(one)).replace("\0", other)


@pytest.mark.page("docs/how-to/migrate.md", "xml")
def test_a_session_moves_from_a_key_by_hand_to_negotiated_ones_and_back(page: Page, routers: Routers) -> None:
    own_key, consumer, peer, without_own_key, later_key, without_peer = page.blocks("xml")
    for router in routers.pair:
        send, receive = (10, 11)[:: -1 if router.number == 1 else 1]
        (router.keys / "nb.conf").write_text(BY_HAND.format(send=send, receive=receive))
        router.write_bird_configuration()
        router.start_bird()
    routers.wait_until_established()
    with routers.session_kept():
        for router in routers.pair:
            router.start_agent()
            router.configure(as_written_for(router, own_key), as_written_for(router, consumer))
        routers.wait_until_settled("by-hand", alone=True)
        for router in reversed(routers.pair):
            router.configure(as_written_for(router, peer))
        routers.wait_until_settled("-bgp-")
        for router in routers.pair:
            router.configure(as_written_for(router, without_own_key))
        routers.wait_until_settled("-bgp-", alone=True)
        for router in routers.pair:
            router.configure(as_written_for(router, later_key))
        routers.wait_until_settled("again-by-hand")
        for router in routers.pair:
            router.configure(as_written_for(router, without_peer))
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
