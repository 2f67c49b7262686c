"""From expanded module statements to schema nodes (RFC 7950 sections 4.2, 5 to 7).

One node is made for each schema node of the implemented modules, then ``completion`` adds what needs the whole
schema. What this compiler does not handle it refuses by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rkmp.datastore.schema.completion import Completion
from rkmp.datastore.schema.inventory import Inventory
from rkmp.datastore.schema.modules import ParsedModules, Statement, argument, module_name, parse_modules, problem
from rkmp.datastore.schema.nodes import NOT_IN_DATA, Must, NodeKind, Schema, SchemaNode, When
from rkmp.datastore.schema.type_compiler import TypeCompiler, definitions
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.errors import SchemaError

NACM = "ietf-netconf-acm"

# Extension statements that are compiled here, or that say nothing about the instances and operations of a node.
KNOWN_EXTENSIONS = frozenset(
    {
        (NACM, "default-deny-all"),
        (NACM, "default-deny-write"),
        ("ietf-netconf", "get-filter-element-attributes"),
        ("ietf-restconf", "yang-data"),
        ("ietf-subscribed-notifications", "subscription-state-notification"),
        ("ietf-yang-metadata", "annotation"),
        ("ietf-yang-smiv2", "alias"),
        ("ietf-yang-smiv2", "defval"),
        ("ietf-yang-smiv2", "display-hint"),
        ("ietf-yang-smiv2", "implied"),
        ("ietf-yang-smiv2", "max-access"),
        ("ietf-yang-smiv2", "oid"),
        ("ietf-yang-smiv2", "subid"),
        ("ietf-yang-structure-ext", "augment-structure"),
        ("ietf-yang-structure-ext", "structure"),
    }
)

_OPERATIONS = frozenset({NodeKind.RPC, NodeKind.ACTION, NodeKind.NOTIFICATION})
_IN_A_WRITTEN_CASE = frozenset({"uses", *(kind.value for kind in NodeKind)})
_CHOICE_OR_CASE = frozenset({NodeKind.CHOICE, NodeKind.CASE})


def compile_modules(implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path]) -> Schema:
    """What ``load_schema`` says."""
    return _Compiler(parse_modules(implemented, search_path)).compile()


class _Compiler:
    def __init__(self, parsed: ParsedModules) -> None:
        self._parsed = parsed
        self._problems: list[tuple[str, int, str]] = []
        self._inventory = Inventory(parsed)
        self._types = TypeCompiler(self._inventory)
        self._completion = Completion(self._inventory, self._problems)

    def compile(self) -> Schema:
        inventory = self._inventory
        schema = Schema(
            top={},
            rpcs={},
            notifications={},
            modules=inventory.modules,
            identities=inventory.identities,
            content_id=inventory.content_id(),
            nsmap=inventory.nsmap,
        )
        for name in self._parsed.implemented:
            module = self._parsed.statements[name]
            self._check_extensions(module)
            for statement in module.i_children:
                node = self._node(statement, None)
                if node is None:
                    continue
                match node.kind:
                    case NodeKind.RPC:
                        schema.rpcs[node.tag] = node
                    case NodeKind.NOTIFICATION:
                        schema.notifications[node.tag] = node
                    case _:
                        schema.top.update(_data_nodes((node,)))
        for statement in self._parsed.statements.values():
            self._check_targets(statement)
        self._raise_problems()
        self._completion.complete(schema, self._types.instance_identifiers)
        self._raise_problems()
        return schema

    def _raise_problems(self) -> None:
        if self._problems:
            raise SchemaError(self._problems)

    # What a module says outside of its nodes

    def _check_extensions(self, statement: Statement) -> None:
        for inner in statement.substmts:
            if isinstance(inner.keyword, tuple) and inner.keyword not in KNOWN_EXTENSIONS:
                self._problems.append(problem(inner, f"the extension {':'.join(inner.keyword)} is not handled"))

    def _check_targets(self, statement: Statement) -> None:
        """RFC 7950 5.6.5: what an implemented module augments or deviates must be implemented as well.

        pyang carries out the deviations of modules that are only imported, which say nothing about this server.
        """
        changing = self._inventory.modules[module_name(statement)]
        for change in (*statement.search("augment"), *statement.search("deviation")):
            if not changing.implemented:
                if change.keyword == "deviation":
                    self._problems.append(problem(change, "a deviation in a module that is not implemented"))
                continue
            target = None if hasattr(change, "i_not_implemented") else change.i_target_node
            while target is not None and target.keyword not in ("module", "submodule"):
                owner = self._inventory.module_of(target)
                if not owner.implemented:
                    self._problems.append(
                        problem(change, f"the module {owner.name}, which it changes, is not implemented")
                    )
                    break
                target = target.parent

    # Nodes

    def _node(self, statement: Statement, parent: SchemaNode | None) -> SchemaNode | None:
        """The node of a statement, or None where it is not implemented."""
        module = self._inventory.module_of(statement)
        if hasattr(statement, "i_not_implemented") or not module.implemented:
            return None
        kind = NodeKind(statement.keyword)
        self._check_extensions(statement)
        node = SchemaNode(
            kind=kind,
            name=str(statement.arg),
            namespace=module.namespace,
            module=module.name,
            prefix=self._inventory.prefix_of(module.name),
            config=_config(statement, kind, parent),
            parent=parent,
            data_parent=_data_parent(parent),
            case=_case(parent),
            presence=statement.search_one("presence") is not None,
            mandatory=argument(statement, "mandatory") == "true",
            description=argument(statement, "description"),
            status=argument(statement, "status") or "current",
            default_deny_all=_denied(statement, "default-deny-all", parent is not None and parent.default_deny_all),
            default_deny_write=_denied(
                statement, "default-deny-write", parent is not None and parent.default_deny_write
            ),
        )
        node.whens = self._whens(statement, node)
        node.musts = tuple(self._must(must, node) for must in statement.search("must"))
        if node.is_entry:
            _set_entries(node, statement)
        if kind in (NodeKind.LEAF, NodeKind.LEAF_LIST):
            self._set_type(node, statement)
        self._set_children(node, statement)
        if _is_implicit_case(statement) and not node.children:
            return None
        return node

    def _set_children(self, node: SchemaNode, statement: Statement) -> None:
        children: list[SchemaNode] = []
        for inner in getattr(statement, "i_children", ()):
            child = self._node(inner, node)
            if child is None:
                continue
            match child.kind:
                case NodeKind.ACTION:
                    node.actions[child.tag] = child
                case NodeKind.NOTIFICATION:
                    node.notifications[child.tag] = child
                case NodeKind.INPUT:
                    node.input = child
                case NodeKind.OUTPUT:
                    node.output = child
                case _:
                    children.append(child)
        node.children = tuple(children)
        node.data_children = _data_nodes(children)
        if node.kind is NodeKind.LIST:
            _set_keys(node, statement)
            node.uniques = _uniques(node, statement)
        if node.kind is NodeKind.CHOICE:
            default = argument(statement, "default")
            node.default_case = next((child for child in children if child.name == default), None)

    def _set_type(self, node: SchemaNode, statement: Statement) -> None:
        node.type = self._types.compile(statement.search_one("type"), node.namespace)
        node.units = next(
            (units for definition in definitions(statement) if (units := argument(definition, "units"))), None
        )
        self._completion.leaves.append((node, statement))

    # Conditions

    def _whens(self, statement: Statement, node: SchemaNode) -> tuple[When, ...]:
        """All conditions on a node: those of the choice and case that it is in, its own, of each uses and augment."""
        parent = node.parent
        whens = list(parent.whens) if parent is not None and parent.kind in _CHOICE_OR_CASE else []
        for when in statement.search("when"):
            on_parent = node.kind in _CHOICE_OR_CASE or getattr(when, "i_origin", None) == "uses"
            whens.append(When(self._expression(when, node, on_parent=on_parent), on_parent))
        augment = getattr(statement, "i_augment", None)
        for when in () if augment is None else augment.search("when"):
            whens.append(When(self._expression(when, node, on_parent=True), on_parent=True))
        return tuple(whens)

    def _must(self, statement: Statement, node: SchemaNode) -> Must:
        expression = self._expression(statement, node, on_parent=False)
        return Must(expression, argument(statement, "error-message"), argument(statement, "error-app-tag"))

    def _expression(self, statement: Statement, node: SchemaNode, *, on_parent: bool) -> Expression:
        # RFC 7950 7.5.3, 7.21.5: the context of a condition on input or output is the operation.
        context = node.data_parent if on_parent or node.kind in (NodeKind.INPUT, NodeKind.OUTPUT) else node
        # RFC 7950 6.4.1: unprefixed names have the namespace of the context node.
        namespace = context.namespace if context is not None else node.namespace
        try:
            expression = Expression(
                statement.arg,
                self._inventory.prefixes(statement),
                namespace,
                self._inventory.namespace_around(statement),
            )
        except XPathSyntaxError as fault:
            raise SchemaError([problem(statement, str(fault))]) from fault
        self._completion.expressions.append((expression, context, statement))
        return expression


def _config(statement: Statement, kind: NodeKind, parent: SchemaNode | None) -> bool:
    """RFC 7950 7.21.1: inherited; without meaning in operations and notifications, where it is false."""
    if kind in _OPERATIONS or _is_within(parent, _OPERATIONS):
        return False
    written = argument(statement, "config")
    if written is not None:
        return written == "true"
    return parent.config if parent is not None else True


def _denied(statement: Statement, extension: str, parent_is: bool) -> bool:
    return parent_is or statement.search_one((NACM, extension)) is not None


def _is_within(node: SchemaNode | None, kinds: frozenset[NodeKind]) -> bool:
    while node is not None and node.kind not in kinds:
        node = node.parent
    return node is not None


def _data_parent(parent: SchemaNode | None) -> SchemaNode | None:
    while parent is not None and parent.kind in NOT_IN_DATA:
        parent = parent.parent
    return parent


def _case(parent: SchemaNode | None) -> SchemaNode | None:
    if parent is None or parent.kind not in _CHOICE_OR_CASE:
        return None
    return parent if parent.kind is NodeKind.CASE else parent.case


def _data_nodes(children: Iterable[SchemaNode]) -> dict[str, SchemaNode]:
    """The nodes with instances among schema children, choices and cases seen through."""
    found: dict[str, SchemaNode] = {}
    for child in children:
        if child.kind in _CHOICE_OR_CASE:
            found.update(_data_nodes(child.children))
        else:
            found[child.tag] = child
    return found


def _is_implicit_case(statement: Statement) -> bool:
    """RFC 7950 7.9.2: a case that no statement wrote; pyang gives it no substatement that defines data."""
    return statement.keyword == "case" and not any(inner.keyword in _IN_A_WRITTEN_CASE for inner in statement.substmts)


def _set_entries(node: SchemaNode, statement: Statement) -> None:
    # RFC 7950 7.7.7: the order is the system's in state data, output and notifications whatever the module says.
    orderable = node.config or _is_within(node, frozenset({NodeKind.INPUT}))
    node.ordered_by_user = orderable and argument(statement, "ordered-by") == "user"
    node.min_elements = int(argument(statement, "min-elements") or 0)
    most = argument(statement, "max-elements") or "unbounded"
    node.max_elements = None if most == "unbounded" else int(most)


def _set_keys(node: SchemaNode, statement: Statement) -> None:
    names = (argument(statement, "key") or "").split()
    node.keys = tuple(f"{{{node.namespace}}}{name.rpartition(':')[2]}" for name in names)
    for key in node.keys:
        node.data_children[key].is_key = True


def _uniques(node: SchemaNode, statement: Statement) -> tuple[tuple[tuple[str, ...], ...], ...]:
    uniques = [tuple(_descend(node, path) for path in unique.arg.split()) for unique in statement.search("unique")]
    # RFC 7950 7.8.3: only entries that have all the leaves are compared, so one that is not implemented ends it.
    return tuple(paths for paths in uniques if all(paths))


def _descend(node: SchemaNode, path: str) -> tuple[str, ...]:
    """The tags of a descendant schema node identifier of a ``unique`` (RFC 7950 6.5); empty if it leads nowhere."""
    tags = []
    namespace = node.namespace
    for step in path.split("/"):
        name = step.rpartition(":")[2]
        found = next((child for child in node.children if child.name == name and child.namespace == namespace), None)
        if found is None:
            return ()
        node = found
        if node.kind not in _CHOICE_OR_CASE:
            tags.append(node.tag)
    return tuple(tags)
