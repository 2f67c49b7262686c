"""Values: what each built-in type accepts, its canonical form and its refusals (RFC 7950 section 9).

The table is held against libyang and yangson; where one of them differs, its reason stands beside.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.datastore.schema import Schema
from rkmp.datastore.schema.types import (
    INTEGER_LIMITS,
    BinaryType,
    BitsType,
    BooleanType,
    Decimal64Type,
    EmptyType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    IntegerType,
    LeafrefType,
    StringType,
    UnionType,
    ValueType,
    effective_type,
    member_types,
)
from rkmp.datastore.xpath import Expression
from rkmp.errors import InvalidValue, SchemaError
from tests.datastore.judges import Libyang, Yangson
from tests.datastore.modules import at, compiled, module

TYPES = {
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint64": "uint64",
    "ranged": 'int16 { range "min..-5 | 0 | 10..20 | 100..max"; }',
    "narrowed": 'twenty { range "min..12 | 15..max"; }',
    "decimal": "decimal64 { fraction-digits 2; }",
    "fine": "decimal64 { fraction-digits 18; }",
    "decimal-ranged": 'decimal64 { fraction-digits 1; range "1.5 .. 3 | 7"; }',
    "text": "string",
    "short": 'string { length "0 | 2..3"; }',
    "lower": 'string { pattern "[a-z]*"; }',
    "both": 'lowercase { length "2..max"; pattern ".*x.*"; }',
    "no-vowel": 'string { pattern "[aeiou]*" { modifier invert-match; } }',
    "flag": "boolean",
    "colour": "enumeration { enum red; enum green { value 7; } enum blue; }",
    "some-colour": "colours { enum green; }",
    "permissions": "bits { bit read { position 4; } bit write { position 1; } bit execute; }",
    "some-permissions": "rights { bit write; bit read; }",
    "octets": 'binary { length "0 | 2..4"; }',
    "nothing": "empty",
    "either": "union { type uint8; type enumeration { enum auto; } type union { type boolean; } }",
    "first-fit": "union { type string { length 1..2; } type int32; }",
    "identity": "identityref { base animal; }",
    "two-bases": "identityref { base animal; base pet; }",
}
HEADER = """
    typedef twenty { type uint8 { range "1..20"; } }
    typedef lowercase { type string { pattern "[a-z]*"; } }
    typedef colours { type enumeration { enum red; enum green { value 7; } enum blue; } }
    typedef rights { type bits { bit read { position 4; } bit write { position 1; } bit execute; } }
    identity animal; identity pet; identity cat { base animal; base pet; } identity wolf { base animal; }
    identity tabby { base cat; }
"""
MODULE = module(
    HEADER
    + "".join(f"leaf {name} {{ type {text}{'' if text.endswith('}') else ';'} }}" for name, text in TYPES.items())
)
PREFIXES = {"p": "urn:m"}

# Where another implementation gives another verdict, by leaf and value, and why ours stands.
LIBYANG_DIFFERS = {
    ("decimal", "+"): "RFC 7950 9.3.1 asks for at least one digit before the point",
    ("octets", "YWJj\nZA=="): "XML documents wrap base64; XML Schema's base64Binary allows white space anywhere",
    ("octets", " YWI= "): "as above",
    ("identity", ":cat"): "XML namespaces know no empty prefix",
    ("two-bases", "wolf"): "RFC 7950 9.10.2: an identity must be derived from all bases",
}
YANGSON_DIFFERS = {
    ("int8", "٣"): "RFC 7950 9.2.1: digits are 0 to 9",
    ("decimal", "1.234"): "RFC 7950 9.3.1: no more digits than fraction-digits",
    ("decimal", "1."): "RFC 7950 9.3.1: a point is followed by digits",
    ("decimal", ".5"): "RFC 7950 9.3.1: a point follows digits",
    ("decimal", "1e1"): "RFC 7950 9.3.1: no exponents",
    ("fine", "0.000000000000000001"): "RFC 7950 9.3.2: no exponents in canonical form",
    ("permissions", "read read"): "RFC 7950 9.7.2: a bit appears at most once",
    ("octets", "YWJj\nZA=="): "XML documents wrap base64; XML Schema's base64Binary allows white space anywhere",
    ("octets", " YWI= "): "as above",
}


@dataclass(frozen=True)
class Case:
    """A leaf's value and its canonical form, or None where it is refused."""

    leaf: str
    text: str
    canonical: str | None


