"""The attributes of an edit: what to do with an element, where an entry goes, and that a leaf is to have its default.

RFC 6241 7.2, RFC 7950 7.7.9 and 7.8.6, RFC 6243 4.5.2. Reads and checks them; whether an anchor exists is only known
when the edit is carried out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Key, Layout
from rkmp.datastore.rejections import YANG
from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import InvalidValue, RpcError

OPERATION = f"{{{NETCONF_BASE}}}operation"
INSERT = f"{{{YANG}}}insert"
KEY = f"{{{YANG}}}key"
VALUE = f"{{{YANG}}}value"
DEFAULTS_NAMESPACE = "urn:ietf:params:xml:ns:netconf:default:1.0"
DEFAULT = f"{{{DEFAULTS_NAMESPACE}}}default"
"""The attribute of RFC 6243 section 6, in replies and in edits."""


class Operation(Enum):
    """``operation`` of RFC 6241 7.2; ``NONE`` is only a default-operation."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"

    @property
    def deletes(self) -> bool:
        """Whether the element names what is to go, and its content does not matter."""
        return self is Operation.DELETE or self is Operation.REMOVE


_OPERATIONS = {operation.value: operation for operation in Operation if operation is not Operation.NONE}


class Insert(Enum):
    """``insert`` of RFC 7950 7.7.9 and 7.8.6."""

    FIRST = "first"
    LAST = "last"
    BEFORE = "before"
    AFTER = "after"


_INSERTS = {insert.value: insert for insert in Insert}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the attributes of one element say. ``anchor`` is the entry that ``BEFORE`` and ``AFTER`` are relative to.

    ``resets`` is true for a creation of a leaf that is to have its default, and so not to be there: it only must not
    be there before. Where that makes no difference the operation is ``REMOVE``.
    """

    operation: Operation | None = None
    insert: Insert | None = None
    anchor: Key | None = None
    resets: bool = False


def read_mark(
    element: etree._Element, layout: Layout, inherited: Operation, find_path: Callable[[], InstancePath]
) -> tuple[Mark, list[RpcError]]:
    """The mark of an element that has attributes, and everything that is wrong with them.

    ``find_path`` gives the path of the element, which only errors ask for.
    """
    errors: list[RpcError] = []
    name = layout.node.name
    attributes = {str(attribute): str(value) for attribute, value in element.attrib.items()}
    anchor_attribute = VALUE if layout.is_leaf_list else KEY
    allowed = {OPERATION}
    operation = _OPERATIONS.get(attributes.get(OPERATION, ""))
    if OPERATION in attributes and operation is None:
        reason = f"is none of {', '.join(_OPERATIONS)}"
        errors.append(rejections.bad_attribute(find_path(), name, "operation", reason, protocol=True))
    if layout.is_entry and layout.node.ordered_by_user and not (operation or inherited).deletes:
        allowed.add(INSERT)
    insert = _INSERTS.get(attributes.get(INSERT, "")) if INSERT in allowed else None
    if INSERT in allowed and INSERT in attributes and insert is None:
        errors.append(rejections.bad_attribute(find_path(), name, "insert", f"is none of {', '.join(_INSERTS)}"))
    anchor: Key | None = None
    if insert in (Insert.BEFORE, Insert.AFTER):
        allowed.add(anchor_attribute)
        if anchor_attribute not in attributes:
            errors.append(rejections.missing_attribute(find_path(), name, etree.QName(anchor_attribute).localname))
        else:
            try:
                anchor = _anchor(element, layout, attributes[anchor_attribute])
            except InvalidValue as fault:
                local = etree.QName(anchor_attribute).localname
                errors.append(rejections.bad_attribute(find_path(), name, local, fault.reason))
    elif INSERT in attributes and insert is None and INSERT in allowed:
        allowed.add(anchor_attribute)
    resets = False
    if DEFAULT in attributes and layout.node.has_text:
        allowed.add(DEFAULT)
        try:
            resets = _resets(element, layout, attributes[DEFAULT], operation or inherited)
        except InvalidValue as fault:
            errors.append(rejections.invalid_value(find_path(), fault.reason, None))
    errors += [
        rejections.unknown_attribute(find_path(), name, etree.QName(attribute).localname)
        for attribute in attributes
        if attribute not in allowed
    ]
    if resets and (operation or inherited) is not Operation.CREATE:
        return Mark(Operation.REMOVE), errors
    return Mark(operation, insert, anchor, resets), errors


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _resets(element: etree._Element, layout: Layout, text: str, operation: Operation) -> bool:
    """RFC 6243 4.5.2: whether the attribute asks for the default. Raises InvalidValue where it cannot."""
    wanted = _BOOLEANS.get(text.strip())
    if wanted is None:
        raise InvalidValue("the attribute default is neither true nor false")
    if operation not in (Operation.MERGE, Operation.REPLACE, Operation.CREATE):
        raise InvalidValue(f"the attribute default does not go with the operation {operation.value}")
    if wanted and _canonical(layout, element.text or "", element) not in layout.node.defaults:
        raise InvalidValue(f"the value that is to be the default of {layout.node.name} is not")
    return wanted


def _anchor(element: etree._Element, layout: Layout, text: str) -> Key:
    if layout.is_leaf_list:
        return _canonical(layout, text, element)
    values = dict(_predicates(element, layout, text))
    if set(values) != set(layout.keys):
        raise InvalidValue("does not give every key of the entry")
    keys = tuple(_canonical(layout.children[key], values[key], element) for key in layout.keys)
    return keys[0] if len(keys) == 1 else keys


def _canonical(layout: Layout, text: str, element: etree._Element) -> str:
    if layout.check is None:
        return text
    try:
        return layout.check(text, element)
    except InvalidValue:
        raise InvalidValue(f"has no valid value for {layout.node.name}") from None


_PREDICATE = re.compile(
    r"""\s*\[\s*(?:(?P<prefix>[^\s:\[\]='"]+):)?(?P<name>[^\s:\[\]='"]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')\s*\]\s*"""
)


def _predicates(element: etree._Element, layout: Layout, text: str) -> Iterator[tuple[str, str]]:
    """RFC 7950 7.8.6: the key predicates of the full instance identifier."""
    position = 0
    while position < len(text):
        match = _PREDICATE.match(text, position)
        if match is None:
            raise InvalidValue("is not a sequence of key predicates")
        prefix = match["prefix"]
        # Without a prefix the name is taken to be of the list's own module, as in the YANG statement.
        namespace = layout.node.namespace if prefix is None else element.nsmap.get(prefix)
        tag = f"{{{namespace}}}{match['name']}"
        if tag not in layout.keys:
            raise InvalidValue(f"names {match['name']}, which is no key of {layout.node.name}")
        yield tag, match["double"] if match["double"] is not None else match["single"]
        position = match.end()
