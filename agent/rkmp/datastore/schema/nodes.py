"""The compiled schema: one ``SchemaNode`` per schema node of the implemented modules, and the ``Schema`` of them all.

A schema is built once (``rkmp.datastore.schema.load_schema``) and then only read. Names of elements are Clark tags
(``{namespace}name``), so that a look-up from an lxml element is one dictionary access. Follows RFC 7950 sections 4.2
(what the nodes are), 5.1 (modules), 7 (their properties) and 9 (types, in ``types``). Knows nothing of instance data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from rkmp.datastore.schema.types import ValueType
    from rkmp.datastore.xpath import Expression


class NodeKind(Enum):
    """The statement that defines a schema node (RFC 7950 section 3, "schema node")."""

    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"
    CHOICE = "choice"
    CASE = "case"
    ANYDATA = "anydata"
    ANYXML = "anyxml"
    RPC = "rpc"
    ACTION = "action"
    INPUT = "input"
    OUTPUT = "output"
    NOTIFICATION = "notification"


@dataclass(frozen=True, slots=True)
class Must:
    """A ``must`` statement (RFC 7950 7.5.3): the expression and what to answer when it is false."""

    expression: Expression
    message: str | None = None
    app_tag: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """A ``when`` statement that applies to a data node (RFC 7950 7.21.5), whether its own or inherited.

    ``on_parent`` is true for those of uses, augment, choice and case: their context node is the closest ancestor of
    the data node that is itself a data node; for the node's own ``when`` it is the node (or the dummy in its place).
    """

    expression: Expression
    on_parent: bool


@dataclass(slots=True, eq=False, repr=False)
class SchemaNode:
    """One schema node. Everything that a walk over instance data asks is precomputed here.

    ``parent`` is the schema parent (choices and cases included), ``data_parent`` the nearest one that has instances.
    ``children`` are the schema children that define data (implicit cases of RFC 7950 7.9.2 made explicit), in order
    of definition; ``data_children`` the data nodes reached through choices and cases, by tag; ``actions`` and
    ``notifications`` those defined directly in this node. ``input`` and ``output`` exist on rpcs and actions.
    ``case`` is the nearest enclosing case of a data node, ``whens`` all conditions that decide whether it may exist.
    ``mandatory`` is the statement's own (leaf, choice, anydata, anyxml). ``defaults`` are in lexical canonical form,
    a leaf's from its type when it has none itself; ``default_case`` is a choice's.
    """

    kind: NodeKind
    name: str
    namespace: str
    module: str
    prefix: str
    config: bool
    parent: SchemaNode | None = None
    data_parent: SchemaNode | None = None
    case: SchemaNode | None = None
    children: tuple[SchemaNode, ...] = ()
    data_children: dict[str, SchemaNode] = field(default_factory=dict)
    actions: dict[str, SchemaNode] = field(default_factory=dict)
    notifications: dict[str, SchemaNode] = field(default_factory=dict)
    input: SchemaNode | None = None
    output: SchemaNode | None = None
    presence: bool = False
    keys: tuple[str, ...] = ()
    is_key: bool = False
    ordered_by_user: bool = False
    mandatory: bool = False
    min_elements: int = 0
    max_elements: int | None = None
    uniques: tuple[tuple[tuple[str, ...], ...], ...] = ()
    defaults: tuple[str, ...] = ()
    default_case: SchemaNode | None = None
    type: ValueType | None = None
    musts: tuple[Must, ...] = ()
    whens: tuple[When, ...] = ()
    default_deny_all: bool = False
    default_deny_write: bool = False
    units: str | None = None
    description: str | None = None
    status: str = "current"
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        self.tag = f"{{{self.namespace}}}{self.name}"

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.schema_path}>"

    @property
    def schema_path(self) -> str:
        """Absolute schema node identifier with a prefix on every step, choices and cases included."""
        above = self.parent.schema_path if self.parent is not None else ""
        return f"{above}/{self.prefix}:{self.name}"

    @property
    def data_path(self) -> tuple[str, ...]:
        """The tags of the data nodes from the top-level node down to this one (input and output left out)."""
        node: SchemaNode | None = self
        tags: list[str] = []
        while node is not None:
            if node.kind not in NOT_IN_DATA:
                tags.append(node.tag)
            node = node.data_parent
        return tuple(reversed(tags))

    @property
    def has_text(self) -> bool:
        """True for leaf and leaf-list: the instance's content is a value."""
        return self.type is not None

    @property
    def is_entry(self) -> bool:
        """True for list and leaf-list: there can be several instances."""
        return self.kind in (NodeKind.LIST, NodeKind.LEAF_LIST)

    def descendants(self) -> Iterator[SchemaNode]:
        """Every data node below this one, a parent before its children."""
        for child in self.data_children.values():
            yield child
            yield from child.descendants()


