"""Key chains of RFC 8177 in XML: what a router has, read, and what is to change, written as the content of an edit.

What is ours in a chain is said by the chain's own description, which ends with the key-ids of our keys,
``[rkmpd: 17 4660]``, behind whatever an operator has written there. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lxml import etree

from rkmp.errors import KeyTableError, SouthboundError
from rkmp.keytable import Lifetime
from rkmp.secret import Secret
from rkmp.southbound.chain_keys import (
    HEX_KEY_STRING,
    INDEPENDENT_LIFETIMES,
    KEY_CHAIN_NAMESPACE,
    TCP_NAMESPACE,
    AoIds,
    ChainKey,
)

NETCONF_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_LIBRARY_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
_PREFIXES = {"nc": NETCONF_NAMESPACE, "key-chain": KEY_CHAIN_NAMESPACE, "tcp": TCP_NAMESPACE}
_OPERATION = f"{{{NETCONF_NAMESPACE}}}operation"
_MARK = re.compile(r"\s*\[rkmpd:((?: \d{1,20})*)\]")
_BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00Z")
_ALWAYS = Lifetime(_BEGINNING, None)
_NEVER = Lifetime(_BEGINNING, _BEGINNING)


@dataclass(frozen=True, slots=True)
class RemoteChain:
    """A key chain as a router shows it: all keys by key-id, of which those that are ``owned`` are ours.

    ``sending`` are the key-ids whose send lifetime runs by the router's clock; None where it does not tell.
    """

    description: str = ""
    owned: frozenset[int] = frozenset()
    keys: Mapping[int, ChainKey] = field(default_factory=dict)
    sending: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class ChainEdit:
    """What is to change: keys to put in the place of what is there, and key-ids to take away."""

    puts: tuple[ChainKey, ...] = ()
    removals: frozenset[int] = frozenset()


def selection(chain: str, *, with_keys: bool = True, with_wrapping: bool = False) -> etree._Element:
    """Return what selects one key chain in a subtree filter; without keys, not their strings.

    ``with_wrapping`` asks besides whether strings are encrypted, which only some servers can say.
    """
    top = etree.Element(_tag("key-chains"), nsmap={None: KEY_CHAIN_NAMESPACE})
    entry = etree.SubElement(top, _tag("key-chain"))
    _add(entry, "name", chain)
    if not with_keys:
        key = etree.SubElement(entry, _tag("key"))
        for name in ("key-id", "lifetime", "crypto-algorithm", "send-lifetime-active"):
            etree.SubElement(key, _tag(name))
        etree.SubElement(entry, _tag("description"))
    if with_wrapping:
        etree.SubElement(top, _tag("aes-key-wrap"))
    return top


def wraps_strings(data: etree._Element) -> bool:
    """Whether the server takes key strings encrypted with AES Key Wrap alone (RFC 8177 section 5)."""
    return any(wrapping.findtext(_tag("enable")) == "true" for wrapping in data.iter(_tag("aes-key-wrap")))


def read_chain(data: etree._Element, name: str) -> RemoteChain | None:
    """Return the chain called ``name`` in the ``data`` of a reply, None where there is none.

    Raises :class:`SouthboundError` for a key without what the model demands.
    """
    for entry in data.iter(_tag("key-chain")):
        if (entry.findtext(_tag("name")) or "").strip() == name:
            description = entry.findtext(_tag("description")) or ""
            marked = _MARK.search(description)
            elements = {_key_id(element): element for element in entry.iterchildren(_tag("key"))}
            flags = {key_id: element.findtext(_tag("send-lifetime-active")) for key_id, element in elements.items()}
            told = any(flag is not None for flag in flags.values())
            return RemoteChain(
                description=description,
                owned=frozenset(int(number) for number in marked[1].split()) if marked else frozenset(),
                keys={key_id: _read_key(key_id, element) for key_id, element in elements.items()},
                sending=frozenset(each for each, flag in flags.items() if flag == "true") if told else None,
            )
    return None


def written(
    name: str, before: RemoteChain | None, edit: ChainEdit, features: frozenset[str], remove: str
) -> etree._Element:
    """Return the ``config`` that does ``edit``; ``remove`` is the operation that the server has for that."""
    config = etree.Element(f"{{{NETCONF_NAMESPACE}}}config", nsmap=_PREFIXES)
    chains = etree.SubElement(config, _tag("key-chains"))
    entry = etree.SubElement(chains, _tag("key-chain"))
    _add(entry, "name", name)
    known = before or RemoteChain()
    _add(entry, "description", _marked(known.description, owned_after(known, edit)))
    for key_id in sorted(edit.removals & known.keys.keys()):
        element = etree.SubElement(entry, _tag("key"), {_OPERATION: remove})
        _add(element, "key-id", str(key_id))
    for key in edit.puts:
        _write_key(etree.SubElement(entry, _tag("key"), {_OPERATION: "replace"}), key, features)
    return config


def owned_after(before: RemoteChain, edit: ChainEdit) -> frozenset[int]:
    """Return the key-ids that are ours once ``edit`` is done."""
    return (before.owned & before.keys.keys() - edit.removals) | {key.key_id for key in edit.puts}


def library_selection() -> etree._Element:
    """Return what selects the YANG library, in the form of RFC 8525 or of RFC 7895, in a subtree filter."""
    selected = etree.Element("selections")
    for top in ("yang-library", "modules-state"):
        etree.SubElement(selected, f"{{{YANG_LIBRARY_NAMESPACE}}}{top}")
    return selected


def library_features(data: etree._Element) -> Mapping[str, frozenset[str]]:
    """Return the features of each implemented module by the module's namespace, from a YANG library."""
    found: dict[str, frozenset[str]] = {}

    def tag(name: str) -> str:
        return f"{{{YANG_LIBRARY_NAMESPACE}}}{name}"

    for module in data.iter(tag("module")):
        namespace = module.findtext(tag("namespace"))
        if namespace and module.findtext(tag("conformance-type")) != "import":
            features = frozenset(feature.text or "" for feature in module.iterchildren(tag("feature")))
            found[namespace] = found.get(namespace, frozenset()) | features
    return found


