"""From ``type`` statements and their typedef chains to value types (RFC 7950 sections 7.3, 7.4 and 9).

Types that mean the same wherever they are used are compiled once and shared by all leaves; a leafref, or a union that
holds one, depends on the leaf and is compiled for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from rkmp.datastore.schema.inventory import Inventory
from rkmp.datastore.schema.modules import Statement, argument, problem
from rkmp.datastore.schema.patterns import compile_pattern
from rkmp.datastore.schema.types import (
    INTEGER_LIMITS,
    BinaryType,
    BitsType,
    BooleanType,
    Bounds,
    Decimal64Type,
    EmptyType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    IntegerType,
    LeafrefType,
    Pattern,
    StringType,
    UnionType,
    ValueType,
)
from rkmp.datastore.xpath import Expression, XPathSyntaxError
from rkmp.errors import SchemaError

# RFC 7950 9.4.4: the least limit on lengths is that of an unsigned 64-bit integer.
_LONGEST = 2**64 - 1


class TypeCompiler:
    """Compiles the types of one schema.

    ``instance_identifiers`` collects those types, which can be completed only when the schema is whole.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._shared: dict[Statement, ValueType] = {}
        self.instance_identifiers: list[InstanceIdentifierType] = []

    def compile(self, statement: Statement, namespace: str) -> ValueType:
        """The type of a leaf in ``namespace`` whose ``type`` statement is given; raises SchemaError."""
        known = self._shared.get(statement)
        if known is not None:
            return known
        base: ValueType
        if statement.i_typedef is not None and _names_many_instances(statement.i_typedef):
            paths = InstanceIdentifierType(require_instance=False, names_many=True)
            self.instance_identifiers.append(paths)
            base = paths
        elif statement.i_typedef is not None:
            base = self.compile(statement.i_typedef.search_one("type"), namespace)
        else:
            base = self._built_in(statement, namespace)
        value_type = self._restricted(base, statement)
        if not _depends_on_leaf(value_type):
            self._shared[statement] = value_type
        return value_type

    def _built_in(self, statement: Statement, namespace: str) -> ValueType:
        name = str(statement.arg)
        if name in INTEGER_LIMITS:
            return IntegerType(name, *INTEGER_LIMITS[name])
        match name:
            case "string":
                return StringType()
            case "boolean":
                return BooleanType()
            case "empty":
                return EmptyType()
            case "binary":
                return BinaryType()
            case "decimal64":
                return Decimal64Type(int(statement.search_one("fraction-digits").arg))
            case "enumeration":
                return EnumerationType({})
            case "bits":
                return BitsType({})
            case "identityref":
                return self._identityref(statement)
            case "instance-identifier":
                value_type = InstanceIdentifierType()
                self.instance_identifiers.append(value_type)
                return value_type
            case "leafref":
                return self._leafref(statement, namespace)
            case "union":
                return UnionType(tuple(self.compile(member, namespace) for member in statement.search("type")))
        raise SchemaError([problem(statement, f"the built-in type {name} is not handled")])

    def _identityref(self, statement: Statement) -> IdentityrefType:
        bases = [base.i_identity for base in statement.search("base")]
        keys = [(str(base.i_module.i_modulename), str(base.arg)) for base in bases]
        accepted = dict(
            value
            for key, value in self._inventory.identity_values.items()
            if all(base in self._inventory.identities[key].ancestors for base in keys)
        )
        return IdentityrefType(tuple(str(base.arg) for base in bases), accepted)

    def _leafref(self, statement: Statement, namespace: str) -> LeafrefType:
        path = statement.search_one("path")
        if statement.parent.keyword == "typedef" and path.i_module.i_version == "1":
            # RFC 6020 leaves open what an unprefixed name in a typedef means; pyang reads it as the typedef's module.
            namespace = self._inventory.module_of(path).namespace
        if re.match(r"\s*deref\s*\(", path.arg):
            # An extension of pyang's; RFC 7950's path-arg has no function but current().
            raise SchemaError([problem(path, "deref() in the path of a leafref is not handled")])
        try:
            return LeafrefType(Expression(path.arg, self._inventory.prefixes(path), namespace))
        except XPathSyntaxError as fault:
            raise SchemaError([problem(path, str(fault))]) from fault

    def _restricted(self, base: ValueType, statement: Statement) -> ValueType:
        match base:
            case IntegerType():
                low, high = _limits(base.ranges, base.low, base.high)
                ranges = _bounds(statement.search_one("range"), low, high, int)
                return replace(base, ranges=base.ranges + ranges) if ranges else base
            case Decimal64Type():
                smallest, largest = (Decimal(limit).scaleb(-base.fraction_digits) for limit in (-(2**63), 2**63 - 1))
                low, high = _limits(base.ranges, smallest, largest)
                ranges = _bounds(statement.search_one("range"), low, high, Decimal)
                return replace(base, ranges=base.ranges + ranges) if ranges else base
            case StringType():
                lengths = _bounds(statement.search_one("length"), *_limits(base.lengths, 0, _LONGEST), int)
                patterns = tuple(_pattern(pattern) for pattern in statement.search("pattern"))
                if not lengths and not patterns:
                    return base
                return replace(base, lengths=base.lengths + lengths, patterns=base.patterns + patterns)
            case BinaryType():
                lengths = _bounds(statement.search_one("length"), *_limits(base.lengths, 0, _LONGEST), int)
                return replace(base, lengths=base.lengths + lengths) if lengths else base
            case EnumerationType():
                values = _assigned(statement, "enum", "value", base.values)
                return EnumerationType(values) if values is not None else base
            case BitsType():
                positions = _assigned(statement, "bit", "position", base.positions)
                return BitsType(positions) if positions is not None else base
            case LeafrefType():
                require = statement.search_one("require-instance")
                return base if require is None else replace(base, require_instance=require.arg == "true")
            case InstanceIdentifierType():
                require = statement.search_one("require-instance")
                if require is None or base.require_instance == (require.arg == "true"):
                    return base
                restricted = replace(base, require_instance=require.arg == "true")
                self.instance_identifiers.append(restricted)
                return restricted
        return base


