"""From expanded module statements to the ``Schema`` (RFC 7950 sections 5 to 7 and 9).

Nodes are made first, one for each schema node of the implemented modules; then everything that needs the whole schema
is completed: leafref targets, conditions, defaults. What this compiler does not handle it refuses by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rkmp.datastore.schema.modules import ParsedModules, Statement, module_name, parse_modules, problem
from rkmp.datastore.schema.nodes import Identity, Module, Must, NodeKind, Schema, SchemaNode, Submodule, When
from rkmp.datastore.schema.type_compiler import TypeCompiler
from rkmp.datastore.schema.types import LeafrefType, ValueType, member_types
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.datastore.xpath.functions import YangFunctions
from rkmp.errors import InvalidValue, SchemaError

NACM = "ietf-netconf-acm"

# Extension statements whose meaning is either compiled here or of no consequence to data trees and operations.
KNOWN_EXTENSIONS = frozenset(
    {
        (NACM, "default-deny-all"),
        (NACM, "default-deny-write"),
        ("ietf-netconf", "get-filter-element-attributes"),
        ("ietf-yang-metadata", "annotation"),
        ("ietf-yang-structure-ext", "structure"),
        ("ietf-yang-structure-ext", "augment-structure"),
        ("ietf-restconf", "yang-data"),
    }
)

_NODE_KINDS = {kind.value: kind for kind in NodeKind}
_OPERATIONS = frozenset({NodeKind.RPC, NodeKind.ACTION, NodeKind.NOTIFICATION})


def load_schema(implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path]) -> Schema:
    """Compile the implemented modules and what they import.

    ``implemented`` maps a module's name to its enabled features; a module that is only imported has none.
    ``search_path`` holds folders of modules, which win over the standard modules of the pyang package.
    The result does not depend on the order of either mapping or file system. Raises SchemaError with every problem
    that was found before compilation could not go on.
    """
    return _Compiler(parse_modules(implemented, search_path)).compile()


class _Compiler:
    def __init__(self, parsed: ParsedModules) -> None:
        self._parsed = parsed
        self._problems: list[tuple[str, int, str]] = []
        self._prefixes_of: dict[Statement, dict[str, str]] = {}
        self._modules = _modules(parsed)
        self._nsmap = _unique_prefixes(self._modules.values())
        bound = {namespace: prefix for prefix, namespace in self._nsmap.items()}
        self._identities = _identities(parsed)
        canonical = {}
        for key in self._identities:
            module = self._modules[key[0]]
            if module.implemented:
                value = f"{bound[module.namespace]}:{key[1]}"
                canonical[key] = ((module.namespace, key[1]), value)
        self._types = TypeCompiler(self._identities, canonical, self._prefixes)
        self._statement_of: dict[SchemaNode, Statement] = {}
        self._pending: list[tuple[Statement, Expression, SchemaNode | None]] = []

    def compile(self) -> Schema:
        top: dict[str, SchemaNode] = {}
        rpcs: dict[str, SchemaNode] = {}
        notifications: dict[str, SchemaNode] = {}
        for name in self._parsed.implemented:
            module = self._parsed.statements[name]
            self._check_extensions(module)
            self._check_targets(module)
            for statement in module.i_children:
                for node in self._nodes(statement, None, config=True):
                    if node.kind is NodeKind.RPC:
                        rpcs[node.tag] = node
                    elif node.kind is NodeKind.NOTIFICATION:
                        notifications[node.tag] = node
                    else:
                        top.update(_data_nodes((node,)))
        self._raise_problems()
        schema = Schema(
            top=top,
            rpcs=rpcs,
            notifications=notifications,
            modules=self._modules,
            identities=self._identities,
            content_id=_content_id(self._modules.values()),
            nsmap=self._nsmap,
        )
        self._complete(schema)
        self._raise_problems()
        return schema

    def _raise_problems(self) -> None:
        if self._problems:
            raise SchemaError(self._problems)

    # What a module says outside of its nodes

    def _prefixes(self, statement: Statement) -> Mapping[str, str]:
        """The prefixes in scope where a statement is written: its module's own and those of its imports."""
        written_in = statement.i_orig_module
        known = self._prefixes_of.get(written_in)
        if known is None:
            known = {}
            for prefix, (name, _) in written_in.i_prefixes.items():
                module = self._parsed.statements[name]
                known[prefix] = self._modules[module_name(module)].namespace
            self._prefixes_of[written_in] = known
        return known

    def _namespace(self, statement: Statement) -> str:
        return self._modules[module_name(statement.i_module)].namespace

    def _check_extensions(self, statement: Statement) -> None:
        for inner in statement.substmts:
            if isinstance(inner.keyword, tuple) and inner.keyword not in KNOWN_EXTENSIONS:
                self._problems.append(problem(inner, f"the extension {':'.join(inner.keyword)} is not handled"))

    def _check_targets(self, module: Statement) -> None:
        """RFC 7950 5.6.5: what an implemented module augments or deviates must be implemented as well."""
        written = [module, *(self._parsed.statements[include.arg] for include in module.search("include"))]
        for statement in (inner for part in written for inner in part.substmts):
            if statement.keyword not in ("augment", "deviation") or hasattr(statement, "i_not_implemented"):
                continue
            target = statement.i_target_node
            while target is not None and target.keyword not in ("module", "submodule"):
                name = module_name(target.i_module)
                if not self._modules[name].implemented:
                    self._problems.append(
                        problem(statement, f"the module {name}, which it changes, is not implemented")
                    )
                    break
                target = target.parent

    # Nodes

    def _nodes(
        self,
        statement: Statement,
        parent: SchemaNode | None,
        *,
        config: bool,
        whens: tuple[When, ...] = (),
        case: SchemaNode | None = None,
        deny_all: bool = False,
        deny_write: bool = False,
    ) -> Iterator[SchemaNode]:
        """The node of a statement, or nothing where it is not implemented."""
        name = module_name(statement.i_module)
        if hasattr(statement, "i_not_implemented") or not self._modules[name].implemented:
            return
        kind = _NODE_KINDS.get(statement.keyword)
        if kind is None:
            self._problems.append(problem(statement, f"the statement {statement.keyword} is not handled"))
            return
        self._check_extensions(statement)
        module = self._modules[name]
        explicit = statement.search_one("config")
        if kind in _OPERATIONS:
            config = False
        elif explicit is not None and not _in_operation(parent):
            config = explicit.arg == "true"
        node = SchemaNode(
            kind=kind,
            name=str(statement.arg),
            namespace=module.namespace,
            module=name,
            prefix=self._prefix(module.namespace),
            config=config,
            parent=parent,
            data_parent=_data_parent(parent),
            case=case,
            presence=statement.search_one("presence") is not None,
            mandatory=_argument(statement, "mandatory") == "true",
            description=_argument(statement, "description"),
            status=_argument(statement, "status") or "current",
            default_deny_all=deny_all or statement.search_one((NACM, "default-deny-all")) is not None,
            default_deny_write=deny_write or statement.search_one((NACM, "default-deny-write")) is not None,
        )
        self._statement_of[node] = statement
        node.whens = whens + self._whens(statement, node)
        node.musts = tuple(self._must(must, node) for must in statement.search("must"))
        self._set_entries(node, statement)
        if kind in (NodeKind.LEAF, NodeKind.LEAF_LIST):
            self._set_type(node, statement)
        self._set_children(node, statement)
        if _is_implicit_case(statement) and not node.children:
            return
        yield node

    def _prefix(self, namespace: str) -> str:
        return next(prefix for prefix, bound in self._nsmap.items() if bound == namespace)

    def _set_children(self, node: SchemaNode, statement: Statement) -> None:
        structural = node.kind in (NodeKind.CHOICE, NodeKind.CASE)
        children: list[SchemaNode] = []
        for inner in getattr(statement, "i_children", ()):
            for child in self._nodes(
                inner,
                node,
                config=node.config,
                # A data node's conditions are its own business; those of a choice or case are their children's.
                whens=tuple(When(when.expression, on_parent=True) for when in node.whens) if structural else (),
                case=node if node.kind is NodeKind.CASE else node.case if node.kind is NodeKind.CHOICE else None,
                deny_all=node.default_deny_all,
                deny_write=node.default_deny_write,
            ):
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
            self._set_keys(node, statement)
        if node.kind is NodeKind.CHOICE:
            default = _argument(statement, "default")
            node.default_case = next((child for child in children if child.name == default), None)

    def _set_entries(self, node: SchemaNode, statement: Statement) -> None:
        if not node.is_entry:
            return
        # RFC 7950 7.7.7: the order is the system's in state data, output and notifications whatever the module says.
        node.ordered_by_user = _argument(statement, "ordered-by") == "user" and (node.config or _in_input(node))
        node.min_elements = int(_argument(statement, "min-elements") or 0)
        most = _argument(statement, "max-elements") or "unbounded"
        node.max_elements = None if most == "unbounded" else int(most)

    def _set_keys(self, node: SchemaNode, statement: Statement) -> None:
        names = (_argument(statement, "key") or "").split()
        node.keys = tuple(f"{{{node.namespace}}}{name.rpartition(':')[2]}" for name in names)
        for key in node.keys:
            node.data_children[key].is_key = True
        uniques = []
        for unique in statement.search("unique"):
            paths = [_descend(node, path) for path in unique.arg.split()]
            # A constraint over a leaf whose feature is off can never apply (RFC 7950 7.8.3: all of them must exist).
            if all(paths):
                uniques.append(tuple(paths))
        node.uniques = tuple(uniques)

    def _set_type(self, node: SchemaNode, statement: Statement) -> None:
        node.type = self._types.compile(statement.search_one("type"), node.namespace)
        node.units = next(
            (units for definition in _definitions(statement) if (units := _argument(definition, "units"))), None
        )

    # Conditions

    def _whens(self, statement: Statement, node: SchemaNode) -> tuple[When, ...]:
        """The conditions on a node itself: its own, those of each uses that put it here, and its augment's."""
        structural = node.kind in (NodeKind.CHOICE, NodeKind.CASE)
        whens = []
        for when in statement.search("when"):
            on_parent = structural or getattr(when, "i_origin", None) == "uses"
            whens.append(When(self._expression(when, node, on_parent=on_parent), on_parent))
        augment = getattr(statement, "i_augment", None)
        when = augment.search_one("when") if augment is not None else None
        if when is not None:
            whens.append(When(self._expression(when, node, on_parent=True), on_parent=True))
        return tuple(whens)

    def _must(self, must: Statement, node: SchemaNode) -> Must:
        expression = self._expression(must, node, on_parent=False)
        return Must(expression, _argument(must, "error-message"), _argument(must, "error-app-tag"))

    def _expression(self, statement: Statement, node: SchemaNode, *, on_parent: bool) -> Expression:
        """RFC 7950 6.4.1: unprefixed names have the namespace of the context node."""
        context = node.data_parent if on_parent or node.kind in (NodeKind.INPUT, NodeKind.OUTPUT) else node
        namespace = context.namespace if context is not None else node.namespace
        try:
            expression = Expression(statement.arg, self._prefixes(statement), namespace)
        except XPathSyntaxError as fault:
            raise SchemaError([problem(statement, str(fault))]) from fault
        self._pending.append((statement, expression, context))
        return expression

    # What needs the whole schema

    def _complete(self, schema: Schema) -> None:
        functions = YangFunctions(schema)
        leaves = [(node, statement) for node, statement in self._statement_of.items() if node.type is not None]
        for node, statement in leaves:
            self._resolve_leafrefs(schema, functions, node, statement)
        self._raise_problems()
        for node, statement in leaves:
            self._check_leafref_loop(node, statement)
        self._raise_problems()
        for value_type in self._types.instance_identifiers:
            value_type.canonicalise = _canonicaliser(schema)
        for statement, expression, context in self._pending:
            self._bind(schema, functions, statement, expression, context)
        for node, statement in leaves:
            self._set_defaults(node, statement)

    def _bind(
        self,
        schema: Schema,
        functions: YangFunctions,
        statement: Statement,
        expression: Expression,
        context: SchemaNode | None,
    ) -> None:
        try:
            expression.bind(schema, functions, (context if context is not None else schema.root,))
        except XPathSyntaxError as fault:
            self._problems.append(problem(statement, str(fault)))

    def _resolve_leafrefs(
        self, schema: Schema, functions: YangFunctions, node: SchemaNode, statement: Statement
    ) -> None:
        for leafref in _leafrefs(node.type):
            self._bind(schema, functions, statement, leafref.path, node)
            targets = [target for target in leafref.path.selects if target.type is not None]
            if len(targets) != 1:
                self._problems.append(problem(statement, f"the path {leafref.path.text} does not lead to a leaf"))
                continue
            leafref.target = targets[0]
            leafref.referred = targets[0].type

    def _check_leafref_loop(self, node: SchemaNode, statement: Statement) -> None:
        met: set[SchemaNode] = set()
        open_ends = [node]
        while open_ends:
            current = open_ends.pop()
            for leafref in _leafrefs(current.type):
                if leafref.target is node:
                    self._problems.append(problem(statement, f"the path {leafref.path.text} leads back to itself"))
                    return
                if leafref.target is not None and leafref.target not in met:
                    met.add(leafref.target)
                    open_ends.append(leafref.target)

    def _set_defaults(self, node: SchemaNode, statement: Statement) -> None:
        # RFC 7950 7.6.4, 7.8.2: a mandatory leaf has none, and a key's is ignored.
        if node.type is None or node.mandatory or node.min_elements or node.is_key:
            return
        for definition in _definitions(statement):
            defaults = definition.search("default")
            for default in defaults:
                namespaces: dict[str | None, str] = dict(self._prefixes(default).items())
                namespaces[None] = self._modules[module_name(default.i_orig_module)].namespace
                try:
                    node.defaults += (node.type.check_default(default.arg, namespaces),)
                except InvalidValue as refusal:
                    self._problems.append(problem(default, f"the default {default.arg!r} is invalid: {refusal.reason}"))
            if defaults:
                return


