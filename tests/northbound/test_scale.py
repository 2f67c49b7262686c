"""What a change costs depends on the change, not on how many peers there are."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from rkmp.datastore.defaults import Instance
from rkmp.engine.configuration import PeerConfiguration
from rkmp.northbound.engine_configuration import EntryReaders
from tests.northbound.world import Running, document, rkmp

PEERS = 10_000


def many_peers() -> str:
    peer = """<peer><name>p{0}</name><address>10.{1}.{2}.1</address><ike-policy>p</ike-policy><authentication>
        <local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>
        <association><protocol>bgp</protocol><proposal>ao</proposal></association></peer>"""
    return "".join(peer.format(number, number // 256, number % 256) for number in range(PEERS))


class Counting(Running):
    """Counts how often each peer is read from the tree."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        read = EntryReaders.peer

        def counting(readers: EntryReaders, entry: Instance) -> PeerConfiguration:
            peer = read(readers, entry)
            self.read[peer.name] += 1
            return peer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EntryReaders, "peer", counting)
            super().__init__()


@pytest.fixture(scope="module")
def running() -> Counting:
    running = Counting()
    running.change(document("router"))
    running.change(rkmp(many_peers()))
    assert len(running.read) == PEERS + 1
    return running


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("<peer><name>p77</name><port>501</port></peer>", {"p77": 1}),
        (
            "<peer><name>p5</name><description>five</description></peer><peer><name>p6</name><port>6</port></peer>",
            {"p5": 1, "p6": 1},
        ),
        ('<peer nc:operation="delete"><name>p99</name></peer>', {}),
        ("<ike-policy><name>p</name><lifetime>7200</lifetime></ike-policy>", {}),
        ("<code-points><traffic-selector-type>250</traffic-selector-type></code-points>", {}),
    ],
)
def test_only_what_an_edit_touches_is_read(running: Counting, edit: str, expected: dict[str, int]) -> None:
    running.read.clear()
    running.change(rkmp(edit))
    assert running.read == expected


def test_one_leaf_among_ten_thousand_peers_takes_milliseconds(running: Running) -> None:
    times = []
    for number in range(20):
        start = time.perf_counter()
        running.change(rkmp(f"<peer><name>p{number}</name><port>{600 + number}</port></peer>"))
        times.append(time.perf_counter() - start)
    assert sorted(times)[10] < 0.02