def definitions(leaf: Statement) -> Iterator[Statement]:
    """A leaf's statement and the typedefs of its type, from the leaf to the built-in type."""
    definition = leaf
    while definition is not None:
        yield definition
        definition = definition.search_one("type").i_typedef


def _names_many_instances(typedef: Statement) -> bool:
    """Whether this is node-instance-identifier of RFC 8341: a string to YANG, a path with prefixes to its readers."""
    return bool(typedef.arg == "node-instance-identifier" and typedef.i_module.i_modulename == "ietf-netconf-acm")


def _depends_on_leaf(value_type: ValueType) -> bool:
    if isinstance(value_type, UnionType):
        return any(_depends_on_leaf(member) for member in value_type.members)
    return isinstance(value_type, LeafrefType)


def _limits(bounds: Sequence[Bounds], low: Any, high: Any) -> tuple[Any, Any]:
    """What ``min`` and ``max`` mean in a further restriction (RFC 7950 9.2.4, 9.4.4)."""
    if not bounds:
        return low, high
    return bounds[-1].intervals[0][0], bounds[-1].intervals[-1][1]


def _bounds(statement: Statement | None, low: Any, high: Any, number: Callable[[str], Any]) -> tuple[Bounds, ...]:
    """A ``range`` or ``length`` statement, or nothing; pyang has checked that it is ordered and only restricts."""
    if statement is None:
        return ()
    intervals = []
    for part in statement.arg.split("|"):
        first, dots, last = (piece.strip() for piece in part.partition(".."))
        ends = [
            low if end == "min" else high if end == "max" else number(end) for end in (first, last if dots else first)
        ]
        intervals.append((ends[0], ends[1]))
    return (Bounds(tuple(intervals), " ".join(statement.arg.split()), *_refusal(statement)),)


def _pattern(statement: Statement) -> Pattern:
    try:
        expression = compile_pattern(statement.arg)
    except ValueError as fault:
        raise SchemaError([problem(statement, str(fault))]) from fault
    inverted = statement.search_one("modifier", "invert-match") is not None
    return Pattern(statement.arg, expression, inverted, *_refusal(statement))


def _refusal(statement: Statement) -> tuple[str | None, str | None]:
    """The error-message and error-app-tag of a restriction."""
    return argument(statement, "error-message"), argument(statement, "error-app-tag")


def _assigned(statement: Statement, kind: str, keyword: str, base: Mapping[str, int]) -> dict[str, int] | None:
    """The numbers of enums or bits whose features are enabled, by name (RFC 7950 9.6.4.2, 9.7.4.2); None without any.

    In a restriction of another such type each keeps its number there. Otherwise one without a number of its own gets
    the highest so far plus one. pyang computes neither case as the RFC asks when numbers are negative or inherited.
    """
    named = statement.search(kind)
    if not named:
        return None
    if statement.i_typedef is not None:
        assigned = {str(each.arg): base[each.arg] for each in named if each.arg in base}
    else:
        assigned = {}
        for each in named:
            number = each.search_one(keyword)
            following = max(assigned.values()) + 1 if assigned else 0
            assigned[str(each.arg)] = following if number is None else int(number.arg)
    disabled = {each.arg for each in named if hasattr(each, "i_not_implemented")}
    return {name: number for name, number in assigned.items() if name not in disabled}