def cases(leaf: str, accepted: dict[str, str], refused: list[str]) -> list[Case]:
    return [
        *(Case(leaf, text, canonical) for text, canonical in accepted.items()),
        *(Case(leaf, text, None) for text in refused),
    ]


CASES = [
    *cases(
        "int8",
        {"0": "0", "-0": "0", "+7": "7", "007": "7", "127": "127", "-128": "-128", " 5\n": "5"},
        ["128", "-129", "", " ", "1.0", "0x1F", "1e2", "1 2", "--1", "+", "٣", "9" * 100],
    ),
    *cases("int16", {"32767": "32767", "-32768": "-32768"}, ["32768", "-32769"]),
    *cases("int32", {"2147483647": "2147483647", "-2147483648": "-2147483648"}, ["2147483648", "-2147483649"]),
    *cases(
        "int64",
        {"9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808"},
        ["9223372036854775808", "-9223372036854775809"],
    ),
    *cases("uint8", {"255": "255", "-0": "0"}, ["256", "-1"]),
    *cases("uint64", {"18446744073709551615": "18446744073709551615"}, ["18446744073709551616", "-1"]),
    *cases(
        "ranged",
        {"-32768": "-32768", "-5": "-5", "0": "0", "10": "10", "20": "20", "100": "100", "32767": "32767"},
        ["-4", "-1", "1", "9", "21", "99"],
    ),
    *cases("narrowed", {"1": "1", "12": "12", "15": "15", "20": "20"}, ["0", "13", "14", "21"]),
    *cases(
        "decimal",
        {
            "1": "1.0",
            "1.5": "1.5",
            "1.50": "1.5",
            "-0.10": "-0.1",
            "+3.00": "3.0",
            "0010.01": "10.01",
            "-0": "0.0",
            "92233720368547758.07": "92233720368547758.07",
            "-92233720368547758.08": "-92233720368547758.08",
            " 2.5 ": "2.5",
        },
        ["92233720368547758.08", "1.234", "1.", ".5", "1,5", "", "1e1", "0x1", "+", "1.2.3", "INF"],
    ),
    *cases(
        "fine",
        {"9.223372036854775807": "9.223372036854775807", "0.000000000000000001": "0.000000000000000001"},
        ["9.223372036854775808", "10"],
    ),
    *cases("decimal-ranged", {"1.5": "1.5", "2.2": "2.2", "3": "3.0", "7.0": "7.0"}, ["1.4", "3.1", "6.9", "7.1"]),
    *cases("text", {"": "", " a b ": " a b ", "äöü€😀": "äöü€😀", "a\nb": "a\nb", "<&>": "<&>"}, []),
    *cases("short", {"": "", "ab": "ab", "äöü": "äöü", "😀😀😀": "😀😀😀"}, ["a", "abcd"]),
    *cases("lower", {"": "", "abc": "abc"}, ["A", "abc1", "abc\n", "\nabc", "ab c"]),
    *cases("both", {"ax": "ax", "xyz": "xyz"}, ["x", "ab", "aX", "AxA"]),
    *cases("no-vowel", {"b": "b", "ab": "ab"}, ["", "a", "aei"]),
    *cases("flag", {"true": "true", "false": "false"}, ["", "True", "1", "0", "yes", " true"]),
    *cases("colour", {"red": "red", "blue": "blue"}, ["", "Red", "7", "red ", "green blue"]),
    *cases("some-colour", {"green": "green"}, ["red", "blue"]),
    *cases(
        "permissions",
        {
            "": "",
            "read": "read",
            "read write": "write read",
            "execute  write\nread": "write read execute",
        },
        ["nosuch", "read read", "read,write", "READ"],
    ),
    *cases("some-permissions", {"read write": "write read"}, ["execute"]),
    *cases(
        "octets",
        {"": "", "YWI=": "YWI=", "YWJj\nZA==": "YWJjZA==", " YWI= ": "YWI="},
        ["YQ==", "YWJjZGU=", "YWI", "Y!I=", "YWI==", "äöü="],
    ),
    *cases("nothing", {"": ""}, ["x", " "]),
    *cases("either", {"7": "7", "007": "7", "auto": "auto", "true": "true", " 7 ": "7"}, ["256", "x", ""]),
    *cases("first-fit", {"07": "07", "007": "7"}, ["", "abc"]),
    *cases(
        "identity",
        {"p:cat": "m:cat", "cat": "m:cat", "tabby": "m:tabby", "p:wolf": "m:wolf"},
        ["animal", "p:pet", "nosuch", "q:cat", "", ":cat", "p:", "p:nosuch"],
    ),
    *cases("two-bases", {"cat": "m:cat", "p:tabby": "m:tabby"}, ["wolf", "animal"]),
]


