"""Checking a long list check by check, where going through it entry by entry would look at each a dozen times.

One expression, which libxml2 evaluates on all entries in one pass, finds those in which something may be wrong: a
node that has to be there is not, a ``must`` or ``when`` that hangs on nothing but what is near it is false. Only these
suspects are then gone through. What an expression cannot tell, because something has to be looked up or is there by
default, is checked on every instance.

A screen says nothing itself: every fault is found, and told, by the same checks as in a short list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout
from rkmp.datastore.schema.nodes import NodeKind, SchemaNode
from rkmp.datastore.validation.accessible_tree import WhenCheck
from rkmp.datastore.validation.conditions import Condition
from rkmp.datastore.validation.constraints import (
    Check,
    Constraints,
    MustCheck,
    StructureCheck,
    schema_children,
)
from rkmp.datastore.xpath.analysis import ROOT_VARIABLE

LONG = 64
"""Entries from which on a list is screened: then the passes over it cost less than they save."""

_HERE = "self::node()"
_PARENT = "parent::node()"


def is_long(parent: etree._Element, layout: Layout) -> bool:
    """Whether a list under ``parent`` is worth a screen; costs no more than finding that many entries."""
    return next(islice(parent.iterchildren(layout.tag), LONG - 1, None), None) is not None


def renewed_lists(tree: DataTree, edits: Iterable[Edit]) -> set[tuple[etree._Element, Layout]]:
    """The lists, by the node that they are under, at least half of whose entries are new, if that is many."""
    new = Counter((edit.parent, edit.layout) for edit in edits if edit.kind is EditKind.CREATED and edit.layout.is_list)
    return {
        (parent, layout)
        for (parent, layout), count in new.items()
        if count >= LONG and 2 * count >= len(tree.entries(parent, layout).by_key)
    }


class Screens:
    """The screens of one schema's lists, made when they are first asked for."""

    def __init__(self, constraints: Constraints) -> None:
        self._constraints = constraints
        self._screens: dict[tuple[Layout, bool, bool], Screen] = {}

    def of(self, layout: Layout, *, check_whens: bool = False, whens_only: bool = False) -> Screen:
        """The screen of a list; see :class:`Screen`."""
        found = self._screens.get((layout, check_whens, whens_only))
        if found is None:
            found = Screen(self._constraints, layout, check_whens, whens_only)
            self._screens[layout, check_whens, whens_only] = found
        return found


