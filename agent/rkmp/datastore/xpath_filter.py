"""XPath filters (RFC 6241 section 8.9) over any tree of one schema: configuration, state, notifications.

A filter is parsed once and can be applied to many trees. What it selects comes back as copies, with the ancestors and
the keys that tell where each belongs, nothing twice. Nodes under nacm:default-deny-all do not exist for a filter: it
neither selects them nor can tell their values or their number.

A path that names list entries by their keys, or by one of their values for the second time, is walked through the
indexes of the tree, so that it costs the same however many entries there are; libxml2 evaluates the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.subtree_filter import EntryIndex, NamedEntries, add_copy, key_values
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.cost import Cost, require_quick_patterns
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.datastore.xpath.syntax import Binary, NameTest, Path, Step, Syntax, TypeTest, render
from rkmp.datastore.xpath_lookup import Lookup, Search, look_up, lookup_of, search_of
from rkmp.errors import RpcError

_REMEMBERED_FILTERS = 256
_TEXT = Step("child", TypeTest("text"))


class XPathFilter:
    """A parsed filter."""

    def __init__(
        self, schema: Schema, expression: Expression, lookup: Lookup | None, search: Search | None = None
    ) -> None:
        self._schema = schema
        self._expression = expression
        self._cost = Cost(schema, expression.syntax, expression.prefixes)
        # What is cheap looks at nothing but what is below the entry.
        self._lookup = lookup if self._cost.is_cheap else None
        self._search = search if self._cost.is_cheap else None
        self._redactor: Redactor | None = None
        self._tops = frozenset(_top_of(node).tag for node in expression.reads if node is not schema.root)
        if not expression.exact or any(_is_secret(node) for node in expression.reads):
            self._redactor = Redactor(schema)

    @classmethod
    def parse(cls, text: str, prefixes: Mapping[str, str], schema: Schema) -> XPathFilter:
        """The filter that ``text`` is, its prefixes bound by ``prefixes``; unprefixed names are in no namespace.

        Raises RpcError (invalid-value) for what is no expression, an unbound prefix, an unknown function and an
        expression that selects no nodes, whatever it is evaluated on.
        """
        return _parse(text, frozenset(prefixes.items()), schema)

    @property
    def reads(self) -> frozenset[SchemaNode]:
        """The schema nodes whose instances or values can change what is selected; see ``reads_all``."""
        return self._expression.reads

    @property
    def reads_all(self) -> bool:
        """Whether anything at all may be read, besides ``reads``."""
        return not self._expression.exact

    @property
    def is_plain(self) -> bool:
        """Whether it is a path of names from the root, so that what it selects depends on nothing beside it."""
        tree = self._expression.syntax
        return (
            isinstance(tree, Path)
            and tree.absolute
            and tree.start is None
            and all(
                step.axis == "child" and isinstance(step.test, NameTest) and not step.predicates for step in tree.steps
            )
        )

    @property
    def entry(self) -> XPathFilter | None:
        """A filter for the whole list entry that is all this one looks at; None where it looks elsewhere, too."""
        lookup = self._lookup
        if lookup is None:
            return None
        found = XPathFilter(self._schema, lookup.entry, Lookup(lookup.steps, None, lookup.entry))
        # In a list of secrets the keys are secrets.
        return found if found._redactor is None else None

    def confined_to(self, tree: etree._Element, index: EntryIndex) -> list[etree._Element] | None:
        """The list entries, named by their keys, that are all the filter looks at; None where it looks elsewhere."""
        if self._lookup is None or self._redactor is not None:
            return None
        entry = look_up(tree, index, self._lookup.steps)
        return [] if entry is None else [entry]

    def named_entries(self) -> NamedEntries | None:
        """The entries of lists right below top-level nodes that are all the filter looks at; None where it is more."""
        if self._lookup is None or self._redactor is not None or len(self._lookup.steps) < 2:
            return None
        (top, above), (node, key) = self._lookup.steps[:2]
        if above is not None or key is None or node.kind is not NodeKind.LIST:
            return None
        return {top.tag: {(node.tag, key_values(key))}}

    def selects(self, tag: str) -> bool:
        """Whether a top-level node with this tag can change what is selected, or be selected itself."""
        if tag not in self._schema.top:
            return etree.QName(tag).namespace in self._expression.used_namespaces.values()
        return tag in self._tops or self._schema.root in self.reads or self.reads_all

    def matches(self, event: etree._Element) -> bool:
        """Whether anything of a notification (the element inside ``<notification>``) is selected.

        Nothing is of one that the expression cannot be evaluated on: there is nobody to answer by then.
        """
        root = self._schema.new_root()
        root.append(copy.deepcopy(event))
        try:
            return bool(self._select(root, None))
        except RpcError:
            return False

    def apply(
        self,
        tree: etree._Element,
        index: EntryIndex | None = None,
        *,
        is_readable: bool = False,
        selected: list[etree._Element] | None = None,
    ) -> etree._Element:
        """Copies of what is selected below ``tree``, the element above the top-level nodes.

        They come in a new element like ``tree``, with its namespaces. ``index`` is that of this very tree. Raises
        RpcError (invalid-value) where the result is no node-set, and where it would cost too much.
        ``is_readable`` says that whoever asks may see all of ``tree``, what else is a secret included. ``selected``
        takes the copies of the nodes that were selected, without those above them.
        """
        if self._redactor is not None and not is_readable:
            tree, index = self._redacted(tree, index, self._redactor), None
        return Copies(self._schema, tree, selected).of(self._select(tree, index))

    def nodes(self, tree: etree._Element) -> list[etree._Element]:
        """What is selected of ``tree``, of which whoever asks may see all, itself and in document order.

        Raises RpcError (invalid-value) as ``apply`` does.
        """
        return self._select(tree, None)

    def _redacted(self, tree: etree._Element, index: EntryIndex | None, redactor: Redactor) -> etree._Element:
        """A copy of ``tree`` without secrets, or of the entry in it that is all the expression looks at."""
        if self._lookup is None or index is None:
            return redactor.without_secrets(tree)
        entry = look_up(tree, index, self._lookup.steps)
        reduced = Copies(self._schema, tree).of([] if entry is None else [entry])
        redactor.remove_secrets(reduced)
        return reduced

    def _select(self, tree: etree._Element, index: EntryIndex | None) -> list[etree._Element]:
        try:
            if self._lookup is not None and index is not None:
                entry = look_up(tree, index, self._lookup.steps)
                rest = self._lookup.rest
                return [] if entry is None else [entry] if rest is None else rest.select(entry, tree)
            if self._search is not None and index is not None:
                entries = index.having(self._search.leaf, self._search.value)
                if entries is not None:
                    further = self._search.rest
                    if further is None:
                        return list(entries)
                    return [node for each in entries for node in further.select(each, tree)]
            self._cost.require_affordable(tree)
            return self._expression.select(tree, tree)
        except XPathSyntaxError as error:
            raise rejections.bad_filter(str(error)) from error


@lru_cache(_REMEMBERED_FILTERS)
def _parse(text: str, prefixes: frozenset[tuple[str, str]], schema: Schema) -> XPathFilter:
    bound = dict(prefixes)
    functions = YangFunctions(schema)
    try:
        expression = Expression(text, bound, None)
        tree = _without_text_step(expression.syntax)
        if tree != expression.syntax:
            expression = Expression(render(tree), bound, None)
        expression.bind(schema, functions, [schema.root])
        # What type a result has hangs on the expression alone (XPath 1.0 section 3).
        nothing = schema.new_root()
        require_quick_patterns(expression.syntax)
        expression.select(nothing, nothing)
        lookup = lookup_of(expression.syntax, bound, schema, functions)
        search = None if lookup is not None else search_of(expression.syntax, bound, schema, functions)
        return XPathFilter(schema, expression, lookup, search)
    except XPathSyntaxError as error:
        raise rejections.bad_filter(str(error)) from error


def _without_text_step(tree: Syntax) -> Syntax:
    """A reply holds a text node as the element around it, so a last step ``text()`` selects that element."""
    if isinstance(tree, Path) and len(tree.steps) > 1 and tree.steps[-1] == _TEXT:
        return replace(tree, steps=tree.steps[:-1])
    if isinstance(tree, Binary) and tree.operator == "|":
        return Binary("|", _without_text_step(tree.left), _without_text_step(tree.right))
    return tree


# Secrets


def _top_of(node: SchemaNode) -> SchemaNode:
    while node.data_parent is not None:
        node = node.data_parent
    return node


def _is_secret(node: SchemaNode) -> bool:
    above: SchemaNode | None = node
    while above is not None and not above.default_deny_all:
        above = above.data_parent
    return above is not None


# Results


class Copies:
    """Copies of elements out of one tree, put together again; ``nsmap`` is bound around them besides the tree's."""

    def __init__(
        self,
        schema: Schema,
        tree: etree._Element,
        selected: list[etree._Element] | None = None,
        nsmap: Mapping[str, str] | None = None,
    ) -> None:
        self._schema = schema
        self._tree = tree
        self._selected: list[etree._Element] = [] if selected is None else selected
        bound = dict(tree.nsmap)
        bound.update(nsmap or {})
        self._result = etree.Element(tree.tag, nsmap=bound)
        # The copies of ancestors, by what they are copies of, each with its node; no node for what no module defines.
        self._places: dict[etree._Element, tuple[etree._Element, SchemaNode | None]] = {
            tree: (self._result, schema.root)
        }

    def of(self, elements: Iterable[etree._Element]) -> etree._Element:
        """A new root with ``elements``, which are in document order: an ancestor comes before what is below it."""
        whole: set[etree._Element] = set()
        for element in elements:
            if element is self._tree:
                everything = copy.deepcopy(self._tree)
                self._selected.extend(everything)
                return everything
            if whole and not whole.isdisjoint(element.iterancestors()):
                continue
            whole.add(element)
            parent = element.getparent()
            if parent is None:
                continue
            place, node = self._place(parent)
            if node is not None and element.tag in node.keys:
                continue
            self._selected.append(add_copy(place, element))
        return self._result

    def _place(self, element: etree._Element) -> tuple[etree._Element, SchemaNode | None]:
        """The copy of an ancestor, with its keys, made where it is not there yet."""
        found = self._places.get(element)
        if found is not None:
            return found
        parent = element.getparent()
        if parent is None:
            raise ValueError("the element is not below the tree")
        place, above = self._place(parent)
        tag = str(element.tag)
        node = None if above is None else above.data_children.get(tag) or _notification(self._schema, above, tag)
        inside = etree.SubElement(place, tag, dict(element.attrib) if element.attrib else None)
        if node is not None and node.keys:
            for key in element.iterchildren(*node.keys):
                etree.SubElement(inside, str(key.tag)).text = key.text
        self._places[element] = inside, node
        return inside, node


def _notification(schema: Schema, above: SchemaNode, tag: str) -> SchemaNode | None:
    return (schema.notifications if above is schema.root else above.notifications).get(tag)
