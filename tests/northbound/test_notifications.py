"""Notifications as clients read them; that every event and leaf is told is in test_coverage."""

from __future__ import annotations

from datetime import datetime, timedelta

from lxml import etree

from rkmp.engine.association_states import AssociationState
from rkmp.engine.events import AssociationStateChange, AuthenticationFailure, NegotiationFailure, RequestCompleted
from rkmp.keytable import KeyExpiring
from rkmp.northbound.notifications import Notifications
from tests.keytable.rows import SECRET_OCTETS, lifetime, negotiated_row
from tests.northbound.world import KEY_TABLE, NOON, RKMP, memory_table


class Heard:
    """What was published, as (time, XML)."""

    def __init__(self) -> None:
        self.notifications = Notifications(self._publish)
        self.published: list[tuple[datetime, str]] = []

    def _publish(self, at: datetime, element: etree._Element) -> None:
        self.published.append((at, etree.tostring(element, encoding="unicode")))

    @property
    def last(self) -> etree._Element:
        return etree.fromstring(self.published[-1][1])


def test_an_event_of_the_engine_is_told_with_its_time() -> None:
    heard = Heard()
    event = AssociationStateChange("r2", "bgp", AssociationState.IDLE, AssociationState.NEGOTIATING, "started")
    heard.notifications.tell_engine_event(event, NOON)
    expected = (
        f'<association-state-change xmlns="{RKMP}"><peer>r2</peer><protocol>bgp</protocol>'
        "<from>idle</from><to>negotiating</to><reason>started</reason></association-state-change>"
    )
    assert heard.published == [(NOON, expected)]


def test_what_an_event_does_not_know_is_left_out() -> None:
    heard = Heard()
    heard.notifications.tell_engine_event(NegotiationFailure("r2", None, "no answer", None), NOON)
    assert [etree.QName(leaf).localname for leaf in heard.last] == ["peer", "reason"]


def test_the_answer_to_an_action_is_not_told_to_everybody() -> None:
    heard = Heard()
    heard.notifications.tell_engine_event(RequestCompleted(1, "key", None), NOON)
    assert heard.published == []


def test_what_a_stranger_calls_itself_cannot_break_the_xml() -> None:
    heard = Heard()
    name = "\x00<evil>\x1b[31m\ud800&\n"
    heard.notifications.tell_engine_event(AuthenticationFailure(None, "192.0.2.9", name, "unknown identity"), NOON)
    assert heard.last.findtext(f"{{{RKMP}}}identity") == "\ufffd<evil>\ufffd[31m\ufffd&\ufffd"


def test_a_key_is_told_with_its_names_and_without_its_material() -> None:
    heard = Heard()
    table = memory_table()
    table.subscribe(heard.notifications.tell_key_event)
    row = negotiated_row("r2-bgp-1", peers=("192.0.2.2", "192.0.2.3"), send_lifetime=lifetime(60, 600))
    with table.transaction(NOON) as change:
        change.install(row)
    table.handle_time(NOON + timedelta(seconds=60))
    table.remove("r2-bgp-1", NOON + timedelta(seconds=90), "cleared")
    names = [etree.QName(etree.fromstring(text)).localname for _, text in heard.published]
    assert names == ["key-installed", "key-activated", "key-removed"]
    assert [at for at, _ in heard.published] == [NOON + timedelta(seconds=after) for after in (0, 60, 90)]
    last = heard.last
    assert [peer.text for peer in last.findall(f"{{{KEY_TABLE}}}peer")] == ["192.0.2.2", "192.0.2.3"]
    assert last.findtext(f"{{{KEY_TABLE}}}reason") == "cleared"
    protocol = last.find(f"{{{KEY_TABLE}}}protocol")
    assert protocol is not None
    assert protocol.text == "ckt:bgp"
    assert protocol.nsmap["ckt"] == KEY_TABLE
    assert not any(SECRET_OCTETS.hex() in text for _, text in heard.published)


def test_a_key_that_expires_says_how_many_seconds_are_left() -> None:
    heard = Heard()
    heard.notifications.tell_key_event(KeyExpiring.of(negotiated_row(), NOON, seconds_left=90))
    assert heard.last.findtext(f"{{{KEY_TABLE}}}seconds-left") == "90"
