"""XPath expressions that name list entries by their values, which indexes find without a walk over the others.

A path that fixes the keys of an entry leads to that one. A path that goes straight down to a list in one place and
asks for one value of a leaf leads to those that have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lxml import etree

from rkmp.datastore.layout import Key, needs_namespaces
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.subtree_filter import EntryIndex
from rkmp.datastore.xpath import Expression
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.datastore.xpath.syntax import SELF, Binary, Literal, NameTest, Path, Step, Syntax, render


@dataclass(frozen=True, slots=True)
class Lookup:
    """The steps from the root to one entry, each with the key of a list or leaf-list, and what to evaluate there.

    ``entry`` is the path of those steps: the entry, whole.
    """

    steps: tuple[tuple[SchemaNode, Key | None], ...]
    rest: Expression | None
    entry: Expression


@dataclass(frozen=True, slots=True)
class Search:
    """A path to the entries of a list in one place whose ``leaf`` has a value, and what to evaluate in each."""

    leaf: SchemaNode
    value: str
    rest: Expression | None


def lookup_of(tree: Syntax, prefixes: Mapping[str, str], schema: Schema, functions: YangFunctions) -> Lookup | None:
    """How to walk to the entry that a path names by its keys; None where it does not."""
    if not isinstance(tree, Path) or tree.start is not None:
        return None
    node = schema.root
    walked: list[tuple[SchemaNode, Key | None]] = []
    count = 0
    rest: tuple[Step, ...] = ()
    for number, step in enumerate(tree.steps):
        child = node.data_children.get(_tag(step, prefixes) or "")
        if child is None or not child.config:
            break
        key: Key | None = None
        if child.is_entry:
            found = _key(child, step.predicates, prefixes)
            if found is None:
                break
            key, others = found
            count = number + 1
            rest = (Step("self", SELF.test, others),) if others else ()
        elif child.kind is not NodeKind.CONTAINER or step.predicates:
            break
        walked.append((child, key))
        node = child
        if rest:
            break
    if not count:
        return None
    entry = Expression(
        render(Path(True, (*tree.steps[: count - 1], _only_key(tree.steps[count - 1], rest)))), prefixes, None
    )
    entry.bind(schema, functions, [schema.root])
    rest += tree.steps[count:]
    inside = _inside(rest, walked[count - 1][0], prefixes, schema, functions)
    return Lookup(tuple(walked[:count]), inside, entry)


def search_of(tree: Syntax, prefixes: Mapping[str, str], schema: Schema, functions: YangFunctions) -> Search | None:
    """What a path searches for that goes down to a list, there to the entries with one value, and further down."""
    if not isinstance(tree, Path) or tree.start is not None:
        return None
    node = schema.root
    for number, step in enumerate(tree.steps):
        child = node.data_children.get(_tag(step, prefixes) or "")
        if child is None or not child.config:
            return None
        if child.kind is NodeKind.LIST:
            rest = tree.steps[number + 1 :]
            fixed = _equality(step.predicates[0]) if len(step.predicates) == 1 else None
            if fixed is None or len(fixed[0].steps) != 1 or not all(map(_goes_down, rest)):
                return None
            leaf = child.data_children.get(_tag(fixed[0].steps[0], prefixes) or "")
            if leaf is None or not leaf.config or fixed[0].steps[0].predicates:
                return None
            if leaf.kind is not NodeKind.LEAF or leaf.type is None or needs_namespaces(leaf.type):
                return None
            return Search(leaf, fixed[1], _inside(rest, child, prefixes, schema, functions))
        if child.kind is not NodeKind.CONTAINER or step.predicates:
            return None
        node = child
    return None


def _goes_down(step: Step) -> bool:
    return step.axis == "child" and not step.predicates


def _inside(
    steps: tuple[Step, ...],
    node: SchemaNode,
    prefixes: Mapping[str, str],
    schema: Schema,
    functions: YangFunctions,
) -> Expression | None:
    """The expression that further steps are, from an instance of ``node``; None for none."""
    if not steps:
        return None
    expression = Expression(render(Path(False, steps)), prefixes, None)
    expression.bind(schema, functions, [node])
    return expression


def _only_key(step: Step, rest: tuple[Step, ...]) -> Step:
    """A step with those of its predicates that fix the key; ``rest`` holds the others, which come after them."""
    others = sum(len(further.predicates) for further in rest)
    return replace(step, predicates=step.predicates[: len(step.predicates) - others])


def _key(
    node: SchemaNode, predicates: tuple[Syntax, ...], prefixes: Mapping[str, str]
) -> tuple[Key, tuple[Syntax, ...]] | None:
    """The key that the first predicates of a step fix, and the predicates that are left."""
    if node.kind is NodeKind.LEAF_LIST:
        fixed = _equality(predicates[0]) if predicates else None
        if fixed is None or fixed[0] != Path(False, (SELF,)) or (node.type and needs_namespaces(node.type)):
            return None
        return fixed[1], predicates[1:]
    values: dict[str, str] = {}
    for number, predicate in enumerate(predicates):
        for part in _conjuncts(predicate):
            fixed = _equality(part)
            if fixed is None or len(fixed[0].steps) != 1:
                return None
            tag = _tag(fixed[0].steps[0], prefixes)
            leaf = node.data_children.get(tag or "")
            if tag not in node.keys or tag in values or fixed[0].steps[0].predicates or leaf is None:
                return None
            if leaf.type is not None and needs_namespaces(leaf.type):
                return None
            values[tag] = fixed[1]
        if node.keys and len(values) == len(node.keys):
            keys = tuple(values[key] for key in node.keys)
            return keys[0] if len(keys) == 1 else keys, predicates[number + 1 :]
    return None


def _conjuncts(predicate: Syntax) -> Iterable[Syntax]:
    if isinstance(predicate, Binary) and predicate.operator == "and":
        yield from _conjuncts(predicate.left)
        yield from _conjuncts(predicate.right)
    else:
        yield predicate


def _equality(predicate: Syntax) -> tuple[Path, str] | None:
    """The path and the string of ``path = 'string'``."""
    if not isinstance(predicate, Binary) or predicate.operator != "=":
        return None
    for path, literal in ((predicate.left, predicate.right), (predicate.right, predicate.left)):
        if isinstance(path, Path) and isinstance(literal, Literal) and not path.absolute and path.start is None:
            return path, literal.value
    return None


def _tag(step: Step, prefixes: Mapping[str, str]) -> str | None:
    """The Clark tag of a child step with a full name."""
    test = step.test
    if step.axis != "child" or not isinstance(test, NameTest) or test.prefix is None or test.name == "*":
        return None
    return f"{{{prefixes.get(test.prefix)}}}{test.name}"


def look_up(
    tree: etree._Element, index: EntryIndex, steps: Iterable[tuple[SchemaNode, Key | None]]
) -> etree._Element | None:
    element = tree
    for node, key in steps:
        found = next(element.iterchildren(node.tag), None) if key is None else index.find(element, node, key)
        if found is None:
            return None
        element = found
    return element
