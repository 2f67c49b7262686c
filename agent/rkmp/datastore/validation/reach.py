"""How far an expression reaches: which schema nodes it reads, and from how near.

``Expression.reads`` tells what can change an outcome; here each of these nodes gets the depth of the deepest ancestor
that the instances read are sure to share with the context node. A must that reads ``../mtu`` shares its list entry
with what it reads, so a change of one entry asks for one evaluation however many entries there are.

Expressions that look entries up, as in ``/list[name = current()/../ref]/leaf``, reach the whole list. They are
rewritten so that the entries come from an index: the step becomes a variable, and the predicates stay. The lookup also
tells which contexts an entry concerns: those that have its value.

Walks trees that ``xpath.analysis`` has rewritten: names in the schema's prefixes, ``$root`` and ``$current``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import LeafrefType, member_types
from rkmp.datastore.xpath.analysis import CURRENT_VARIABLE, ROOT_VARIABLE, STRING_FUNCTIONS
from rkmp.datastore.xpath.syntax import (
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
)

_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_BOOLEAN_FUNCTIONS = frozenset(
    {
        "bit-is-set",
        "boolean",
        "contains",
        "derived-from",
        "derived-from-or-self",
        "false",
        "lang",
        "not",
        "re-match",
        "starts-with",
        "true",
    }
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Instances of ``node`` are read below the ancestor at ``depth`` that they share with the context node.

    Depth counts data nodes from the root, which has 0. ``lookup`` is the index of the lookup through which they are
    reached, ``is_final`` whether the node itself is tested or its value read, and not only passed through.
    """

    node: SchemaNode
    depth: int
    lookup: int | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """A step to the entries of ``node`` whose leaf ``leaf`` equals ``value``, found by an index of that leaf.

    The list is under the node reached from the context (or the root) by ``steps``: a tag for a child, None for the
    parent. ``value`` does not depend on the entry.
    """

    node: SchemaNode
    leaf: SchemaNode
    from_root: bool
    steps: tuple[str | None, ...]
    value: Syntax


@dataclass(slots=True)
class Trace:
    """What ``trace`` finds: the expression to evaluate, its lookups, and its reaches."""

    tree: Syntax
    lookups: tuple[Lookup, ...]
    reaches: tuple[Reach, ...]


def lookup_variable(index: int) -> str:
    """The name of the variable that holds the entries of a lookup."""
    return f"lookup{index}"


def depth_of(node: SchemaNode, schema: Schema) -> int:
    """The number of data nodes from the top-level node down to ``node``; 0 for the root."""
    depth = 0
    above: SchemaNode | None = node
    while above is not None and above is not schema.root:
        depth += 1
        above = above.data_parent
    return depth


def trace(
    schema: Schema, namespaces: Mapping[str, str], context: SchemaNode, tree: Syntax, reads: Iterable[SchemaNode]
) -> Trace:
    """Follow a rewritten expression from ``context``; ``namespaces`` are its prefixes, ``reads`` what it must reach."""
    tracer = _Tracer(schema, namespaces, context)
    outer = _At(frozenset({context}), depth_of(context, schema), origin=(False, ()))
    rewritten, _ = tracer.follow(tree, outer)
    met = {reach.node for reach in tracer.reaches}
    for node in reads:
        if node not in met:
            # Not met on the way: taken to be read from anywhere, as itself.
            tracer.reaches[Reach(node, 0, None, is_final=True)] = None
    return Trace(rewritten, tuple(tracer.lookups), tuple(tracer.reaches))


@dataclass(frozen=True, slots=True)
class _At:
    """Where a path has got to. ``low`` is the least depth on the way from the context node.

    ``origin`` is how a single node was reached, by steps from the context node or (True) the root; None otherwise.
    """

    nodes: frozenset[SchemaNode]
    low: int
    lookup: int | None = None
    origin: tuple[bool, tuple[str | None, ...]] | None = None


_NOWHERE = _At(frozenset(), 0)


