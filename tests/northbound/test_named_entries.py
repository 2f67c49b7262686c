"""<get> of entries that a filter names by their keys is the same as when the state of everything is made first."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from lxml import etree

from rkmp.netconf.operational import OperationalState
from tests.netconf.agents import data_of, get
from tests.northbound.test_netconf import Routers, routers
from tests.northbound.world import KEY_TABLE, RKMP

__all__ = ["routers"]

PEER = "/r:rkmp/r:peer[r:name='r2']"


def xpath(select: str) -> str:
    prefixes = f'xmlns:r="{RKMP}" xmlns:k="{KEY_TABLE}"'
    return f'<get><filter type="xpath" {prefixes} select={quoteattr(select)}/></get>'


def of_peer(content: str) -> str:
    return get(f'<rkmp xmlns="{RKMP}">{content}</rkmp>')


async def test_one_entry_is_the_same_as_out_of_all(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = await routers.configure()
    everything = data_of(await one.call(get(f'<key-table xmlns="{KEY_TABLE}"/>')))
    (key,) = everything.iterdescendants(f"{{{KEY_TABLE}}}admin-key-name")
    table = f'<key-table xmlns="{KEY_TABLE}"><key><admin-key-name>{key.text}</admin-key-name></key></key-table>'
    requests = (
        of_peer("<peer><name>r2</name></peer>"),
        of_peer("<peer><name>nobody</name></peer>"),
        of_peer("<peer><name>r2</name><association><state/></association></peer>"),
        of_peer("<peer><name>r2</name></peer><ike-policy><name>p</name></ike-policy>"),
        get(table),
        get(f'{table}<rkmp xmlns="{RKMP}"><peer><name>r2</name></peer></rkmp>'),
        xpath(PEER),
        xpath(f"{PEER}/r:association[r:protocol='bgp']"),
        xpath(f"{PEER}/r:association[r:protocol='bgp']/r:state"),
        xpath(f"{PEER}/r:statistics"),
        xpath(f"/k:key-table/k:key[k:admin-key-name='{key.text}']"),
    )
    asked = 0
    build_entries = OperationalState.build_entries

    def counting(self: OperationalState, *arguments: object) -> etree._Element | None:
        nonlocal asked
        asked += 1
        return build_entries(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(OperationalState, "build_entries", counting)
    found = [etree.tostring(data_of(await one.call(request)), method="c14n") for request in requests]
    assert asked == len(requests)
    monkeypatch.setattr(OperationalState, "build_entries", lambda *_: None)
    assert found == [etree.tostring(data_of(await one.call(request)), method="c14n") for request in requests]
    # Each but that of nobody has selected something.
    assert sum(len(data) > len(min(found, key=len)) for data in found) == len(requests) - 1