def _argument(statement: Statement, keyword: str) -> str | None:
    found = statement.search_one(keyword)
    return None if found is None or found.arg is None else str(found.arg)


def _data_parent(parent: SchemaNode | None) -> SchemaNode | None:
    while parent is not None and parent.kind in (NodeKind.CHOICE, NodeKind.CASE, NodeKind.INPUT, NodeKind.OUTPUT):
        parent = parent.parent
    return parent


def _in_operation(node: SchemaNode | None) -> bool:
    while node is not None:
        if node.kind in _OPERATIONS:
            return True
        node = node.parent
    return False


def _in_input(node: SchemaNode | None) -> bool:
    while node is not None:
        if node.kind is NodeKind.INPUT:
            return True
        node = node.parent
    return False


def _data_nodes(children: Iterable[SchemaNode]) -> dict[str, SchemaNode]:
    """The nodes with instances among schema children, choices and cases seen through."""
    found: dict[str, SchemaNode] = {}
    for child in children:
        if child.kind in (NodeKind.CHOICE, NodeKind.CASE):
            found.update(_data_nodes(child.children))
        else:
            found[child.tag] = child
    return found


def _is_implicit_case(statement: Statement) -> bool:
    """RFC 7950 7.9.2: a case that no statement wrote; pyang gives it no substatement that defines data."""
    return statement.keyword == "case" and not any(
        inner.keyword in _NODE_KINDS or inner.keyword == "uses" for inner in statement.substmts
    )


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
        if node.kind not in (NodeKind.CHOICE, NodeKind.CASE):
            tags.append(node.tag)
    return tuple(tags)