NETCONF_BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"

# Schema nodes that have no element of their own in an instance document.
NOT_IN_DATA = frozenset({NodeKind.CHOICE, NodeKind.CASE, NodeKind.INPUT, NodeKind.OUTPUT})


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule that a module includes."""

    name: str
    revision: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Module:
    """What ietf-yang-library and get-schema tell of one module.

    ``implemented`` is false for a module that is only imported (RFC 7950 5.6.5): its typedefs, identities and
    extensions serve others and its data nodes are not part of the schema. ``features`` are those enabled,
    ``deviations`` the names of modules whose deviation statements change this one, ``text`` the YANG source.
    """

    name: str
    revision: str | None
    namespace: str
    prefix: str
    implemented: bool
    features: tuple[str, ...]
    text: str
    submodules: tuple[Submodule, ...] = ()
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity and everything it is derived from, as (module name, identity name) pairs (RFC 7950 7.18)."""

    module: str
    name: str
    ancestors: frozenset[tuple[str, str]]


@dataclass(slots=True, eq=False, repr=False)
class Schema:
    """The schema of a whole server.

    ``top``, ``rpcs`` and ``notifications`` hold the top-level nodes by tag; ``modules`` every module by name;
    ``identities`` by (module name, identity name); ``content_id`` changes whenever a module, its text, a feature or a
    deviation does (RFC 8525 content-id). ``nsmap`` binds a prefix to each namespace, unique in the schema; a
    datastore root carries it, so that canonical identityref and instance-identifier values stay bound. ``root`` stands
    for the ``config`` element above the top-level nodes, so that a walk needs no special case at the top;
    ``value_namespaces`` is ``nsmap`` as value types take it, for checking values that are canonical already.
    """

    top: dict[str, SchemaNode]
    rpcs: dict[str, SchemaNode]
    notifications: dict[str, SchemaNode]
    modules: dict[str, Module]
    identities: Mapping[tuple[str, str], Identity]
    content_id: str
    nsmap: dict[str, str] = field(default_factory=dict)
    root: SchemaNode = field(init=False)
    value_namespaces: Mapping[str | None, str] = field(init=False)
    _prefixes: dict[str, str] = field(init=False)
    _module_of: dict[str, Module] = field(init=False)

    def __post_init__(self) -> None:
        self.value_namespaces = dict(self.nsmap.items())
        self._prefixes = {namespace: prefix for prefix, namespace in self.nsmap.items()}
        self._module_of = {module.namespace: module for module in self.modules.values()}
        self.root = SchemaNode(
            kind=NodeKind.CONTAINER,
            name="config",
            namespace=NETCONF_BASE,
            module="ietf-netconf",
            prefix="nc",
            config=True,
            presence=True,
            data_children=self.top,
            notifications=self.notifications,
        )

    def prefix_of(self, namespace: str) -> str:
        """The prefix that this schema binds to a module's namespace; KeyError when no module has it."""
        return self._prefixes[namespace]

    def module_of(self, namespace: str) -> Module | None:
        """The module with this namespace, implemented or imported."""
        return self._module_of.get(namespace)

    def node_at(self, path: Iterable[str]) -> SchemaNode | None:
        """The node reached by tags from the top: a data node, rpc, notification, or an action or notification in data.

        Below an rpc or action the path goes on into its input.
        """
        node: SchemaNode | None = None
        for tag in path:
            if node is None:
                node = self.top.get(tag) or self.rpcs.get(tag) or self.notifications.get(tag)
            else:
                inside = node.input if node.input is not None else node
                node = inside.data_children.get(tag) or inside.actions.get(tag) or inside.notifications.get(tag)
            if node is None:
                return None
        return node

    def node_of(self, element: etree._Element) -> SchemaNode | None:
        """The node that an element of a tree under a ``config``-like root is an instance of."""
        path = [str(element.tag)]
        path += [str(ancestor.tag) for ancestor in element.iterancestors()]
        path.pop()
        return self.node_at(reversed(path))

    def new_root(self) -> etree._Element:
        """An empty datastore: a ``config`` element that binds every prefix of the schema."""
        return etree.Element(self.root.tag, nsmap=self.nsmap)

    def data_nodes(self) -> Iterator[SchemaNode]:
        """Every data node of the datastores, a parent before its children."""
        for node in self.top.values():
            yield node
            yield from node.descendants()
