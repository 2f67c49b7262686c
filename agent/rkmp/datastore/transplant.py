"""Moving subtrees between trees, in time that grows with their size and no faster.

When lxml moves a subtree whose namespaces are declared above it, it looks for the declaration of each element in a
list that has one more item after each of them. That is nothing for an entry and seconds for a list of thousands, so
that large subtrees are moved in small pieces.
"""

from __future__ import annotations

from lxml import etree

_LARGE = 300
"""Elements from which on a subtree is moved in pieces."""

_HAS_MANY = etree.XPath(f"boolean(descendant::*[{_LARGE}])")


def put(parent: etree._Element, element: etree._Element, before: etree._Element | None) -> None:
    """Move ``element`` under ``parent``: before one of its children, or to the end."""
    pieces = _take_apart(element) if _is_large(element) else []
    if before is None:
        parent.append(element)
    else:
        before.addprevious(element)
    _put_together(pieces)


def take_out(element: etree._Element) -> None:
    """Take ``element`` with everything below it out of its tree."""
    parent = element.getparent()
    if parent is None:
        raise ValueError("the element is in no tree")
    pieces = _take_apart(element) if _is_large(element) else []
    parent.remove(element)
    _put_together(pieces)


_Pieces = list[tuple[etree._Element, list[etree._Element]]]


def _is_large(element: etree._Element) -> bool:
    return bool(_HAS_MANY(element))


def _take_apart(element: etree._Element) -> _Pieces:
    """Take the children off a large element, and off large ones among them; parents come first in what is returned."""
    children = list(element)
    pieces: _Pieces = [(element, children)]
    for child in children:
        if _is_large(child):
            pieces += _take_apart(child)
        element.remove(child)
    return pieces


def _put_together(pieces: _Pieces) -> None:
    for element, children in pieces:
        for child in children:
            element.append(child)