def _definitions(leaf: Statement) -> Iterator[Statement]:
    """A leaf's statement and the typedefs of its type, from the leaf to the built-in type."""
    definition = leaf
    while definition is not None:
        yield definition
        definition = definition.search_one("type").i_typedef


def _leafrefs(value_type: ValueType | None) -> Iterator[LeafrefType]:
    if value_type is not None:
        yield from (member for member in member_types(value_type) if isinstance(member, LeafrefType))


def _canonicaliser(schema: Schema) -> Callable[[str, Mapping[str | None, str]], str]:
    from rkmp.datastore.instance_path import canonical_instance_identifier

    return lambda text, namespaces: canonical_instance_identifier(schema, text, namespaces)


def _modules(parsed: ParsedModules) -> dict[str, Module]:
    deviations: dict[str, set[str]] = {}
    submodules: dict[str, list[Submodule]] = {}
    for statement in parsed.statements.values():
        if statement.keyword == "submodule":
            submodule = Submodule(statement.arg, statement.i_latest_revision, parsed.texts[statement.arg])
            submodules.setdefault(module_name(statement), []).append(submodule)
        for deviation in statement.search("deviation"):
            target = deviation.i_target_node
            if target is not None:
                deviations.setdefault(module_name(target.i_module), set()).add(module_name(statement))
    modules = {}
    for name, statement in parsed.statements.items():
        if statement.keyword != "module":
            continue
        modules[name] = Module(
            name=name,
            revision=statement.i_latest_revision,
            namespace=statement.search_one("namespace").arg,
            prefix=statement.i_prefix,
            implemented=name in parsed.implemented,
            features=parsed.implemented.get(name, ()),
            text=parsed.texts[name],
            submodules=tuple(submodules.get(name, ())),
            deviations=tuple(sorted(deviations.get(name, ()))),
        )
    return modules


