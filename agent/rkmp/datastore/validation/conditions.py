"""Expressions of the model made ready for evaluation on a tree: musts, whens and the paths of leafrefs.

A ``Condition`` knows which defaults have to be in the tree while it is evaluated, and gets the entries that it looks
up from the tree's index of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.schema.nodes import SchemaNode
from rkmp.datastore.validation.reach import Lookup, Reach, depth_of, lookup_variable, trace
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.analysis import CURRENT_VARIABLE, ROOT_VARIABLE, Analysis
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.datastore.xpath.syntax import (
    PARENT,
    SELF,
    Binary,
    Call,
    Literal,
    NameTest,
    Negation,
    Number,
    Path,
    Step,
    Syntax,
    Variable,
    render,
)


class Materialiser(Protocol):
    """Puts defaults in use into the tree for as long as it is open."""

    tree: DataTree

    def ensure(self, top: etree._Element, top_layout: Layout, layout: Layout) -> None:
        """Have the defaults in use of ``layout`` be there, everywhere below ``top``."""


@dataclass(frozen=True, slots=True)
class Need:
    """Defaults of ``layout`` must be there below the ancestor at ``depth``, or below each entry of a lookup."""

    layout: Layout
    top: Layout
    depth: int
    lookup: int | None


@dataclass(slots=True)
class _BoundLookup:
    """A lookup ready for use; ``value`` is None where it is the context's own text or that of a node below it."""

    lookup: Lookup
    leaf: Layout
    value: etree.XPath | str | None
    below: tuple[str, ...]

    def entries(self, context: etree._Element, tree: DataTree, variables: Mapping[str, Any]) -> list[etree._Element]:
        parent: etree._Element | None = tree.root if self.lookup.from_root else context
        for step in self.lookup.steps:
            if parent is None:
                return []
            parent = parent.getparent() if step is None else next(parent.iterchildren(step), None)
        if parent is None:
            return []
        known = tree.values(self.leaf)
        found: dict[etree._Element, None] = {}
        for text in self._texts(context, variables):
            for leaf in known.get(text, ()):
                entry = leaf.getparent()
                if entry is not None and entry.getparent() is parent:
                    found[entry] = None
        return list(found)

    def _texts(self, context: etree._Element, variables: Mapping[str, Any]) -> Iterable[str]:
        if isinstance(self.value, str):
            return (self.value,)
        if self.value is not None:
            return {
                node.text or "" if not len(node) else "".join(node.itertext())
                for node in self.value(context, **variables)
            }
        at: etree._Element | None = context
        for tag in self.below:
            at = next(at.iterchildren(tag), None) if at is not None else None
        return (at.text or "",) if at is not None else ()


class Condition:
    """One expression in one context, for evaluation.

    ``reaches`` are what it reads (with the conditions and cases that decide on the defaults among it), ``is_exact``
    is false when it can read anything. ``plain`` is its text in the schema's prefixes where that can be a predicate
    of its context node, because nothing has to be looked up or put into the tree for it; ``plain_from_parent`` where
    it can be one of the node above. Else they are None.
    """

    def __init__(self, layouts: Layouts, context: SchemaNode, expression: Expression) -> None:
        schema = layouts.schema
        analysis = Analysis(
            schema=schema,
            prefixes=expression.prefixes,
            default_namespace=expression.default_namespace,
            identity_namespace=expression.identity_namespace,
            context=frozenset({context}),
        )
        rewritten, selected = analysis.rewrite(expression.syntax)
        namespaces = {**schema.nsmap, **analysis.used_namespaces}
        traced = trace(schema, namespaces, context, rewritten, analysis.reads)
        self.text = expression.text
        self.context = context
        self.depth = depth_of(context, schema)
        self.reaches: tuple[Reach, ...] = traced.reaches
        self.is_exact = analysis.exact
        self.selects = selected
        self.needs: tuple[Need, ...] = tuple(_needs(layouts, context, traced.reaches, traced.lookups))
        extensions = YangFunctions(schema).extensions(analysis.functions)
        self._namespaces = {**analysis.used_namespaces}
        self._extensions = extensions
        text = render(traced.tree)
        self._uses_root = f"${ROOT_VARIABLE}" in text
        self._uses_current = f"${CURRENT_VARIABLE}" in text
        # libxml2 has no position for an expression by itself; XPath 1.0 section 1 has one, the first of one.
        where = "self::node()[boolean({})]" if "position()" in text or "last()" in text else "{}"
        self._boolean = self._compile(f"boolean({where.format(text)})")
        self._nodes = self._compile(text)
        self.lookups = tuple(self._bind(layouts, lookup) for lookup in traced.lookups)
        self.plain: str | None = None
        self.plain_from_parent: str | None = None
        is_near = not (self.lookups or self.needs or self._uses_current)
        if where == "{}" and is_near and self._namespaces.items() <= schema.nsmap.items():
            self.plain = text
            above = from_parent(traced.tree)
            self.plain_from_parent = None if above is None else render(above)
        self._lookup_variables = [lookup_variable(index) for index in range(len(self.lookups))]

    def __repr__(self) -> str:
        return f"<condition {self.text} on {self.context!r}>"

    def holds(self, context: etree._Element, accessible: Materialiser) -> bool:
        """Whether the expression is true for an instance of its context node."""
        try:
            return bool(self._boolean(context, **self._variables(context, accessible)))
        except (etree.XPathError, TypeError) as error:
            raise XPathSyntaxError(f"{self.text!r} cannot be evaluated: {error}") from error

    def select(self, context: etree._Element, accessible: Materialiser) -> list[etree._Element]:
        """The elements that a path selects."""
        found = self._nodes(context, **self._variables(context, accessible))
        return [node for node in found if isinstance(node, etree._Element)] if isinstance(found, list) else []

    def inverse(self, lookup: int) -> tuple[SchemaNode, int] | None:
        """The node whose value decides which entries a context looks up, and how far it is below the context.

        None where the value comes from elsewhere, or from a default, so that an index of the node would miss some.
        """
        bound = self.lookups[lookup]
        if bound.value is not None:
            return None
        nodes = nodes_below(self.context, bound.below)
        node = nodes[-1] if nodes else self.context
        return None if node.defaults or node.type is None else (node, len(bound.below))

    def _compile(self, text: str) -> etree.XPath:
        return etree.XPath(
            text, namespaces=self._namespaces, extensions=self._extensions, regexp=False, smart_strings=False
        )

    @property
    def functions(self) -> Mapping[tuple[str | None, str], Any]:
        """YANG's functions that the expression calls, as ``etree.XPath`` takes them."""
        return self._extensions

    def _variables(self, context: etree._Element, accessible: Materialiser) -> dict[str, Any]:
        tree = accessible.tree
        for need in self.needs:
            if need.lookup is None:
                top = context
                for _ in range(self.depth - need.depth):
                    parent = top.getparent()
                    if parent is not None:
                        top = parent
                accessible.ensure(top, need.top, need.layout)
        variables: dict[str, Any] = {}
        if self._uses_root or self.lookups:
            variables[ROOT_VARIABLE] = tree.root
        if self._uses_current or self.lookups:
            variables[CURRENT_VARIABLE] = context
        if self.lookups:
            found = [lookup.entries(context, tree, variables) for lookup in self.lookups]
            for need in self.needs:
                if need.lookup is not None:
                    for entry in found[need.lookup]:
                        accessible.ensure(entry, need.top, need.layout)
            variables.update(zip(self._lookup_variables, found, strict=True))
        return variables

    def _bind(self, layouts: Layouts, lookup: Lookup) -> _BoundLookup:
        leaf = layouts.of_node(lookup.leaf)
        if leaf is None:
            raise ValueError(f"{lookup.leaf!r} is not configuration")
        value = lookup.value
        below = value_below_context(value, self._namespaces, self.context)
        if isinstance(value, Literal):
            return _BoundLookup(lookup, leaf, value.value, ())
        if below is not None:
            return _BoundLookup(lookup, leaf, None, below)
        return _BoundLookup(lookup, leaf, self._compile(render(value)), ())