def name_of(case: Case) -> str:
    return f"{case.leaf}:{case.text[:30]!a}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("types")


@pytest.fixture(scope="module")
def schema(folder: Path) -> Schema:
    return compiled(folder, MODULE)


NAMESPACES: Mapping[str | None, str] = {None: "urn:m", "p": "urn:m"}


def type_of(schema: Schema, leaf: str) -> ValueType:
    value_type = at(schema, f"/m:{leaf}").type
    assert value_type is not None
    return value_type


def verdict(schema: Schema, leaf: str, text: str) -> str | None:
    try:
        return type_of(schema, leaf).check(text, NAMESPACES)
    except InvalidValue:
        return None


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_value_is_accepted_in_canonical_form_or_refused(schema: Schema, case: Case) -> None:
    assert verdict(schema, case.leaf, case.text) == case.canonical


def test_every_type_is_tested_both_ways() -> None:
    assert {case.leaf for case in CASES if case.canonical is not None} == set(TYPES)
    assert {case.leaf for case in CASES if case.canonical is None} == set(TYPES) - {"text"}


@pytest.mark.parametrize("case", [case for case in CASES if case.canonical is not None], ids=name_of)
def test_a_canonical_form_is_its_own_canonical_form(schema: Schema, case: Case) -> None:
    assert case.canonical is not None
    assert type_of(schema, case.leaf).check(case.canonical, schema.value_namespaces) == case.canonical


def test_libyang_gives_the_same_verdicts(folder: Path, schema: Schema) -> None:
    judge = Libyang(folder, "m")
    differing = set()
    for case in CASES:
        canonical = judge.canonical("urn:m", case.leaf, case.text, PREFIXES)
        ours = case.canonical
        if ours is not None and case.leaf in ("identity", "two-bases"):
            # Printed in the default namespace, where ours always has the schema's prefix.
            ours = ours.removeprefix("m:")
            canonical = canonical if canonical is None else canonical.rpartition(":")[2]
        if canonical != ours:
            differing.add((case.leaf, case.text))
    assert differing == set(LIBYANG_DIFFERS)


def test_yangson_gives_the_same_verdicts(folder: Path, schema: Schema) -> None:
    judge = Yangson(folder, {"m": "urn:m"})
    # Its identities are named after JSON's rules, and text that is not ASCII makes its base64 raise.
    comparable = [case for case in CASES if case.leaf not in ("identity", "two-bases") and case.text != "äöü="]
    differing = {
        (case.leaf, case.text) for case in comparable if judge.canonical(f"/m:{case.leaf}", case.text) != case.canonical
    }
    assert differing == set(YANGSON_DIFFERS)


@given(st.integers(-(2**70), 2**70), st.sampled_from(["", "+", "00", " "]))
def test_integers_are_accepted_exactly_within_their_width(number: int, decoration: str) -> None:
    text = decoration + str(number) if number >= 0 else str(number)
    for name, (low, high) in INTEGER_LIMITS.items():
        value_type = IntegerType(name, low, high)
        if low <= number <= high:
            assert value_type.check(text, {}) == str(number)
        else:
            with pytest.raises(InvalidValue):
                value_type.check(text, {})


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 18))
def test_decimals_keep_their_value_in_canonical_form(scaled: int, digits: int) -> None:
    value = Decimal(scaled).scaleb(-digits)
    value_type = Decimal64Type(digits)
    canonical = value_type.check(f"{value:f}", {})
    assert Decimal(canonical) == value
    assert value_type.check(canonical, {}) == canonical
    whole, point, fraction = canonical.partition(".")
    assert point
    assert fraction == "0" or not fraction.endswith("0")
    assert whole.lstrip("-") == "0" or not whole.lstrip("-").startswith("0")


@given(st.binary(max_size=64))
def test_binary_keeps_its_octets(octets: bytes) -> None:
    text = base64.b64encode(octets).decode()
    assert BinaryType().check(" ".join(text), {}) == text


@given(st.text())
def test_any_text_gets_a_verdict_from_every_type(text: str) -> None:
    for value_type in EVERY_TYPE:
        try:
            canonical = value_type.check(text, {None: "urn:m"})
        except InvalidValue:
            continue
        assert value_type.check(canonical, {None: "urn:m", "m": "urn:m"}) == canonical


