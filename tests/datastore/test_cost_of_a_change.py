"""A small change costs the same in a small and in a large configuration.

Time is not measured: function calls are counted, which is exact and does not hang on the machine. A loop over all
entries would show as calls that grow with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
from lxml import etree

from rkmp.datastore.schema import load_schema
from rkmp.datastore.subtree_filter import SubtreeFilter
from tests.datastore.servers import BENCH, Server, schema_of

SMALL, LARGE = 20, 400
OUR_SCHEMA = load_schema(dict.fromkeys(("rkmp", "crypto-key-table"), ()), [Path(__file__).parents[2] / "yang"])


def calls(act: Callable[[], object]) -> int:
    """How many functions an action calls, in Python and in C."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def bench_entry(number: int) -> str:
    return (
        f"<peer><name>peer-{number}</name><mtu>1400</mtu><remote-id>p{number}.example</remote-id>"
        f"<profile>prof-{number % 3}</profile><rekey-min>1800</rekey-min><rekey-max>3600</rekey-max></peer>"
    )


def bench(number: int) -> Server:
    server = Server(schema=schema_of("bench"), default_namespace=BENCH)
    profiles = "".join(f"<profile><name>prof-{index}</name></profile>" for index in range(4))
    server.edit(f"<profiles>{profiles}</profiles>")
    server.edit(f"<peers>{''.join(map(bench_entry, range(number)))}</peers>")
    return server


def router_peer(number: int) -> str:
    return (
        f"<peer><name>p{number}</name><address>10.0.{number // 250}.{number % 250}</address><ike-policy>i</ike-policy>"
        "<authentication><local><method>psk</method><pre-shared-key>k</pre-shared-key></local>"
        "<remote><method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>"
        "<association><protocol>bgp</protocol><proposal>a</proposal><proposal>b</proposal></association></peer>"
    )


def router(number: int) -> Server:
    server = Server(schema=OUR_SCHEMA, default_namespace="urn:rkmp:yang:rkmp")
    secret = "<secret><keystring>s</keystring></secret>"
    transform = "<transform><name>t</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>"
    server.edit(
        "<rkmp><credentials>"
        + "".join(f"<pre-shared-key><name>{name}</name>{secret}</pre-shared-key>" for name in "kl")
        + "</credentials><ike-policy><name>i</name></ike-policy>"
        + "".join(f"<proposal><name>{name}</name>{transform}</proposal>" for name in "ab")
        + "".join(map(router_peer, range(number)))
        + "</rkmp>"
    )
    return server


BENCH_CHANGES: dict[str, tuple[str, ...]] = {
    "one leaf": ("<peers><peer><name>peer-7</name><mtu>1300</mtu></peer></peers>",),
    "a leaf that a must reads": ("<peers><peer><name>peer-7</name><rekey-max>3000</rekey-max></peer></peers>",),
    "a reference": ("<peers><peer><name>peer-7</name><profile>prof-2</profile></peer></peers>",),
    "create and delete an entry": (
        f"<peers>{bench_entry(100000)}</peers>",
        "<peers><peer nc:operation='delete'><name>peer-100000</name></peer></peers>",
    ),
    "delete what could be referred to": (
        "<profiles><profile nc:operation='delete'><name>prof-3</name></profile></profiles>",
    ),
}
OVERLAP = "<association><protocol>bgp</protocol><overlap>9</overlap></association>"
ROUTER_CHANGES: dict[str, tuple[str, ...]] = {
    "one leaf": ("<rkmp><peer><name>p7</name><description>d</description></peer></rkmp>",),
    "the address that no other peer may have": (
        "<rkmp><peer><name>p7</name><address>192.0.2.7</address></peer></rkmp>",
    ),
    "a nested leaf": (f"<rkmp><peer><name>p7</name>{OVERLAP}</peer></rkmp>",),
    "a peer comes and goes": (
        f"<rkmp>{router_peer(20000)}</rkmp>",
        "<rkmp><peer nc:operation='delete'><name>p20000</name></peer></rkmp>",
    ),
    "delete an unused pre-shared key": (
        "<rkmp><credentials><pre-shared-key nc:operation='delete'><name>l</name></pre-shared-key></credentials></rkmp>",
    ),
    "a leaf of the whole": ("<rkmp><enabled>false</enabled></rkmp>",),
}


@pytest.mark.parametrize("way", ["running", "candidate"])
@pytest.mark.parametrize(
    ("make", "edits"),
    [
        *(pytest.param(bench, edits, id=f"bench: {name}") for name, edits in BENCH_CHANGES.items()),
        *(pytest.param(router, edits, id=f"router: {name}") for name, edits in ROUTER_CHANGES.items()),
    ],
)
def test_a_change_costs_the_same_whatever_else_there_is(
    make: Callable[[int], Server], edits: tuple[str, ...], way: str
) -> None:
    counted = []
    for number in (SMALL, LARGE):
        server = make(number)
        _warm_up(server)
        counted.append(sum(calls(partial(_change, server, content, way)) for content in edits))
    small, large = counted
    assert large < small * 1.1 + 40


def _warm_up(server: Server) -> None:
    """Have the candidate and the indexes there: they are made once, when they are first needed."""
    top = "peers" if server.schema is not OUR_SCHEMA else "rkmp"
    peer = ("peer-1", "mtu", "1200") if top == "peers" else ("p1", "description", "x")
    content = f"<{top}><peer><name>{peer[0]}</name><{peer[1]}>{peer[2]}</{peer[1]}></peer></{top}>"
    _change(server, content, "candidate")


def _change(server: Server, content: str, way: str) -> None:
    server.edit(content, way)
    if way == "candidate":
        server.datastores.commit(session_id=1)


def test_an_entry_is_found_by_its_key_whatever_else_there_is() -> None:
    counted = []
    for number in (SMALL, LARGE):
        server = bench(number)
        element = etree.fromstring(
            f"<filter><peers xmlns='{BENCH}'><peer><name>peer-7</name><mtu/></peer></peers></filter>"
        )
        found = SubtreeFilter.parse(element, server.schema)
        server.datastores.select("running", found)
        counted.append(calls(partial(server.datastores.select, "running", found)))
    assert counted[0] == counted[1]


def test_a_load_costs_in_proportion() -> None:
    costs = [calls(partial(bench, number)) for number in (100, 200, 400)]
    assert (costs[2] - costs[1]) < (costs[1] - costs[0]) * 2.1
