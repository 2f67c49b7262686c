"""What an expression means against a schema: unprefixed names bound, schema nodes read, identities made canonical.

The analysis walks the syntax tree with sets of schema nodes in place of instances. Its result is a tree in the
schema's own prefixes that libxml2 can evaluate on any datastore, and the set of nodes whose instances or values can
change the outcome: what defaults must be present, and later what an edit makes worth evaluating again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import (
    IdentityrefType,
    InstanceIdentifierType,
    LeafrefType,
    effective_type,
    member_types,
)
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
    XPathSyntaxError,
)
from rkmp.errors import InvalidValue

Nodes = frozenset[SchemaNode]
NONE: Nodes = frozenset()

# The variables that stand for the root of the accessible tree and for current().
ROOT_VARIABLE = "root"
CURRENT_VARIABLE = "current"

# XPath 1.0 section 4: minimum and maximum number of arguments (None: any number).
CORE_FUNCTIONS: Mapping[str, tuple[int, int | None]] = {
    "last": (0, 0),
    "position": (0, 0),
    "count": (1, 1),
    "id": (1, 1),
    "local-name": (0, 1),
    "namespace-uri": (0, 1),
    "name": (0, 1),
    "string": (0, 1),
    "concat": (2, None),
    "starts-with": (2, 2),
    "contains": (2, 2),
    "substring-before": (2, 2),
    "substring-after": (2, 2),
    "substring": (2, 3),
    "string-length": (0, 1),
    "normalize-space": (0, 1),
    "translate": (3, 3),
    "boolean": (1, 1),
    "not": (1, 1),
    "true": (0, 0),
    "false": (0, 0),
    "lang": (1, 1),
    "number": (0, 1),
    "sum": (1, 1),
    "floor": (1, 1),
    "ceiling": (1, 1),
    "round": (1, 1),
}
# RFC 7950 section 10.
YANG_FUNCTIONS: Mapping[str, tuple[int, int | None]] = {
    "current": (0, 0),
    "re-match": (2, 2),
    "deref": (1, 1),
    "derived-from": (2, 2),
    "derived-from-or-self": (2, 2),
    "enum-value": (1, 1),
    "bit-is-set": (2, 2),
}
# Those whose outcome hangs on the string values of the nodes in their arguments, or of the context node without any.
STRING_FUNCTIONS = frozenset(
    {
        "ceiling",
        "concat",
        "contains",
        "floor",
        "normalize-space",
        "number",
        "re-match",
        "round",
        "starts-with",
        "string",
        "string-length",
        "substring",
        "substring-after",
        "substring-before",
        "sum",
        "translate",
    }
)


@dataclass(slots=True)
class Analysis:
    """One expression analysed in one context.

    ``prefixes`` are those in scope where it was written, ``default_namespace`` what an unprefixed name belongs to
    and ``identity_namespace`` what an unprefixed identity does (None: no namespace at all, as in a NETCONF filter),
    ``context`` the schema nodes of the initial context node.
    After ``rewrite``: ``reads`` are the schema nodes met on the way or selected, ``functions`` the YANG functions
    called, ``exact`` false when some step could not be followed and ``reads`` is only a lower bound.
    """

    schema: Schema
    prefixes: Mapping[str, str]
    default_namespace: str | None
    identity_namespace: str | None
    context: Nodes
    reads: set[SchemaNode] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    exact: bool = True
    used_namespaces: dict[str, str] = field(default_factory=dict)

    def rewrite(self, tree: Syntax) -> tuple[Syntax, Nodes]:
        """The tree to evaluate and the nodes that it can select (none unless it is a node-set)."""
        return self._rewrite(tree, self.context)

    def _rewrite(self, tree: Syntax, at: Nodes) -> tuple[Syntax, Nodes]:
        match tree:
            case Literal() | Number():
                return tree, NONE
            case Variable(name):
                # RFC 7950 6.4.1: the set of variable bindings is empty.
                raise XPathSyntaxError(f"the variable ${name} is not bound")
            case Negation(operand):
                rewritten, nodes = self._rewrite(operand, at)
                self._read_values(nodes)
                return Negation(rewritten), NONE
            case Binary():
                return self._rewrite_binary(tree, at)
            case Call():
                return self._rewrite_call(tree, at)
            case Path():
                return self._rewrite_path(tree, at)

    def _rewrite_binary(self, tree: Binary, at: Nodes) -> tuple[Syntax, Nodes]:
        left, left_nodes = self._rewrite(tree.left, at)
        right, right_nodes = self._rewrite(tree.right, at)
        if tree.operator == "|":
            return Binary("|", left, right), left_nodes | right_nodes
        if tree.operator not in ("and", "or"):
            self._read_values(left_nodes | right_nodes)
        if tree.operator in ("=", "!="):
            left = self._canonical_identity(left, right_nodes)
            right = self._canonical_identity(right, left_nodes)
        return Binary(tree.operator, left, right), NONE

    def _canonical_identity(self, literal: Syntax, compared_with: Nodes) -> Syntax:
        """RFC 7950 9.10.3: an identityref's string value has the prefix that the expression's own module uses."""
        if not isinstance(literal, Literal) or not compared_with:
            return literal
        for node in compared_with:
            for member in member_types(node.type) if node.type is not None else ():
                value_type = effective_type(member)
                if isinstance(value_type, IdentityrefType):
                    try:
                        return Literal(value_type.check(literal.value, self._value_namespaces()))
                    except InvalidValue:
                        continue
        return literal

    def _value_namespaces(self) -> dict[str | None, str]:
        namespaces: dict[str | None, str] = dict(self.prefixes.items())
        if self.identity_namespace is not None:
            namespaces[None] = self.identity_namespace
        return namespaces

    def _rewrite_call(self, call: Call, at: Nodes) -> tuple[Syntax, Nodes]:
        bounds = CORE_FUNCTIONS.get(call.name) or YANG_FUNCTIONS.get(call.name)
        if bounds is None:
            raise XPathSyntaxError(f"there is no function {call.name}()")
        least, most = bounds
        if len(call.arguments) < least or (most is not None and len(call.arguments) > most):
            raise XPathSyntaxError(f"{call.name}() has {len(call.arguments)} arguments")
        if call.name == "current":
            return Variable(CURRENT_VARIABLE), self.context
        rewritten = [self._rewrite(argument, at) for argument in call.arguments]
        arguments = tuple(argument for argument, _ in rewritten)
        for _, nodes in rewritten:
            self.reads |= nodes
        if call.name in STRING_FUNCTIONS:
            self._read_values(at if not arguments else NONE.union(*(nodes for _, nodes in rewritten)))
        if call.name in YANG_FUNCTIONS:
            self.functions.add(call.name)
        if call.name in ("derived-from", "derived-from-or-self"):
            return Call(call.name, (arguments[0], self._identity_argument(call.name, call.arguments[1]))), NONE
        if call.name == "deref":
            return Call(call.name, arguments), self._dereference(rewritten[0][1])
        return Call(call.name, arguments), NONE

    def _read_values(self, nodes: Nodes) -> None:
        """The string value of a node that is no leaf is made of all leaves below it (XPath 1.0 section 5.2)."""
        for node in nodes:
            self.reads.add(node)
            if node.type is None:
                self.reads.update(self._below(node))

    def _identity_argument(self, function: str, written: Syntax) -> Literal:
        if not isinstance(written, Literal):
            # What a prefix means is known where it is written, not in a value.
            raise XPathSyntaxError(f"an identity in {function}() that is not a literal is not handled")
        prefix, colon, name = written.value.partition(":")
        namespace = self.prefixes.get(prefix) if colon else self.identity_namespace
        module = self.schema.module_of(namespace) if namespace is not None else None
        identity = name if colon else prefix
        if module is None or (module.name, identity) not in self.schema.identities:
            raise XPathSyntaxError(f"there is no identity {written.value!r}")
        return Literal(f"{self.schema.prefix_of(module.namespace)}:{identity}")

    def _dereference(self, nodes: Nodes) -> Nodes:
        targets: set[SchemaNode] = set()
        for member in (member for node in nodes if node.type is not None for member in member_types(node.type)):
            if isinstance(member, LeafrefType) and member.target is not None:
                targets.add(member.target)
                self.reads |= member.path.reads
            elif isinstance(member, InstanceIdentifierType):
                # It can lead to any node at all.
                self.exact = False
        return frozenset(targets)

    def _rewrite_path(self, path: Path, at: Nodes) -> tuple[Syntax, Nodes]:
        start: Syntax | None = None
        if path.start is not None:
            start, nodes = self._rewrite(path.start, at)
        elif path.absolute:
            start, nodes = Variable(ROOT_VARIABLE), frozenset({self.schema.root})
        else:
            nodes = at
        predicates = tuple(self._rewrite(predicate, nodes)[0] for predicate in path.predicates)
        steps: list[Step] = []
        for step in path.steps:
            rewritten, nodes = self._rewrite_step(step, nodes)
            steps.append(rewritten)
        self.reads |= nodes
        return Path(False, tuple(steps), start, predicates), nodes

    def _rewrite_step(self, step: Step, nodes: Nodes) -> tuple[Step, Nodes]:
        reached = {node for start in nodes for node in self._axis(step.axis, start)}
        test = step.test
        if isinstance(test, NameTest):
            test, admits = self._name_test(test, step.axis)
            reached = {node for node in reached if admits(node)}
        elif test.type == "text" and step.axis == "child":
            reached = set(nodes)
        selected = frozenset(reached)
        if step.axis not in ("self", "parent", "ancestor", "ancestor-or-self"):
            # Ancestors of what exists exist; every other step's outcome hangs on which instances there are.
            self.reads |= selected
        predicates = tuple(self._rewrite(predicate, selected)[0] for predicate in step.predicates)
        return Step(step.axis, test, predicates), selected

    def _name_test(self, test: NameTest, axis: str) -> tuple[NameTest, Callable[[SchemaNode], bool]]:
        if test.prefix is not None:
            if test.prefix not in self.prefixes:
                raise XPathSyntaxError(f"the prefix {test.prefix!r} is not bound to a namespace")
            namespace: str | None = self.prefixes[test.prefix]
        elif test.name == "*" or axis == "attribute":
            return test, lambda _: True
        else:
            namespace = self.default_namespace
        if namespace is None:
            return test, lambda _: False
        bound = NameTest(self._bind(namespace), test.name)
        if test.name == "*":
            return bound, lambda node: node.namespace == namespace
        tag = f"{{{namespace}}}{test.name}"
        return bound, lambda node: node.tag == tag

    def _bind(self, namespace: str) -> str:
        try:
            prefix = self.schema.prefix_of(namespace)
        except KeyError:
            prefix = f"unknown{len(self.used_namespaces)}"
            for known, bound in self.used_namespaces.items():
                if bound == namespace:
                    prefix = known
        self.used_namespaces[prefix] = namespace
        return prefix

    def _axis(self, axis: str, node: SchemaNode) -> list[SchemaNode]:
        match axis:
            case "self":
                return [node]
            case "child":
                return self._children(node)
            case "parent":
                return [] if node is self.schema.root else [self._parent(node)]
            case "descendant":
                return self._below(node)
            case "descendant-or-self":
                return [node, *self._below(node)]
            case "ancestor":
                return self._above(node)
            case "ancestor-or-self":
                return [node, *self._above(node)]
            case "following-sibling" | "preceding-sibling":
                return [] if node is self.schema.root else self._children(self._parent(node))
            case "following" | "preceding":
                return self._below(self.schema.root)
            case _:
                return []

    def _parent(self, node: SchemaNode) -> SchemaNode:
        return node.data_parent if node.data_parent is not None else self.schema.root

    def _above(self, node: SchemaNode) -> list[SchemaNode]:
        above: list[SchemaNode] = []
        while node is not self.schema.root:
            node = self._parent(node)
            above.append(node)
        return above

    def _children(self, node: SchemaNode) -> list[SchemaNode]:
        children = [*node.data_children.values(), *node.actions.values(), *node.notifications.values()]
        if node is self.schema.root:
            children += self.schema.rpcs.values()
        for side in (node.input, node.output):
            if side is not None:
                children += side.data_children.values()
        if node.kind in (NodeKind.ANYDATA, NodeKind.ANYXML):
            self.exact = False
        return children

    def _below(self, node: SchemaNode) -> list[SchemaNode]:
        below: list[SchemaNode] = []
        for child in self._children(node):
            below.append(child)
            below += self._below(child)
        return below
