"""Writing ``<data>``: the top-level nodes of a datastore, each in its module's namespace as the default one.

Trees in memory have one prefix for each module, on every name. Written like that, a reply is longer by a quarter and
clients that look at names without regard for namespaces find nothing; so the prefix of each top-level node is taken
off its octets again. Secrets are left out here, at the one place that data leaves by. It must not know operations,
or why what it gets was selected.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from lxml import etree

from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema import NodeKind, Schema
from rkmp.netconf.namespaces import BASE

_DEFAULT_DECLARATION = b' xmlns="'


class DataWriter:
    """Writes data of one schema."""

    def __init__(self, schema: Schema, redactor: Redactor) -> None:
        # Values that name identities and paths are in the schema's prefixes (RFC 7950 9.10.3, 9.13.2).
        self._schema = schema
        self._redactor = redactor
        nsmap: dict[str | None, str] = {None: BASE}
        nsmap.update(schema.nsmap)
        self._start = etree.tostring(etree.Element(f"{{{BASE}}}data", nsmap=nsmap)).removesuffix(b"/>") + b">"
        self._opaque = {
            node.tag
            for node in schema.top.values()
            if any(below.kind in (NodeKind.ANYDATA, NodeKind.ANYXML) for below in (node, *node.descendants()))
        }

    def data(self, top_level: Iterable[etree._Element]) -> bytes:
        """Return ``<data>`` with copies of the elements ``top_level``, without their secrets."""
        pieces = [self._start]
        for element in top_level:
            node = self._schema.top.get(str(element.tag))
            if node is not None and node.default_deny_all:
                continue
            # Out of its tree, an element declares what its own names need and nothing else. A copy is out of it at
            # once; taking the element out would cost lxml time that grows with the square of its size.
            alone = copy.deepcopy(element)
            if node is not None:
                self._redactor.remove_secrets(alone, node)
            pieces.append(self._top_level(alone))
        pieces.append(b"</data>")
        return b"".join(pieces)

    def _top_level(self, element: etree._Element) -> bytes:
        written = etree.tostring(element, encoding="UTF-8", with_tail=False)
        prefix = element.prefix
        if not prefix:
            return written
        declaration = f" xmlns:{prefix}=".encode()
        name = etree.QName(element)
        if element.tag in self._opaque:
            # What is in no namespace inside of it must not come into the default one of <data>.
            return written.replace(declaration, b' xmlns=""' + declaration, 1)
        if self._schema.nsmap.get(prefix) != name.namespace or _DEFAULT_DECLARATION in written:
            return written
        # An opening bracket begins a tag and nothing else: in text and in attributes it is written as a reference.
        # The first declaration of the prefix is that of the outermost start tag; <data> has it once more.
        written = written.replace(declaration, b" xmlns=", 1)
        return written.replace(f"<{prefix}:".encode(), b"<").replace(f"</{prefix}:".encode(), b"</")
