"""Value types: YANG's built-in types with the restrictions of a whole typedef chain (RFC 7950 section 9).

``check`` takes the text of an element and the namespaces in scope on it and returns the canonical text, or raises
``InvalidValue`` with the broken restriction's message and error-app-tag. Canonical identityref and
instance-identifier values carry the schema's own prefixes (``Schema.nsmap``), so that equal values are equal strings
(RFC 7950 9.10.4 leaves that form to the implementation). Whether a reference leads anywhere is asked in validation.
"""

from __future__ import annotations

import base64
import binascii
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from rkmp.errors import InvalidValue

if TYPE_CHECKING:
    from rkmp.datastore.schema.nodes import SchemaNode
    from rkmp.datastore.xpath import Expression

Namespaces = Mapping[str | None, str]

# White space around a number is dropped, as XML Schema and the other servers do; elsewhere it is part of the value.
_XML_SPACE = " \t\r\n"
LONGEST_SHOWN = 100
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DEFAULT_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
_DECIMAL = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?")


def shown(text: str) -> str:
    """A refused value as messages show it: in quotes, and not longer than an operator reads."""
    return repr(text) if len(text) <= LONGEST_SHOWN else repr(text[:LONGEST_SHOWN]) + "..."


@dataclass(frozen=True, slots=True)
class Bounds:
    """One ``range`` or ``length`` statement: closed intervals and what to answer outside of them."""

    intervals: tuple[tuple[Decimal, Decimal], ...]
    text: str
    message: str | None = None
    app_tag: str | None = None

    def admits(self, value: int | Decimal) -> bool:
        return any(low <= value <= high for low, high in self.intervals)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One ``pattern`` statement; ``inverted`` is ``modifier invert-match`` (RFC 7950 9.4.6)."""

    text: str
    expression: re.Pattern[str]
    inverted: bool = False
    message: str | None = None
    app_tag: str | None = None

    def admits(self, value: str) -> bool:
        return (self.expression.match(value) is None) is self.inverted


class ValueType(ABC):
    """Base of the value types. ``name`` is the built-in type's name."""

    __slots__ = ()
    name: ClassVar[str]

    @abstractmethod
    def check(self, text: str, namespaces: Namespaces) -> str:
        """The canonical form of ``text``; raises InvalidValue."""

    def check_default(self, text: str, namespaces: Namespaces) -> str:
        """The canonical form of a ``default`` statement's argument; ``namespaces`` are the module's prefixes."""
        return self.check(text, namespaces)


def _require_bounds(bounds: Sequence[Bounds], measure: int | Decimal, what: str) -> None:
    for bound in bounds:
        if not bound.admits(measure):
            raise InvalidValue(bound.message or f"{what} is not within {bound.text}", bound.app_tag)


