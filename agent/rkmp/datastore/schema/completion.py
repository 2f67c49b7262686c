"""What is known of a schema only when all of its nodes exist: leafref targets, conditions and defaults.

Follows RFC 7950 sections 6.4 (XPath), 7.6.1 and 7.7.2 (defaults) and 9.9 (leafref).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from rkmp.datastore.schema.instance_identifier import canonical_instance_identifier
from rkmp.datastore.schema.inventory import Inventory
from rkmp.datastore.schema.modules import Statement, problem
from rkmp.datastore.schema.node_instance_identifier import canonical_node_path
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.type_compiler import definitions
from rkmp.datastore.schema.types import InstanceIdentifierType, LeafrefType, ValueType, member_types
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.errors import InvalidValue


class Completion:
    """Collects ``leaves`` (and leaf-lists) and ``expressions`` with their context node while nodes are made.

    Every problem that it meets is added to ``problems``.
    """

    def __init__(self, inventory: Inventory, problems: list[tuple[str, int, str]]) -> None:
        self._inventory = inventory
        self._problems = problems
        self.leaves: list[tuple[SchemaNode, Statement]] = []
        self.expressions: list[tuple[Expression, SchemaNode | None, Statement]] = []

    def complete(self, schema: Schema, instance_identifiers: Sequence[InstanceIdentifierType]) -> None:
        functions = YangFunctions(schema)
        for node, statement in self.leaves:
            for leafref in _leafrefs(node.type):
                self._resolve(leafref, schema, functions, node, statement)
        if not self._problems:
            for node, statement in self.leaves:
                self._refuse_circle(node, statement)
        if self._problems:
            return
        for value_type in instance_identifiers:
            canonical = canonical_node_path if value_type.names_many else canonical_instance_identifier
            value_type.canonicalise = functools.partial(canonical, schema)
        for expression, context, statement in self.expressions:
            self._bind(expression, schema, functions, context, statement)
        for node, statement in self.leaves:
            self._set_defaults(node, statement)

    def _bind(
        self,
        expression: Expression,
        schema: Schema,
        functions: YangFunctions,
        context: SchemaNode | None,
        statement: Statement,
    ) -> None:
        try:
            expression.bind(schema, functions, (context if context is not None else schema.root,))
        except XPathSyntaxError as fault:
            self._problems.append(problem(statement, str(fault)))

    def _resolve(
        self, leafref: LeafrefType, schema: Schema, functions: YangFunctions, node: SchemaNode, statement: Statement
    ) -> None:
        self._bind(leafref.path, schema, functions, node, statement)
        targets = [target for target in leafref.path.selects if target.type is not None]
        if len(targets) != 1:
            reason = f"the path {leafref.path.text} does not lead to a leaf{self._only_imported(leafref.path)}"
            self._problems.append(problem(statement, reason))
        elif node.config and leafref.require_instance and not targets[0].config:
            # RFC 7950 9.9.3; pyang looks at leaves only, not into unions.
            self._problems.append(problem(statement, f"the path {leafref.path.text} leads from configuration to state"))
        else:
            leafref.target = targets[0]
            leafref.referred = targets[0].type

    def _only_imported(self, path: Expression) -> str:
        """RFC 7950 5.6.5: a module whose nodes a leafref leads to must be implemented."""
        named = re.findall(r"([\w.-]+):", path.text)
        modules = (module for module in self._inventory.modules.values() if not module.implemented)
        missing = [module.name for module in modules if module.namespace in map(path.prefixes.get, named)]
        return f": {missing[0]} is not implemented" if missing else ""

    def _refuse_circle(self, node: SchemaNode, statement: Statement) -> None:
        met: set[SchemaNode] = set()
        open_ends = [node]
        while open_ends:
            for leafref in _leafrefs(open_ends.pop().type):
                if leafref.target is node:
                    self._problems.append(problem(statement, f"the path {leafref.path.text} leads back to itself"))
                    return
                if leafref.target is not None and leafref.target not in met:
                    met.add(leafref.target)
                    open_ends.append(leafref.target)

    def _set_defaults(self, node: SchemaNode, statement: Statement) -> None:
        # RFC 7950 7.6.1, 7.7.2, 7.8.2: mandatory nodes have none, and a key's is ignored.
        if node.type is None or node.mandatory or node.min_elements or node.is_key:
            return
        for default in _defaults(node, statement):
            try:
                canonical = node.type.check_default(default.arg, self._inventory.value_namespaces(default))
            except InvalidValue as refusal:
                reason = f"the default {default.arg!r} is invalid: {refusal.reason}"
                self._problems.append(problem(default, reason))
            else:
                node.defaults += (canonical,)


def _leafrefs(value_type: ValueType | None) -> Iterator[LeafrefType]:
    if value_type is not None:
        yield from (member for member in member_types(value_type) if isinstance(member, LeafrefType))


def _defaults(node: SchemaNode, statement: Statement) -> list[Statement]:
    """The ``default`` statements in use: the node's own or else those of the nearest typedef that has one."""
    own = _own_defaults(statement)
    if own:
        return own
    if node.kind is NodeKind.LEAF_LIST and statement.i_orig_module.i_version == "1":
        # RFC 6020 knows no defaults of leaf-lists, so a YANG 1 module cannot mean its type's.
        return []
    for definition in definitions(statement):
        found: list[Statement] = definition.search("default")
        if found:
            return found
    return []


def _own_defaults(statement: Statement) -> list[Statement]:
    found: list[Statement] = statement.search("default")
    refined = [default for default in found if default.stmt_parent.keyword == "refine"]
    # RFC 7950 7.13.2: a refine replaces all the defaults of a leaf-list, where pyang replaces only the first.
    return refined[-1:] or found
