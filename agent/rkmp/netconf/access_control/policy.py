"""The configuration below ``/nacm`` as objects: what RFC 8341 section 3.5 lets an administrator say.

Read anew, whole, when anything of it changes. Knows the module ietf-netconf-acm; not sessions, not what is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.datastore.schema.node_instance_identifier import NodePath, parse_node_path

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
"""Namespace of ietf-netconf-acm."""

ANY = "*"
"""What matches everything: modules, names, operations, groups."""


def acm(name: str) -> str:
    """Return ``name`` of ietf-netconf-acm in Clark notation."""
    return f"{{{ACM}}}{name}"


NACM = acm("nacm")
"""The top-level node."""


class AccessOperation(Enum):
    """What is done to a node (RFC 8341 section 3.2.2); the values are the names of the bits."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    EXEC = "exec"


class RuleType(Enum):
    """What a rule is about (RFC 8341 section 3.3.5). A rule without a type is about everything of its module."""

    MODULE = "module"
    PROTOCOL_OPERATION = "protocol-operation"
    NOTIFICATION = "notification"
    DATA_NODE = "data-node"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``name`` is that of the operations or notifications it is about, ``path`` that of its data nodes."""

    permits: bool
    module: str = ANY
    type: RuleType = RuleType.MODULE
    name: str = ANY
    path: NodePath | None = None
    operations: frozenset[AccessOperation] = frozenset(AccessOperation)

    def is_about(self, operation: AccessOperation, module: str) -> bool:
        """Whether access operation and module are among those that the rule matches."""
        return operation in self.operations and self.module in (ANY, module)

    def names(self, rule_type: RuleType, name: str) -> bool:
        """Whether the rule matches operations or notifications of this name."""
        return self.type is RuleType.MODULE or (self.type is rule_type and self.name in (ANY, name))


@dataclass(frozen=True, slots=True)
class RuleList:
    """Rules for some groups, in the order in which they are tried."""

    groups: frozenset[str]
    rules: tuple[Rule, ...]

    def is_for(self, groups: frozenset[str]) -> bool:
        """Whether a member of ``groups`` is meant."""
        return ANY in self.groups or not self.groups.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Policy:
    """All of ``/nacm``; the defaults are those of the module: read and execute, write nothing."""

    enabled: bool = True
    read_default: bool = True
    write_default: bool = False
    exec_default: bool = True
    external_groups: bool = True
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The groups of each user."""
    rule_lists: tuple[RuleList, ...] = ()

    def groups_of(self, username: str, external: frozenset[str]) -> frozenset[str]:
        """The groups of a user, to whom the transport gave the groups ``external``."""
        configured = self.members.get(username, frozenset())
        return configured | external if self.external_groups else configured

    def rules_for(self, groups: frozenset[str]) -> tuple[Rule, ...]:
        """The rules for a member of ``groups``, in order; none for whoever is in no group (RFC 8341 3.4.5 step 4)."""
        if not groups:
            return ()
        return tuple(rule for rules in self.rule_lists if rules.is_for(groups) for rule in rules.rules)


def read_policy(schema: Schema, config: etree._Element) -> Policy:
    """Read ``/nacm`` of a datastore, valid and with canonical values."""
    nacm = config.find(NACM)
    if nacm is None:
        return Policy()
    reader = _Reader(schema)
    return Policy(
        enabled=_text(nacm, "enable-nacm", "true") == "true",
        read_default=_text(nacm, "read-default", "permit") == "permit",
        write_default=_text(nacm, "write-default", "deny") == "permit",
        exec_default=_text(nacm, "exec-default", "permit") == "permit",
        external_groups=_text(nacm, "enable-external-groups", "true") == "true",
        members=_members(nacm),
        rule_lists=tuple(reader.rule_list(entry) for entry in nacm.iterchildren(acm("rule-list"))),
    )


def _members(nacm: etree._Element) -> dict[str, frozenset[str]]:
    members: dict[str, set[str]] = {}
    for group in nacm.iterfind(f"{acm('groups')}/{acm('group')}"):
        for user in _texts(group, "user-name"):
            members.setdefault(user, set()).add(_text(group, "name", ""))
    return {user: frozenset(groups) for user, groups in members.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    schema: Schema

    def rule_list(self, entry: etree._Element) -> RuleList:
        rules = tuple(self._rule(rule) for rule in entry.iterchildren(acm("rule")))
        return RuleList(frozenset(_texts(entry, "group")), rules)

    def _rule(self, entry: etree._Element) -> Rule:
        rule_type, name, path = RuleType.MODULE, ANY, None
        if (found := entry.findtext(acm("rpc-name"))) is not None:
            rule_type, name = RuleType.PROTOCOL_OPERATION, found
        elif (found := entry.findtext(acm("notification-name"))) is not None:
            rule_type, name = RuleType.NOTIFICATION, found
        elif (found := entry.findtext(acm("path"))) is not None:
            rule_type = RuleType.DATA_NODE
            path = parse_node_path(self.schema, found, self.schema.value_namespaces)
        return Rule(
            permits=_text(entry, "action", "deny") == "permit",
            module=_text(entry, "module-name", ANY),
            type=rule_type,
            name=name,
            path=path,
            operations=_operations(_text(entry, "access-operations", ANY)),
        )


def _operations(text: str) -> frozenset[AccessOperation]:
    return frozenset(AccessOperation) if text == ANY else frozenset(AccessOperation(bit) for bit in text.split())


def _text(parent: etree._Element, name: str, default: str) -> str:
    element = parent.find(acm(name))
    return default if element is None else element.text or ""


def _texts(parent: etree._Element, name: str) -> Sequence[str]:
    return [element.text or "" for element in parent.iterchildren(acm(name))]
