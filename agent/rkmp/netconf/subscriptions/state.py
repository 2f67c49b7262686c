"""State of ietf-subscribed-notifications: ``/streams`` and ``/subscriptions`` (RFC 8639 section 2.8)."""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.event_log import EventLog
from rkmp.netconf.notifications import STREAMS_OFFERED, date_and_time
from rkmp.netconf.operational import StateProvider
from rkmp.netconf.origin import Origin, set_origin
from rkmp.netconf.replies import printable
from rkmp.netconf.subscriptions.publisher import Publisher
from rkmp.netconf.subscriptions.subscription import Subscription
from rkmp.netconf.subscriptions.terms import sn, write_terms

STREAMS = sn("streams")
SUBSCRIPTIONS = sn("subscriptions")

_COUNTER_MODULUS = 2**64


def streams_provider(log: EventLog | None) -> StateProvider:
    """Return what adds the list of streams; ``log`` is that of the default stream, None for no replay."""

    def provide(root: etree._Element) -> None:
        streams = etree.SubElement(root, STREAMS)
        for stream in STREAMS_OFFERED.values():
            entry = etree.SubElement(streams, sn("stream"))
            _leaf(entry, "name", stream.name)
            _leaf(entry, "description", stream.description)
            if log is not None:
                etree.SubElement(entry, sn("replay-support"))
                _leaf(entry, "replay-log-creation-time", date_and_time(log.creation_time))
                if log.aged_time is not None:
                    _leaf(entry, "replay-log-aged-time", date_and_time(log.aged_time))

    return provide


def subscriptions_provider(schema: Schema, publisher: Publisher) -> StateProvider:
    """Return what adds the list of subscriptions, each with its terms and its one receiver."""

    def provide(root: etree._Element) -> None:
        numbered = sorted(publisher, key=lambda each: each.number)
        subscriptions = etree.SubElement(root, SUBSCRIPTIONS) if numbered else root
        for subscription in numbered:
            entry = etree.SubElement(subscriptions, sn("subscription"))
            # RFC 8342 5.3.4: what another system has asked for, and no configuration.
            set_origin(entry, Origin.LEARNED)
            _leaf(entry, "id", str(subscription.number))
            write_terms(schema, entry, subscription.terms)
            _add_receiver(entry, subscription)

    return provide


def _add_receiver(entry: etree._Element, subscription: Subscription) -> None:
    receiver = etree.SubElement(etree.SubElement(entry, sn("receivers")), sn("receiver"))
    _leaf(receiver, "name", printable(subscription.subscriber.name))
    _leaf(receiver, "sent-event-records", str(subscription.sent % _COUNTER_MODULUS))
    _leaf(receiver, "excluded-event-records", str(subscription.excluded % _COUNTER_MODULUS))
    _leaf(receiver, "state", "suspended" if subscription.is_suspended else "active")


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, sn(name)).text = text
