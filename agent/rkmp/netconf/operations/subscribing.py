"""establish-, modify-, delete-, kill- and resync-subscription (RFC 8639 section 2.4, RFC 8641 section 4.4, RFC 8640).

Parameters in, one call of the publisher out; its refusals become rpc-errors as RFC 8640 section 7 has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.namespaces import SUBSCRIBED_NOTIFICATIONS
from rkmp.netconf.notifications import date_and_time
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.rpc_content import check_content
from rkmp.netconf.subscriptions.refusals import (
    ESTABLISH_DATASTORE,
    ESTABLISH_STREAM,
    MODIFY_DATASTORE,
    MODIFY_STREAM,
    RESYNC,
    HintStructure,
    Refusal,
    rpc_error,
)
from rkmp.netconf.subscriptions.subscription import Subscriber
from rkmp.netconf.subscriptions.terms import (
    StreamTerms,
    Terms,
    changed_terms,
    read_terms,
    sn,
    yp,
)

_OPTIONAL = ("target", "datastore")
"""What modify-subscription can do without: parameters that are not included stay as they are (RFC 8641 4.4.2), which
examples of both RFCs make use of, though the modules have these as mandatory."""


async def establish_subscription(request: Request) -> Outcome:
    """Begin a subscription on this session, once the reply has left."""
    if request.session.subscription is not None:
        # RFC 8640 section 3.
        raise _not_on_this_session("create-subscription")
    _check_encoding(request)
    _check(request)
    terms = read_terms(request.operation)
    structure = ESTABLISH_STREAM if isinstance(terms, StreamTerms) else ESTABLISH_DATASTORE
    session = request.session
    with _refusals(structure):
        subscription = request.server.publisher.establish(
            Subscriber(session.id, session.client, session.feeds.changed), terms
        )
    session.feeds.add(subscription)
    session.send_feeds()
    session.after_reply(subscription.start)
    output = etree.Element(sn("id"), nsmap={None: SUBSCRIBED_NOTIFICATIONS})
    output.text = str(subscription.number)
    return [output, *_revision(request, terms)]


async def modify_subscription(request: Request) -> Outcome:
    """Change the terms of a subscription of this session."""
    _check(request, _OPTIONAL)
    publisher, session_id, number = request.server.publisher, request.session.id, _number(request)
    with _refusals(None):
        terms = publisher.find(session_id, number).terms
    with _refusals(MODIFY_STREAM if isinstance(terms, StreamTerms) else MODIFY_DATASTORE):
        publisher.modify(session_id, number, lambda before: changed_terms(before, request.operation))
    return None


async def delete_subscription(request: Request) -> Outcome:
    """End a subscription of this session."""
    _check(request)
    with _refusals(None):
        request.server.publisher.delete(request.session.id, _number(request))
    return None


async def kill_subscription(request: Request) -> Outcome:
    """End any subscription."""
    _check(request)
    with _refusals(None):
        request.server.publisher.kill(_number(request))
    return None


async def resync_subscription(request: Request) -> Outcome:
    """Have everything sent that a subscription of this session selects, once the reply has left."""
    _check(request)
    number = int(request.operation.findtext(yp("id")) or 0)
    with _refusals(RESYNC):
        request.server.publisher.resynchronise(request.session.id, number)
    return None


def _check(request: Request, optional: Collection[str] = ()) -> None:
    schema = request.server.schema
    node = schema.rpcs[str(request.operation.tag)].input
    if node is not None:
        check_content(schema, node, request.operation, canonicalise=True, optional=optional)


def _check_encoding(request: Request) -> None:
    """Refuse another encoding than XML by its own identity: without its feature the schema does not even know it."""
    element = request.operation.find(sn("encoding"))
    if element is None:
        return
    prefix, _, name = (element.text or "").strip().rpartition(":")
    if name != "encode-xml" or element.nsmap.get(prefix or None) != SUBSCRIBED_NOTIFICATIONS:
        raise rpc_error(Refusal("encoding-unsupported", "notifications are encoded in XML only"))


def _number(request: Request) -> int:
    return int(request.operation.findtext(sn("id")) or 0)


def _revision(request: Request, terms: Terms) -> Iterator[etree._Element]:
    """Yield replay-start-time-revision where the log does not go back as far as was asked (RFC 8639 2.4.2.1)."""
    log = request.server.hub.log
    if not isinstance(terms, StreamTerms) or terms.replay_start is None or log is None:
        return
    earliest = log.aged_time or log.creation_time
    if terms.replay_start < earliest:
        revision = etree.Element(sn("replay-start-time-revision"), nsmap={None: SUBSCRIBED_NOTIFICATIONS})
        revision.text = date_and_time(earliest)
        yield revision


@contextmanager
def _refusals(structure: HintStructure | None) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        raise rpc_error(refusal, structure) from refusal


def _not_on_this_session(other: str) -> RpcError:
    return RpcError("operation-not-supported", f"this session has a subscription of {other}", type="protocol")


OPERATIONS = (
    Operation(sn("establish-subscription"), establish_subscription, checks_input=True),
    Operation(sn("modify-subscription"), modify_subscription, checks_input=True),
    Operation(sn("delete-subscription"), delete_subscription, checks_input=True),
    Operation(sn("kill-subscription"), kill_subscription, checks_input=True),
    Operation(yp("resync-subscription"), resync_subscription, checks_input=True),
)