@dataclass(slots=True)
class Screen:
    """What to ask of the entries of one list.

    ``whens_only`` leaves out all but the conditions of nodes that are there; else these are only asked for where
    ``check_whens`` says so: in data that nobody has settled.
    """

    constraints: Constraints
    layout: Layout
    check_whens: bool
    whens_only: bool = False
    _doubts: list[str] = field(default_factory=list)
    _everywhere: list[tuple[Check, etree.XPath]] = field(default_factory=list)
    _conditions: list[Condition] = field(default_factory=list)
    _suspects: etree.XPath | None = None
    _uses_root: bool = False

    def __post_init__(self) -> None:
        self._survey(self.layout, _HERE)
        if self._doubts:
            text = " or ".join(f"boolean({doubt})" for doubt in dict.fromkeys(self._doubts))
            self._uses_root = f"${ROOT_VARIABLE}" in text
            self._suspects = self._compile(f"{self.layout.name}[{text}]")

    def suspects(self, parent: etree._Element, root: etree._Element) -> list[etree._Element]:
        """The entries under ``parent`` that are to be gone through one by one."""
        if self._suspects is None:
            return []
        try:
            found = self._suspects(parent, **({ROOT_VARIABLE: root} if self._uses_root else {}))
        except (etree.XPathError, TypeError):
            # Whoever evaluates the expressions one by one will find which of them fails, and where.
            return list(parent.iterchildren(self.layout.tag))
        return [entry for entry in found if isinstance(entry, etree._Element)] if isinstance(found, list) else []

    def everywhere(self, parent: etree._Element) -> Iterator[tuple[Check, list[etree._Element]]]:
        """The checks to make on every instance in the list, with the instances."""
        for check, instances in self._everywhere:
            found: Any = instances(parent)
            if found:
                yield check, found

    def _survey(self, layout: Layout, at: str) -> None:
        for check in self.constraints.own(layout):
            self._ask(check, at)
        below = self.constraints.conditional_below if self.whens_only else self.constraints.below
        for child in below(layout):
            path = _step(at, child.name)
            if not self.whens_only:
                if child.node.defaults or child.is_structural:
                    self._doubts.append(f"{at}[not({child.name})]")
                if child.is_entry and child.node.max_elements is not None:
                    self._doubts.append(f"{at}[count({child.name}) > {child.node.max_elements}]")
            self._survey(child, path)

    def _ask(self, check: Check, at: str) -> None:
        if isinstance(check, WhenCheck):
            if self.check_whens or self.whens_only:
                plain = check.condition.plain
                if check.on_parent:
                    plain = None if plain is None else f"{_PARENT}[boolean({plain})]"
                self._ask_condition(check, check.condition, plain, at)
        elif self.whens_only:
            return
        elif isinstance(check, MustCheck):
            self._ask_condition(check, check.condition, check.condition.plain, at)
        elif isinstance(check, StructureCheck):
            self._require(check.layout, schema_children(check.layout), at)
        else:
            self._everywhere.append((check, self._instances(at)))

    def _ask_condition(self, check: Check, condition: Condition, plain: str | None, at: str) -> None:
        if plain is None:
            self._everywhere.append((check, self._instances(at)))
        else:
            self._doubts.append(f"{at}[not({plain})]")
            self._conditions.append(condition)

    def _require(self, layout: Layout, children: Iterable[SchemaNode], at: str) -> None:
        """Doubt the instances at ``at`` that lack one of ``children`` which can be required."""
        for child in children:
            if not self.constraints.requires(child):
                continue
            if child.kind is NodeKind.CHOICE:
                self._require_choice(layout, child, at)
            elif child.kind is NodeKind.CONTAINER:
                below = layout.children[child.tag]
                self._doubts.append(f"{at}[not({below.name})]")
                self._require(below, child.children, _step(at, below.name))
            else:
                name = layout.children[child.tag].name
                lacks = f"count({name}) < {child.min_elements}" if child.is_entry else f"not({name})"
                self._doubts.append(f"{at}[{lacks}]{self._where_it_may_be(child)}")

    def _require_choice(self, layout: Layout, choice: SchemaNode, at: str) -> None:
        names = [layout.children[tag].name for tag in choice.data_children]
        if choice.mandatory and names:
            self._doubts.append(f"{at}[not({' or '.join(names)})]")
        for case in choice.children:
            inside = [layout.children[tag].name for tag in case.data_children]
            if inside and self.constraints.requires(case):
                self._require(layout, case.children, f"{at}[{' or '.join(inside)}]")

    def _where_it_may_be(self, node: SchemaNode) -> str:
        """Predicates of the parent that are true where the conditions of a node are; fewer where they are not plain."""
        predicates = []
        for check in self.constraints.whens.get(node, ()):
            condition = check.condition
            text = condition.plain if check.on_parent else condition.plain_from_parent
            if text is not None:
                predicates.append(f"[boolean({text})]")
                self._conditions.append(condition)
        return "".join(predicates)

    def _instances(self, at: str) -> etree.XPath:
        return self._compile(self.layout.name + at.removeprefix(_HERE))

    def _compile(self, text: str) -> etree.XPath:
        functions = {name: function for each in self._conditions for name, function in each.functions.items()}
        namespaces = self.constraints.layouts.schema.nsmap
        return etree.XPath(text, namespaces=namespaces, extensions=functions, regexp=False, smart_strings=False)


def _step(at: str, name: str) -> str:
    return f"{at}/{name}"
