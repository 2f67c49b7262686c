"""What a row of the store holds: a node as XML in the schema's prefixes, and what is secret in it sealed.

The namespaces of the prefixes are kept once for all rows. A sealed node is its element with the sealed octets in
base64; they are bound to the datastore and to the path of the node, without what tells it from its siblings.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import quoteattr

from lxml import etree

from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.paths import path_text
from rkmp.errors import CorruptStoreError, StorageError
from rkmp.instant import Random
from rkmp.storage import Sealer

_SEALED = "sealed"
_SEALED_TEXT = f' {_SEALED}="1">'
"""How a sealed node's start tag ends; no text can hold it, since ``>`` is escaped there."""

_SPECIAL = re.compile("[&<>\r]")
# A carriage return would come back as a line feed (XML 1.0 section 2.11).
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


class RowWriter:
    """Makes the content of rows."""

    def __init__(self, sealer: Sealer, random: Random) -> None:
        self._sealer = sealer
        self._random = random

    def content(self, datastore: str, element: etree._Element, layout: Layout) -> str:
        """A node with everything below it that has no row of its own."""
        parts: list[str] = []
        self._write(parts, datastore, element, layout)
        return "".join(parts)

    def _write(self, parts: list[str], datastore: str, element: etree._Element, layout: Layout) -> None:
        if not layout.is_sealed:
            self._write_plain(parts, datastore, element, layout)
            return
        inside: list[str] = []
        self._write_plain(inside, datastore, element, layout)
        place = (datastore, _sealing_path(element, layout))
        sealed = self._sealer.seal("".join(inside).encode(), place, self._random)
        parts.append(f"<{layout.name}{_SEALED_TEXT}{base64.b64encode(sealed).decode()}</{layout.name}>")

    def _write_plain(self, parts: list[str], datastore: str, element: etree._Element, layout: Layout) -> None:
        if layout.is_opaque:
            parts.append(etree.tostring(element, encoding="unicode"))
            return
        if layout.node.has_text:
            parts.append(_leaf(layout.name, element.text))
            return
        parts.append(f"<{layout.name}>")
        children = layout.children
        for child in element:
            below = children[child.tag]
            if below.is_plain_leaf:
                text = child.text
                if text and _SPECIAL.search(text) is None:
                    parts.append(f"<{below.name}>{text}</{below.name}>")
                else:
                    parts.append(_leaf(below.name, text))
            elif below.has_row:
                # Entries with rows come after everything else.
                break
            else:
                self._write(parts, datastore, child, below)
        parts.append(f"</{layout.name}>")


def _leaf(name: str, text: str | None) -> str:
    if not text:
        return f"<{name}/>"
    if _SPECIAL.search(text) is not None:
        text = text.translate(_ESCAPES)
    return f"<{name}>{text}</{name}>"


def _sealing_path(element: etree._Element, layout: Layout) -> str:
    parent, above = element.getparent(), layout.parent
    if parent is None or above is None or above.parent is None:
        return f"/{layout.name}"
    return f"{path_text(parent, above)}/{layout.name}"


class RowReader:
    """Makes nodes of the rows of one datastore, which were written with ``prefixes``."""

    def __init__(self, datastore: str, layouts: Layouts, sealer: Sealer, prefixes: Mapping[str, str]) -> None:
        self._datastore = datastore
        self._layouts = layouts
        self._sealer = sealer
        self._prefixes = prefixes

    def parse(self, contents: Iterable[str]) -> list[etree._Element]:
        """The nodes that some contents are, in their order; sealed ones still sealed."""
        bindings = "".join(f" xmlns:{prefix}={quoteattr(name)}" for prefix, name in self._prefixes.items())
        document = f"<rows{bindings}>{''.join(contents)}</rows>"
        try:
            return list(
                etree.fromstring(
                    document.encode(), etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
                )
            )
        except etree.XMLSyntaxError as error:
            raise self.damaged(str(error)) from None

    def damaged(self, what: str) -> StorageError:
        """The error for rows that were not written like this."""
        return CorruptStoreError(
            f"the stored {self._datastore} configuration is damaged ({what}); restore the database from a backup"
        )

    def layout_of(self, element: etree._Element, parent: Layout) -> Layout:
        """The layout of a node in a row. Raises StorageError when the schema has none."""
        layout = parent.children.get(element.tag)
        if layout is None:
            raise StorageError(
                f"the stored {self._datastore} configuration has {etree.QName(element).localname} in "
                f"{parent.node.name}, which the YANG modules of this release do not have"
            )
        return layout

    def descend(self, element: etree._Element, layout: Layout, containers: str) -> tuple[etree._Element, Layout]:
        """The container that is reached from a row's node by qualified names, made where it is not there."""
        for name in containers.split("/") if containers else ():
            prefix, _, local = name.partition(":")
            tag = f"{{{self._prefixes.get(prefix, '')}}}{local}"
            found = next(element.iterchildren(tag), None)
            element = etree.SubElement(element, tag) if found is None else found
            layout = self.layout_of(element, layout)
        return element, layout

    def open(self, path: str, element: etree._Element, layout: Layout, content: str) -> etree._Element:
        """A row's node with what was sealed in it opened; ``path`` is the row's."""
        return self._opened(path, element, layout) if _SEALED_TEXT in content else element

    def _opened(self, path: str, element: etree._Element, layout: Layout) -> etree._Element:
        if layout.is_opaque:
            return element
        if element.get(_SEALED) is not None:
            try:
                octets = base64.b64decode(element.text or "", validate=True)
            except binascii.Error:
                raise self.damaged(path) from None
            secret = self._sealer.open(octets, (self._datastore, path))
            (opened,) = self.parse([secret.reveal().decode()])
            return opened
        for child in list(element):
            below = self.layout_of(child, layout)
            prefix = child.prefix or ""
            opened = self._opened(f"{path}/{prefix}:{etree.QName(child).localname}", child, below)
            if opened is not child:
                element.replace(child, opened)
        return element
