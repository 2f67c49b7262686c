"""Writes elements: leaves that are left out where there is no value, and values in canonical text."""

from __future__ import annotations

import enum
from datetime import datetime

from lxml import etree

from rkmp.northbound.values import boolean, date_and_time, decimal

Value = str | int | float | bool | bytes | datetime | enum.Enum | None


def add(parent: etree._Element, tag: str, value: Value) -> None:
    """Append a leaf to ``parent``; None appends nothing. Octets are written in hexadecimal."""
    if value is not None:
        etree.SubElement(parent, tag).text = _text(value)


def container(parent: etree._Element, tag: str) -> etree._Element:
    """Return the child ``tag`` of ``parent``, appended where it is not there yet."""
    found = next(parent.iterchildren(tag), None)
    return etree.SubElement(parent, tag) if found is None else found


def _text(value: str | int | float | bool | bytes | datetime | enum.Enum) -> str:
    match value:
        case enum.Enum():
            return str(value.value)
        case str():
            return _xml_characters(value)
        case bool():
            return boolean(value)
        case bytes():
            return value.hex()
        case float():
            return decimal(value)
        case datetime():
            return date_and_time(value)
        case _:
            return str(value)


def _xml_characters(text: str) -> str:
    # Reasons and identities may quote what a peer sent; XML 1.0 has no control characters.
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
