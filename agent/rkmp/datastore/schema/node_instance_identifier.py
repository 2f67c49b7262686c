"""Values of type node-instance-identifier: paths that name one or many instances of a node (RFC 8341 section 3.5.2).

The form is that of an instance-identifier (RFC 7950 9.13) in which any predicate can be missing, which stands for all
instances; a key can be compared with ``$USER``, the name of the session's user; the path can lead to an action or a
notification in data; and ``/`` names everything. Reads paths of that form only and evaluates no XPath.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import shown
from rkmp.datastore.xpath.syntax import (
    SELF,
    Binary,
    Literal,
    NameTest,
    Path,
    Step,
    Syntax,
    Variable,
    XPathSyntaxError,
    parse,
    quoted,
)
from rkmp.errors import InvalidValue

Namespaces = Mapping[str | None, str]

SELF_TAG = "."
"""In the place of a key's tag: the value of a leaf-list entry."""


@dataclass(frozen=True, slots=True)
class KeyTest:
    """A predicate: at the step of this depth (0 is the top-level node) a key has a value; None is the user's name."""

    depth: int
    tag: str
    value: str | None


@dataclass(frozen=True, slots=True)
class NodePath:
    """The nodes from the top-level one down, none of them for ``/``, and what their instances must be."""

    nodes: tuple[SchemaNode, ...]
    tests: tuple[KeyTest, ...]


def parse_node_path(schema: Schema, text: str, namespaces: Namespaces) -> NodePath:
    """Read a path whose prefixes ``namespaces`` binds.

    Raises InvalidValue when it has not this form or names nodes, keys or key values that the schema does not have.
    """
    try:
        path = parse(text)
    except XPathSyntaxError as fault:
        raise InvalidValue(f"{shown(text)} is not a node-instance-identifier: {fault}") from None
    if not isinstance(path, Path) or not path.absolute or path.start is not None:
        raise InvalidValue(f"{shown(text)} is not a node-instance-identifier")
    nodes: list[SchemaNode] = []
    tests: list[KeyTest] = []
    for depth, step in enumerate(path.steps):
        tag = _tag(step, text, namespaces)
        node = _child(nodes[-1], tag) if nodes else schema.top.get(tag)
        if node is None:
            above = f" in {nodes[-1].name}" if nodes else ""
            raise InvalidValue(f"there is no node {etree.QName(tag).localname}{above}")
        nodes.append(node)
        found = {_test(node, predicate, text, namespaces, depth) for predicate in step.predicates}
        if len({test.tag for test in found}) != len(step.predicates):
            raise InvalidValue(f"{shown(text)} has two predicates on one key of {node.name}")
        tests += sorted(found, key=lambda test: (*node.keys, SELF_TAG).index(test.tag))
    return NodePath(tuple(nodes), tuple(tests))


def canonical_node_path(schema: Schema, text: str, namespaces: Namespaces) -> str:
    """The form of a value that this agent keeps: the schema's prefixes, keys in their order."""
    return node_path_text(schema, parse_node_path(schema, text, namespaces))


def node_path_text(schema: Schema, path: NodePath) -> str:
    """A path in canonical form."""
    if not path.nodes:
        return "/"
    steps = []
    for depth, node in enumerate(path.nodes):
        tests = [test for test in path.tests if test.depth == depth]
        steps.append(
            f"/{schema.prefix_of(node.namespace)}:{node.name}" + "".join(_shown(schema, test) for test in tests)
        )
    return "".join(steps)


def _shown(schema: Schema, test: KeyTest) -> str:
    value = "$USER" if test.value is None else quoted(test.value)
    if test.tag == SELF_TAG:
        return f"[.={value}]"
    name = etree.QName(test.tag)
    return f"[{schema.prefix_of(name.namespace or '')}:{name.localname}={value}]"


def _child(node: SchemaNode, tag: str) -> SchemaNode | None:
    return node.data_children.get(tag) or node.actions.get(tag) or node.notifications.get(tag)


def _tag(step: Step, text: str, namespaces: Namespaces) -> str:
    match step:
        case Step("child", NameTest(str() as prefix, name)) if name != "*":
            namespace = namespaces.get(prefix)
            if namespace is None:
                raise InvalidValue(f"the prefix {prefix!r} in {shown(text)} is not bound to a namespace")
            return f"{{{namespace}}}{name}"
    raise InvalidValue(f"{shown(text)} is not a node-instance-identifier")


def _test(node: SchemaNode, predicate: Syntax, text: str, namespaces: Namespaces, depth: int) -> KeyTest:
    match predicate:
        case Binary("=", Path(False, (key_step,), None), (Literal() | Variable("USER")) as value):
            if key_step == SELF:
                tag, value_type = SELF_TAG, node.type if node.kind is NodeKind.LEAF_LIST else None
            else:
                tag = _tag(key_step, text, namespaces)
                value_type = node.data_children[tag].type if tag in node.keys else None
            if value_type is None:
                raise InvalidValue(f"{shown(text)} has a predicate on what is not a key of {node.name}")
            if isinstance(value, Variable):
                return KeyTest(depth, tag, None)
            return KeyTest(depth, tag, value_type.check(value.value, namespaces))
    raise InvalidValue(f"{shown(text)} has a predicate that a node-instance-identifier cannot have")
