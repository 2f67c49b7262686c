"""What one user may do, compiled from a policy: RFC 8341 sections 3.4.4, 3.4.5 and 3.4.6.

A verdict is found once for each schema node and operation, and kept. Only where a rule names particular instances
does it depend on the instance, and is then a short list of keys to compare.

Nodes under nacm:default-deny-all are readable by explicit permission only, whoever asks: a recovery session, and
everybody while access control is switched off, may do anything and still needs a rule to be shown a secret. The one
exception is ``/nacm`` itself, which holds no secret, and which whoever repairs access control must see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import NodeKind, SchemaNode
from rkmp.datastore.schema.node_instance_identifier import SELF_TAG, KeyTest
from rkmp.netconf.access_control.policy import NACM, AccessOperation, Policy, Rule, RuleType
from rkmp.netconf.namespaces import NOTIFICATION, PARTIAL_LOCK, STREAMS, base

ALWAYS_PERMITTED = frozenset({base("close-session")})
"""RFC 8341 3.4.4 step 3."""

DENIED_BY_DEFAULT = frozenset({base("kill-session"), base("delete-config")})
"""RFC 8341 3.4.4 step 11: exec-default does not apply to them."""

ALWAYS_DELIVERED = frozenset(f"{{{STREAMS}}}{name}" for name in ("replayComplete", "notificationComplete"))
"""RFC 8341 3.4.6 step 3: event types that tell of the subscription itself."""

MODULES_WITHOUT_SCHEMA = {NOTIFICATION: "notifications", PARTIAL_LOCK: "ietf-netconf-partial-lock"}
"""Modules of operations that are carried out without their YANG, by namespace: those of RFC 5277 and RFC 5717."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """A verdict that depends on the instance: that of the first case whose tests all hold, or else ``otherwise``."""

    cases: tuple[tuple[frozenset[KeyTest], bool], ...]
    otherwise: bool

    def decide(self, holding: frozenset[KeyTest]) -> bool:
        """Return whether an instance may be accessed of which, and of all above it, the tests ``holding`` hold."""
        for tests, permits in self.cases:
            if holding.issuperset(tests):
                return permits
        return self.otherwise


Verdict: TypeAlias = "bool | Conditional"


class RuleTable:
    """The verdicts for one user in one set of groups. ``is_enforced`` is false for whoever may do anything."""

    def __init__(self, policy: Policy, username: str, external_groups: frozenset[str], *, is_recovery: bool) -> None:
        self.is_enforced = policy.enabled and not is_recovery
        self._policy = policy
        self._rules = policy.rules_for(policy.groups_of(username, external_groups))
        self._username = username
        self._data: dict[tuple[AccessOperation, SchemaNode], Verdict] = {}
        self._tests: dict[SchemaNode, dict[str, dict[str, KeyTest]]] = {}
        for rule in self._rules:
            for test in self._bound(rule):
                if rule.path is not None and test.value is not None:
                    of_node = self._tests.setdefault(rule.path.nodes[test.depth], {})
                    of_node.setdefault(test.tag, {})[test.value] = test

    def operation(
        self, tag: str, name: str, namespace: str, node: SchemaNode | None, *, is_denied_by_default: bool = False
    ) -> bool:
        """Whether a protocol operation may be invoked; ``node`` is its rpc, where a module of the schema has it."""
        if not self.is_enforced or tag in ALWAYS_PERMITTED:
            return True
        module = node.module if node is not None else MODULES_WITHOUT_SCHEMA.get(namespace, "")
        for rule in self._rules:
            if rule.is_about(AccessOperation.EXEC, module) and rule.names(RuleType.PROTOCOL_OPERATION, name):
                return rule.permits
        if is_denied_by_default or tag in DENIED_BY_DEFAULT or (node is not None and node.default_deny_all):
            return False
        return self._policy.exec_default

    def event_type(self, node: SchemaNode) -> bool:
        """Whether notifications of a top-level ``notification`` statement may be received."""
        for rule in self._rules:
            if rule.is_about(AccessOperation.READ, node.module) and rule.names(RuleType.NOTIFICATION, node.name):
                return rule.permits or not (self.is_enforced or node.default_deny_all)
        if node.default_deny_all:
            return False
        return self._policy.read_default or not self.is_enforced

    def data(self, operation: AccessOperation, node: SchemaNode) -> Verdict:
        """Whether instances of a node may be accessed: a data node, or an action or notification in data."""
        verdict = self._data.get((operation, node))
        if verdict is None:
            verdict = self._data[operation, node] = self._find(operation, node)
        return verdict

    def tests_of(self, node: SchemaNode) -> Mapping[str, Mapping[str, KeyTest]]:
        """The tests that rules make at instances of a node: by the tag of the key, and its value."""
        return self._tests.get(node, _NO_TESTS)

    def holding(self, element: etree._Element, node: SchemaNode, above: frozenset[KeyTest]) -> frozenset[KeyTest]:
        """The tests that hold for an instance of ``node``, where ``above`` hold for what is above it."""
        for tag, tests in self.tests_of(node).items():
            value = element.text or "" if tag == SELF_TAG else element.findtext(tag)
            if value is not None and (test := tests.get(value)) is not None:
                above |= {test}
        return above

    def holding_on(self, keys: Iterable[tuple[SchemaNode, Mapping[str, str]]]) -> frozenset[KeyTest]:
        """The tests that hold on a path of nodes, each with its keys."""
        return frozenset(
            test
            for node, values in keys
            for tag, tests in self.tests_of(node).items()
            if (test := tests.get(values.get(tag, ""))) is not None
        )

    def _bound(self, rule: Rule) -> frozenset[KeyTest]:
        """The tests of a rule's path, for this user."""
        return frozenset(
            KeyTest(test.depth, test.tag, self._username) if test.value is None else test
            for test in (rule.path.tests if rule.path is not None else ())
        )

    def _find(self, operation: AccessOperation, node: SchemaNode) -> Verdict:
        if not self.is_enforced and (operation is not AccessOperation.READ or not _is_secret(node)):
            return True
        chain = _chain(node)
        cases: list[tuple[frozenset[KeyTest], bool]] = []
        for rule in self._rules:
            if not rule.is_about(operation, node.module):
                continue
            if rule.type is not RuleType.MODULE and (
                rule.path is None or chain[: len(rule.path.nodes)] != rule.path.nodes
            ):
                continue
            tests = self._bound(rule)
            if not tests:
                return _verdict(cases, rule.permits)
            cases.append((tests, rule.permits))
        return _verdict(cases, self._default(operation, node))

    def _default(self, operation: AccessOperation, node: SchemaNode) -> bool:
        match operation:
            case AccessOperation.READ:
                return self._policy.read_default and not node.default_deny_all
            case AccessOperation.EXEC:
                return self._policy.exec_default and not node.default_deny_all
            case _:
                return self._policy.write_default and not (node.default_deny_all or node.default_deny_write)


_NO_TESTS: Mapping[str, Mapping[str, KeyTest]] = {}


def _verdict(cases: Iterable[tuple[frozenset[KeyTest], bool]], otherwise: bool) -> Verdict:
    # Cases that say what is said without them need no look at the instance.
    kept = tuple(cases)
    while kept and kept[-1][1] is otherwise:
        kept = kept[:-1]
    return Conditional(kept, otherwise) if kept else otherwise


def _chain(node: SchemaNode) -> tuple[SchemaNode, ...]:
    nodes: list[SchemaNode] = []
    above: SchemaNode | None = node
    while above is not None:
        nodes.append(above)
        above = above.data_parent
    return tuple(reversed(nodes))


def _is_secret(node: SchemaNode) -> bool:
    return node.default_deny_all and _chain(node)[0].tag != NACM


def children_of(node: SchemaNode) -> Iterable[SchemaNode]:
    """The data nodes directly below a node."""
    return () if node.kind in (NodeKind.ANYDATA, NodeKind.ANYXML) else node.data_children.values()
