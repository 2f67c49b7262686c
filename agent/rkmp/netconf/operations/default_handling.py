"""The ``with-defaults`` parameter of operations that return data (RFC 6243 section 4.5.1)."""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema
from rkmp.datastore.with_defaults import BASIC_MODE, DEFAULTS_NAMESPACE, PREFIX, DefaultsMode, defaults_of
from rkmp.netconf.filtering import Selection
from rkmp.netconf.namespaces import WITH_DEFAULTS
from rkmp.netconf.operations.request import Request


def defaults_mode(request: Request, namespace: str = WITH_DEFAULTS) -> DefaultsMode:
    """Return the mode that a request asks for, or the basic mode; ``namespace`` is that of the parameter."""
    text = request.operation.findtext(f"{{{namespace}}}with-defaults")
    return BASIC_MODE if text is None else DefaultsMode(text)


def datastore_in_mode(
    datastores: Datastores, name: str, selection: Selection | None, mode: DefaultsMode
) -> etree._Element:
    """Return a copy of all of a configuration datastore that ``selection`` looks at, as ``mode`` reports it."""
    if selection is not None and mode is not BASIC_MODE:
        entries = datastores.entries_in_mode(name, selection.filter, mode)
        if entries is not None:
            return entries
    return in_mode(datastores.schema, datastores.tree(name), mode)


def in_mode(schema: Schema, tree: etree._Element, mode: DefaultsMode) -> etree._Element:
    """Return a copy of a datastore's content with the defaults that ``mode`` reports and without those it does not."""
    copied = _copy_for(tree, mode)
    defaults_of(schema).apply(copied, mode)
    return copied


def in_use_in_mode(schema: Schema, tree: etree._Element, mode: DefaultsMode) -> etree._Element:
    """Return the operational datastore, ``tree``, which holds all values in use, as ``mode`` reports it.

    RFC 8526 section 3.1.1.2: only ``trim`` leaves anything out, and a tag is for every value that is the default.
    """
    if mode is DefaultsMode.TRIM:
        defaults_of(schema).apply(tree, mode)
    elif mode is DefaultsMode.REPORT_ALL_TAGGED:
        tree = _copy_for(tree, mode)
        defaults_of(schema).tag_defaults(tree)
    return tree


def _copy_for(tree: etree._Element, mode: DefaultsMode) -> etree._Element:
    # The attribute's namespace is bound once, and not on every leaf that has it.
    bound = {**tree.nsmap, PREFIX: DEFAULTS_NAMESPACE} if mode is DefaultsMode.REPORT_ALL_TAGGED else tree.nsmap
    copied = etree.Element(tree.tag, nsmap=bound)
    copied.extend([copy.deepcopy(element) for element in tree])
    return copied
