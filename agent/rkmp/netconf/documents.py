"""XML as NETCONF allows it: UTF-8, well-formed, without document type declarations (RFC 6241 section 3).

Parses with entities, DTDs and the network off, and serialises. It must not know what the elements mean.
"""

from __future__ import annotations

import re

from lxml import etree

from rkmp.errors import RkmpError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = re.compile(rb"[ \t\r\n]*")

# What may stand before the root element besides white space: (how it begins, how it ends).
_PROLOG_ITEMS = ((b"<?", b"?>"), (b"<!--", b"-->"))


class NotWellFormed(RkmpError):
    """Octets that are not a document NETCONF may carry; the message says what is wrong, without their content."""


def _parser() -> etree.XMLParser:
    # huge_tree stays off: libxml2 then bounds nesting (256), the length of names, and of one text node (10 MB).
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=False,
    )


def parse_document(octets: bytes) -> etree._Element:
    """Return the root element of the document; comments and processing instructions are dropped.

    Raises NotWellFormed for what is not well-formed, not UTF-8, nested too deeply, or declares a document type.
    """
    octets = octets.removeprefix(_BYTE_ORDER_MARK).strip()
    _refuse_document_type(octets)
    try:
        return etree.fromstring(octets, _parser())
    except etree.XMLSyntaxError as error:
        # Only the position is repeated: libxml2's own words may quote the message, and so a secret.
        line, column = error.position
        raise NotWellFormed(f"not well-formed XML at line {line}, column {column}") from None


def _refuse_document_type(octets: bytes) -> None:
    """Refuse a document type declaration before any of it is parsed (RFC 6241 section 3: none may appear)."""
    position = 0
    while True:
        match = _WHITE_SPACE.match(octets, position)
        position = match.end() if match else position
        for begin, end in _PROLOG_ITEMS:
            if octets.startswith(begin, position):
                found = octets.find(end, position + len(begin))
                if found < 0:
                    raise NotWellFormed("not well-formed XML: the message ends before its root element")
                position = found + len(end)
                break
        else:
            if octets.startswith(b"<!", position):
                raise NotWellFormed("a document type declaration, which NETCONF does not allow")
            return


def root_of_prefix(octets: bytes) -> etree._Element | None:
    """Return the root element, with its attributes, of a document of which only the beginning is at hand.

    None where the beginning does not hold the whole start tag, or is not well-formed.
    """
    octets = octets.removeprefix(_BYTE_ORDER_MARK).lstrip()
    parser = etree.XMLPullParser(
        events=("start",), encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True
    )
    try:
        _refuse_document_type(octets)
        parser.feed(octets)
        for _, element in parser.read_events():
            return element
    except (NotWellFormed, etree.XMLSyntaxError):
        return None
    return None


def serialise(element: etree._Element) -> bytes:
    """Return ``element`` as a document in UTF-8 with an XML declaration."""
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True)
