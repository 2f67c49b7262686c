"""Filters of subscriptions, applied under the access of the moment: to event records and to data.

A filter is read anew when what its user may see has changed, since it must tell nothing of what is hidden (RFC 8341
section 3.2.4). Filters that are configured are looked up here, too. It must not know when records are made.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from lxml import etree

from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.cost import Cost, require_quick_patterns
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.errors import RpcError
from rkmp.netconf.access_control import Reader
from rkmp.netconf.filtering import Selection, subtree_filter, xpath_filter
from rkmp.netconf.subscriptions.refusals import Refusal
from rkmp.netconf.subscriptions.terms import FILTER_LISTS, FilterTerms, copy_with_bindings, sn

FILTERS = sn("filters")


def prefixes_of(schema: Schema) -> Mapping[str, str]:
    """The prefixes that every XPath filter may use: the names of the modules that are implemented (RFC 8639 section 4).

    The modules' own prefixes as this schema has them serve where the element that held the filter is not kept.
    """
    names = {module.name: module.namespace for module in schema.modules.values() if module.implemented}
    return {**schema.nsmap, **names}


def configured_filter(
    schema: Schema, running: etree._Element, reader: Reader, terms: FilterTerms
) -> FilterTerms | None:
    """Return the configured filter that ``terms`` refer to, if there is one that the user may read."""
    tag, key, tags = FILTER_LISTS[str(terms.element.tag)]
    filters = running.find(FILTERS)
    for entry in () if filters is None else filters.iterchildren(tag):
        if entry.findtext(key) == terms.reference:
            readable = schema.new_root()
            etree.SubElement(readable, FILTERS).append(copy.deepcopy(entry))
            reader.leave_readable_below(readable)
            for element in readable.iterfind(f"{FILTERS}/{tag}/*"):
                if element.tag in tags:
                    return FilterTerms(copy_with_bindings(element))
    return None


class DataFilter:
    """What a subscription selects of a datastore; ``terms`` None for everything."""

    def __init__(self, schema: Schema, terms: FilterTerms | None) -> None:
        self.terms = terms
        self._schema = schema
        self._known: tuple[Reader, Selection | None] | None = None

    def selection(self, reader: Reader) -> Selection | None:
        """Return the filter as ``reader`` may use it; None selects everything. Raises Refusal (filter-unsupported)."""
        if self._known is None or self._known[0] is not reader:
            self._known = reader, self._read(reader)
        return self._known[1]

    def selects(self, reader: Reader, tag: str) -> bool:
        """Whether a change at or below a top-level node can change what is selected."""
        selection = self.selection(reader)
        return selection is None or selection.filter.selects(tag)

    def _read(self, reader: Reader) -> Selection | None:
        if self.terms is None:
            return None
        element = copy_with_bindings(self.terms.element)
        try:
            if str(element.tag).endswith("subtree-filter"):
                return subtree_filter(self._schema, element, reader)
            return xpath_filter(self._schema, element, element.text or "", reader, prefixes_of(self._schema))
        except RpcError as error:
            raise unsupported(error.message) from error


class EventFilter:
    """Which events of a stream a subscription wants; ``terms`` None for all."""

    def __init__(self, schema: Schema, terms: FilterTerms | None) -> None:
        self.terms = terms
        self._schema = schema
        self._known: tuple[Reader, Selection] | None = None
        self._expression: Expression | None = None
        if terms is not None and str(terms.element.tag).endswith("xpath-filter"):
            self._expression = self._parsed(terms.element)
            self._cost = Cost(schema, self._expression.syntax, self._expression.prefixes)

    def matches(self, reader: Reader, event: etree._Element) -> bool:
        """Return whether ``event``, the element inside ``<notification>``, passes."""
        if self.terms is None:
            return True
        if self._expression is not None:
            return self._holds(self._expression, event)
        if self._known is None or self._known[0] is not reader:
            element = copy_with_bindings(self.terms.element)
            self._known = reader, subtree_filter(self._schema, element, reader)
        return self._known[1].filter.matches(event)

    def _holds(self, expression: Expression, event: etree._Element) -> bool:
        root = self._schema.new_root()
        root.append(copy.deepcopy(event))
        try:
            self._cost.require_affordable(root)
            # RFC 8639 section 4: the result is converted to a boolean, of whatever type it is.
            return expression.holds(root, root)
        except (RpcError, XPathSyntaxError):
            # There is nobody to answer by then.
            return False

    def _parsed(self, element: etree._Element) -> Expression:
        prefixes = dict(prefixes_of(self._schema))
        prefixes.update((prefix, name) for prefix, name in element.nsmap.items() if prefix is not None)
        try:
            expression = Expression(element.text or "", prefixes, None)
            expression.bind(self._schema, YangFunctions(self._schema), [self._schema.root])
            nothing = self._schema.new_root()
            require_quick_patterns(expression.syntax)
            expression.holds(nothing, nothing)
        except XPathSyntaxError as error:
            raise unsupported(str(error)) from error
        return expression


def unsupported(reason: str) -> Refusal:
    """Return the refusal of a filter that cannot be read, which says where and why."""
    return Refusal("filter-unsupported", reason, [("filter-failure-hint", reason)])


def are_equal(one: FilterTerms, other: FilterTerms | None) -> bool:
    """Whether two filters are the same, prefixes and all."""
    return other is not None and etree.tostring(one.element) == etree.tostring(other.element)


def reaches(selection: Selection | None, node: SchemaNode) -> bool:
    """Whether a filter can select anything at or below the top-level ``node``."""
    return selection is None or selection.filter.selects(node.tag)