def _marked(description: str, owned: Iterable[int]) -> str:
    mark = f"[rkmpd:{''.join(f' {key_id}' for key_id in sorted(owned))}]"
    rest = _MARK.sub("", description).rstrip()
    return f"{rest} {mark}" if rest else mark


def _read_key(key_id: int, element: etree._Element) -> ChainKey:
    send, accept = _read_lifetimes(element.find(_tag("lifetime")))
    ao = element.find(f"{{{TCP_NAMESPACE}}}authentication/{{{TCP_NAMESPACE}}}ao")
    return ChainKey(
        key_id=key_id,
        algorithm=_read_identity(element.find(_tag("crypto-algorithm"))),
        send_lifetime=send,
        accept_lifetime=accept,
        ao=None if ao is None else _read_ao(ao),
        secret=_read_secret(element.find(_tag("key-string"))),
    )


def _key_id(element: etree._Element) -> int:
    try:
        return int(element.findtext(_tag("key-id")) or "")
    except ValueError:
        raise SouthboundError("the server shows a key without a key-id") from None


def _read_identity(element: etree._Element | None) -> str:
    prefix, _, name = ("" if element is None else (element.text or "").strip()).rpartition(":")
    namespace = None if element is None else element.nsmap.get(prefix or None)
    return f"{{{namespace or KEY_CHAIN_NAMESPACE}}}{name}"


def _read_ao(ao: etree._Element) -> AoIds | None:
    def text(name: str) -> str | None:
        return ao.findtext(f"{{{TCP_NAMESPACE}}}{name}")

    try:
        return AoIds(int(text("send-id") or ""), int(text("recv-id") or ""), text("include-tcp-options") != "false")
    except ValueError:
        return None