@dataclass(slots=True)
class _Tracer:
    schema: Schema
    namespaces: Mapping[str, str]
    context: SchemaNode
    reaches: dict[Reach, None] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)

    def follow(self, tree: Syntax, at: _At) -> tuple[Syntax, _At]:
        """The expression to evaluate in the place of ``tree``, and the nodes that it selects."""
        match tree:
            case Literal() | Number():
                return tree, _NOWHERE
            case Variable():
                start = self._start(tree, at)
                self._read(start, is_final=True)
                return tree, start
            case Negation(operand):
                rewritten, nodes = self.follow(operand, at)
                self._read_values(nodes)
                return Negation(rewritten), _NOWHERE
            case Binary(operator, left, right):
                left, left_nodes = self.follow(left, at)
                right, right_nodes = self.follow(right, at)
                if operator == "|":
                    return Binary("|", left, right), _union(left_nodes, right_nodes)
                if operator not in ("and", "or"):
                    self._read_values(left_nodes)
                    self._read_values(right_nodes)
                return Binary(operator, left, right), _NOWHERE
            case Call(name, arguments):
                return self._follow_call(name, arguments, at)
            case Path():
                return self._follow_path(tree, at)

    def _follow_call(self, name: str, arguments: tuple[Syntax, ...], at: _At) -> tuple[Syntax, _At]:
        followed = [self.follow(argument, at) for argument in arguments]
        if name in STRING_FUNCTIONS:
            for _, nodes in followed or ((None, at),):
                self._read_values(nodes)
        call = Call(name, tuple(argument for argument, _ in followed))
        if name != "deref":
            return call, _NOWHERE
        # Where the references lead is read from the whole tree.
        targets = frozenset(target for _, nodes in followed for node in nodes.nodes for target in _targets_of(node))
        return call, _At(targets, 0)

    def _start(self, variable: Variable, at: _At) -> _At:
        if variable.name == ROOT_VARIABLE:
            return _At(frozenset({self.schema.root}), 0, origin=(True, ()))
        if variable.name == CURRENT_VARIABLE:
            return _At(frozenset({self.context}), depth_of(self.context, self.schema), origin=(False, ()))
        return at

    def _follow_path(self, path: Path, at: _At) -> tuple[Syntax, _At]:
        start: Syntax | None = path.start
        if isinstance(start, Variable):
            at = self._start(start, at)
        elif start is not None:
            start, at = self.follow(start, at)
        predicates = tuple(self.follow(predicate, replace(at, origin=None))[0] for predicate in path.predicates)
        if predicates:
            at = replace(at, origin=None)
        steps: list[Step] = []
        for step in path.steps:
            before = at
            at = self._step(step, before)
            index = self._lookup(step, before, at)
            if index is not None:
                at = replace(at, lookup=index)
            inside = replace(at, origin=None)
            followed = tuple(self.follow(predicate, inside)[0] for predicate in step.predicates)
            self._read(at, is_final=bool(step.predicates))
            if step.predicates:
                at = inside
            if index is None:
                steps.append(Step(step.axis, step.test, followed))
            else:
                start, predicates, steps = Variable(lookup_variable(index)), followed, []
        self._read(at, is_final=True)
        return Path(False, tuple(steps), start, predicates), at

    def _step(self, step: Step, at: _At) -> _At:
        reached = frozenset(node for node in self._axis(step, at.nodes) if self._admits(step, node))
        if not reached:
            return _NOWHERE
        low = min(at.low, *(depth_of(node, self.schema) for node in reached))
        if step.axis in ("following-sibling", "preceding-sibling"):
            # Other instances of the same parent, which is what is shared.
            low = min(low, *(depth_of(node, self.schema) - 1 for node in reached))
        elif step.axis in ("following", "preceding"):
            low = 0
        lookup = at.lookup
        if lookup is not None:
            entry_depth = depth_of(self.lookups[lookup].node, self.schema)
            if any(depth_of(node, self.schema) < entry_depth for node in reached):
                lookup = None
        return _At(reached, low, lookup, _origin(step, at, reached))

    def _axis(self, step: Step, nodes: frozenset[SchemaNode]) -> Iterable[SchemaNode]:
        match step.axis:
            case "child":
                if not isinstance(step.test, NameTest) and step.test.type == "text":
                    return nodes
                return [child for node in nodes for child in self._children(node)]
            case "parent":
                return [self._parent(node) for node in nodes if node is not self.schema.root]
            case "self":
                return nodes
            case "descendant":
                return [below for node in nodes for below in self._below(node)]
            case "descendant-or-self":
                return [*nodes, *(below for node in nodes for below in self._below(node))]
            case "ancestor":
                return [above for node in nodes for above in self._above(node)]
            case "ancestor-or-self":
                return [*nodes, *(above for node in nodes for above in self._above(node))]
            case "following-sibling" | "preceding-sibling":
                return [
                    sibling
                    for node in nodes
                    if node is not self.schema.root
                    for sibling in self._children(self._parent(node))
                ]
            case "following" | "preceding":
                return self._below(self.schema.root)
            case _:
                return []

    def _admits(self, step: Step, node: SchemaNode) -> bool:
        test = step.test
        if not isinstance(test, NameTest):
            return True
        if test.prefix is None:
            return test.name == "*"
        namespace = self.namespaces.get(test.prefix)
        return namespace == node.namespace and test.name in ("*", node.name)

    def _children(self, node: SchemaNode) -> Iterable[SchemaNode]:
        return node.data_children.values()

    def _below(self, node: SchemaNode) -> list[SchemaNode]:
        return list(node.descendants())

    def _parent(self, node: SchemaNode) -> SchemaNode:
        return node.data_parent if node.data_parent is not None else self.schema.root

    def _above(self, node: SchemaNode) -> list[SchemaNode]:
        above = []
        while node is not self.schema.root:
            node = self._parent(node)
            above.append(node)
        return above

    def _read(self, at: _At, *, is_final: bool) -> None:
        for node in at.nodes:
            if node is not self.schema.root:
                self.reaches[Reach(node, min(at.low, depth_of(node, self.schema)), at.lookup, is_final)] = None

    def _read_values(self, at: _At) -> None:
        """The string value of a node that is no leaf is made of all leaves below it (XPath 1.0 section 5.2)."""
        for node in at.nodes:
            if node.type is None:
                self._read(replace(at, nodes=frozenset(node.descendants())), is_final=True)

    def _lookup(self, step: Step, before: _At, at: _At) -> int | None:
        """The index of a new lookup that stands for this step, where one can."""
        if before.origin is None or step.axis != "child" or len(at.nodes) != 1:
            return None
        (node,) = at.nodes
        if node.kind is not NodeKind.LIST or not node.config or not all(map(_is_boolean, step.predicates)):
            return None
        found: Lookup | None = None
        for left, right in _equalities(step.predicates):
            for name, value in ((left, right), (right, left)):
                leaf = self._leaf(name, node)
                if leaf is None or leaf.defaults or not _is_free(value):
                    continue
                if found is None or (leaf.is_key and not found.leaf.is_key):
                    found = Lookup(node, leaf, before.origin[0], before.origin[1], value)
        if found is None:
            return None
        self.lookups.append(found)
        return len(self.lookups) - 1

    def _leaf(self, tree: Syntax, node: SchemaNode) -> SchemaNode | None:
        """The leaf of an entry that an operand names."""
        match tree:
            case Path(False, (Step("child", NameTest(str() as prefix, name), ()),), None, ()):
                leaf = node.data_children.get(f"{{{self.namespaces.get(prefix)}}}{name}")
                return leaf if leaf is not None and leaf.kind is NodeKind.LEAF and leaf.config else None
        return None


