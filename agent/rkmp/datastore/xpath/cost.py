"""What an expression may cost on a tree: an estimate that is made before libxml2 begins, since nothing can stop it.

Expressions of clients are the only ones that need it. ``//*[//*]`` visits every node once for every node, and a step
down from many nodes that may overlap has libxml2 compare every node that it finds with all that it has found. The
estimate is from above and counts instances by their names; it is only made for expressions that could be dear.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from lxml import etree

from rkmp.datastore.schema.nodes import Schema
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
    XPathSyntaxError,
    operands,
)

MAXIMUM_COST = 40_000_000
"""Visits of nodes that an expression may need: about half a second, at 12 ns each."""

_COMPARISONS_A_VISIT = 4
"""Comparisons of two nodes, or of two hashes of values, that take as long as one visit."""

_LEVELS = 10
"""How often a node can be below others of one set, in any model that people write."""

_CHEAP_PATHS = 8
"""Paths, none of which is in a predicate, that need no estimate."""

_REPEATS = re.compile(r".[*+?{]", re.DOTALL)
_ALTERNATIVES = 8
"""Bars in a pattern; each can double what there is to try."""

_ONE_EACH = frozenset({"self", "parent", "attribute"})
_DOWNWARD = frozenset({"self", "child", "attribute", "descendant", "descendant-or-self"})


class Cost:
    """The cost of one expression of a filter, whose names are bound by ``prefixes``."""

    def __init__(self, schema: Schema, tree: Syntax, prefixes: Mapping[str, str]) -> None:
        self._tree = tree
        self._prefixes = prefixes
        self._entries = {node.tag for node in schema.data_nodes() if node.is_entry}
        self.is_cheap = _is_cheap(tree)
        """Whether the expression only goes down, once, so that it needs no estimate."""

    def require_affordable(self, root: etree._Element) -> None:
        """Raises XPathSyntaxError where the expression would take too long on the tree below ``root``."""
        if self.is_cheap:
            return
        counts = Counter(str(element.tag) for element in root.iter(etree.Element))
        estimate = _Estimate(counts, self._entries, self._prefixes)
        estimate.size(self._tree, 1.0)
        if estimate.visits > MAXIMUM_COST:
            raise XPathSyntaxError("the expression would visit too many nodes; ask for less at a time")


def require_quick_patterns(tree: Syntax) -> None:
    """Raises XPathSyntaxError for a ``re-match`` that could take minutes on some text, since nothing can stop it.

    What repeats a group, or repeats more than once, has the matcher go back; so do many alternatives.
    """
    match tree:
        case Call("re-match", (_, Literal(pattern))):
            if len(_REPEATS.findall(pattern)) > 1 or ")" in {at[0] for at in _REPEATS.findall(pattern)}:
                raise XPathSyntaxError("a pattern may repeat one character or class, once")
            if pattern.count("|") > _ALTERNATIVES:
                raise XPathSyntaxError(f"a pattern may have {_ALTERNATIVES} alternatives more than one")
        case Call("re-match", (_, _)):
            raise XPathSyntaxError("the pattern of re-match is to be a string in quotes")
    for operand in operands(tree):
        require_quick_patterns(operand)


def _is_cheap(tree: Syntax) -> bool:
    """Whether it is a few paths that go down from the root once, with only leaves compared on the way."""
    paths = list(_paths(tree))
    return len(paths) <= _CHEAP_PATHS and all(_goes_down_once(path) for path in paths)


def _paths(tree: Syntax) -> list[Path]:
    """The paths outside of predicates."""
    if isinstance(tree, Path):
        return [tree, *(() if tree.start is None else _paths(tree.start))]
    return [path for operand in operands(tree) for path in _paths(operand)]


def _goes_down_once(path: Path) -> bool:
    if path.start is not None:
        return False
    dear = [step for step in path.steps if step.axis not in ("self", "child", "attribute")]
    # "//name" is two steps; a second one on the way down has to find out what it has been to.
    if len(dear) > 1 or any(step.axis not in _DOWNWARD for step in dear):
        return False
    return all(_compares_leaves(predicate) for step in path.steps for predicate in step.predicates)


def _compares_leaves(predicate: Syntax) -> bool:
    if isinstance(predicate, Path):
        return (
            not predicate.absolute
            and predicate.start is None
            and all(step.axis in ("self", "child") and not step.predicates for step in predicate.steps)
        )
    if isinstance(predicate, Call) and predicate.name in ("deref", "current"):
        return False
    inside = operands(predicate)
    # Two sets of nodes are compared each with each.
    compares = isinstance(predicate, Binary) and predicate.operator not in ("and", "or")
    if compares and not any(isinstance(operand, Literal | Number) for operand in inside):
        return False
    return all(_compares_leaves(operand) for operand in inside)


class _Estimate:
    """Adds up visits; ``counts`` are the elements of a tree by tag, ``entries`` the tags of lists and leaf-lists."""

    def __init__(self, counts: Counter[str], entries: set[str], prefixes: Mapping[str, str]) -> None:
        self._counts = counts
        self._entries = entries
        self._prefixes = prefixes
        self._total = float(sum(counts.values()))
        self.visits = 0.0

    def size(self, tree: Syntax, times: float) -> float:
        """Count what ``times`` evaluations of ``tree`` take; return how many nodes each selects, at most."""
        if self.visits > MAXIMUM_COST:
            return 0.0
        match tree:
            case Path():
                return self._path(tree, times)
            case Binary(operator, left, right):
                first, second = self.size(left, times), self.size(right, times)
                self.visits += times * (1.0 + first * second / _COMPARISONS_A_VISIT)
                return first + second if operator == "|" else 0.0
            case Negation(operand):
                self.size(operand, times)
            case Call(_, arguments):
                # Strings are made of everything below a node. In two statements: += takes the sum as it was before.
                found = sum(self.size(argument, times) for argument in arguments)
                self.visits += times * (1.0 + found)
                return self._total if tree.name == "deref" else 0.0
            case _:
                self.visits += times
        return 0.0

    def _path(self, path: Path, times: float) -> float:
        size = 1.0 if path.start is None else max(1.0, self.size(path.start, times))
        for predicate in path.predicates:
            self.size(predicate, times * size)
        # What is reached downwards from different nodes is different, so all evaluations share what there is.
        shared = times if not path.absolute and path.start is None else 1.0
        for step in path.steps:
            if step.axis not in _DOWNWARD:
                shared = 1.0
            reached, visited = self._step(step, size, shared)
            self.visits += times * visited
            if step.axis not in ("self", "child", "attribute"):
                self.visits += times * size * reached / _COMPARISONS_A_VISIT
            for predicate in step.predicates:
                self.size(predicate, times * reached)
            size = reached
        return size

    def _step(self, step: Step, size: float, shared: float) -> tuple[float, float]:
        """How many nodes one evaluation of a step reaches from ``size`` nodes, and how many it looks at."""
        if step.axis in _ONE_EACH:
            return size, size
        everything = max(1.0, self._total / shared)
        known = everything
        if isinstance(step.test, NameTest) and step.test.name != "*" and step.test.prefix is not None:
            tag = f"{{{self._prefixes.get(step.test.prefix)}}}{step.test.name}"
            known = max(1.0, self._counts[tag] / shared)
            if step.axis == "child" and tag not in self._entries:
                known = min(known, size)
        if step.axis in ("ancestor", "ancestor-or-self"):
            return min(known, size * _LEVELS), size * _LEVELS
        if step.axis in _DOWNWARD:
            return known, everything * (1 if step.axis == "child" else min(size, _LEVELS))
        return known, everything * size
