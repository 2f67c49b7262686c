"""create-subscription (RFC 5277 section 2.1.1): live events, and those of the past from the event log.

No YANG module defines this operation, so its parameters are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.filtering import read_filter
from rkmp.netconf.namespaces import NOTIFICATION, base
from rkmp.netconf.notifications import NETCONF_STREAM, STREAMS_OFFERED
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.replay import ReplaySubscription


def _tag(name: str) -> str:
    return f"{{{NOTIFICATION}}}{name}"


_STREAM = _tag("stream")
_FILTER = _tag("filter")
_START_TIME = _tag("startTime")
_STOP_TIME = _tag("stopTime")
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339 section 5.6, in upper case: up to the minutes, seconds, their fraction, the time zone."""
_PARAMETERS = (_STREAM, _FILTER, _START_TIME, _STOP_TIME)


async def create_subscription(request: Request) -> Outcome:
    """Let this session have the events of a stream from now on."""
    parameters = _read_parameters(request.operation)
    stream = parameters.get(_STREAM)
    name = NETCONF_STREAM if stream is None else (stream.text or "").strip()
    if name not in STREAMS_OFFERED:
        raise _error("invalid-value", f"there is no stream {name}", "stream")
    start, stop = _read_times(parameters, request)
    selection = read_filter(request.server.schema, parameters.get(_FILTER), request.access.reader)
    session = request.session
    access_control = request.server.access_control

    def wanted(event: etree._Element) -> bool:
        # RFC 5277 3.6: an event that the filter selects anything of is sent, and sent whole.
        if selection is not None and not selection.filter.matches(event):
            return False
        # Under the rules of now, not of when the subscription was made.
        return access_control.access_of(session.client).delivers(event)

    if request.server.publisher.has_any(session.id):
        # RFC 8640 section 3.
        message = "this session has a subscription of establish-subscription"
        raise RpcError("operation-not-supported", message, type="protocol")
    if session.subscription is not None:
        raise RpcError("operation-failed", "this session has a subscription already", type="protocol")
    hub = request.server.hub
    if start is None or hub.log is None:
        session.subscription = hub.subscribe(session.notify, wanted)
    else:
        session.subscription = ReplaySubscription(
            hub, session.notify, wanted, log=hub.log, clock=request.server.clock, start=start, stop=stop
        )
    return None


def _read_times(parameters: Mapping[str, etree._Element], request: Request) -> tuple[datetime | None, datetime | None]:
    """Return startTime and stopTime, checked as RFC 5277 section 2.1.1 has it."""
    start, stop = _read_time(parameters, _START_TIME), _read_time(parameters, _STOP_TIME)
    if start is None:
        if stop is not None:
            raise _error("missing-element", "stopTime is given without startTime", "startTime")
        return None, None
    if request.server.hub.log is None:
        raise RpcError("operation-failed", "replay is not supported: startTime cannot be given", type="protocol")
    if start > request.server.clock():
        raise _error("bad-element", "startTime is in the future", "startTime")
    if stop is not None and stop <= start:
        raise _error("bad-element", "stopTime is not later than startTime", "stopTime")
    return start, stop


def _read_time(parameters: Mapping[str, etree._Element], tag: str) -> datetime | None:
    element = parameters.get(tag)
    if element is None:
        return None
    name = etree.QName(tag).localname
    match = _DATE_TIME.fullmatch((element.text or "").strip().upper())
    try:
        if match is not None:
            # RFC 3339 knows leap seconds, datetime does not: the last moment before is as near as it gets.
            seconds, fraction = ("59", ".999999") if match[2] == "60" else (match[2], match[3] or "")
            return datetime.fromisoformat(f"{match[1]}{seconds}{fraction[:7]}{match[4]}").astimezone(UTC)
    except (ValueError, OverflowError):
        # A day or an offset that no calendar has.
        pass
    raise _error("bad-element", f"{name} is no date and time with a time zone (RFC 3339)", name)


def _read_parameters(operation: etree._Element) -> dict[str, etree._Element]:
    parameters: dict[str, etree._Element] = {}
    for element in operation:
        # ncclient writes the filter as that of the base operations, and can mean nothing else.
        tag = _FILTER if element.tag == base("filter") else str(element.tag)
        if tag not in _PARAMETERS:
            name = etree.QName(element)
            raise _error("unknown-element", f"create-subscription has no parameter {name.localname}", name.localname)
        if tag in parameters:
            name = etree.QName(element)
            raise _error("bad-element", f"{name.localname} is there more than once", name.localname)
        parameters[tag] = element
    return parameters


def _error(tag: str, message: str, element: str) -> RpcError:
    return RpcError(tag, message, type="protocol", info=[(base("bad-element"), element)])


OPERATIONS = (Operation(_tag("create-subscription"), create_subscription),)