def _unique_prefixes(modules: Iterable[Module]) -> dict[str, str]:
    """A prefix for each namespace: the module's own, with a number where another module has it already."""
    bound: dict[str, str] = {}
    for module in modules:
        prefix, number = module.prefix, 1
        while prefix in bound:
            number += 1
            prefix = f"{module.prefix}{number}"
        bound[prefix] = module.namespace
    return bound


def _identities(parsed: ParsedModules) -> dict[tuple[str, str], Identity]:
    """RFC 7950 7.18.2: an identity is derived from its bases and from everything that they are derived from."""
    found: dict[tuple[str, str], Identity] = {}

    def key(statement: Statement) -> tuple[str, str]:
        return module_name(statement.i_module), str(statement.arg)

    def ancestors(statement: Statement) -> frozenset[tuple[str, str]]:
        bases = [base.i_identity for base in statement.search("base")]
        return frozenset(key(base) for base in bases).union(*(ancestors(base) for base in bases))

    for module in parsed.statements.values():
        for statement in module.search("identity"):
            if not hasattr(statement, "i_not_implemented"):
                found[key(statement)] = Identity(*key(statement), ancestors(statement))
    return found


def _content_id(modules: Iterable[Module]) -> str:
    digest = hashlib.sha256()
    for module in modules:
        parts = (module.name, str(module.implemented), *module.features, *module.deviations, module.text)
        for part in (*parts, *(submodule.text for submodule in module.submodules)):
            digest.update(len(part).to_bytes(8, "big") + part.encode())
    return digest.hexdigest()[:32]
