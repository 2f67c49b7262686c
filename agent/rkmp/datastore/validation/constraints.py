"""The constraints of a schema, compiled once: what to check on which node, and what to check again after a change.

``Constraints.below`` guides a walk over new data to the nodes that have anything to check; ``affected_by`` gives, for
a changed node, the checks elsewhere whose outcome can hang on it, with how far up they are to be looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.schema.nodes import Must, NodeKind, Schema, SchemaNode
from rkmp.datastore.validation.accessible_tree import WhenCheck
from rkmp.datastore.validation.conditions import Condition
from rkmp.datastore.validation.reach import Reach, depth_of
from rkmp.datastore.validation.references import GlobalReference, PathReference, ReferenceCheck, compile_references
from rkmp.datastore.xpath import Expression


@dataclass(frozen=True, slots=True, eq=False)
class MustCheck:
    """A ``must`` of a node."""

    layout: Layout
    condition: Condition
    must: Must


@dataclass(frozen=True, slots=True, eq=False)
class StructureCheck:
    """What has to be below an instance of a root, list or presence container: mandatory nodes, minimum numbers."""

    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class UniqueCheck:
    """The ``unique`` statements of a list, for one entry."""

    layout: Layout
    leaves: tuple[tuple[Layout, ...], ...]


Check = MustCheck | StructureCheck | UniqueCheck | ReferenceCheck | WhenCheck


@dataclass(frozen=True, slots=True, eq=False)
class Dependent:
    """``check`` can turn out differently when a node changes that it reads as ``reach`` says.

    ``depth`` is where the instances to check are: below the changed node's ancestor at that depth.
    """

    check: Check
    reach: Reach
    depth: int
    condition: Condition | None


@dataclass(slots=True)
class Constraints:
    """The constraints of the configuration of one schema."""

    layouts: Layouts
    musts: dict[Layout, tuple[MustCheck, ...]] = field(default_factory=dict)
    whens: dict[SchemaNode, tuple[WhenCheck, ...]] = field(default_factory=dict)
    references: dict[Layout, ReferenceCheck] = field(default_factory=dict)
    structures: dict[Layout, StructureCheck] = field(default_factory=dict)
    uniques: dict[Layout, UniqueCheck] = field(default_factory=dict)
    referrers: dict[Layout, list[ReferenceCheck]] = field(default_factory=dict)
    identifiers: list[ReferenceCheck] = field(default_factory=list)
    always: list[Check] = field(default_factory=list)
    indexed: dict[Layout, None] = field(default_factory=dict)
    _dependents: dict[SchemaNode, list[Dependent]] = field(default_factory=dict)
    _own: dict[Layout, tuple[Check, ...]] = field(default_factory=dict)
    _below: dict[Layout, tuple[Layout, ...]] = field(default_factory=dict)
    _conditional: dict[Layout, tuple[Layout, ...]] = field(default_factory=dict)
    _affected: dict[tuple[Layout, bool], tuple[Dependent, ...]] = field(default_factory=dict)
    _targets: dict[Layout, tuple[Layout, ...]] = field(default_factory=dict)
    _required: dict[SchemaNode, bool] = field(default_factory=dict)
    _required_in: dict[SchemaNode, tuple[SchemaNode, ...]] = field(default_factory=dict)
    _conditions: dict[tuple[Expression, SchemaNode], Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        everything = [self.layouts.root, *self.layouts.root.descendants()]
        for layout in everything:
            self._compile_whens(layout.node, layout)
            self._compile_choices(layout)
        for layout in everything:
            self._compile(layout)
        for layout in everything:
            self._depend(layout)
        self._find_indexed()

    # What to check

    def below(self, layout: Layout) -> tuple[Layout, ...]:
        """The children of a node at or below which there is anything to check."""
        found = self._below.get(layout)
        if found is None:
            found = self._below[layout] = tuple(
                child for child in layout.children.values() if self._has_checks(child) or self.below(child)
            )
        return found

    def own(self, layout: Layout) -> tuple[Check, ...]:
        """The checks of an instance of a node by itself."""
        found = self._own.get(layout)
        if found is None:
            checks: list[Check] = [*self.whens.get(layout.node, ()), *self.musts.get(layout, ())]
            for single in (self.references.get(layout), self.structures.get(layout), self.uniques.get(layout)):
                if single is not None:
                    checks.append(single)
            found = self._own[layout] = tuple(checks)
        return found

    def conditional_below(self, layout: Layout) -> tuple[Layout, ...]:
        """The children of a node at or below which there is a node with a ``when``."""
        found = self._conditional.get(layout)
        if found is None:
            found = self._conditional[layout] = tuple(
                child for child in layout.children.values() if child.node in self.whens or self.conditional_below(child)
            )
        return found

    def targets_below(self, layout: Layout) -> tuple[Layout, ...]:
        """The leaves at or below a node that leafrefs refer to."""
        found = self._targets.get(layout)
        if found is None:
            found = self._targets[layout] = tuple(
                leaf for leaf in (layout, *layout.descendants()) if leaf in self.referrers
            )
        return found

    def required_in(self, node: SchemaNode, children: Iterable[SchemaNode]) -> tuple[SchemaNode, ...]:
        """Those of the schema children of a node whose absence can be a fault."""
        found = self._required_in.get(node)
        if found is None:
            found = self._required_in[node] = tuple(filter(self.requires, children))
        return found

    def requires(self, node: SchemaNode) -> bool:
        """Whether the absence of a schema child can be a fault: of itself, or of what it would have to hold."""
        found = self._required.get(node)
        if found is None:
            found = self._required[node] = self._is_required(node)
        return found

    def affected_by(self, layout: Layout, *, value_only: bool) -> tuple[Dependent, ...]:
        """The checks elsewhere that a change of an instance concerns.

        With ``value_only`` its value has changed; otherwise it has come or gone with everything below it, and what is
        inside is the business of others.
        """
        found = self._affected.get((layout, value_only))
        if found is None:
            found = self._affected[layout, value_only] = tuple(self._find_affected(layout, value_only=value_only))
        return found

    def _find_affected(self, layout: Layout, *, value_only: bool) -> Iterator[Dependent]:
        if value_only:
            yield from self._dependents.get(layout.node, ())
            return
        depth = depth_of(layout.node, self.layouts.schema)
        known: set[tuple[Check, int, int | None]] = set()
        for node in (layout, *layout.descendants()):
            for dependent in self._dependents.get(node.node, ()):
                identity = (dependent.check, dependent.depth, dependent.reach.lookup)
                if dependent.reach.depth < depth and identity not in known:
                    known.add(identity)
                    yield dependent

    def _has_checks(self, layout: Layout) -> bool:
        return bool(self.own(layout)) or layout.node.max_elements is not None

    def _is_required(self, node: SchemaNode) -> bool:
        if not node.config or node.is_key:
            return False
        match node.kind:
            case NodeKind.LEAF | NodeKind.ANYDATA | NodeKind.ANYXML:
                return node.mandatory
            case NodeKind.LIST | NodeKind.LEAF_LIST:
                return node.min_elements > 0
            case NodeKind.CONTAINER:
                return not node.presence and any(map(self.requires, node.children))
            case NodeKind.CHOICE:
                return node.mandatory or any(map(self.requires, node.children))
            case NodeKind.CASE:
                return any(map(self.requires, node.children))
            case _:
                return False

    # Compilation

    def _condition(self, expression: Expression, context: SchemaNode) -> Condition:
        known = self._conditions.get((expression, context))
        if known is None:
            known = self._conditions[expression, context] = Condition(self.layouts, context, expression)
        return known

    def _compile_whens(self, node: SchemaNode, layout: Layout) -> None:
        checks = []
        for when in node.whens:
            context = layout.parent.node if when.on_parent and layout.parent is not None else node
            checks.append(WhenCheck(layout, self._condition(when.expression, context), when.on_parent))
        if checks:
            self.whens[node] = tuple(checks)

    def _compile_choices(self, parent: Layout) -> None:
        """Conditions on choices, for those that are mandatory; a layout below stands for where they are."""
        for child in parent.children.values():
            for choice, _ in child.cases:
                if choice.whens and choice not in self.whens:
                    self._compile_whens(choice, child)

    def _compile(self, layout: Layout) -> None:
        node = layout.node
        if node.musts:
            self.musts[layout] = tuple(
                MustCheck(layout, self._condition(must.expression, node), must) for must in node.musts
            )
        if layout.node.has_text and node.type is not None:
            check = compile_references(self.layouts, layout, node.type, self._condition)
            if check is not None:
                self.references[layout] = check
                for reference in check.alternatives:
                    if isinstance(reference, GlobalReference):
                        self.referrers.setdefault(reference.target, []).append(check)
                if check.has_identifier:
                    self.identifiers.append(check)
        if not layout.is_structural and any(map(self.requires, schema_children(layout))):
            self.structures[layout] = StructureCheck(layout)
        if node.uniques:
            leaves = tuple(tuple(self._leaf(layout, path) for path in unique) for unique in node.uniques)
            self.uniques[layout] = UniqueCheck(layout, leaves)

    def _leaf(self, layout: Layout, path: Iterable[str]) -> Layout:
        for tag in path:
            layout = layout.children[tag]
        return layout

    def _find_indexed(self) -> None:
        """The leaves whose values are looked up; their indexes are made before a tree is opened for evaluation."""
        for target, checks in self.referrers.items():
            self.indexed[target] = None
            self.indexed.update((check.layout, None) for check in checks)
        self.indexed.update((check.layout, None) for check in self.identifiers)
        for condition in self._conditions.values():
            for index, lookup in enumerate(condition.lookups):
                self.indexed[lookup.leaf] = None
                inverse = condition.inverse(index)
                node = self.layouts.of_node(inverse[0]) if inverse is not None else None
                if node is not None:
                    self.indexed[node] = None

    # Dependence

    def _depend(self, layout: Layout) -> None:
        schema = self.layouts.schema
        for must in self.musts.get(layout, ()):
            self._add(must, must.condition, (*must.condition.reaches, *self._own_existence(layout)))
        for when in self.whens.get(layout.node, ()):
            self._add(when, when.condition, when.condition.reaches)
            anchor = _anchor(layout)
            if anchor in self.structures and self.requires(layout.node):
                self._add(self.structures[anchor], None, when.condition.reaches)
            if not when.condition.is_exact:
                self.always.append(when)
        for choice in {choice for child in layout.children.values() for choice, _ in child.cases}:
            anchor = _anchor_of_children(layout)
            if anchor in self.structures and self.requires(choice):
                for when in self.whens.get(choice, ()):
                    self._add(self.structures[anchor], None, when.condition.reaches)
        reference = self.references.get(layout)
        if reference is not None:
            for alternative in reference.alternatives:
                if isinstance(alternative, PathReference):
                    reaches = (*alternative.condition.reaches, *self._own_existence(layout))
                    self._add(reference, alternative.condition, reaches)
        unique = self.uniques.get(layout)
        if unique is not None:
            for leaf in {leaf for leaves in unique.leaves for leaf in leaves}:
                own = Reach(leaf.node, depth_of(layout.node, schema), None, is_final=True)
                self._add(unique, None, self._closure((own,)))

    def _own_existence(self, layout: Layout) -> tuple[Reach, ...]:
        """What decides whether a context that is only there by default is there."""
        parent = layout.parent
        if parent is None or not (layout.node.defaults or layout.is_structural):
            return ()
        depth = depth_of(parent.node, self.layouts.schema)
        return (Reach(layout.node, depth, None, is_final=True),)

    def _add(self, check: Check, condition: Condition | None, reaches: Iterable[Reach]) -> None:
        if condition is not None and not condition.is_exact and not isinstance(check, WhenCheck):
            self.always.append(check)
        deepest = depth_of(check.layout.node, self.layouts.schema)
        for reach in self._closure(reaches):
            dependent = Dependent(check, reach, min(reach.depth, deepest), condition)
            self._dependents.setdefault(reach.node, []).append(dependent)

    def _closure(self, reaches: Iterable[Reach]) -> tuple[Reach, ...]:
        """``reaches`` with what decides on the defaults that are read: conditions, and other nodes of a choice."""
        found: dict[Reach, None] = {}
        pending = list(reaches)
        while pending:
            reach = pending.pop()
            if reach in found:
                continue
            found[reach] = None
            layout = self.layouts.of_node(reach.node)
            if layout is None or not reach.is_final or not (reach.node.defaults or layout.is_structural):
                continue
            step: Layout | None = layout
            while step is not None and depth_of(step.node, self.layouts.schema) > reach.depth:
                pending += self._deciding(step, reach)
                step = step.parent
        return tuple(found)

    def _deciding(self, layout: Layout, reach: Reach) -> Iterator[Reach]:
        schema = self.layouts.schema
        for when in self.whens.get(layout.node, ()):
            for other in when.condition.reaches:
                # What is read from within the entry that a lookup has found is reached through the lookup as well.
                lookup = reach.lookup if other.lookup is None and other.depth >= reach.depth + 1 else None
                yield Reach(other.node, min(reach.depth, other.depth), lookup, other.is_final)
        depth = depth_of(layout.node, schema) - 1
        for choice, _ in layout.cases:
            for node in choice.data_children.values():
                yield Reach(node, min(reach.depth, depth), reach.lookup, is_final=False)


@lru_cache(maxsize=4)
def constraints_of(schema: Schema) -> Constraints:
    """The constraints of a schema, compiled when they are first asked for; their layouts are those of all its trees."""
    return Constraints(Layouts(schema))


def _anchor(layout: Layout) -> Layout:
    """The nearest node above one that is no container without presence: where its absence would be a fault."""
    above = layout.parent
    while above is not None and above.is_structural:
        above = above.parent
    if above is None:
        raise ValueError(f"{layout!r} has nothing above it")
    return above


def _anchor_of_children(layout: Layout) -> Layout:
    return _anchor(layout) if layout.is_structural else layout


def schema_children(layout: Layout) -> tuple[SchemaNode, ...]:
    """The schema children of a node, choices among them; those of the root are the top-level ones."""
    node = layout.node
    if node.children or layout.parent is not None:
        return node.children
    top: dict[SchemaNode, None] = {}
    for child in node.data_children.values():
        step = child
        while step.parent is not None:
            step = step.parent
        top[step] = None
    return tuple(top)
