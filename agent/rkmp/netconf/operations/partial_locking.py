"""partial-lock and partial-unlock (RFC 5717): parts of running, for one session, by XPath.

No YANG module that we have defines these operations, so their parameters are checked here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

from lxml import etree

from rkmp.datastore.instance_path import InstancePath, instance_path
from rkmp.datastore.partial_locks import ROOT, LockedNode
from rkmp.datastore.schema import Schema
from rkmp.datastore.xpath import NotANodeSet
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import PARTIAL_LOCK, base
from rkmp.netconf.operations.request import Operation, Outcome, Request

_SELECT = f"{{{PARTIAL_LOCK}}}select"
_LOCK_ID = f"{{{PARTIAL_LOCK}}}lock-id"
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)


async def partial_lock(request: Request) -> Outcome:
    """Let nobody but this session change what the expressions select now, nor what is below it."""
    selects = _parameters(request.operation, _SELECT)
    if not selects:
        raise _error("missing-element", "partial-lock has no select", "select")
    nodes = {node.path.text: node for select in selects for node in _selected(request, select)}
    if not nodes:
        message = "nothing of running is selected"
        raise RpcError("operation-failed", message, type="protocol", app_tag="no-matches")
    texts = [(select.text or "").strip() for select in selects]
    lock = request.server.datastores.partial_lock(list(nodes.values()), texts, request.session.id)
    lock_id = etree.Element(_LOCK_ID, nsmap={None: PARTIAL_LOCK})
    lock_id.text = str(lock.lock_id)
    return [lock_id, *(_locked_node(node) for node in lock.nodes.values())]


async def partial_unlock(request: Request) -> Outcome:
    """Give up a lock of this session."""
    ids = _parameters(request.operation, _LOCK_ID)
    if len(ids) != 1:
        raise _error("bad-element" if ids else "missing-element", "partial-unlock takes one lock-id", "lock-id")
    text = (ids[0].text or "").strip()
    if _DIGITS.fullmatch(text) is None:
        raise _error("invalid-value", "lock-id is no number", "lock-id")
    request.server.datastores.partial_unlock(int(text), request.session.id)
    return None


def _selected(request: Request, select: etree._Element) -> Iterator[LockedNode]:
    """Yield the nodes of running that an expression selects, of those that the user may read.

    Raises RpcError for what is no expression, or none that selects nodes.
    """
    schema = request.server.schema
    prefixes = {prefix: namespace for prefix, namespace in select.nsmap.items() if prefix is not None}
    try:
        expression = XPathFilter.parse((select.text or "").strip(), prefixes, schema)
        found = expression.nodes(_readable(request, expression))
    except RpcError as error:
        error.info = [(base("bad-element"), "select")]
        if isinstance(error.__cause__, NotANodeSet):
            error.app_tag = "not-a-node-set"
        raise
    for element in found:
        yield _node(schema, element)


def _readable(request: Request, expression: XPathFilter) -> etree._Element:
    """Return what the expression can look at of running; what is hidden is as if it were not there."""
    tree = request.server.schema.new_root()
    running = request.server.datastores.tree("running")
    tree.extend(copy.deepcopy(top) for top in running if expression.selects(str(top.tag)))
    request.access.reader.leave_readable_below(tree)
    return tree


def _node(schema: Schema, element: etree._Element) -> LockedNode:
    ancestors = [*element.iterancestors()]
    if not ancestors:
        return LockedNode(InstancePath(ROOT, {}), ())
    above = [instance_path(schema, ancestor).text for ancestor in reversed(ancestors[:-1])]
    return LockedNode(instance_path(schema, element), (ROOT, *above))


def _locked_node(node: LockedNode) -> etree._Element:
    nsmap: dict[str | None, str] = {None: PARTIAL_LOCK}
    nsmap.update(node.path.namespaces.items())
    element = etree.Element(f"{{{PARTIAL_LOCK}}}locked-node", nsmap=nsmap)
    element.text = node.path.text or "/"
    return element


def _parameters(operation: etree._Element, tag: str) -> list[etree._Element]:
    """Return the parameters of an operation that has those with ``tag`` and no others."""
    parameters = [*operation.iterchildren(tag=etree.Element)]
    for element in parameters:
        if element.tag != tag:
            name = etree.QName(element).localname
            what = etree.QName(operation).localname
            raise _error("unknown-element", f"{what} has no parameter {name}", name)
    return parameters


def _error(tag: str, message: str, element: str) -> RpcError:
    return RpcError(tag, message, type="protocol", info=[(base("bad-element"), element)])


OPERATIONS = (
    Operation(f"{{{PARTIAL_LOCK}}}partial-lock", partial_lock),
    Operation(f"{{{PARTIAL_LOCK}}}partial-unlock", partial_unlock),
)
