"""What each field of a key table row may hold (RFC 7210 sections 2, 4, 5 and its IANA registries).

The names are those of the registries in lower case, as YANG writes them. Each check raises
:class:`~rkmp.errors.KeyTableError` with a reason that names the field and never shows the key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from rkmp.errors import KeyTableError

ALL_INTERFACES = "all"

TCP_AO_PROTOCOLS = ("bgp", "ldp", "msdp", "pim-port", "pcep")
"""The routing protocols that TCP-AO protects: their keys are TCP-AO's."""
LDP_DISCOVERY = "ldp-discovery"
"""The targeted Hellos of LDP, which have keys of their own (RFC 7349)."""
PROTOCOLS = (*TCP_AO_PROTOCOLS, LDP_DISCOVERY)
PRIVATE_USE_PROTOCOLS = range(240, 256)
"""Protocols without a name; the key table writes their number in decimal. What their keys are is local agreement."""

LDP_ALG_IDS = ("hmac-sha-1", "hmac-sha-256", "hmac-sha-384", "hmac-sha-512")
"""The algorithms of RFC 7349 section 2.2."""
KDFS = ("none", "aes-128-cmac", "hmac-sha-1", "hmac-sha-256")
ALG_IDS = ("aes-128-cmac", "aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128", *LDP_ALG_IDS)
TCP_AO_ALGORITHMS = (
    ("hmac-sha-1", "hmac-sha-1-96"),
    ("aes-128-cmac", "aes-128-cmac-96"),
    ("hmac-sha-256", "hmac-sha-256-128"),
)
"""The pairs (KDF, AlgID) of RFC 5926 section 3.1, and one beyond; all KDFs take a master key of any length."""

_AES_128_KEY_OCTETS = 16
_TCP_AO_KEY_NAME = re.compile(r"[0-9a-f]{2}")
_SA_ID = re.compile(r"[0-9a-f]{8}")
_KEY_NAME = re.compile(r"[0-9a-f]+")


def require_protocol(protocol: str) -> None:
    """Refuse a name that is no registered protocol and no number for private use."""
    if protocol in PROTOCOLS:
        return
    is_number = protocol.isascii() and protocol.isdigit() and not protocol.startswith("0")
    if not is_number or int(protocol) not in PRIVATE_USE_PROTOCOLS:
        first, last = PRIVATE_USE_PROTOCOLS[0], PRIVATE_USE_PROTOCOLS[-1]
        raise KeyTableError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)} or {first} to {last}")


def require_algorithms(protocol: str, kdf: str, alg_id: str, key_octets: int) -> None:
    """Refuse algorithms that the protocol cannot use, and a key that they cannot."""
    if protocol in TCP_AO_PROTOCOLS:
        if (kdf, alg_id) not in TCP_AO_ALGORITHMS:
            raise KeyTableError(f"TCP-AO does not use KDF {kdf!r} with algorithm {alg_id!r}")
    elif protocol == LDP_DISCOVERY:
        if kdf != "none" or alg_id not in LDP_ALG_IDS:
            raise KeyTableError(f"LDP discovery does not use KDF {kdf!r} with algorithm {alg_id!r}")
    elif kdf not in KDFS or alg_id not in ALG_IDS:
        raise KeyTableError(f"KDF {kdf!r} or algorithm {alg_id!r} is unknown")
    if not key_octets:
        raise KeyTableError("the key is empty")
    # Without a KDF the key is the MAC's own (RFC 4493 section 2; RFC 2104 takes any length).
    if kdf == "none" and alg_id.startswith("aes-128") and key_octets != _AES_128_KEY_OCTETS:
        raise KeyTableError(f"the key has {key_octets} octets; {alg_id} without a KDF takes {_AES_128_KEY_OCTETS}")


def require_names(protocol: str, admin_key_name: str, local_key_name: str, peer_key_name: str) -> None:
    """Refuse names in a form that the protocol does not have (RFC 7210 section 5.1)."""
    if not admin_key_name:
        raise KeyTableError("the administrative name is empty")
    try:
        admin_key_name.encode("utf-8")
    except UnicodeEncodeError:
        raise KeyTableError("the administrative name is not valid Unicode") from None
    if protocol in PROTOCOLS:
        form, what = (_SA_ID, "eight lowercase hexadecimal digits of an SA ID")
        if protocol != LDP_DISCOVERY:
            form, what = (_TCP_AO_KEY_NAME, "two lowercase hexadecimal digits of a KeyID")
        for field, name in (("local", local_key_name), ("peer", peer_key_name)):
            if not form.fullmatch(name):
                raise KeyTableError(f"{field} key name {name!r} is not the {what}")
        return
    if not _KEY_NAME.fullmatch(local_key_name):
        raise KeyTableError(f"local key name {local_key_name!r} is not lowercase hexadecimal")
    if peer_key_name and not _KEY_NAME.fullmatch(peer_key_name):
        raise KeyTableError(f"peer key name {peer_key_name!r} is neither lowercase hexadecimal nor empty")


def require_peers(peers: Sequence[str]) -> None:
    """Refuse empty names; no peers at all makes a key that nothing can find, which is allowed."""
    if not all(peers):
        raise KeyTableError("a peer's name is empty")


def require_interfaces(interfaces: Sequence[str]) -> None:
    """Refuse a row for no interface."""
    if not interfaces or not all(interfaces):
        raise KeyTableError("the interfaces are empty; a key for every interface has the interface 'all'")


# Asked for the same few thousand peers, dozens of times while a key is agreed.
@lru_cache(maxsize=1 << 14)
def canonical_peer(peer: str) -> str:
    """Return ``peer`` in the one form in which the table finds it: addresses as RFC 5952 asks, names as they are."""
    try:
        return str(ip_address(peer))
    except ValueError:
        return peer