def _read_secret(element: etree._Element | None) -> Secret | None:
    if element is None:
        return None
    digits, text = element.findtext(_tag("hexadecimal-string")), element.findtext(_tag("keystring"))
    if digits is None:
        return None if text is None else Secret(text.encode())
    try:
        return Secret(bytes.fromhex(digits.replace(":", "")))
    except ValueError:
        return None


def _read_lifetimes(element: etree._Element | None) -> tuple[Lifetime, Lifetime]:
    if element is None:
        return _ALWAYS, _ALWAYS
    both = element.find(_tag("send-accept-lifetime"))
    send, accept = element.find(_tag("send-lifetime")), element.find(_tag("accept-lifetime"))
    return _read_lifetime(send if both is None else both), _read_lifetime(accept if both is None else both)


def _read_lifetime(element: etree._Element | None) -> Lifetime:
    """Return a lifetime; one that cannot be understood is nobody's that we have written, and taken for "never"."""
    start = None if element is None else element.findtext(_tag("start-date-time"))
    if element is None or start is None:
        return _ALWAYS
    end, seconds = (element.findtext(_tag(name)) for name in ("end-date-time", "duration"))
    try:
        begins = datetime.fromisoformat(start.strip())
        if seconds is not None:
            return Lifetime(begins, begins + timedelta(seconds=int(seconds)))
        return Lifetime(begins, None if end is None else datetime.fromisoformat(end.strip()))
    except (ValueError, OverflowError, KeyTableError):
        return _NEVER


def _write_key(element: etree._Element, key: ChainKey, features: frozenset[str]) -> None:
    _add(element, "key-id", str(key.key_id))
    lifetimes = etree.SubElement(element, _tag("lifetime"))
    if INDEPENDENT_LIFETIMES in features:
        _write_lifetime(lifetimes, "send-lifetime", key.send_lifetime)
        _write_lifetime(lifetimes, "accept-lifetime", key.accept_lifetime)
    else:
        _write_lifetime(lifetimes, "send-accept-lifetime", key.accept_lifetime)
    namespace, _, name = key.algorithm[1:].partition("}")
    prefix = next(prefix for prefix, bound in _PREFIXES.items() if bound == namespace)
    _add(element, "crypto-algorithm", f"{prefix}:{name}")
    if key.secret is not None:
        string = etree.SubElement(element, _tag("key-string"))
        if HEX_KEY_STRING in features:
            _add(string, "hexadecimal-string", key.secret.reveal().hex(":"))
        else:
            _add(string, "keystring", key.secret.reveal().decode("ascii"))
    if key.ao is not None:
        _write_ao(element, key.ao)


def _write_lifetime(parent: etree._Element, name: str, lifetime: Lifetime) -> None:
    element = etree.SubElement(parent, _tag(name))
    _add(element, "start-date-time", _date_and_time(lifetime.start))
    if lifetime.end is None:
        _add(element, "no-end-time", "")
    else:
        _add(element, "end-date-time", _date_and_time(lifetime.end))


def _write_ao(parent: etree._Element, ao: AoIds) -> None:
    authentication = etree.SubElement(parent, f"{{{TCP_NAMESPACE}}}authentication")
    element = etree.SubElement(authentication, f"{{{TCP_NAMESPACE}}}ao")
    for name, text in (
        ("send-id", str(ao.send_id)),
        ("recv-id", str(ao.recv_id)),
        ("include-tcp-options", "true" if ao.includes_tcp_options else "false"),
    ):
        etree.SubElement(element, f"{{{TCP_NAMESPACE}}}{name}").text = text


def _date_and_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _tag(name: str) -> str:
    return f"{{{KEY_CHAIN_NAMESPACE}}}{name}"


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(name)).text = text