@dataclass(slots=True, eq=False)
class IntegerType(ValueType):
    """int8 to uint64 (RFC 7950 9.2)."""

    name: str  # type: ignore[misc]
    low: int
    high: int
    ranges: tuple[Bounds, ...] = ()

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        text = text.strip(_XML_SPACE)
        if _INTEGER.fullmatch(text) is None or len(text) > 64:
            raise InvalidValue(f"{shown(text)} is not a decimal integer")
        return self._within(int(text))

    def check_default(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        # RFC 7950 9.2.1: only in a module may an integer be hexadecimal, or octal with a leading zero.
        match = _DEFAULT_INTEGER.fullmatch(text)
        if match is None:
            raise InvalidValue(f"{shown(text)} is not an integer")
        for base, digits in ((16, match["hex"]), (8, match["octal"]), (10, match["decimal"])):
            if digits is not None:
                value = int(digits, base)
                break
        return self._within(-value if match["sign"] == "-" else value)

    def _within(self, value: int) -> str:
        if not self.low <= value <= self.high:
            raise InvalidValue(f"{value} is outside of {self.name} ({self.low}..{self.high})")
        if self.ranges:
            _require_bounds(self.ranges, value, str(value))
        return str(value)


@dataclass(slots=True, eq=False)
class Decimal64Type(ValueType):
    """decimal64 (RFC 7950 9.3): a 64-bit integer scaled by ``fraction_digits``."""

    name: ClassVar[str] = "decimal64"
    fraction_digits: int
    ranges: tuple[Bounds, ...] = ()

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        text = text.strip(_XML_SPACE)
        match = _DECIMAL.fullmatch(text) if len(text) <= 64 else None
        if match is None:
            raise InvalidValue(f"{shown(text)} is not a decimal number")
        fraction = (match["fraction"] or "").rstrip("0")
        if len(fraction) > self.fraction_digits:
            raise InvalidValue(f"{text} has more than {self.fraction_digits} fraction digits")
        scaled = int(match["whole"] + fraction.ljust(self.fraction_digits, "0"))
        if match["sign"] == "-":
            scaled = -scaled
        if not -(2**63) <= scaled < 2**63:
            raise InvalidValue(f"{text} is outside of decimal64 with {self.fraction_digits} fraction digits")
        value = Decimal(scaled).scaleb(-self.fraction_digits)
        _require_bounds(self.ranges, value, text)
        sign = "-" if scaled < 0 else ""
        # RFC 7950 9.3.2: at least one digit on each side of the point, no further zeros.
        return f"{sign}{int(match['whole'])}.{fraction or '0'}"


@dataclass(slots=True, eq=False)
class StringType(ValueType):
    """string (RFC 7950 9.4); lengths count characters."""

    name: ClassVar[str] = "string"
    lengths: tuple[Bounds, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        for bound in self.lengths:
            if not bound.admits(len(text)):
                raise InvalidValue(
                    bound.message or f"a length of {len(text)} characters is not within {bound.text}", bound.app_tag
                )
        for pattern in self.patterns:
            if not pattern.admits(text):
                relation = "matches" if pattern.inverted else "does not match"
                # The value itself stays out of the message: it may be a secret that was mistyped.
                raise InvalidValue(
                    pattern.message or f"the value {relation} the pattern {pattern.text}", pattern.app_tag
                )
        return text


@dataclass(slots=True, eq=False)
class BooleanType(ValueType):
    """boolean (RFC 7950 9.5)."""

    name: ClassVar[str] = "boolean"

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        if text not in ("true", "false"):
            raise InvalidValue(f"{shown(text)} is neither true nor false")
        return text


@dataclass(slots=True, eq=False)
class EnumerationType(ValueType):
    """enumeration (RFC 7950 9.6); ``values`` gives each name's integer, in the order of the statements."""

    name: ClassVar[str] = "enumeration"
    values: Mapping[str, int]

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        if text not in self.values:
            raise InvalidValue(f"{shown(text)} is not one of {', '.join(self.values)}")
        return text


@dataclass(slots=True, eq=False)
class BitsType(ValueType):
    """bits (RFC 7950 9.7); ``positions`` gives each name's position."""

    name: ClassVar[str] = "bits"
    positions: Mapping[str, int]

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        names = text.split()
        for name in names:
            if name not in self.positions:
                raise InvalidValue(f"{shown(name)} is not one of the bits {', '.join(self.positions)}")
        if len(set(names)) != len(names):
            raise InvalidValue(f"a bit is set twice in {shown(text)}")
        # RFC 7950 9.7.2: ordered by position, separated by one space.
        return " ".join(sorted(names, key=self.positions.__getitem__))


@dataclass(slots=True, eq=False)
class BinaryType(ValueType):
    """binary (RFC 7950 9.8): base64 of RFC 4648 section 4; lengths count octets."""

    name: ClassVar[str] = "binary"
    lengths: tuple[Bounds, ...] = ()

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        try:
            octets = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidValue("the value is not base64") from None
        _require_bounds(self.lengths, len(octets), f"a length of {len(octets)} octets")
        return base64.b64encode(octets).decode("ascii")


@dataclass(slots=True, eq=False)
class EmptyType(ValueType):
    """empty (RFC 7950 9.11): the leaf's presence is its only information."""

    name: ClassVar[str] = "empty"

    def check(self, text: str, namespaces: Namespaces) -> str:  # noqa: ARG002
        if text:
            raise InvalidValue("a leaf of type empty has no value")
        return ""


@dataclass(slots=True, eq=False)
class IdentityrefType(ValueType):
    """identityref (RFC 7950 9.10); ``accepted`` maps (namespace, identity name) to the canonical text."""

    name: ClassVar[str] = "identityref"
    bases: tuple[str, ...]
    accepted: Mapping[tuple[str, str], str]

    def check(self, text: str, namespaces: Namespaces) -> str:
        prefix, colon, name = text.partition(":")
        # RFC 7950 9.10.3: without a prefix it is the default namespace of the element.
        namespace = namespaces.get(prefix if colon else None)
        if namespace is None:
            raise InvalidValue(f"the prefix of {shown(text)} is not bound to a namespace")
        canonical = self.accepted.get((namespace, name if colon else prefix))
        if canonical is None:
            raise InvalidValue(f"{shown(text)} is not an identity derived from {' and '.join(self.bases)}")
        return canonical


@dataclass(slots=True, eq=False)
class LeafrefType(ValueType):
    """leafref (RFC 7950 9.9): the value space of ``target``, whose ``type`` it takes once the schema is whole."""

    name: ClassVar[str] = "leafref"
    path: Expression
    require_instance: bool = True
    target: SchemaNode | None = None
    referred: ValueType | None = field(default=None, repr=False)

    def check(self, text: str, namespaces: Namespaces) -> str:
        if self.referred is None:
            raise InvalidValue(f"the path {self.path.text} leads nowhere")
        return self.referred.check(text, namespaces)

    def check_default(self, text: str, namespaces: Namespaces) -> str:
        if self.referred is None:
            raise InvalidValue(f"the path {self.path.text} leads nowhere")
        return self.referred.check_default(text, namespaces)


@dataclass(slots=True, eq=False)
class UnionType(ValueType):
    """union (RFC 7950 9.12): the first member that accepts a value gives its type and canonical form."""

    name: ClassVar[str] = "union"
    members: tuple[ValueType, ...]

    def check(self, text: str, namespaces: Namespaces) -> str:
        return self._first(lambda member: member.check(text, namespaces))

    def check_default(self, text: str, namespaces: Namespaces) -> str:
        return self._first(lambda member: member.check_default(text, namespaces))

    def _first(self, check: Callable[[ValueType], str]) -> str:
        reasons: list[str] = []
        for member in self.members:
            try:
                return check(member)
            except InvalidValue as refusal:
                reasons.append(refusal.reason)
        raise InvalidValue("the value fits no member type: " + "; ".join(dict.fromkeys(reasons)))


@dataclass(slots=True, eq=False)
class InstanceIdentifierType(ValueType):
    """instance-identifier (RFC 7950 9.13); ``canonicalise`` is bound once the schema is whole.

    ``names_many`` is true for node-instance-identifier (RFC 8341 3.5.2), which can name many instances.
    """

    name: ClassVar[str] = "instance-identifier"
    require_instance: bool = True
    names_many: bool = False
    canonicalise: Callable[[str, Namespaces], str] | None = field(default=None, repr=False)

    def check(self, text: str, namespaces: Namespaces) -> str:
        if self.canonicalise is None:
            raise InvalidValue("instance-identifier used before the schema is whole")
        return self.canonicalise(text, namespaces)


def member_types(value_type: ValueType) -> tuple[ValueType, ...]:
    """The type itself, or a union's members with nested unions flattened."""
    if isinstance(value_type, UnionType):
        return tuple(inner for member in value_type.members for inner in member_types(member))
    return (value_type,)


def effective_type(value_type: ValueType) -> ValueType:
    """The type behind leafrefs: the one whose value space the values are of."""
    while isinstance(value_type, LeafrefType) and value_type.referred is not None:
        value_type = value_type.referred
    return value_type


INTEGER_LIMITS: Mapping[str, tuple[int, int]] = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
