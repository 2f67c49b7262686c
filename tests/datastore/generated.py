"""Hypothesis strategies of edits: small pools of values, so that edits meet each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import (
    BitsType,
    BooleanType,
    EnumerationType,
    IdentityrefType,
    IntegerType,
    ValueType,
    effective_type,
    member_types,
)
from rkmp.errors import InvalidValue

VALUES: Mapping[str, Sequence[str]] = {
    "open": ("true", "false"),
    "locked": ("true", "false"),
    "motto": ("", "a & b", "<c>", "two\nlines\r"),
    "phone": ("12", "123"),
    "latin": ("strix", "corvus", "bubo"),
    "weight": ("10", "20", "100"),
    "row": ("-1", "1"),
    "kind": ("owl", "bird", "z:owl"),
    "hall": ("east", "west"),
    "number": ("1", "+2", "03"),
    "size": ("1", "2"),
    "hour": ("0", "12"),
    "minute": ("0", "59", "60"),
    "hours": ("3", "5", "9"),
    "jitter": ("1", "5"),
    "day": ("1", "2"),
    "price": ("1.5", "2", "2.00"),
    "limit": ("1", "2"),
    "code": ("1", "2", "3"),
    "silent": ("",),
    "night": ("quiet", "loud"),
    "guest": ("rex", "max"),
    "dog": ("rex", "max"),
    "colour": ("green", "red"),
    "pointer": ("/z:zoo/z:species[z:name='a']", "/z:ticket[z:id='1']/z:price", "/z:zoo/z:colour[.='red']"),
    "either": ("1", "a", "b"),
}
# Of other modules, by the names of leaves; what is not here comes from the types.
OTHER_VALUES: Mapping[str, Sequence[str]] = {
    "address": ("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    "neighbor": ("192.0.2.9",),
    "port": ("500", "501"),
    "key-lifetime": ("60", "600"),
    "rollover-lead": ("1", "30", "60"),
    "overlap": ("30", "31", "59"),
    "send-id": ("1", "2"),
    "number": ("1", "2"),
    "initial-timeout": ("0.5", "1.25"),
    "backoff": ("1.0", "2.5"),
    "tries": ("1", "2"),
    "lifetime": ("60", "3600"),
    "local-key-name": ("01", "0102"),
    "peer-key-name": ("02", "0a0b"),
    "start": ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00+00:00"),
    "end": ("2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    "hexadecimal-string": ("00112233445566778899aabbccddeeff", "00:11"),
    "keystring": ("secret", "a b"),
    "value": ("r1.example.net", "192.0.2.1"),
    "interface": ("all", "eth0"),
    "tcp-ao-protocol-id": ("201", "210"),
    "ldp-discovery-protocol-id": ("201", "202"),
    # Of the module paths.
    "pointer": ("/p:top/p:x", "/p:top/p:group[p:id='a']/p:x"),
}
# Of any type, what fits it: addresses, names, dates, paths.
CANDIDATES = (
    *("a", "b", "1", "2", "60", "true", "192.0.2.1", "192.0.2.2", "192.0.2.0/24", "2001:db8::1", "2001:db8::/64"),
    *("255.255.255.0", "00:11", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "read", "create delete", "*"),
    *("/acm:nacm", "$0$secret", "ianaift:ethernetCsmacd", "Europe/Prague", "ssh-ed25519", "YQ==", "1.5", ""),
)
REFERENCES = ("a", "b", "c")
IDS = ("1", "2", "3")
DELETING = ("delete", "remove")
PREFIXES: Mapping[str | None, str] = {
    "acm": "urn:ietf:params:xml:ns:yang:ietf-netconf-acm",
    "ianaift": "urn:ietf:params:xml:ns:yang:iana-if-type",
}
OPERATIONS = ("merge", "replace", "create", *DELETING)


def values(node: SchemaNode) -> st.SearchStrategy[str]:
    """Texts for a leaf: from the pool of its name, or else from its type."""
    if node.module == "zoo":
        if node.name == "id":
            return st.sampled_from(IDS)
        if node.name == "name" and node.data_parent is None:
            return st.sampled_from(("big", "small"))
        return st.sampled_from(tuple(VALUES.get(node.name, REFERENCES)))
    pool = OTHER_VALUES.get(node.name)
    if pool is None:
        pool = [text for member in member_types(node.type) for text in _of_type(member)] if node.type else []
    if not pool and node.module not in ("zoo", "paths", "rows", "bench"):
        pool = [text for text in CANDIDATES if node.type is not None and _fits(node.type, text)][:4]
    return st.sampled_from(tuple(pool) or REFERENCES)


def _fits(value_type: ValueType, text: str) -> bool:
    try:
        value_type.check(text, PREFIXES)
    except InvalidValue:
        return False
    return True


def _of_type(value_type: ValueType) -> Sequence[str]:
    match effective_type(value_type):
        case EnumerationType(values=names):
            return list(names)
        case BooleanType():
            return ("true", "false")
        case BitsType(positions=names):
            return ("", *names)
        case IdentityrefType(accepted=accepted):
            return list(accepted.values())
        case IntegerType(low=low, high=high, ranges=ranges):
            return sorted(
                {str(low), str(high), *(str(int(end)) for bound in ranges for pair in bound.intervals for end in pair)}
            )
        case _:
            return ()


@st.composite
def payloads(draw: st.DrawFn, schema: Schema, *, operations: bool = True) -> str:
    """The content of a ``config`` element."""
    marked = operations and draw(st.booleans())
    return draw(_children(schema.root, marked=marked))


@st.composite
def _children(draw: st.DrawFn, node: SchemaNode, *, marked: bool) -> str:
    parts = []
    chosen: dict[SchemaNode, SchemaNode] = {}
    children = [child for child in node.data_children.values() if child.config and not child.is_key]
    count = draw(st.integers(0, min(4, len(children))))
    picked = draw(st.lists(st.sampled_from(children), min_size=count, max_size=count, unique=True)) if children else []
    for child in picked:
        if child.case is not None and chosen.setdefault(child.case.parent, child.case) is not child.case:  # type: ignore[arg-type]
            continue
        if child.kind is NodeKind.LIST:
            parts += draw(_entries(child, marked=marked))
        elif child.kind is NodeKind.LEAF_LIST:
            texts = draw(st.lists(values(child), min_size=1, max_size=3, unique=True))
            parts += [
                f"<{child.name}{draw(_attributes(child, marked))}>{escape(text)}</{child.name}>" for text in texts
            ]
        else:
            parts.append(draw(_single(child, marked=marked)))
    return "".join(parts)


@st.composite
def _single(draw: st.DrawFn, node: SchemaNode, *, marked: bool) -> str:
    attributes = draw(_attributes(node, marked))
    if node.kind is NodeKind.LEAF:
        content = escape(draw(values(node)), {"\r": "&#13;"})
        if ":" in content:
            attributes += f" xmlns:{node.prefix}={quoteattr(node.namespace)}"
    elif node.kind is NodeKind.ANYDATA:
        content = draw(st.sampled_from(("", "<x xmlns='urn:x' a='1'>t</x>", "<y xmlns='urn:y'/>")))
    else:
        content = draw(_children(node, marked=marked))
    return f"<{node.name}{attributes}>{content}</{node.name}>"


@st.composite
def _entries(draw: st.DrawFn, node: SchemaNode, *, marked: bool) -> list[str]:
    keys = [node.data_children[key] for key in node.keys]
    pools = [values(key) for key in keys]
    found = draw(st.lists(st.tuples(*pools), min_size=1, max_size=3, unique_by=lambda key: tuple(map(_number, key))))
    entries = []
    for key in found:
        leaves = [f"<{leaf.name}>{text}</{leaf.name}>" for leaf, text in zip(keys, key, strict=True)]
        content = draw(_children(node, marked=marked))
        pieces = [content, *leaves] if draw(st.booleans()) else [*leaves, content]
        entries.append(f"<{node.name}{draw(_attributes(node, marked))}>{''.join(pieces)}</{node.name}>")
    return entries


def _number(text: str) -> str:
    return str(int(text)) if text.lstrip("+").isdigit() else text


@st.composite
def _attributes(draw: st.DrawFn, node: SchemaNode, marked: bool) -> str:
    above = node.data_parent
    attributes = (
        "" if above is not None and above.namespace == node.namespace else f" xmlns={quoteattr(node.namespace)}"
    )
    if not marked:
        return attributes
    operation = draw(st.sampled_from((None, None, None, *OPERATIONS)))
    if operation is not None:
        attributes += f' nc:operation="{operation}"'
    if node.ordered_by_user and operation not in DELETING and draw(st.booleans()):
        insert = draw(st.sampled_from(("first", "last", "before", "after")))
        attributes += f' yang:insert="{insert}"'
        if insert in ("before", "after"):
            if node.kind is NodeKind.LEAF_LIST:
                attributes += f" yang:value={quoteattr(draw(values(node)))}"
            else:
                key = node.data_children[node.keys[0]]
                predicate = f"[k:{key.name}='{draw(values(key))}']"
                attributes += f" xmlns:k={quoteattr(node.namespace)} yang:key={quoteattr(predicate)}"
    return attributes
