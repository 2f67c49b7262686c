"""Whether one user may make a change: every node that is really created, deleted or altered (RFC 8341 section 3.2.5).

Nodes that a request only names, or sets to what they are, need no permission; nor do containers without presence,
which are there by their content alone (RFC 7950 7.5.1), nor nodes that go because another case of their choice comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lxml import etree

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import namespaces_of, step_text
from rkmp.datastore.schema import SchemaNode
from rkmp.datastore.schema.node_instance_identifier import KeyTest
from rkmp.errors import RpcError
from rkmp.netconf.access_control.denials import data_denied
from rkmp.netconf.access_control.policy import AccessOperation
from rkmp.netconf.access_control.reading import Reader
from rkmp.netconf.access_control.rule_table import Conditional, RuleTable, children_of

_OPERATIONS = {
    EditKind.CREATED: AccessOperation.CREATE,
    EditKind.DELETED: AccessOperation.DELETE,
    EditKind.CHANGED: AccessOperation.UPDATE,
    EditKind.MOVED: AccessOperation.UPDATE,
}


class Writer:
    """The hands of one user on configuration."""

    def __init__(self, table: RuleTable, reader: Reader) -> None:
        self._table = table
        self._reader = reader
        self._uniform: dict[tuple[AccessOperation, SchemaNode], bool] = {}

    def require(self, edits: Iterable[Edit]) -> None:
        """Raise access-denied for the first of ``edits`` that the user may not make."""
        edits = tuple(edits)
        left = _LeftCases(edits)
        replaced = _replaced(edits)
        for edit in edits:
            layout = edit.layout
            place = (edit.parent, layout.tag)
            operation = AccessOperation.UPDATE if place in replaced else _OPERATIONS[edit.kind]
            if edit.kind is EditKind.DELETED and (left.explains(edit) or place in replaced):
                continue
            chain = [*_elements_above(edit.parent), edit.element]
            whole = operation in (AccessOperation.CREATE, AccessOperation.DELETE)
            self._require(operation, chain, layout, whole=whole)

    def _require(
        self,
        operation: AccessOperation,
        chain: list[etree._Element],
        layout: Layout,
        *,
        whole: bool,
    ) -> None:
        if whole and self._all_the_same(operation, layout.node):
            return
        if not layout.is_structural and not self._permits(operation, chain, layout.node):
            raise self._denied(chain, layout)
        if not whole or layout.is_opaque:
            return
        for child in chain[-1]:
            chain.append(child)
            self._require(operation, chain, layout.children[child.tag], whole=True)
            chain.pop()

    def _permits(self, operation: AccessOperation, chain: Sequence[etree._Element], node: SchemaNode) -> bool:
        verdict = self._table.data(operation, node)
        if not isinstance(verdict, Conditional):
            return verdict
        holding: frozenset[KeyTest] = frozenset()
        of: SchemaNode | None = node
        for element in reversed(chain):
            if of is not None:
                holding = self._table.holding(element, of, holding)
                of = of.data_parent
        return verdict.decide(holding)

    def _all_the_same(self, operation: AccessOperation, node: SchemaNode) -> bool:
        """Whether everything at and below the instances of a node is permitted, whatever the instance."""
        found = self._uniform.get((operation, node))
        if found is None:
            found = self._table.data(operation, node) is True and all(
                self._all_the_same(operation, child) for child in children_of(node) if child.config
            )
            self._uniform[operation, node] = found
        return found

    def _denied(self, chain: list[etree._Element], layout: Layout) -> RpcError:
        # The path ends where the user's sight does: the rest can be what a deletion takes along, or a guess.
        layouts = [layout]
        while (above := layouts[0].parent) is not None and above.parent is not None:
            layouts.insert(0, above)
        shown = len(chain)
        while shown > 1 and not self._reader.shows(chain[:shown], layouts[shown - 1].node):
            shown -= 1
        steps = [step_text(element, of) for element, of in zip(chain[:shown], layouts[:shown], strict=True)]
        return data_denied(InstancePath("/" + "/".join(steps), namespaces_of(layouts[shown - 1])), "change")


class _LeftCases:
    """Which deletions are the other side of a creation in the same choice (RFC 7950 7.9, RFC 8341 3.2.5)."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._chosen: dict[tuple[etree._Element, SchemaNode], SchemaNode] = {}
        for edit in edits:
            if edit.kind is EditKind.CREATED:
                for choice, case in edit.layout.cases:
                    self._chosen[edit.parent, choice] = case

    def explains(self, edit: Edit) -> bool:
        """Whether a deleted node had to go because a node of another case came."""
        return any(self._chosen.get((edit.parent, choice), case) is not case for choice, case in edit.layout.cases)


def _replaced(edits: Iterable[Edit]) -> set[tuple[etree._Element, str]]:
    """Where a node came in the place of another that is the same node: anydata is only changed whole."""
    seen: dict[EditKind, set[tuple[etree._Element, str]]] = {EditKind.CREATED: set(), EditKind.DELETED: set()}
    for edit in edits:
        if edit.kind in seen and edit.layout.is_opaque:
            seen[edit.kind].add((edit.parent, edit.layout.tag))
    return seen[EditKind.CREATED] & seen[EditKind.DELETED]


def _elements_above(parent: etree._Element) -> list[etree._Element]:
    """The elements from the top-level node down to ``parent``; none where it is the root."""
    above = [parent, *parent.iterancestors()]
    above.pop()
    above.reverse()
    return above