EVERY_TYPE = [
    IntegerType("int8", -128, 127),
    Decimal64Type(2),
    StringType(),
    BooleanType(),
    EnumerationType({"a": 0}),
    BitsType({"a": 0, "b": 1}),
    BinaryType(),
    EmptyType(),
    IdentityrefType(("b",), {("urn:m", "a"): "m:a"}),
    UnionType((IntegerType("uint8", 0, 255), EmptyType())),
]


# Refusals


def refusal(schema: Schema, leaf: str, text: str) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        type_of(schema, leaf).check(text, NAMESPACES)
    return caught.value


def test_a_refusal_says_what_would_be_accepted(schema: Schema) -> None:
    assert "-128..127" in refusal(schema, "int8", "300").reason
    assert "min..-5 | 0 | 10..20 | 100..max" in refusal(schema, "ranged", "1").reason
    assert "2 fraction digits" in refusal(schema, "decimal", "1.234").reason
    assert "0 | 2..3" in refusal(schema, "short", "a").reason
    assert "[a-z]*" in refusal(schema, "lower", "A").reason
    assert "red, green, blue" in refusal(schema, "colour", "x").reason
    assert "read, write, execute" in refusal(schema, "permissions", "x").reason
    assert "animal and pet" in refusal(schema, "two-bases", "wolf").reason
    assert "auto" in refusal(schema, "either", "x").reason


@pytest.mark.parametrize("leaf", ["int8", "decimal", "flag", "colour", "permissions", "identity", "octets", "either"])
def test_a_refusal_stays_short_whatever_the_value(schema: Schema, leaf: str) -> None:
    for text in ("x" * 100_000, "9" * 100_000, "nosuch:" + "x" * 100_000):
        assert len(refusal(schema, leaf, text).reason) < 1000


def test_a_value_that_breaks_a_pattern_or_length_is_not_repeated(schema: Schema) -> None:
    for leaf, text in [("lower", "SECRET"), ("short", "SECRET"), ("octets", "SECRET-SECRET")]:
        assert "SECRET" not in str(refusal(schema, leaf, text))


def test_a_restriction_answers_with_its_own_message_and_tag(tmp_path: Path) -> None:
    answer = 'error-message "mine"; error-app-tag my-tag;'
    own = compiled(
        tmp_path,
        module(
            f"leaf a {{ type int8 {{ range 1..2 {{ {answer} }} }} }}"
            f"leaf b {{ type string {{ length 1 {{ {answer} }} }} }}"
            f"leaf c {{ type string {{ pattern a {{ {answer} }} }} }}"
            f"leaf d {{ type binary {{ length 1 {{ {answer} }} }} }}"
            f"leaf e {{ type decimal64 {{ fraction-digits 1; range 1..2 {{ {answer} }} }} }}"
            f"leaf f {{ type string {{ pattern x {{ modifier invert-match; {answer} }} }} }}"
        ),
    )
    for leaf, text in {"a": "3", "b": "", "c": "b", "d": "", "e": "3", "f": "x"}.items():
        caught = refusal(own, leaf, text)
        assert (caught.reason, caught.app_tag) == ("mine", "my-tag")


def test_the_nearest_restriction_of_a_chain_does_not_hide_the_others(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            'typedef t { type string { pattern "a.*" { error-app-tag first; } } }'
            'leaf a { type t { pattern ".*z" { error-app-tag second; } } }'
        ),
    )
    assert refusal(own, "a", "bz").app_tag == "first"
    assert refusal(own, "a", "ab").app_tag == "second"
    assert type_of(own, "a").check("a-z", {}) == "a-z"


# What typedefs and features make of a type


def test_enums_and_bits_without_their_feature_are_not_values(tmp_path: Path) -> None:
    text = module(
        "feature f; typedef t { type enumeration { enum a { if-feature f; } enum b; } }"
        "leaf e { type t; } leaf n { type t { enum a; enum b; } }"
        "leaf b { type bits { bit x { if-feature f; } bit y; } }"
        'leaf r { type enumeration { enum c { if-feature "not f"; } enum d; } }'
    )
    off, on = compiled(tmp_path, text), compiled(tmp_path, text, features=["f"])
    for leaf, value in [("e", "a"), ("n", "a"), ("b", "x")]:
        refusal(off, leaf, value)
        assert type_of(on, leaf).check(value, {}) == value
    refusal(on, "r", "c")


