"""XML Schema regular expressions as YANG's pattern and re-match() use them (RFC 7950 9.4.5)."""

from __future__ import annotations

from pathlib import Path

import oopt_gnpy_libyang as libyang
import pytest

from rkmp.datastore.schema.patterns import compile_pattern
from tests.datastore.judges import Libyang
from tests.datastore.modules import module, write

# pattern, what it matches, what it does not
PATTERNS: list[tuple[str, list[str], list[str]]] = [
    ("a", ["a"], ["", "aa", "ba", "ab", "a\n", "\na"]),
    ("", [""], ["a", "\n"]),
    ("a|bc", ["a", "bc"], ["ac", "abc", "b"]),
    ("(ab)*c?", ["", "ab", "ababc", "c"], ["a", "abb"]),
    ("a{2}b{1,}c{0,2}", ["aab", "aabbcc"], ["ab", "aaccc", "aabccc"]),
    # A dot is any character but an end of line; anchors are ordinary characters.
    (".", ["a", "€"], ["", "\n", "\r", "ab"]),
    ("^a$", ["^a$"], ["a"]),
    (r"\^$\.\*\+\?\{\}\(\)\[\]\|\\\-", ["^$.*+?{}()[]|\\-"], ["a"]),
    # Classes, with subtraction and negation.
    ("[a-z-[aeiou]]+", ["xyz"], ["a", "xaz"]),
    ("[^a-c]+", ["d", "\n"], ["a", "da"]),
    ("[0-9a-fA-F-]*", ["0-9", "aF"], ["g"]),
    (r"[\w.\-]+", ["a.b-c"], ["a b", "a,b"]),
    (r"\d+", ["0", "٣"], ["a", ""]),
    (r"\s\S\D\W", [" a!-", "\tb .", "\nc- "], ["aaaa", " 1a1"]),
    # Names of XML and properties of Unicode.
    (r"\i\c*", ["a-b.c", "_x", "ä1"], ["1a", "-a", ""]),
    (r"\p{Lu}\p{Ll}*", ["Abc", "Äöü"], ["abc", "AB"]),
    (r"\P{L}+", ["123", "!?"], ["a1"]),
    (r"[\p{L}\p{N}]+", ["a1", "ä٣"], ["a b", "-"]),
    (r"\p{IsBasicLatin}+", ["abc"], ["é"]),
    (r"[\i-[:]][\c-[:]]*", ["a-b"], ["a:b", ":a", "1"]),
    # As ietf-inet-types and ietf-yang-types have them.
    (r"((1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])\.){3}(1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])(%[\p{N}\p{L}]+)?",
     ["192.0.2.1", "10.0.0.1%eth0"], ["256.0.0.1", "1.2.3", "1.2.3.4 "]),
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[\+\-]\d{2}:\d{2})",
     ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6+01:00"], ["2026-01-02", "2026-01-02T03:04:05"]),
    (r"[xX][mM][lL].*", ["xml", "XMLa"], ["xm", "axml"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "matching", "other"), PATTERNS)
def test_a_pattern_matches_whole_values(pattern: str, matching: list[str], other: list[str]) -> None:
    expression = compile_pattern(pattern)
    assert [text for text in matching if expression.match(text) is None] == []
    assert [text for text in other if expression.match(text) is not None] == []


# libyang hands its patterns to PCRE, which is near to XML Schema; the patterns where it is not near enough, and why.
LIBYANG_DIFFERS = {
    "[a-z-[aeiou]]+": "PCRE has no class subtraction",
    r"[\i-[:]][\c-[:]]*": "PCRE has no class subtraction",
    r"\i\c*": "PCRE has no classes for names of XML",
    r"\^$\.\*\+\?\{\}\(\)\[\]\|\\\-": "a circumflex that is escaped is escaped once more",
}


def libyang_agrees(folder: Path, pattern: str, matching: list[str], other: list[str]) -> bool:
    text = module(f"leaf a {{ type string {{ pattern '{pattern}'; }} }}")
    try:
        judge = Libyang(write(folder, text), "m")
    except libyang.Error:
        return False
    # A carriage return does not survive XML's treatment of line ends.
    matched = [value for value in (*matching, *other) if "\r" not in value and judge.canonical("urn:m", "a", value, {})]
    return matched == [value for value in matching if value]


def test_libyang_agrees(tmp_path: Path) -> None:
    differing = {pattern for pattern, *values in PATTERNS if not libyang_agrees(tmp_path, pattern, *values)}
    assert differing == set(LIBYANG_DIFFERS)


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "[z-a]", "(?=a)", "a*?", r"\1", "{", r"\p{Nosuch}", "[", r"\b", "a{9999999999}"]
)
def test_what_is_no_expression_of_xml_schema_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not an XML Schema regular expression"):
        compile_pattern(pattern)
