"""What one user may do under one policy: the questions that operations, replies and notifications ask.

RFC 8341 section 3.1.3 says where each is asked. Denials are counted here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.edits import Edit
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.node_instance_identifier import KeyTest, NodePath, node_path_text, parse_node_path
from rkmp.errors import InvalidValue, RpcError
from rkmp.netconf.access_control.denials import data_denied, hidden_fault, operation_denied
from rkmp.netconf.access_control.named_secrets import SecretFinder
from rkmp.netconf.access_control.policy import AccessOperation
from rkmp.netconf.access_control.reading import Reader
from rkmp.netconf.access_control.rule_table import ALWAYS_DELIVERED, Conditional, RuleTable
from rkmp.netconf.access_control.writing import Writer

Permit = Callable[[Sequence[Edit]], None]
"""Raises access-denied for edits that may not be made."""

_TELL_WHAT_IS_THERE = ("data-exists", "data-missing")
"""Errors that answer a guess: whether a node that may not be read is there."""

_ON_SECRETS = (AccessOperation.READ, AccessOperation.CREATE, AccessOperation.UPDATE, AccessOperation.DELETE)


@dataclass(slots=True)
class Denials:
    """What was denied since the server started (RFC 8341 section 3.5.2)."""

    operations: int = 0
    data_writes: int = 0
    notifications: int = 0


class Access:
    """One user's access."""

    def __init__(self, schema: Schema, table: RuleTable, denials: Denials) -> None:
        self.reader = Reader(schema, table)
        self._schema = schema
        self._table = table
        self._denials = denials
        self._writer = Writer(table, self.reader)
        self._secrets = SecretFinder(schema)

    @property
    def is_limited(self) -> bool:
        """Whether rules apply at all: not to a recovery session, nor while access control is switched off."""
        return self._table.is_enforced

    @property
    def permit(self) -> Permit | None:
        """The check of what this user changes; None where nothing is denied."""
        return self._require_edits if self._table.is_enforced else None

    def require_operation(self, tag: str) -> None:
        """Raise access-denied unless the protocol operation ``tag`` may be invoked (RFC 8341 3.4.4)."""
        if not self._table.is_enforced:
            return
        name = etree.QName(tag)
        node = self._schema.rpcs.get(tag)
        if not self._table.operation(tag, name.localname, name.namespace or "", node):
            self._denials.operations += 1
            raise operation_denied(tag)

    def require_files(self, tag: str) -> None:
        """Raise access-denied unless the protocol operation ``tag`` may be invoked on the agent's files.

        They hold what others wrote, and take room on its disk: a rule has to permit the operation, whatever is
        permitted by default.
        """
        if not self._table.is_enforced:
            return
        name = etree.QName(tag)
        node = self._schema.rpcs.get(tag)
        if not self._table.operation(tag, name.localname, name.namespace or "", node, is_denied_by_default=True):
            self._denials.operations += 1
            raise operation_denied(tag)

    def require_secrets(self, config: etree._Element) -> None:
        """Raise access-denied for a secret in ``config``, which is to be applied, that is none of this user's business.

        To set a node to what it is needs no permission (RFC 8341 3.2.5); with a secret, that would answer guesses.
        """
        if not self._table.is_enforced:
            return
        for named in self._secrets.named_in(config):
            holding = frozenset(named.tests)
            if not any(self._may(operation, named.nodes[-1], holding) for operation in _ON_SECRETS):
                self._denials.data_writes += 1
                raise data_denied(self._visible(named), "change")

    def require_action(
        self, action: SchemaNode, path: InstancePath, way: Sequence[tuple[SchemaNode, Mapping[str, str]]]
    ) -> None:
        """Raise access-denied unless an action may be invoked and everything on the way to it read (RFC 8341 3.1.3).

        ``path`` is the action's, ``way`` has the nodes down to it, each with its keys by tag.
        """
        holding = self._table.holding_on(way)
        may_read = all(self._may(AccessOperation.READ, node, holding) for node, _ in way)
        if not may_read or not self._may(AccessOperation.EXEC, action, holding):
            self._denials.operations += 1
            raise data_denied(path, "execute")

    def delivers(self, event: etree._Element) -> bool:
        """Return whether a notification may be sent to this user (RFC 8341 3.4.6); one that may not is counted.

        ``event`` is the notification's element, or the top-level element of its path for one inside data.
        """
        if str(event.tag) in ALWAYS_DELIVERED:
            return True
        top = self._schema.notifications.get(str(event.tag))
        delivers = self._delivers_from(event) if top is None else self._table.event_type(top)
        if not delivers:
            self._denials.notifications += 1
        return delivers

    def presentable(self, errors: Sequence[RpcError]) -> list[RpcError]:
        """Return rpc-errors without what this user may not read (RFC 8341 3.2.5, 3.4.3)."""
        return [self._presentable(error) for error in errors] if self._table.is_enforced else list(errors)

    # How

    def _may(self, operation: AccessOperation, node: SchemaNode, holding: frozenset[KeyTest]) -> bool:
        verdict = self._table.data(operation, node)
        return verdict.decide(holding) if isinstance(verdict, Conditional) else verdict

    def _require_edits(self, edits: Sequence[Edit]) -> None:
        try:
            self._writer.require(edits)
        except RpcError:
            self._denials.data_writes += 1
            raise

    def _delivers_from(self, event: etree._Element) -> bool:
        node: SchemaNode | None = self._schema.top.get(str(event.tag))
        chain = [event]
        while node is not None and node.kind is not NodeKind.NOTIFICATION:
            found = next(
                (
                    (child, below)
                    for child in chain[-1].iterchildren(tag=etree.Element)
                    if (below := _on_the_way(node, str(child.tag))) is not None
                ),
                None,
            )
            if found is None:
                return False
            chain.append(found[0])
            node = found[1]
        return node is not None and self.reader.shows(chain, node)

    def _presentable(self, error: RpcError) -> RpcError:
        if error.path is None or error.tag == "access-denied":
            return error
        sight = self._sight(error.path, error.path_namespaces)
        if sight is None:
            error.info = [(name, text) for name, text in error.info if not self._hides(text, error.path_namespaces)]
            return error
        if error.tag in _TELL_WHAT_IS_THERE and error.app_tag is None:
            return data_denied(sight, "change")
        return hidden_fault(error)

    def _hides(self, text: str, namespaces: Mapping[str, str]) -> bool:
        return text.startswith("/") and self._sight(text, namespaces) is not None

    def _sight(self, path: str, namespaces: Mapping[str, str]) -> InstancePath | None:
        """The part of a path that leads as far as this user may read, or to the top; None where that is all of it.

        A path into a request is of nothing that is hidden.
        """
        try:
            parsed = parse_node_path(self._schema, path, dict(namespaces.items()))
        except InvalidValue:
            return None
        return None if self._depth(parsed) == len(parsed.nodes) else self._visible(parsed)

    def _depth(self, path: NodePath) -> int:
        """How many nodes of a path, from the top, this user may read."""
        holding = frozenset(path.tests)
        for depth, node in enumerate(path.nodes):
            if not self._may(AccessOperation.READ, node, holding):
                return depth
        return len(path.nodes)

    def _visible(self, path: NodePath) -> InstancePath:
        """As much of a path as this user may read, and at least the top-level node."""
        depth = max(self._depth(path), 1)
        seen = NodePath(path.nodes[:depth], tuple(test for test in path.tests if test.depth < depth))
        namespaces = {self._schema.prefix_of(node.namespace): node.namespace for node in seen.nodes}
        return InstancePath(node_path_text(self._schema, seen), namespaces)


def _on_the_way(node: SchemaNode, tag: str) -> SchemaNode | None:
    """The notification, or the inner node above one, that ``tag`` is of."""
    if (notification := node.notifications.get(tag)) is not None:
        return notification
    child = node.data_children.get(tag)
    return None if child is None or child.has_text else child
