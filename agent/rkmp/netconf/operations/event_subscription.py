"""create-subscription (RFC 5277 section 2.1.1), live events only.

No YANG module defines this operation, so its parameters are checked here.
"""

from __future__ import annotations

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.namespaces import NOTIFICATION, base
from rkmp.netconf.notifications import NETCONF_STREAM, STREAMS_OFFERED
from rkmp.netconf.operations.filtering import read_filter
from rkmp.netconf.operations.request import Operation, Outcome, Request


def _tag(name: str) -> str:
    return f"{{{NOTIFICATION}}}{name}"


_STREAM = _tag("stream")
_FILTER = _tag("filter")
_START_TIME = _tag("startTime")
_STOP_TIME = _tag("stopTime")
_PARAMETERS = (_STREAM, _FILTER, _START_TIME, _STOP_TIME)


async def create_subscription(request: Request) -> Outcome:
    """Let this session have the events of a stream from now on."""
    parameters = _read_parameters(request.operation)
    stream = parameters.get(_STREAM)
    name = NETCONF_STREAM if stream is None else (stream.text or "").strip()
    if name not in STREAMS_OFFERED:
        raise _error("invalid-value", f"there is no stream {name}", "stream")
    if _START_TIME in parameters:
        # RFC 5277 2.1.1: the answer where replay is asked for and not supported.
        raise RpcError("operation-failed", "replay is not supported: startTime cannot be given", type="protocol")
    if _STOP_TIME in parameters:
        raise _error("missing-element", "stopTime is given without startTime", "startTime")
    selection = read_filter(request.server.schema, parameters.get(_FILTER), request.access.reader)
    session = request.session
    access_control = request.server.access_control

    def wanted(event: etree._Element) -> bool:
        # RFC 5277 3.6: an event that the filter selects anything of is sent, and sent whole.
        if selection is not None and not selection.filter.matches(event):
            return False
        # Under the rules of now, not of when the subscription was made.
        return access_control.access_of(session.client).delivers(event)

    if session.subscription is not None:
        raise RpcError("operation-failed", "this session has a subscription already", type="protocol")
    session.subscription = request.server.hub.subscribe(session.notify, wanted)
    return None


def _read_parameters(operation: etree._Element) -> dict[str, etree._Element]:
    parameters: dict[str, etree._Element] = {}
    for element in operation:
        tag = str(element.tag)
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
