"""Reading the ``<filter>`` parameter (RFC 6241 sections 6 and 7.1, RFC 5277 section 2.1.1).

What a subtree filter selects is the datastore room's business (`rkmp.datastore.subtree_filter`); this says which
filters are taken at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import base

_TYPE = "type"
_SELECT = "select"

# A name that no module defines.
_NOTHING = "{about:secret}nothing"


def read_filter(schema: Schema, element: etree._Element | None) -> SubtreeFilter | None:
    """Return the filter that ``element`` holds, or None where there is no element: everything is wanted.

    The attributes are unqualified in the schema of ietf-netconf; clients that qualify them are understood. Raises
    RpcError for a filter of a type that is not served.
    """
    if element is None:
        return None
    kind = "subtree"
    for attribute, value in element.attrib.items():
        if attribute in (_TYPE, base(_TYPE)):
            kind = str(value)
        elif attribute not in (_SELECT, base(_SELECT)):
            raise _attribute_error("unknown-attribute", etree.QName(str(attribute)).localname, "is not known")
    if kind == "xpath":
        # RFC 6241 8.9: only with the :xpath capability, which is not announced.
        raise RpcError("operation-not-supported", "filters are of type subtree; xpath is not served", type="protocol")
    if kind != "subtree":
        raise _attribute_error("bad-attribute", _TYPE, "is neither subtree nor xpath")
    _blind(element, [schema.root, *schema.notifications.values()])
    return SubtreeFilter.parse(element, schema)


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
