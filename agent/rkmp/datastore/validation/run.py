"""One validation: of a whole tree, or of what a journal's edits can affect (RFC 7950 sections 8.1 and 8.3.3).

Both are made of the same parts. What is new is walked with everything in it; what an edit concerns elsewhere comes
from the constraints' table of dependents, and only the instances that share enough with the edited node are looked at.
"""

from __future__ import annotations

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.journal import Journal, Removed, Retexted
from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import path_below, path_of
from rkmp.datastore.validation.accessible_tree import AccessibleTree, WhenCheck
from rkmp.datastore.validation.affected import Affected
from rkmp.datastore.validation.constraints import (
    Check,
    Constraints,
    Dependent,
    MustCheck,
    StructureCheck,
    UniqueCheck,
)
from rkmp.datastore.validation.references import ReferenceCheck
from rkmp.datastore.validation.screening import Screens, is_long, renewed_lists
from rkmp.datastore.validation.structure import Structure, list_path
from rkmp.datastore.validation.uniqueness import Leaves, Uniqueness
from rkmp.datastore.xpath import XPathSyntaxError
from rkmp.errors import RpcError


class Run:
    """Validates ``tree`` while ``accessible`` is open on it; ``errors`` is what was found.

    ``check_whens`` is for data that has not been settled: with nodes whose conditions may be false.
    """

    def __init__(
        self,
        constraints: Constraints,
        tree: DataTree,
        accessible: AccessibleTree,
        uniqueness: Uniqueness,
        screens: Screens,
        *,
        check_whens: bool,
    ) -> None:
        self._constraints = constraints
        self._tree = tree
        self._accessible = accessible
        self._uniqueness = uniqueness
        self._screens = screens
        self._structure = Structure(constraints, accessible)
        self._affected = Affected(constraints.layouts, accessible)
        self._done: set[tuple[object, etree._Element]] = set()
        self._compared: list[tuple[UniqueCheck, etree._Element]] = []
        self._check_whens = check_whens
        # Layouts of which every instance in the tree is checked in any case.
        self._covered: set[Layout] = set()
        self._dependents: dict[tuple[Layout, bool], tuple[Dependent, ...]] = {}
        self.errors: list[RpcError] = []

    def everything(self) -> None:
        """Check the whole tree."""
        self._walk(self._tree.root, self._constraints.layouts.root)
        self._compare()

    def what_changed(self, journal: Journal) -> None:
        """Check what the edits of a tree that was valid before can have made invalid."""
        edits = journal.edits()
        if not edits:
            return
        renewed = renewed_lists(self._tree, edits)
        for parent, layout in renewed:
            self._screen(parent, layout)
            if layout.is_in_one_place:
                self._covered.update((layout, *layout.descendants()))
        for edit in edits:
            self._edited(edit, is_walked=(edit.parent, edit.layout) in renewed)
        self._vanished(journal)
        for check in self._constraints.always:
            for element in self._affected.below(check.layout, self._tree.root, self._constraints.layouts.root):
                self._check(check, element)
        self._compare()

    # Edits

    def _edited(self, edit: Edit, *, is_walked: bool) -> None:
        layout = edit.layout
        if edit.kind is EditKind.CREATED:
            if not is_walked:
                self._walk(edit.element, layout)
            self._check_anchor(edit.parent, layout)
            self._check_list(edit.parent, layout)
        elif edit.kind is EditKind.DELETED:
            self._check_anchor(edit.parent, layout)
            if layout.parent is not None and layout in self._constraints.below(layout.parent):
                self._walk_default(edit.parent, layout)
            self._forget(edit)
        elif edit.kind is EditKind.CHANGED:
            self._check_node(edit.element, layout)
        for dependent in self._dependents_of(layout, value_only=edit.kind is EditKind.CHANGED):
            for element in self._affected.instances(edit, dependent):
                self._check(dependent.check, element)

    def _dependents_of(self, layout: Layout, *, value_only: bool) -> tuple[Dependent, ...]:
        found = self._dependents.get((layout, value_only))
        if found is None:
            affected = self._constraints.affected_by(layout, value_only=value_only)
            found = tuple(each for each in affected if each.check.layout not in self._covered)
            self._dependents[layout, value_only] = found
        return found

    def _check_anchor(self, parent: etree._Element, layout: Layout) -> None:
        anchor, above = parent, layout.parent
        while above is not None and above.is_structural:
            up = anchor.getparent()
            if up is None:
                return
            anchor, above = up, above.parent
        structure = self._constraints.structures.get(above) if above is not None else None
        if structure is not None:
            self._check(structure, anchor)

    def _forget(self, edit: Edit) -> None:
        """What has gone is not compared with others any more."""
        unique = self._constraints.uniques.get(edit.layout)
        if unique is not None:
            self._uniqueness.drop(edit.parent, edit.element, edit.layout, unique.leaves)
        for layout in self._constraints.uniques:
            if layout.parent is not None:
                for parent in self._tree.instances(layout.parent, edit.element, edit.layout):
                    self._uniqueness.forget(parent)

    def _vanished(self, journal: Journal) -> None:
        """Check who refers to values that are no more."""
        removed = False
        for step in journal.steps:
            if isinstance(step, Retexted) and step.layout in self._constraints.referrers:
                self._check_referrers(step.layout, step.text or "")
            elif isinstance(step, Removed):
                removed = True
                for target in self._constraints.targets_below(step.layout):
                    for leaf in self._tree.instances(target, step.element, step.layout):
                        self._check_referrers(target, leaf.text or "")
        if removed:
            for check in self._constraints.identifiers:
                for leaves in list(self._tree.values(check.layout).values()):
                    for leaf in list(leaves):
                        self._check(check, leaf)

    def _check_referrers(self, target: Layout, text: str) -> None:
        if text in self._tree.values(target):
            return
        for check in self._constraints.referrers[target]:
            for leaf in list(self._tree.values(check.layout).get(text, ())):
                self._check(check, leaf)

    # New data

    def _walk(self, element: etree._Element, layout: Layout) -> None:
        """Check a node with everything below it."""
        self._check_node(element, layout)
        for child in self._constraints.below(layout):
            found = False
            if child.is_list and is_long(element, child):
                found = True
                self._screen(element, child)
            else:
                for instance in element.iterchildren(child.tag):
                    found = True
                    self._walk(instance, child)
            if found:
                if child.is_entry:
                    self._check_list(element, child)
            elif child.node.defaults or child.is_structural:
                self._walk_default(element, child)

    def _screen(self, parent: etree._Element, layout: Layout) -> None:
        """Check all entries of a long list with everything below them."""
        screen = self._screens.of(layout, check_whens=self._check_whens)
        for entry in screen.suspects(parent, self._tree.root):
            self._walk(entry, layout)
        for check, instances in screen.everywhere(parent):
            if isinstance(check, ReferenceCheck):
                instances = check.in_doubt(instances, self._accessible)
            for instance in instances:
                self._check(check, instance)

    def _walk_default(self, parent: etree._Element, layout: Layout) -> None:
        """Check a node that is there by default, or as a container without presence, where it is."""
        above = layout.parent
        if above is None or not (layout.node.defaults or layout.is_structural):
            return
        self._accessible.ensure(parent, above, layout)
        for instance in list(parent.iterchildren(layout.tag)):
            self._walk(instance, layout)

    def _check_node(self, element: etree._Element, layout: Layout) -> None:
        """The checks of one node by itself."""
        for check in self._constraints.own(layout):
            self._check(check, element)

    def _check_list(self, parent: etree._Element, layout: Layout) -> None:
        most = layout.node.max_elements
        if not layout.is_entry or most is None or (layout, parent) in self._done:
            return
        self._done.add((layout, parent))
        if sum(1 for _ in parent.iterchildren(layout.tag)) > most:
            self.errors.append(rejections.too_many_elements(list_path(parent, layout), layout.node.name, most))

    # Checks

    def _check(self, check: Check, element: etree._Element) -> None:
        if (check, element) in self._done:
            return
        self._done.add((check, element))
        if isinstance(check, MustCheck):
            self._must(check, element)
        elif isinstance(check, ReferenceCheck):
            self._reference(check, element)
        elif isinstance(check, StructureCheck):
            self.errors += self._structure.missing(element, check.layout)
        elif isinstance(check, UniqueCheck):
            self._compared.append((check, element))
        elif self._check_whens:
            self._when(check, element)

    def _must(self, check: MustCheck, element: etree._Element) -> None:
        try:
            holds = check.condition.holds(element, self._accessible)
        except XPathSyntaxError:
            holds = False
        if not holds:
            must = check.must
            message = must.message or f"{check.layout.node.name} does not satisfy {must.expression.text}"
            self.errors.append(rejections.must_violation(path_of(element, check.layout), message, must.app_tag))

    def _reference(self, check: ReferenceCheck, element: etree._Element) -> None:
        if not check.holds(element, self._accessible):
            path = path_of(element, check.layout)
            value = "the value" if check.layout.is_secret else f"{element.text or ''!r}"
            message = f"{check.layout.node.name} refers to {value}, which does not exist"
            self.errors.append(rejections.instance_required(path, message))

    def _compare(self) -> None:
        """Compare entries once all that may have changed are known with their values: they may have swapped them."""
        known: set[tuple[Leaves, frozenset[etree._Element]]] = set()
        entries = [
            (check, entry, parent) for check, entry in self._compared if (parent := entry.getparent()) is not None
        ]
        for check, entry, parent in entries:
            self._uniqueness.put(parent, entry, check.layout, check.leaves, self._accessible)
        for check, entry, parent in entries:
            for leaves in check.leaves:
                same = self._uniqueness.same_as(parent, entry, leaves)
                if len(same) > 1 and (leaves, frozenset(same)) not in known:
                    known.add((leaves, frozenset(same)))
                    self._not_unique(check, leaves, parent, same)

    def _not_unique(
        self, check: UniqueCheck, leaves: Leaves, parent: etree._Element, entries: tuple[etree._Element, ...]
    ) -> None:
        names = " and ".join(leaf.node.name for leaf in leaves)
        # In use, though perhaps by default, so that there need not be an element.
        paths = [path_below(entry, check.layout, leaf) for entry in entries for leaf in leaves]
        message = f"{len(entries)} of {check.layout.node.name} have the same {names}"
        self.errors.append(rejections.not_unique(list_path(parent, check.layout), message, paths))

    def _when(self, check: WhenCheck, element: etree._Element) -> None:
        """For data that nobody has tidied up: a node whose condition is false must not be there (RFC 7950 8.1)."""
        if not holds_for(check, element, self._accessible):
            path = path_of(element, check.layout)
            self.errors.append(rejections.condition_false(path, check.layout.node.name, check.condition.text))


def holds_for(check: WhenCheck, element: etree._Element, accessible: AccessibleTree) -> bool:
    """Whether a condition is true for an instance that is there."""
    parent = element.getparent()
    if parent is None:
        return True
    return check.condition.holds(parent if check.on_parent else element, accessible)
