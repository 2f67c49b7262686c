"""Inside the guest, whose time skips where nothing happens: a year of daily rollovers on a live BGP session."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

from tests.guest.routers import Routers, compiled, wait_for

DAY = 86400
# Of both state directories, whatever they have seen: key tables of a row or two, and bounded logs of events.
MOST_OCTETS = 2 * 16 * 2**20
DAYS = int(os.environ.get("RKMP_GUEST_DAYS", "365"))
# Nobody asks whether the peer is there, and no IKE SA is kept: a year of that would be most of the work.
POLICY = "<retain-ike-sa>false</retain-ike-sa><liveness-interval>0</liveness-interval>"


def test_a_year_of_daily_rollovers_passes_without_a_drop(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for version in ("ipv4", "ipv6"):
            # The kernel looks after its neighbors every few seconds by default.
            for interval in ("base_reachable_time_ms", "interval_probe_time_ms"):
                Path(f"/proc/sys/net/{version}/neigh/default/{interval}").write_text(f"{DAY * 1000}")
        routers = Routers(tmp_path, stack)
        library = compiled("patient_poll.c", tmp_path)
        for router in routers.pair:
            router.bird_environment = {"LD_PRELOAD": str(library)}
        # Half an hour between segments, so that a switch takes up to that; a key lasts a day and two hours.
        routers.start(hold=3 * 3600, keepalive=1800)
        routers.associate(lifetime=DAY, overlap=7200, policy=POLICY)
        routers.wait_until_established()
        stack.callback(routers.print_logs)
        first = routers.names_preferred()
        sizes: list[int] = []
        with routers.session_kept():
            for _ in range(10):
                time.sleep(DAYS * DAY / 10)
                sizes.append(sum(size_of_database(router.state) for router in routers.pair))
                for router in routers.pair:
                    # That of today, and that of yesterday or tomorrow.
                    assert 1 <= len(router.key_names()) <= 2
            wait_for("both on one key", lambda: one_key(routers), seconds=DAY, interval=600)
        rollovers = [router.rollovers() for router in routers.pair]
        print(f"rollovers {rollovers}, octets of both databases {sizes}")
        assert all(count >= DAYS - 1 for count in rollovers)
        assert not first & routers.names_preferred()
        assert sizes[-1] <= MOST_OCTETS


def one_key(routers: Routers) -> bool:
    said = [router.consumer() for router in routers.pair]
    return all(each["state"] == "synchronised" and len(each["accepted"]) == 1 for each in said)


def size_of_database(state: Path) -> int:
    return sum(file.stat().st_size for file in state.rglob("*") if file.is_file())
