"""Which secrets a request names: the nodes under nacm:default-deny-all in a ``config`` that is to be applied.

A request can only be looked through as it came, so values are those of the client and nothing of it need be valid.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.schema.node_instance_identifier import KeyTest, NodePath
from rkmp.netconf.access_control.policy import NACM
from rkmp.netconf.access_control.rule_table import children_of


class SecretFinder:
    """Finds secrets of one schema; ``/nacm`` is under the extension and holds none."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._leading: dict[SchemaNode, bool] = {}

    def named_in(self, config: etree._Element) -> Iterator[NodePath]:
        """The secrets in ``config``, each with the keys of what it is in; of those within another, none."""
        for element in config.iterchildren(tag=etree.Element):
            node = self._schema.top.get(str(element.tag))
            if node is not None and node.tag != NACM:
                yield from self._named(element, NodePath((node,), _keys(element, node, 0)))

    def _named(self, element: etree._Element, path: NodePath) -> Iterator[NodePath]:
        node = path.nodes[-1]
        if node.default_deny_all:
            yield path
        elif self._leads_to_secrets(node):
            for child in element.iterchildren(tag=etree.Element):
                below = node.data_children.get(str(child.tag))
                if below is not None:
                    tests = path.tests + _keys(child, below, len(path.nodes))
                    yield from self._named(child, NodePath((*path.nodes, below), tests))

    def _leads_to_secrets(self, node: SchemaNode) -> bool:
        found = self._leading.get(node)
        if found is None:
            found = self._leading[node] = any(
                child.default_deny_all or self._leads_to_secrets(child) for child in children_of(node)
            )
        return found


def _keys(element: etree._Element, node: SchemaNode, depth: int) -> tuple[KeyTest, ...]:
    return tuple(
        KeyTest(depth, tag, (key.text or "").strip()) for tag in node.keys if (key := element.find(tag)) is not None
    )
