"""The registry of what carries out YANG-modelled rpcs and actions (RFC 7950 sections 7.14 and 7.15).

A handler is bound to the path of a schema node. It is called with checked input and returns output that is checked
in its turn. It must not know sessions or messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.netconf.access_control import Reader
from rkmp.netconf.rpc_content import unsupported_constraint


@dataclass(frozen=True, slots=True)
class PathStep:
    """One data node on the way to an action: its tag, and for a list entry its keys by tag, in canonical form."""

    tag: str
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an rpc or action, its input valid."""

    node: SchemaNode
    """The RPC or ACTION node."""
    input: etree._Element
    """The element of the rpc or action; its children are the input, values canonical."""
    instance: tuple[PathStep, ...]
    """For an action, the data nodes from the top-level one down to the one it was called on; empty for an rpc."""
    username: str
    session_id: int
    reader: Reader
    """What the caller may be shown of data, for a handler whose output holds some."""

    def key(self, list_tag: str, key_tag: str) -> str:
        """Return the value of a key of the list entry ``list_tag`` on the way to the action.

        Raises KeyError where there is no such list or key.
        """
        for step in self.instance:
            if step.tag == list_tag:
                return step.keys[key_tag]
        raise KeyError(list_tag)


Handler: TypeAlias = "Callable[[Invocation], Awaitable[Sequence[etree._Element] | None]]"
"""Carries out one invocation.

Returns the output's elements in the order of the schema, or None (or nothing in the sequence) for ``<ok/>``; each
declares the prefixes that its values need.
Raises RpcError or RpcErrors for the caller's faults.
"""


class HandlerRegistry:
    """Handlers by the path of data tags of their schema node: choices and cases left out, the operation last."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._handlers: dict[tuple[str, ...], Handler] = {}

    def register(self, path: Sequence[str], handler: Handler) -> None:
        """Bind ``handler`` to the rpc or action at ``path``, Clark tags from the top.

        Raises ValueError for a path that leads to no rpc or action, that has a handler already, or whose input has
        constraints that are not checked (RFC 7950 7.14.2 allows must and when there).
        """
        node = self._schema.node_at(path)
        if node is None or node.kind not in (NodeKind.RPC, NodeKind.ACTION):
            raise ValueError(f"no rpc or action at {'/'.join(path)}")
        if tuple(path) in self._handlers:
            raise ValueError(f"{node.schema_path} has a handler already")
        if node.input is not None and (constraint := unsupported_constraint(node.input)) is not None:
            raise ValueError(f"input of {node.schema_path}: {constraint}")
        self._handlers[tuple(path)] = handler

    def get(self, node: SchemaNode) -> Handler | None:
        """Return the handler of an RPC or ACTION node, if it has one."""
        return self._handlers.get(node.data_path)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Yield the path of every operation that has a handler."""
        return iter(self._handlers)