def from_parent(tree: Syntax) -> Syntax | None:
    """An expression that means at the parent what ``tree`` means at a node; None where there may be no such."""
    match tree:
        case Literal() | Number():
            return tree
        case Call(name, arguments) if arguments or name in ("true", "false"):
            moved = [from_parent(argument) for argument in arguments]
            return None if None in moved else Call(name, tuple(argument for argument in moved if argument is not None))
        case Binary(operator, left, right):
            first, second = from_parent(left), from_parent(right)
            return None if first is None or second is None else Binary(operator, first, second)
        case Negation(operand):
            negated = from_parent(operand)
            return None if negated is None else Negation(negated)
        case Path(_, _, Variable(name)) if name == ROOT_VARIABLE:
            return tree
        case Path(False, (first_step, *others), None) if first_step == PARENT:
            return replace(tree, steps=tuple(others) or (SELF,))
    return None


def value_below_context(tree: Syntax, namespaces: Mapping[str, str], context: SchemaNode) -> tuple[str, ...] | None:
    """The tags from the context node down to the one node whose value an operand is; None where it is none such."""
    match tree:
        case Variable(name) if name == CURRENT_VARIABLE:
            return ()
        case Path(False, steps, Variable(name), ()) if name == CURRENT_VARIABLE:
            tags: list[str] = []
            for step in steps:
                match step:
                    case Step("child", NameTest(str() as prefix, name), ()) if name != "*":
                        tags.append(f"{{{namespaces[prefix]}}}{name}")
                    case _:
                        return None
            below = nodes_below(context, tags)
            return tuple(tags) if below is not None and not any(node.is_entry for node in below) else None
    return None


def nodes_below(context: SchemaNode, tags: Iterable[str]) -> list[SchemaNode] | None:
    """The nodes that tags lead through from a node down; None where they lead nowhere."""
    found = []
    node = context
    for tag in tags:
        below = node.data_children.get(tag)
        if below is None:
            return None
        found.append(below)
        node = below
    return found


def _needs(
    layouts: Layouts, context: SchemaNode, reaches: Iterable[Reach], lookups: tuple[Lookup, ...]
) -> Iterable[Need]:
    """What may have to be put into the tree before an evaluation: defaults, and containers that are tested."""
    chain: list[SchemaNode] = []
    above: SchemaNode | None = context
    while above is not None and above is not layouts.schema.root:
        chain.append(above)
        above = above.data_parent
    chain.append(layouts.schema.root)
    chain.reverse()
    found: dict[tuple[Layout, int | None], Need] = {}
    for reach in reaches:
        layout = layouts.of_node(reach.node)
        if layout is None or not reach.is_final or not (reach.node.defaults or layout.is_structural):
            continue
        top = lookups[reach.lookup].node if reach.lookup is not None else chain[min(reach.depth, len(chain) - 1)]
        top_layout = layouts.of_node(top)
        if top_layout is None or top_layout is layout:
            continue
        earlier = found.get((layout, reach.lookup))
        if earlier is None or earlier.depth > reach.depth:
            found[layout, reach.lookup] = Need(layout, top_layout, reach.depth, reach.lookup)
    return found.values()
