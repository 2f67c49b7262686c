"""Reading the ``<filter>`` parameter (RFC 6241 sections 6, 7.1 and 8.9, RFC 5277 section 2.1.1).

What a filter selects is the datastore room's business (`rkmp.datastore.subtree_filter`, `rkmp.datastore.xpath_filter`);
this says which filters are taken at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import base

Filter: TypeAlias = "SubtreeFilter | XPathFilter"
"""What to select of a tree, or whether of an event."""

_TYPE = "type"
_SELECT = "select"

# A name that no module defines.
_NOTHING = "{about:secret}nothing"


def read_filter(schema: Schema, element: etree._Element | None) -> Filter | None:
    """Return the filter that ``element`` holds, or None where there is no element: everything is wanted.

    The attributes are unqualified in the schema of ietf-netconf; clients that qualify them are understood. Raises
    RpcError for a filter of a type that is not served.
    """
    if element is None:
        return None
    kind = "subtree"
    select: str | None = None
    for attribute, value in element.attrib.items():
        if attribute in (_TYPE, base(_TYPE)):
            kind = str(value)
        elif attribute in (_SELECT, base(_SELECT)):
            select = str(value)
        else:
            raise _attribute_error("unknown-attribute", etree.QName(str(attribute)).localname, "is not known")
    if kind == "xpath":
        return _xpath_filter(schema, element, select)
    if kind != "subtree":
        raise _attribute_error("bad-attribute", _TYPE, "is neither subtree nor xpath")
    return subtree_filter(schema, element)


def subtree_filter(schema: Schema, element: etree._Element) -> SubtreeFilter:
    """Return the subtree filter whose elements are the children of ``element``, which is given away."""
    _blind(element, [schema.root, *schema.notifications.values()])
    return SubtreeFilter.parse(element, schema)


def xpath_filter(schema: Schema, element: etree._Element, select: str) -> XPathFilter:
    """Return the filter that the expression ``select`` is, with the prefixes in scope on ``element``."""
    prefixes = {prefix: namespace for prefix, namespace in element.nsmap.items() if prefix is not None}
    return XPathFilter.parse(select, prefixes, schema)


def _xpath_filter(schema: Schema, element: etree._Element, select: str | None) -> XPathFilter:
    # RFC 6241 8.9.5.1: select must be there, and the element be empty.
    if select is None:
        raise _attribute_error("missing-attribute", _SELECT, "is missing")
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child).localname
        info = [(base("bad-element"), name)]
        raise RpcError("bad-element", "a filter of type xpath holds no elements", type="protocol", info=info)
    return xpath_filter(schema, element, select)


def _blind(element: etree._Element, nodes: Sequence[SchemaNode]) -> None:
    """Make what names a secret name nothing, so that a content match on one does not tell whether it was guessed."""
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child)
        named = [
            node
            for above in nodes
            for node in (*above.data_children.values(), *above.notifications.values())
            if node.name == name.localname and name.namespace in (None, node.namespace)
        ]
        if any(node.default_deny_all for node in named):
            child.tag = _NOTHING
        else:
            _blind(child, named)


def _attribute_error(tag: str, attribute: str, problem: str) -> RpcError:
    info = [(base("bad-attribute"), attribute), (base("bad-element"), "filter")]
    return RpcError(tag, f"the attribute {attribute} of filter {problem}", type="protocol", info=info)
