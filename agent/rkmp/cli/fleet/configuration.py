"""What each router of a fleet is to have: its identity, credentials, and a peer for each of its links."""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.cli.fleet.credentials import Credentials
from rkmp.cli.fleet.inventory import Fleet, FleetRouter, Neighbor
from rkmp.cli.session import NETCONF
from rkmp.cli.views import RKMP
from rkmp.secret import Secret

ENTRY = "fleet"
"""What entries are called that all of a router's peers share.

A peer with the ike-policy of this name, and an association with the proposal of this name, are the inventory's.
"""

OPERATION = f"{{{NETCONF}}}operation"

_TRANSFORMS = (
    ("aes", "aes-128-cmac-96", "kdf-aes-128-cmac"),
    ("sha1", "hmac-sha-1-96", "kdf-hmac-sha1"),
)


def router_configuration(fleet: Fleet, router: FleetRouter, credentials: Credentials) -> etree._Element:
    """Return the ``config`` (RFC 6241) that is to be merged into the running datastore of ``router``."""
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={"nc": NETCONF, None: RKMP})
    rkmp = etree.SubElement(config, _tag("rkmp"))
    _identity(etree.SubElement(rkmp, _tag("local-identity")), router.identity)
    _add_credentials(etree.SubElement(rkmp, _tag("credentials")), fleet, router, credentials)
    _leaf(etree.SubElement(rkmp, _tag("ike-policy")), "name", ENTRY)
    _add_proposal(etree.SubElement(rkmp, _tag("proposal")))
    for neighbor in fleet.neighbors_of(router.name):
        _add_peer(etree.SubElement(rkmp, _tag("peer")), neighbor, with_psk=fleet.credentials == "psk")
    return config


def with_removals(config: etree._Element, running: etree._Element) -> etree._Element:
    """Return a copy of ``config`` that also removes what the inventory does not have any more.

    ``running`` is the running configuration: of it, peers and associations of the inventory's ike-policy and proposal
    are removed that ``config`` does not have, and their credentials. Whatever else an operator has made stays.
    """
    config = copy.deepcopy(config)
    rkmp, theirs = config[0], running.find(_tag("rkmp"))
    if theirs is None:
        return config
    wanted = {_value(peer, "name"): peer for peer in rkmp.iterfind(_tag("peer"))}
    ours = [peer for peer in theirs.iterfind(_tag("peer")) if _value(peer, "ike-policy") == ENTRY]
    for peer in ours:
        name = _value(peer, "name")
        if name not in wanted:
            _remove(rkmp, "peer", "name", name)
            continue
        protocols = {_value(association, "protocol") for association in wanted[name].iterfind(_tag("association"))}
        for association in peer.iterfind(_tag("association")):
            if _value(association, "protocol") not in protocols and _value(association, "proposal") == ENTRY:
                _remove(wanted[name], "association", "protocol", _value(association, "protocol"))
    _remove_credentials(next(rkmp.iterfind(_tag("credentials"))), theirs, {_value(peer, "name") for peer in ours})
    return config


def _remove_credentials(credentials: etree._Element, theirs: etree._Element, peers: set[str]) -> None:
    for kind, names in (("pre-shared-key", peers), ("certificate", {ENTRY}), ("trust-anchor", {ENTRY})):
        kept = {_value(entry, "name") for entry in credentials.iterfind(_tag(kind))}
        for entry in theirs.iterfind(f"{_tag('credentials')}/{_tag(kind)}"):
            name = _value(entry, "name")
            if name in names and name not in kept:
                _remove(credentials, kind, "name", name)


def _remove(parent: etree._Element, kind: str, key: str, name: str) -> None:
    entry = etree.SubElement(parent, _tag(kind))
    entry.set(OPERATION, "remove")
    _leaf(entry, key, name)


def _value(entry: etree._Element, name: str) -> str:
    return entry.findtext(_tag(name), "")


def _add_credentials(parent: etree._Element, fleet: Fleet, router: FleetRouter, credentials: Credentials) -> None:
    for neighbor in fleet.neighbors_of(router.name):
        secret = credentials.secrets.get(neighbor.link.name)
        if secret is not None:
            entry = etree.SubElement(parent, _tag("pre-shared-key"))
            _leaf(entry, "name", neighbor.router.name)
            _leaf(etree.SubElement(entry, _tag("secret")), "keystring", _text(secret))
    certified = credentials.certified.get(router.name)
    if certified is not None:
        entry = etree.SubElement(parent, _tag("certificate"))
        _leaf(entry, "name", ENTRY)
        _leaf(entry, "chain", certified.chain)
        _leaf(entry, "private-key", _text(certified.private_key))
        entry = etree.SubElement(parent, _tag("trust-anchor"))
        _leaf(entry, "name", ENTRY)
        _leaf(entry, "certificate", certified.authority)


def _add_proposal(entry: etree._Element) -> None:
    _leaf(entry, "name", ENTRY)
    _leaf(entry, "security-protocol", "tcp-ao")
    for name, auth_alg, kdf in _TRANSFORMS:
        transform = etree.SubElement(entry, _tag("transform"))
        _leaf(transform, "name", name)
        _leaf(transform, "auth-alg", auth_alg)
        _leaf(transform, "kdf", kdf)


def _add_peer(entry: etree._Element, neighbor: Neighbor, *, with_psk: bool) -> None:
    peer = neighbor.router
    _leaf(entry, "name", peer.name)
    _leaf(entry, "address", neighbor.address)
    _leaf(entry, "port", str(peer.ike_port))
    _leaf(entry, "ike-policy", ENTRY)
    authentication = etree.SubElement(entry, _tag("authentication"))
    local = etree.SubElement(authentication, _tag("local"))
    remote = etree.SubElement(authentication, _tag("remote"))
    _identity(etree.SubElement(remote, _tag("identity")), peer.identity)
    for side, certificate_leaf in ((local, "certificate"), (remote, "trust-anchor")):
        _leaf(side, "method", "psk" if with_psk else "certificate")
        _leaf(side, "pre-shared-key" if with_psk else certificate_leaf, peer.name if with_psk else ENTRY)
    for protocol in neighbor.link.protocols:
        association = etree.SubElement(entry, _tag("association"))
        _leaf(association, "protocol", protocol)
        _leaf(association, "proposal", ENTRY)


def _identity(parent: etree._Element, name: str) -> None:
    _leaf(parent, "type", "fqdn")
    _leaf(parent, "value", name)


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(name)).text = text


def _tag(name: str) -> str:
    return f"{{{RKMP}}}{name}"


def _text(secret: Secret) -> str:
    return secret.reveal().decode("ascii")
