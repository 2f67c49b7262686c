"""Writing ``<data>``: the top-level nodes of a datastore, each in its module's namespace as the default one.

Trees in memory have one prefix for each module, on every name. Written like that, a reply is longer by a quarter and
clients that look at names without regard for namespaces find nothing; so the prefix of each top-level node is taken
off its octets again. What the reader may not see is left out here, at the one place that data leaves by. It must not
know operations, or why what it gets was selected.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema
from rkmp.netconf.access_control import Reader
from rkmp.netconf.namespaces import BASE


class DataWriter:
    """Writes data of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # <data> binds every prefix of the schema: values that name identities and paths are written with them
        # (RFC 7950 9.10.3, 9.13.2).
        self._declarations = {prefix: _declaration(prefix, namespace) for prefix, namespace in schema.nsmap.items()}
        self._bound = b"".join(self._declarations.values())
        self._opaque = {
            node.tag
            for node in schema.data_nodes()
            if any(below.kind in (NodeKind.ANYDATA, NodeKind.ANYXML) for below in (node, *node.descendants()))
        }

    def copy_of(self, tree: etree._Element, reader: Reader) -> bytes:
        """Return ``<data>`` with what ``reader`` may see below ``tree``, which stays as it is."""
        return self._data([copy.deepcopy(element) for element in tree], reader)

    def data(self, tree: etree._Element, reader: Reader | None, namespace: str = BASE) -> bytes:
        """Return ``<data>`` with what ``reader`` may see below ``tree``, which loses the rest; None: it has lost it.

        ``namespace`` is that of ``<data>`` itself.
        """
        return self._data(list(tree), reader, namespace)

    def elements(self, elements: Iterable[etree._Element]) -> bytes:
        """Return data nodes one after the other; ``bindings`` has what is to be bound around them."""
        return b"".join(piece for element in elements for piece in self._top_level(element))

    def bindings(self, content: bytes) -> bytes:
        """Return the declarations of the schema's prefixes that ``content`` uses, as attributes of a start tag."""
        return b"".join(
            declaration for prefix, declaration in self._declarations.items() if f"{prefix}:".encode() in content
        )

    def _data(self, elements: list[etree._Element], reader: Reader | None, namespace: str = BASE) -> bytes:
        pieces = [b"<data", _declaration(None, namespace), self._bound, b">"]
        for element in elements:
            node = self._schema.top.get(str(element.tag))
            if node is not None and reader is not None and not reader.leave_readable(element, node):
                continue
            pieces += self._top_level(element)
        pieces.append(b"</data>")
        return b"".join(pieces)

    def _top_level(self, element: etree._Element) -> tuple[bytes, ...]:
        # A closing bracket ends a tag and nothing else, and an opening one begins it: in text and in attributes they
        # are written as references.
        tag, end, rest = etree.tostring(element, encoding="UTF-8", with_tail=False).partition(b">")
        for declaration in self._declarations.values():
            tag = tag.replace(declaration, b"", 1)
        prefix = element.prefix
        if not prefix:
            return tag, end, rest
        namespace = etree.QName(element).namespace or ""
        if element.tag in self._opaque:
            # What clients put into anydata can be in no namespace, and must not come into the default one of <data>.
            return _with(tag, b' xmlns=""'), end, rest
        if self._schema.nsmap.get(prefix) != namespace or b' xmlns="' in rest:
            return tag, end, rest
        opening, closing = f"<{prefix}:".encode(), f"</{prefix}:".encode()
        tag = _with(tag.replace(opening, b"<", 1), _declaration(None, namespace))
        return tag, end, rest.replace(opening, b"<").replace(closing, b"</")


def _declaration(prefix: str | None, namespace: str) -> bytes:
    """Return the attribute that binds ``prefix``, with a space before it, in the very octets that lxml writes."""
    return etree.tostring(etree.Element("x", nsmap={prefix: namespace})).removeprefix(b"<x").removesuffix(b"/>")


def _with(tag: bytes, attribute: bytes) -> bytes:
    """Return a start tag, or that of an empty element, with one more attribute; neither has its closing bracket."""
    inside = tag.removesuffix(b"/")
    return inside + attribute + tag[len(inside) :]
