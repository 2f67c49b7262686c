"""What each router of a fleet is to have: its identity, credentials, and a peer for each of its links."""

from __future__ import annotations

from lxml import etree

from rkmp.cli.fleet.credentials import Credentials
from rkmp.cli.fleet.inventory import Fleet, FleetRouter, Link
from rkmp.cli.session import NETCONF
from rkmp.cli.views import RKMP
from rkmp.secret import Secret

ENTRY = "fleet"
"""What entries are called that all of a router's peers share."""

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
    for peer, link in fleet.peers_of(router.name):
        _add_peer(etree.SubElement(rkmp, _tag("peer")), peer, link, with_psk=fleet.credentials == "psk")
    return config


def _add_credentials(parent: etree._Element, fleet: Fleet, router: FleetRouter, credentials: Credentials) -> None:
    for peer, link in fleet.peers_of(router.name):
        secret = credentials.pre_shared_key(link)
        if secret is not None:
            entry = etree.SubElement(parent, _tag("pre-shared-key"))
            _leaf(entry, "name", peer.name)
            _leaf(etree.SubElement(entry, _tag("secret")), "keystring", _text(secret))
    certified = credentials.certificate(router)
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


def _add_peer(entry: etree._Element, peer: FleetRouter, link: Link, *, with_psk: bool) -> None:
    _leaf(entry, "name", peer.name)
    _leaf(entry, "address", peer.address)
    _leaf(entry, "port", str(peer.ike_port))
    _leaf(entry, "ike-policy", ENTRY)
    authentication = etree.SubElement(entry, _tag("authentication"))
    local = etree.SubElement(authentication, _tag("local"))
    remote = etree.SubElement(authentication, _tag("remote"))
    _identity(etree.SubElement(remote, _tag("identity")), peer.identity)
    for side, certificate_leaf in ((local, "certificate"), (remote, "trust-anchor")):
        _leaf(side, "method", "psk" if with_psk else "certificate")
        _leaf(side, "pre-shared-key" if with_psk else certificate_leaf, peer.name if with_psk else ENTRY)
    for protocol in link.protocols:
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
