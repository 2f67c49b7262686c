"""From XML to the dictionaries that ``--json`` prints: what automation consumes is the YANG data, by its names.

xmltodict does the work; namespaces are dropped, since no two siblings of ours share a name, and YANG lists are always
JSON lists, also when they have one entry.
"""

from __future__ import annotations

from typing import Any

import xmltodict
from lxml import etree

LISTS = frozenset(
    {
        "agent/netconf/call-home/netconf-client",
        "agent/netconf/call-home/netconf-client/endpoint",
        "agent/netconf/call-home/netconf-client/endpoint/ssh/host-key",
        "agent/netconf/call-home/netconf-client/endpoint/tls/cert-to-name",
        "agent/netconf/call-home/netconf-client/endpoint/tls/trust-anchor",
        "agent/netconf/certificate",
        "agent/netconf/endpoint",
        "agent/netconf/endpoint/ssh/host-key",
        "agent/netconf/endpoint/tls/cert-to-name",
        "agent/netconf/endpoint/tls/trust-anchor",
        "agent/netconf/expiry-warning",
        "agent/netconf/host-key",
        "agent/netconf/trust-anchor",
        "agent/southbound/bird",
        "agent/southbound/bird/neighbor",
        "agent/southbound/bird/neighbor/accepted-key",
        "agent/southbound/bird/neighbor/sending-key",
        "agent/southbound/hook",
        "agent/southbound/hook/argument",
        "agent/southbound/hook/neighbor",
        "agent/southbound/hook/neighbor/accepted-key",
        "agent/southbound/hook/neighbor/sending-key",
        "agent/southbound/key-socket/permission",
        "agent/southbound/key-socket/permission/group",
        "agent/southbound/key-socket/permission/neighbor",
        "agent/southbound/key-socket/permission/protocol",
        "agent/southbound/key-socket/permission/user",
        "agent/southbound/key-socket/subscription",
        "agent/southbound/key-socket/subscription/accepted-key",
        "agent/southbound/key-socket/subscription/sending-key",
        "agent/southbound/netconf-server",
        "agent/southbound/netconf-server/host-key",
        "agent/southbound/netconf-server/neighbor",
        "agent/southbound/netconf-server/neighbor/accepted-key",
        "agent/southbound/netconf-server/neighbor/sending-key",
        "key-activated/peer",
        "key-chains/key-chain",
        "key-chains/key-chain/key",
        "key-expired/peer",
        "key-expiring/peer",
        "key-extended/peer",
        "key-extension-ended/peer",
        "key-installed/peer",
        "key-removed/peer",
        "key-table/key",
        "key-table/key/interface",
        "key-table/key/peer",
        "nacm/groups/group",
        "nacm/groups/group/user-name",
        "nacm/rule-list",
        "nacm/rule-list/group",
        "nacm/rule-list/rule",
        "rkmp/code-points/private-algorithm",
        "rkmp/credentials/certificate",
        "rkmp/credentials/expiry-warning",
        "rkmp/credentials/ppk",
        "rkmp/credentials/pre-shared-key",
        "rkmp/credentials/revocation-list",
        "rkmp/credentials/trust-anchor",
        "rkmp/ike-policy",
        "rkmp/ike-policy/proposal",
        "rkmp/ike-policy/proposal/additional-key-exchange",
        "rkmp/ike-policy/proposal/encryption",
        "rkmp/ike-policy/proposal/further-key-exchange",
        "rkmp/ike-policy/proposal/further-key-exchange/method",
        "rkmp/ike-policy/proposal/integrity",
        "rkmp/ike-policy/proposal/key-exchange",
        "rkmp/ike-policy/proposal/prf",
        "rkmp/listen",
        "rkmp/peer",
        "rkmp/peer/association",
        "rkmp/peer/association/consumer",
        "rkmp/peer/association/consumer/accepted-key",
        "rkmp/peer/association/consumer/sending-key",
        "rkmp/peer/association/proposal",
        "rkmp/peer/authentication/local/certificate",
        "rkmp/peer/authentication/remote/accepted-identity",
        "rkmp/peer/authentication/remote/trust-anchor",
        "rkmp/peer/ike-sa",
        "rkmp/peer/ike-sa/additional-key-exchange",
        "rkmp/peer/statistics/received-notify",
        "rkmp/proposal",
        "rkmp/proposal/transform",
        "system/authentication/user",
        "system/authentication/user/authorized-key",
    }
)
"""The lists and leaf-lists of our modules and of access control, by path; tests/cli holds it against the schema."""


def without_namespaces(element: etree._Element) -> etree._Element:
    """Return a copy of ``element`` whose tags are local names and which has no attributes."""
    copy = etree.Element(etree.QName(element).localname)
    copy.text = element.text
    for child in element.iterchildren("*"):
        copy.append(without_namespaces(child))
    return copy


def to_dictionary(element: etree._Element) -> dict[str, Any]:
    """Return the content of ``element``: dictionaries by name, lists for YANG lists, text for leaves."""
    plain = without_namespaces(element)
    document = xmltodict.parse(etree.tostring(plain), force_list=_is_list)
    return document[str(plain.tag)] or {}


def _is_list(path: Any, name: str, _value: Any) -> bool:
    names = [step for step, _ in path] + [name]
    # What stands above the top-level node (data, rpc-reply) belongs to the message; a notification has nothing there.
    return "/".join(names) in LISTS or "/".join(names[1:]) in LISTS
