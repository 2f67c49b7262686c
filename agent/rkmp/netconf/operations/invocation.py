"""YANG-modelled rpcs and actions, carried out by registered handlers (RFC 7950 sections 7.14.4 and 7.15.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.instance_path import instance_path
from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.errors import RpcError, RpcErrors
from rkmp.netconf.handlers import Handler, Invocation, PathStep
from rkmp.netconf.namespaces import YANG
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.replies import reply_to
from rkmp.netconf.rpc_content import canonical_value, check_content, unknown_node

ACTION = f"{{{YANG}}}action"


class BrokenHandler(Exception):
    """A handler returned output that its schema does not allow: a fault of ours, outside of the tree of answers."""


async def invoke_rpc(request: Request, node: SchemaNode) -> Outcome:
    """Carry out the rpc ``node`` through its handler."""
    handler = request.server.handlers.get(node)
    if handler is None:
        raise RpcError("operation-not-supported", f"nothing carries out {node.name} yet", type="protocol")
    return await _invoke(request, node, request.operation, (), handler)


async def action(request: Request) -> Outcome:
    """Carry out the one action inside ``<action>`` on the instance that its path names."""
    node, element, steps = _resolve(request)
    path = instance_path(request.server.schema, element)
    request.access.require_action(node, path, _way(request.server.schema, steps))
    handler = request.server.handlers.get(node)
    if handler is None:
        raise RpcError("operation-not-supported", f"nothing carries out {node.name} yet", type="protocol")
    _require_instance(request, element, steps)
    return await _invoke(request, node, element, steps, handler)


async def _invoke(
    request: Request, node: SchemaNode, element: etree._Element, steps: tuple[PathStep, ...], handler: Handler
) -> Outcome:
    # A node without input or output has no data children of its own, and so allows nothing either.
    check_content(request.server.schema, node.input or node, element, canonicalise=True)
    session = request.session
    output = await handler(Invocation(node, element, steps, session.client.username, session.id, request.access.reader))
    return _checked_output(request.server.schema, node, output or ()) or None


def _checked_output(schema: Schema, node: SchemaNode, output: Sequence[etree._Element]) -> list[etree._Element]:
    """Return what the client may see of a handler's output. Raises BrokenHandler where the schema has it not so."""
    holder = reply_to(None)
    holder.extend(output)
    try:
        check_content(schema, node.output or node, holder, canonicalise=False)
    except RpcErrors as errors:
        # Values are left out: only names of nodes are safe to log.
        found = ", ".join(f"{error.tag} at {error.path}" for error in errors.errors)
        raise BrokenHandler(f"output of {node.schema_path}: {found}") from None
    _drop_secrets(node.output or node, holder)
    return list(holder)


def _drop_secrets(node: SchemaNode, element: etree._Element) -> None:
    for child in list(element):
        child_node = node.data_children[str(child.tag)]
        if child_node.default_deny_all:
            element.remove(child)
        elif not child_node.has_text:
            _drop_secrets(child_node, child)


def _resolve(request: Request) -> tuple[SchemaNode, etree._Element, tuple[PathStep, ...]]:
    """Walk down ``<action>`` to the action's element. Raises RpcError where the path is not one the schema has."""
    schema = request.server.schema
    element = _only_child(schema, request.operation, ())
    node = schema.top.get(str(element.tag))
    if node is None:
        raise unknown_node(schema, element)
    steps: list[PathStep] = []
    while True:
        steps.append(PathStep(node.tag, _keys(schema, node, element)))
        below = _only_child(schema, element, node.keys)
        if (found := node.actions.get(str(below.tag))) is not None:
            return found, below, tuple(steps)
        inside = node.data_children.get(str(below.tag))
        if inside is None:
            raise unknown_node(schema, below)
        if inside.kind not in (NodeKind.CONTAINER, NodeKind.LIST):
            reason = "is not on the way to an action"
            raise rejections.bad_element(instance_path(schema, below), inside.name, reason)
        node, element = inside, below


def _way(schema: Schema, steps: Sequence[PathStep]) -> list[tuple[SchemaNode, Mapping[str, str]]]:
    way: list[tuple[SchemaNode, Mapping[str, str]]] = []
    node = schema.root
    for step in steps:
        node = node.data_children[step.tag]
        way.append((node, step.keys))
    return way


def _only_child(schema: Schema, element: etree._Element, keys: Sequence[str]) -> etree._Element:
    children = [child for child in element.iterchildren(tag=etree.Element) if child.tag not in keys]
    if not children:
        # RFC 7950 7.15.2: the innermost node holds the name of the action.
        raise rejections.missing_mandatory(instance_path(schema, element), "action")
    if len(children) > 1:
        # RFC 7950 7.15.2: only one action can be invoked in one rpc.
        second = etree.QName(children[1]).localname
        reason = "is a second action, or is not on the way to one"
        raise rejections.bad_element(instance_path(schema, children[1]), second, reason)
    return children[0]


def _keys(schema: Schema, node: SchemaNode, element: etree._Element) -> dict[str, str]:
    keys: dict[str, str] = {}
    for tag in node.keys:
        found = element.findall(tag)
        name = etree.QName(tag).localname
        if not found:
            raise rejections.missing_key(instance_path(schema, element), node.name, name)
        if len(found) > 1:
            raise rejections.bad_element(instance_path(schema, found[1]), name, "is there more than once")
        keys[tag] = found[0].text = canonical_value(schema, node.data_children[tag], found[0])
    return keys


def _require_instance(request: Request, element: etree._Element, steps: Sequence[PathStep]) -> None:
    """Raise data-missing unless the node that the action was called on exists, in configuration or in state."""
    server = request.server
    running = server.datastores.tree("running")
    if _exists(server.schema, running, steps):
        return
    # State costs more to look at, and few nodes are state alone.
    if _exists(server.schema, server.state.build(running, lambda tag: tag == steps[0].tag), steps):
        return
    innermost = element.getparent()
    path = instance_path(server.schema, element if innermost is None else innermost)
    raise rejections.data_missing(path, etree.QName(steps[-1].tag).localname)


def _exists(schema: Schema, tree: etree._Element, steps: Sequence[PathStep]) -> bool:
    found: etree._Element | None = tree
    node = schema.root
    for step in steps:
        node = node.data_children[step.tag]
        found = None if found is None else _instance(found, step)
        # A container without presence exists wherever its parent does (RFC 7950 7.5.1).
        if found is None and (node.kind is NodeKind.LIST or node.presence):
            return False
    return True


def _instance(parent: etree._Element, step: PathStep) -> etree._Element | None:
    for child in parent.iterchildren(step.tag):
        if all(child.findtext(tag) == value for tag, value in step.keys.items()):
            return child
    return None


OPERATIONS = (Operation(ACTION, action),)
