"""An association shows who uses its keys: what each consumer sends with, accepts, and has acknowledged last."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.association_consumers import AssociationConsumers
from rkmp.northbound.names import Rkmp
from rkmp.secret import Secret
from rkmp.southbound import FeedStatus
from rkmp.southbound.feed import FeedState
from rkmp.southbound.keys import MasterKeyTuple
from rkmp.southbound.steps import HeldKey, Holding, Usage
from tests.keytable.rows import NOON, SECRET_OCTETS
from tests.northbound.world import document, schema


def held(name: str, number: int) -> HeldKey:
    return HeldKey(MasterKeyTuple(name, number, number, "hmac-sha-1-96", Secret(SECRET_OCTETS), False))


def status(consumer: str, neighbor: str, protocol: str) -> FeedStatus:
    return FeedStatus(
        consumer=consumer,
        neighbor=neighbor,
        protocol=protocol,
        state=FeedState.AWAITING_PEER,
        holding=Holding((held("old", 1), held("new", 2)), "new"),
        usage=Usage(frozenset({"old"}), 1, 10, 11, 12, 13, 14),
        steps=3,
        last_step=("prefer", "new"),
        last_error="the last thing that went wrong",
        changed_at=NOON,
        usage_at=NOON,
    )


def shown(root: etree._Element) -> dict[tuple[str | None, str | None], list[etree._Element]]:
    """Return the consumers by peer and protocol."""
    return {
        (peer.findtext(Rkmp.NAME), association.findtext(Rkmp.PROTOCOL)): list(
            association.iterchildren(AgentNames.CONSUMER)
        )
        for peer in root.iterfind(f"{Rkmp.RKMP}/{Rkmp.PEER}")
        for association in peer.iterchildren(Rkmp.ASSOCIATION)
    }


@pytest.fixture
def root() -> etree._Element:
    return document("full")


def test_consumers_are_shown_at_the_association_whose_keys_they_take(root: etree._Element) -> None:
    places = [
        ((peer.findtext(Rkmp.NAME), association.findtext(Rkmp.PROTOCOL)), association.findtext(Rkmp.NEIGHBOR, address))
        for peer in root.iterfind(f"{Rkmp.RKMP}/{Rkmp.PEER}")
        for address in [peer.findtext(Rkmp.ADDRESS, "")]
        for association in peer.iterchildren(Rkmp.ASSOCIATION)
    ]
    place, neighbor = places[0]
    protocol = str(place[1])
    feeds = [
        ("bird", "main", status("main", neighbor, protocol)),
        ("key-socket", "speaker", status("speaker", neighbor, protocol)),
        ("hook", "frr", status("frr", "198.51.100.99", protocol)),
    ]
    AssociationConsumers(lambda: feeds).provide(root)
    consumers = shown(root)
    assert all(not found for other, found in consumers.items() if other != place)
    bird, client = consumers[place]
    said = [(child.tag, child.text) for child in bird]
    assert said[:3] == [(AgentNames.KIND, "bird"), (AgentNames.NAME, "main"), (AgentNames.STATE, "awaiting-peer")]
    for leaf, values in {
        AgentNames.ACCEPTED_KEY: ["old", "new"],
        AgentNames.PREFERRED_KEY: ["new"],
        AgentNames.SENDING_KEY: ["old"],
        AgentNames.LAST_STEP: ["prefer"],
        AgentNames.LAST_STEP_KEY: ["new"],
    }.items():
        assert [text for tag, text in said if tag == leaf] == values
    assert client.findtext(AgentNames.NAME) == "speaker"


def test_everything_that_is_shown_is_in_the_model_and_the_reverse(root: etree._Element) -> None:
    node = schema().node_at((Rkmp.RKMP, Rkmp.PEER, Rkmp.ASSOCIATION, AgentNames.CONSUMER))
    assert node is not None
    feeds = [(kind, "c", status("c", "192.0.2.22", "bgp")) for kind in ("bird", "hook", "key-socket", "key-chain")]
    for association in root.iter(Rkmp.ASSOCIATION):
        for neighbor in association.findall(Rkmp.NEIGHBOR):
            neighbor.text = "192.0.2.22"
    AssociationConsumers(lambda: feeds).provide(root)
    consumers = [each for found in shown(root).values() for each in found]
    assert len(consumers) >= 4
    for consumer in consumers:
        assert {child.tag for child in consumer} == set(node.data_children)
        for child in consumer:
            leaf = node.data_children[str(child.tag)]
            assert leaf.type is not None
            leaf.type.check(child.text or "", child.nsmap)


def test_who_looks_has_what_is_old_asked_for_again(root: etree._Element) -> None:
    asked: list[str] = []
    feeds = [("bird", "main", status("main", "192.0.2.22", "bgp"))]
    AssociationConsumers(lambda: feeds, lambda: asked.append("refresh")).provide_entries(root, ())
    assert asked == ["refresh"]


def test_without_consumers_nothing_is_added(root: etree._Element) -> None:
    before = etree.tostring(root)
    asked: list[str] = []
    AssociationConsumers(lambda: (), lambda: asked.append("refresh")).provide(root)
    assert etree.tostring(root) == before
    assert asked == []