def test_enums_and_bits_have_the_numbers_of_their_statements(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            "feature f; typedef t { type enumeration { enum a { value -5; } enum b; enum c { value 3; } enum d; } }"
            "typedef u { type bits { bit a; bit b { position 7; } bit c; } }"
            "leaf e { type t; } leaf n { type t { enum d; enum b; } } leaf b { type u; } leaf m { type u { bit c; } }"
            "leaf g { type enumeration { enum off { if-feature f; } enum on; } }"
        ),
    )

    def numbers(leaf: str) -> dict[str, int]:
        value_type = type_of(own, leaf)
        assert isinstance(value_type, EnumerationType | BitsType)
        return dict(value_type.values if isinstance(value_type, EnumerationType) else value_type.positions)

    assert numbers("e") == {"a": -5, "b": -4, "c": 3, "d": 4}
    assert numbers("n") == {"d": 4, "b": -4}
    assert numbers("b") == {"a": 0, "b": 7, "c": 8}
    assert numbers("m") == {"c": 8}
    assert numbers("g") == {"on": 1}


def test_min_and_max_in_a_restriction_are_those_of_what_it_restricts(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            "typedef t { type int8 { range 3..9; } } leaf a { type t { range min..4|8..max; } }"
            "typedef s { type string { length 2..5; } } leaf b { type s { length max; } }"
            'leaf c { type string { length "3..max"; } }'
            "typedef d { type decimal64 { fraction-digits 1; range 1..2.5; } } leaf e { type d { range 2..max; } }"
        ),
    )
    for leaf, good, bad in [
        ("a", ["3", "4", "8", "9"], ["2", "5", "7", "10"]),
        ("b", ["abcde"], ["abcd", "abcdef"]),
        ("c", ["abc", "a" * 1000], ["ab"]),
        ("e", ["2.0", "2.5"], ["1.9", "2.6"]),
    ]:
        for text in good:
            assert type_of(own, leaf).check(text, {}) == text
        for text in bad:
            refusal(own, leaf, text)


def test_a_pattern_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="m:3"):
        compiled(tmp_path, module('\nleaf a { type string {\npattern "(?=a)"; } }'))


def test_types_that_mean_the_same_are_shared(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            "typedef t { type string { pattern a; } } grouping g { leaf a { type t; } } container x { uses g; }"
            "container y { uses g; }"
        ),
    )
    assert at(own, "/m:x/a").type is at(own, "/m:y/a").type


# leafref, union, instance-identifier


def test_a_leafref_has_the_values_of_its_target(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            'leaf a { type uint8; } leaf b { type leafref { path "../a"; } } leaf c { type leafref { path "/m:b"; } }'
            'leaf d { type leafref { path "../a"; require-instance false; } }'
            'typedef t { type leafref { path "/m:a"; } } leaf e { type t { require-instance false; } }'
            "leaf f { type t; }"
        ),
    )
    for leaf in "bcdef":
        assert type_of(own, leaf).check("007", {}) == "7"
        refusal(own, leaf, "256")
    b, c = type_of(own, "b"), type_of(own, "c")
    assert isinstance(b, LeafrefType)
    assert isinstance(c, LeafrefType)
    assert (b.target, c.target) == (at(own, "/m:a"), at(own, "/m:b"))
    assert effective_type(c) is at(own, "/m:a").type
    required = {leaf: value.require_instance for leaf in "bdef" if isinstance(value := type_of(own, leaf), LeafrefType)}
    assert required == {"b": True, "d": False, "e": False, "f": True}


def test_a_leafref_in_a_grouping_leads_where_each_use_says(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            'grouping g { leaf r { type leafref { path "../v"; } } } container x { uses g; leaf v { type int8; } }'
            "container y { uses g; leaf v { type string; } }"
        ),
    )
    for path in ("/m:x", "/m:y"):
        value_type = at(own, f"{path}/r").type
        assert isinstance(value_type, LeafrefType)
        assert value_type.target is at(own, f"{path}/v")


def test_unprefixed_names_in_the_path_of_a_typedef(tmp_path: Path) -> None:
    """YANG 1.1 reads them where the typedef is used (RFC 7950 6.4.1); YANG 1 left it open: where it is written."""
    typedef = 'typedef t { type leafref { path "/a"; } } leaf a { type int8; }'
    old = f'module old {{ namespace "urn:old"; prefix old; {typedef} }}'
    new = module(typedef, name="new")
    user = module(
        "leaf a { type string; } leaf o { type old:t; } leaf n { type new:t; }",
        header="import old { prefix old; } import new { prefix new; }",
    )
    own = compiled(tmp_path, old, new, user)
    targets = {leaf: value.target for leaf in "on" if isinstance(value := type_of(own, leaf), LeafrefType)}
    assert targets == {"o": at(own, "/old:a"), "n": at(own, "/m:a")}