def _origin(step: Step, at: _At, reached: frozenset[SchemaNode]) -> tuple[bool, tuple[str | None, ...]] | None:
    if at.origin is None or step.predicates or len(reached) != 1:
        return None
    (node,) = reached
    from_root, steps = at.origin
    if step.axis == "self":
        return at.origin
    if step.axis == "parent":
        return from_root, (*steps, None)
    if step.axis == "child" and node.kind is NodeKind.CONTAINER:
        return from_root, (*steps, node.tag)
    return None


def _union(left: _At, right: _At) -> _At:
    if not left.nodes or not right.nodes:
        return left if left.nodes else right
    lookup = left.lookup if left.lookup == right.lookup else None
    return _At(left.nodes | right.nodes, min(left.low, right.low), lookup)


def _targets_of(node: SchemaNode) -> Iterable[SchemaNode]:
    if node.type is not None:
        for member in member_types(node.type):
            if isinstance(member, LeafrefType) and member.target is not None:
                yield member.target


def _equalities(predicates: Iterable[Syntax]) -> Iterable[tuple[Syntax, Syntax]]:
    """The equalities that all have to hold for the predicates to be true."""
    for predicate in predicates:
        match predicate:
            case Binary("=", left, right):
                yield left, right
            case Binary("and", left, right):
                yield from _equalities((left, right))


def _is_boolean(tree: Syntax) -> bool:
    """Whether a predicate tests the node itself and not its position (XPath 1.0 section 2.4)."""
    match tree:
        case Binary(operator, _, _):
            return (operator in _COMPARISONS or operator in ("and", "or")) and not _asks_position(tree)
        case Call(name, _):
            return name in _BOOLEAN_FUNCTIONS and not _asks_position(tree)
        case Path():
            return not _asks_position(tree)
    return False


def _asks_position(tree: Syntax) -> bool:
    match tree:
        case Call(name, arguments):
            return name in ("position", "last") or any(map(_asks_position, arguments))
        case Binary(_, left, right):
            return _asks_position(left) or _asks_position(right)
        case Negation(operand):
            return _asks_position(operand)
        case Path(_, steps, start, predicates):
            inside = [*predicates, *(predicate for step in steps for predicate in step.predicates)]
            return (start is not None and _asks_position(start)) or any(map(_asks_position, inside))
    return False


def _is_free(tree: Syntax) -> bool:
    """Whether an operand has the same value whatever entry the predicate is about."""
    match tree:
        case Literal() | Variable():
            return True
        case Path(_, _, Variable(), _):
            return True
    return False
