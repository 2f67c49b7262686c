"""Reading the ``<filter>`` parameter (RFC 6241 sections 6, 7.1 and 8.9, RFC 5277 section 2.1.1).

What a filter selects is the datastore room's business (`rkmp.datastore.subtree_filter`, `rkmp.datastore.xpath_filter`);
this says which filters are taken at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError
from rkmp.netconf.access_control import Reader
from rkmp.netconf.namespaces import base

Filter: TypeAlias = "SubtreeFilter | XPathFilter"
"""What to select of a tree, or whether of an event."""

_TYPE = "type"
_SELECT = "select"

# A name that no module defines.
_NOTHING = "{about:secret}nothing"


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter that tells nothing of what its reader may not read (RFC 8341 section 3.2.4).

    ``wants_readable`` is true where what it looks at can be hidden from the reader, or is in some instances: then it
    is to be applied to what is left of the data once that has been taken away.
    """

    filter: Filter
    wants_readable: bool

    @property
    def narrow(self) -> Filter | None:
        """A filter for all that this one looks at, so that this can be applied to what that selects; None for none."""
        return self.filter if isinstance(self.filter, SubtreeFilter) else self.filter.entry

    @property
    def is_local(self) -> bool:
        """Whether what is selected of an entry of a list depends on nothing but it, and leaves of what it is in."""
        return isinstance(self.filter, SubtreeFilter) or self.filter.is_plain or self.filter.entry is not None

    def apply_to_readable(self, tree: etree._Element, selected: list[etree._Element] | None = None) -> etree._Element:
        """Return copies of what is selected of ``tree``, which holds nothing that may not be read.

        ``selected`` takes the copies of the nodes that were selected, without those above them.
        """
        if isinstance(self.filter, XPathFilter):
            return self.filter.apply(tree, is_readable=True, selected=selected)
        return self.filter.apply(tree, selected=selected)


def read_filter(schema: Schema, element: etree._Element | None, reader: Reader) -> Selection | None:
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
        return _xpath_filter(schema, element, select, reader)
    if kind != "subtree":
        raise _attribute_error("bad-attribute", _TYPE, "is neither subtree nor xpath")
    return subtree_filter(schema, element, reader)


def subtree_filter(schema: Schema, element: etree._Element, reader: Reader) -> Selection:
    """Return the subtree filter whose elements are the children of ``element``, which is given away."""
    wants_readable = _blind(element, [schema.root, *schema.notifications.values()], reader)
    return Selection(SubtreeFilter.parse(element, schema), wants_readable)


def xpath_filter(
    schema: Schema, element: etree._Element, select: str, reader: Reader, known: Mapping[str, str] | None = None
) -> Selection:
    """Return the filter that the expression ``select`` is, with the prefixes in scope on ``element``.

    ``known`` are prefixes that mean something where the element does not bind them.
    """
    prefixes = dict(known or {})
    prefixes.update((prefix, namespace) for prefix, namespace in element.nsmap.items() if prefix is not None)
    parsed = XPathFilter.parse(select, prefixes, schema)
    is_plain = not parsed.reads_all and all(
        reader.always_shows(node) and not node.default_deny_all for node in parsed.reads
    )
    return Selection(parsed, wants_readable=not is_plain)


def _xpath_filter(schema: Schema, element: etree._Element, select: str | None, reader: Reader) -> Selection:
    # RFC 6241 8.9.5.1: select must be there, and the element be empty.
    if select is None:
        raise _attribute_error("missing-attribute", _SELECT, "is missing")
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child).localname
        info = [(base("bad-element"), name)]
        raise RpcError("bad-element", "a filter of type xpath holds no elements", type="protocol", info=info)
    return xpath_filter(schema, element, select, reader)


def _blind(element: etree._Element, nodes: Sequence[SchemaNode], reader: Reader) -> bool:
    """Make what names hidden nodes name nothing, so that a content match on one does not tell whether it was guessed.

    Returns whether names are left of which it cannot be said without a look at instances.
    """
    depends = False
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child)
        named = [
            node
            for above in nodes
            for node in (*above.data_children.values(), *above.notifications.values())
            if node.name == name.localname and name.namespace in (None, node.namespace)
        ]
        seen = {reader.sees(node) for node in named}
        if seen == {False}:
            child.tag = _NOTHING
            continue
        # A name without a namespace can be of several nodes, and not all of them hidden.
        depends |= bool(seen - {True})
        depends |= _blind(child, named, reader)
    return depends


def _attribute_error(tag: str, attribute: str, problem: str) -> RpcError:
    info = [(base("bad-attribute"), attribute), (base("bad-element"), "filter")]
    return RpcError(tag, f"the attribute {attribute} of filter {problem}", type="protocol", info=info)