def test_a_leafref_over_keys_and_through_choices_and_operations(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            'list l { key "a b"; leaf a { type string; } leaf b { type int8; } choice h { leaf v { type boolean; } } }'
            'leaf a { type leafref { path "../l/a"; } }'
            'leaf b { type leafref { path "../l[a = current()/../a]/b"; } }'
            'leaf v { type leafref { path "/l[a = current()/../a][b = current()/../b]/v"; } }'
            'rpc r { input { leaf i { type leafref { path "/l/b"; } } leaf j { type leafref { path "../i"; } } } }'
        ),
    )
    targets = {"/m:a": "/m:l/a", "/m:b": "/m:l/b", "/m:v": "/m:l/v", "/m:r/i": "/m:l/b", "/m:r/j": "/m:r/i"}
    for source, target in targets.items():
        value_type = at(own, source).type
        assert isinstance(value_type, LeafrefType)
        assert value_type.target is at(own, target)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('leaf a { type union { type leafref { path "../nosuch"; } } }', "does not lead to a leaf"),
        ('container c; leaf a { type union { type leafref { path "../c"; } } }', "does not lead to a leaf"),
        ('leaf a { type union { type leafref { path "../s"; } } } leaf s { type int8; config false; }', "to state"),
        ('leaf a { type leafref { path "../b"; } } leaf b { type leafref { path "../a"; } }', "leads back to itself"),
        ('leaf a { type union { type leafref { path "../a"; } } }', "leads back to itself"),
    ],
)
def test_a_leafref_that_leads_nowhere_is_refused(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        compiled(tmp_path, module(body))


def test_a_leafref_from_configuration_to_state_needs_no_instance(tmp_path: Path) -> None:
    body = 'type leafref { path "../s"; require-instance false; }'
    own = compiled(
        tmp_path,
        module(f"leaf a {{ {body} }} leaf b {{ type union {{ {body} }} }} leaf s {{ type int8; config false; }}"),
    )
    assert type_of(own, "a").check("1", {}) == type_of(own, "b").check("1", {}) == "1"


def test_the_members_of_a_union_are_flat_and_in_order(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            "typedef t { type union { type int8; type boolean; } } leaf b { type string; }"
            'leaf a { type union { type t; type leafref { path "../b"; } type empty; } }'
        ),
    )
    assert [member.name for member in member_types(type_of(own, "a"))] == ["int8", "boolean", "leafref", "empty"]


def test_an_instance_identifier_is_kept_with_the_prefixes_of_the_schema(tmp_path: Path) -> None:
    own = compiled(
        tmp_path,
        module(
            "typedef t { type instance-identifier; } leaf a { type instance-identifier; }"
            "leaf b { type t { require-instance false; } } leaf c { type union { type int8; type t; } }"
            "list l { key k; leaf k { type int8; } }"
        ),
    )
    for leaf in "abc":
        assert type_of(own, leaf).check('/x:l[ x:k = "07" ]/x:k', {"x": "urn:m"}) == "/m:l[m:k='7']/m:k"
        refusal(own, leaf, "/m:nosuch")
        refusal(own, leaf, "/l")
    required = [
        value.require_instance for leaf in "ab" if isinstance(value := type_of(own, leaf), InstanceIdentifierType)
    ]
    assert required == [True, False]


def test_types_that_need_the_whole_schema_refuse_before_it_is_there() -> None:
    for value_type in (InstanceIdentifierType(), LeafrefType(Expression("../a", {}, None))):
        with pytest.raises(InvalidValue):
            value_type.check("/m:a", {})
        with pytest.raises(InvalidValue):
            value_type.check_default("/m:a", {})


@pytest.mark.parametrize("text", ["", "x", "0xG", "08", "1.0", "--1"])
def test_a_default_that_is_no_integer_of_yang_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        IntegerType("int8", -128, 127).check_default(text, {})


@pytest.mark.parametrize(
    ("text", "canonical"), [("-0x10", "-16"), ("+07", "7"), ("0", "0"), ("0X7f", "127"), ("017", "15")]
)
def test_a_default_may_be_hexadecimal_or_octal(text: str, canonical: str) -> None:
    assert IntegerType("int8", -128, 127).check_default(text, {}) == canonical
