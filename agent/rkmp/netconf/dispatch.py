"""From a message to its answer: the rpc layer (RFC 6241 section 4), and the containment of faults.

Reads the message, finds the operation, has its parameters checked, and renders what comes of it. Whatever goes wrong
becomes rpc-errors of this one request. It must not know framing, transports, or what any operation does.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from rkmp.errors import RpcError, RpcErrors, StorageError
from rkmp.netconf.documents import NotWellFormed, parse_document, root_of_prefix
from rkmp.netconf.framing import OversizedMessage
from rkmp.netconf.hello import BASE_1_1
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations import OPERATIONS, invoke_rpc
from rkmp.netconf.operations.invocation import ACTION
from rkmp.netconf.operations.request import Operation, Outcome, Request, ServerContext
from rkmp.netconf.replies import RPC, content_reply, error_reply, errors_of, ok_reply
from rkmp.netconf.rpc_content import check_content
from rkmp.netconf.session import Answer, Session

# Names that RFC 6241 gives to datastores and contents; one of them in the wrong place, or not yet served, is
# understood and not supported, anything else is no datastore at all.
_KNOWN_DATASTORES = frozenset(base(name) for name in ("running", "candidate", "startup", "url", "config"))


class Dispatcher:
    """Answers the messages of every session of a server."""

    def __init__(self, context: ServerContext, operations: Iterable[Operation] = OPERATIONS) -> None:
        self._context = context
        self._operations: Mapping[str, Operation] = {operation.tag: operation for operation in operations}
        self._observers: list[Callable[[str, float], None]] = []

    def observe(self, observer: Callable[[str, float], None]) -> None:
        """Call ``observer`` with the name of every operation of the schema that was carried out, and its seconds."""
        self._observers.append(observer)

    async def answer(self, session: Session, message: bytes | OversizedMessage) -> Answer:
        """Return the answer to one message that came where an ``<rpc>`` is expected."""
        if isinstance(message, OversizedMessage):
            rpc = root_of_prefix(message.prefix)
            error = RpcError("too-big", f"the message has {message.length} octets, more than are taken", type="rpc")
            return _refusal(rpc if rpc is not None and rpc.tag == RPC else None, error)
        try:
            rpc = parse_document(message)
        except NotWellFormed as error:
            return _malformed(session, str(error))
        try:
            operation = _operation_of(rpc)
        except RpcError as error:
            # RFC 6241 4.1: the attributes go back, if only there is an element that can have had them.
            return _refusal(rpc if rpc.tag == RPC else None, error)
        begun = time.perf_counter()
        answer = await self._carry(session, rpc, operation)
        if self._observers and (operation.tag in self._operations or operation.tag in self._context.schema.rpcs):
            for observer in self._observers:
                observer(etree.QName(operation).localname, time.perf_counter() - begun)
        return answer

    async def _carry(self, session: Session, rpc: etree._Element, operation: etree._Element) -> Answer:
        access = self._context.access_control.access_of(session.client)
        try:
            outcome = await self._outcome(Request(self._context, session, operation, access))
        except (RpcError, RpcErrors) as error:
            return Answer(error_reply(rpc, access.presentable(errors_of(error))), has_errors=True)
        except StorageError as error:
            refusal = RpcError("resource-denied", f"the change could not be stored: {error}", type="application")
            return Answer(error_reply(rpc, [refusal]), has_errors=True)
        except Exception as error:  # noqa: BLE001 - the layer's one containment: a bug costs one request
            _log_fault(session, operation, error)
            refusal = RpcError("operation-failed", "internal error", type="application")
            return Answer(error_reply(rpc, [refusal]), has_errors=True)
        return Answer(ok_reply(rpc) if outcome is None else content_reply(rpc, outcome))

    async def _outcome(self, request: Request) -> Outcome:
        tag = str(request.operation.tag)
        row = self._operations.get(tag)
        node = self._context.schema.rpcs.get(tag)
        if row is None:
            if node is None:
                name = etree.QName(tag).localname
                raise RpcError("operation-not-supported", f"there is no operation {name}", type="protocol")
            request.access.require_operation(tag)
            return await invoke_rpc(request, node)
        if tag != ACTION:
            # RFC 8341 3.1.3: who may invoke an action is asked of the action, and not of the operation around it.
            request.access.require_operation(tag)
        _refuse_attributes(request.operation)
        for parameter, choices in row.datastores.items():
            _refuse_unknown_datastore(request.operation, parameter, choices)
        if node is not None and node.input is not None and not row.checks_input:
            check_content(self._context.schema, node.input, request.operation, canonicalise=True)
        return await row.carry(request)


async def turn_away(session: Session, message: bytes | OversizedMessage) -> Answer:
    """Answer the first message of a session over the limit, and close it."""
    rpc = root_of_prefix(message.prefix if isinstance(message, OversizedMessage) else message)
    session.closing = True
    error = RpcError("resource-denied", "there are as many sessions as are allowed", type="rpc")
    return Answer(error_reply(rpc if rpc is not None and rpc.tag == RPC else None, [error]), has_errors=True)


def _operation_of(rpc: etree._Element) -> etree._Element:
    """Return the operation inside ``<rpc>``. Raises RpcError where the message is no correct ``<rpc>``."""
    name = etree.QName(rpc)
    if rpc.tag != RPC:
        if name.localname == "rpc":
            info = [(base("bad-element"), "rpc"), (base("bad-namespace"), name.namespace or "")]
            raise RpcError("unknown-namespace", "rpc is not in the base namespace", type="rpc", info=info)
        info = [(base("bad-element"), name.localname)]
        raise RpcError("unknown-element", f"{name.localname} where an rpc is expected", type="rpc", info=info)
    # The attribute is unqualified in RFC 6241; the netconf package's client qualifies it, and can mean nothing else.
    if "message-id" not in rpc.attrib and base("message-id") not in rpc.attrib:
        info = [(base("bad-attribute"), "message-id"), (base("bad-element"), "rpc")]
        raise RpcError("missing-attribute", "rpc has no message-id", type="rpc", info=info)
    operations = list(rpc.iterchildren(tag=etree.Element))
    if not operations:
        # The schema of RFC 6241 appendix B calls what every operation stands in for rpcOperation.
        info = [(base("bad-element"), "rpcOperation")]
        raise RpcError("missing-element", "rpc holds no operation", type="rpc", info=info)
    if len(operations) > 1:
        # RFC 7950 7.15.2 asks for bad-element where there is more than one action; the same holds for any other.
        info = [(base("bad-element"), etree.QName(operations[1]).localname)]
        raise RpcError("bad-element", "rpc holds more than one operation", type="rpc", info=info)
    return operations[0]


def _refuse_attributes(operation: etree._Element) -> None:
    for attribute in operation.attrib:
        name = etree.QName(str(attribute)).localname
        element = etree.QName(operation).localname
        info = [(base("bad-attribute"), name), (base("bad-element"), element)]
        raise RpcError("unknown-attribute", f"{element} has no attribute {name}", type="protocol", info=info)


def _refuse_unknown_datastore(operation: etree._Element, parameter: str, choices: Iterable[str]) -> None:
    container = operation.find(base(parameter))
    allowed = {choice if choice.startswith("{") else base(choice) for choice in choices}
    for element in () if container is None else container.iterchildren(tag=etree.Element):
        if element.tag in allowed:
            continue
        name = etree.QName(element).localname
        what = etree.QName(operation).localname
        if element.tag in _KNOWN_DATASTORES:
            raise RpcError(
                "operation-not-supported", f"{what} does not take {name} as its {parameter}", type="protocol"
            )
        raise RpcError("bad-element", f"{name} is no {parameter} of {what}", info=[(base("bad-element"), name)])


def _refusal(rpc: etree._Element | None, error: RpcError) -> Answer:
    return Answer(error_reply(rpc, [error]), has_errors=True, bad_rpc=True)


def _malformed(session: Session, reason: str) -> Answer:
    """RFC 6241 appendix A: malformed-message is new in base:1.1 and must not be sent to older clients."""
    if session.client_hello is None or BASE_1_1 not in session.client_hello.base_versions:
        # The client is not told, so the log has to say why its session ends.
        session.journal.warning("session %d of %s: %s", session.id, session.client.username, reason)
        return Answer(None, bad_rpc=True)
    return _refusal(None, RpcError("malformed-message", reason, type="rpc"))


def _log_fault(session: Session, operation: etree._Element, error: Exception) -> None:
    # Where, and of what type: never the exception's own words, which may repeat a value out of the request.
    frames = "".join(traceback.format_tb(error.__traceback__))
    name = etree.QName(operation).localname
    session.journal.error(
        "session %d: internal error in %s: %s\n%s", session.id, name, type(error).__qualname__, frames
    )
