"""Access control of one server (RFC 8341): the policy in force, and what each user may do under it.

A subscriber of running: a change below ``/nacm`` is compiled before it is durable and in force as soon as it is.
What a user may do is compiled when first asked for and kept until the policy changes. Knows neither messages nor
operations; those ask ``Access``.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.datastore.subscribers import Change
from rkmp.netconf.access_control.access import Access, Denials
from rkmp.netconf.access_control.policy import NACM, Policy, acm, read_policy
from rkmp.netconf.access_control.rule_table import RuleTable
from rkmp.netconf.transport import Client

_COUNTER_MODULUS = 2**32
"""Of yang:zero-based-counter32 (RFC 6991)."""


class AccessControl:
    """Says what clients may do; one for the whole server."""

    def __init__(self, schema: Schema) -> None:
        self.denials = Denials()
        self._schema = schema
        self._policy = Policy()
        self._accesses: dict[tuple[str, frozenset[str], bool], Access] = {}

    def access_of(self, client: Client) -> Access:
        """Return what ``client`` may do now.

        RFC 8341 3.4: one message is carried out under the rules of its start, so ask once for each.
        """
        key = (client.username, client.groups, client.is_recovery)
        access = self._accesses.get(key)
        if access is None:
            table = RuleTable(self._policy, client.username, client.groups, is_recovery=client.is_recovery)
            access = self._accesses[key] = Access(self._schema, table, self.denials)
        return access

    def prepare(self, change: Change) -> _PreparedPolicy:
        """Compile the policy of a change of running (rkmp.datastore.ConfigurationSubscriber)."""
        return _PreparedPolicy(self, read_policy(self._schema, change.after) if change.touches(NACM) else None)

    def adopt(self, policy: Policy) -> None:
        """Put ``policy`` in force, for sessions that live as well."""
        self._policy = policy
        self._accesses.clear()

    def provide(self, root: etree._Element) -> None:
        """Add the counters of ``/nacm`` to ``root`` (rkmp.netconf.StateProvider)."""
        nacm = root.find(NACM)
        if nacm is None:
            nacm = etree.SubElement(root, NACM)
        for name, count in (
            ("denied-operations", self.denials.operations),
            ("denied-data-writes", self.denials.data_writes),
            ("denied-notifications", self.denials.notifications),
        ):
            etree.SubElement(nacm, acm(name)).text = str(count % _COUNTER_MODULUS)


@dataclass(frozen=True, slots=True)
class _PreparedPolicy:
    control: AccessControl
    policy: Policy | None

    def apply(self) -> None:
        if self.policy is not None:
            self.control.adopt(self.policy)

    def abort(self) -> None:
        """The policy in force was not touched."""
