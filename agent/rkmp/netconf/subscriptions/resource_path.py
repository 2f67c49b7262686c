"""Paths of data resources, as ``target`` and ``point`` of a YANG patch name nodes (RFC 8072, RFC 8040 3.5.3).

Names of nodes with the module in front where it is not that of the node above, keys percent-encoded behind an equals
sign. It must not know subscriptions.
"""

from __future__ import annotations

from urllib.parse import quote

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import IdentityrefType, effective_type


def step(schema: Schema, node: SchemaNode, element: etree._Element) -> str:
    """Return the last step of the path of ``element``, an instance of ``node`` that a path can name."""
    above = node.data_parent
    name = node.name if above is not None and above.module == node.module else f"{node.module}:{node.name}"
    if node.kind is NodeKind.LEAF_LIST:
        return f"{name}={_value(schema, node, element.text or '')}"
    if node.kind is NodeKind.LIST:
        keys = (_value(schema, node.data_children[key], element.findtext(key) or "") for key in node.keys)
        return f"{name}={','.join(keys)}"
    return name


def _value(schema: Schema, node: SchemaNode, text: str) -> str:
    if node.type is not None and isinstance(effective_type(node.type), IdentityrefType):
        # RFC 8040 3.5.3: as in JSON, with the name of the module for a prefix (RFC 7951 6.8).
        prefix, _, name = text.rpartition(":")
        module = schema.module_of(schema.nsmap.get(prefix, ""))
        text = text if module is None else f"{module.name}:{name}"
    return quote(text, safe="")
