"""XPath 1.0 expressions to syntax trees and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.xpath.syntax import (
    AXES,
    DESCENDANTS,
    PARENT,
    SELF,
    Binary,
    Call,
    Literal,
    NameTest,
    Negation,
    Number,
    Path,
    Step,
    Syntax,
    TypeTest,
    Variable,
    XPathSyntaxError,
    parse,
    render,
)


def child(name: str, *predicates: Syntax, prefix: str | None = None) -> Step:
    return Step("child", NameTest(prefix, name), predicates)


def relative(*steps: Step) -> Path:
    return Path(False, steps)


A, B, C = relative(child("a")), relative(child("b")), relative(child("c"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("'a b'", Literal("a b")),
        ('"it\'s"', Literal("it's")),
        ("''", Literal("")),
        ("12", Number("12")),
        ("1.5", Number("1.5")),
        (".5", Number(".5")),
        ("3.", Number("3.")),
        ("$v", Variable("v")),
        ("a", A),
        ("p:a", relative(child("a", prefix="p"))),
        ("*", relative(child("*"))),
        ("p:*", relative(child("*", prefix="p"))),
        ("a-b.c_d1", relative(child("a-b.c_d1"))),
        (".", relative(SELF)),
        ("..", relative(PARENT)),
        ("../../a", relative(PARENT, PARENT, child("a"))),
        ("/", Path(True, ())),
        ("(/) or /", Binary("or", Path(True, ()), Path(True, ()))),
        ("/ = 1", Binary("=", Path(True, ()), Number("1"))),
        ("/a/b", Path(True, (child("a"), child("b")))),
        ("//a", Path(True, (DESCENDANTS, child("a")))),
        ("a//b", relative(child("a"), DESCENDANTS, child("b"))),
        ("@a", relative(Step("attribute", NameTest(None, "a")))),
        ("ancestor-or-self::p:a", relative(Step("ancestor-or-self", NameTest("p", "a")))),
        ("self::node()", relative(SELF)),
        ("text()", relative(Step("child", TypeTest("text")))),
        ("child::comment()", relative(Step("child", TypeTest("comment")))),
        ("processing-instruction('x')", relative(Step("child", TypeTest("processing-instruction")))),
        ("a[1][b]", relative(child("a", Number("1"), B))),
        ("a[b='x']/c", relative(child("a", Binary("=", B, Literal("x"))), child("c"))),
        ("current()/../a", Path(False, (PARENT, child("a")), Call("current", ()))),
        ("(a)[1]", Path(False, (), A, (Number("1"),))),
        ("(a | b)//c", Path(False, (DESCENDANTS, child("c")), Binary("|", A, B))),
        ("(a)", A),
        ("count(a)", Call("count", (A,))),
        ("concat('x', a, 1)", Call("concat", (Literal("x"), A, Number("1")))),
        ("-a", Negation(A)),
        ("--1", Negation(Negation(Number("1")))),
        ("a | b | c", Binary("|", Binary("|", A, B), C)),
        ("a or b and c", Binary("or", A, Binary("and", B, C))),
        ("a = b != c", Binary("!=", Binary("=", A, B), C)),
        ("a < b = c", Binary("=", Binary("<", A, B), C)),
        ("a - b - c", Binary("-", Binary("-", A, B), C)),
        ("a + b * c", Binary("+", A, Binary("*", B, C))),
        ("a * b", Binary("*", A, B)),
        ("* * *", Binary("*", relative(child("*")), relative(child("*")))),
        ("a div b mod c", Binary("mod", Binary("div", A, B), C)),
        # XPath 1.0 section 3.7: after an operator a name is a name.
        ("or or and", Binary("or", relative(child("or")), relative(child("and")))),
        ("div/mod", relative(child("div"), child("mod"))),
        ("a-b", relative(child("a-b"))),
        ("a -b", Binary("-", A, B)),
        ("a[div]", relative(child("a", relative(child("div"))))),
        ("text/node", relative(child("text"), child("node"))),
        (" \t\n a \r", A),
        ("a[ b ]", relative(child("a", B))),
    ],
)
def test_an_expression_has_one_tree(text: str, tree: Syntax) -> None:
    assert parse(text) == tree
    assert parse(render(tree)) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "a and",
        "and a b",
        "a[",
        "a[]",
        "a]",
        "(a",
        "a)",
        "f(a",
        "f(a,)",
        "f(,a)",
        "a//",
        "a/",
        "///a",
        "a/(b)",
        "'a",
        "a = ",
        "= a",
        "nosuch::a",
        "a::b",
        "p:",
        ":a",
        "p:q:r",
        "$",
        "a !b",
        "a[1]1",
        "..a",
        "@",
        "node(1)",
        "1 2",
        "#",
        "a;b",
        "/ *=",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(XPathSyntaxError):
        parse(text)


@pytest.mark.parametrize("depth", [30, 100, 5_000])
@pytest.mark.parametrize(
    ("opening", "middle", "closing"),
    [
        ("(", "1", ")"),
        ("a[", "1", "]"),
        ("not(", "a", ")"),
        ("-", "1", ""),
        ("1+", "1", ""),
        ("a|", "a", ""),
        ("a/", "b", ""),
    ],
)
def test_an_expression_is_refused_before_it_exhausts_the_stack(
    depth: int, opening: str, middle: str, closing: str
) -> None:
    text = opening * depth + middle + closing * depth
    if depth < 50 or opening == "a/":
        assert parse(render(parse(text))) == parse(text)
    else:
        with pytest.raises(XPathSyntaxError, match="too deeply"):
            parse(text)


def test_an_expression_is_refused_before_it_costs_much() -> None:
    assert parse("a/" * 30_000 + "b")
    with pytest.raises(XPathSyntaxError, match="longer than"):
        parse("a/" * 40_000 + "b")
    for text in ("a b" * 20_000, "a/" * 30_000, "#" * 60_000):
        with pytest.raises(XPathSyntaxError) as caught:
            parse(text)
        assert len(str(caught.value)) < 1000


# Trees that an expression can have: what parsing cannot tell apart is left out.

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True)
literals = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=6).filter(
    lambda text: '"' not in text or "'" not in text
)
node_tests = st.one_of(
    st.builds(NameTest, st.none() | names, names | st.just("*")),
    st.builds(TypeTest, st.sampled_from(["node", "text", "comment"])),
)


def trees(inside: st.SearchStrategy[Syntax]) -> st.SearchStrategy[Syntax]:
    predicates = st.lists(inside, max_size=2).map(tuple)
    steps = st.builds(Step, st.sampled_from(sorted(AXES)), node_tests, predicates)
    operators = ["or", "and", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "div", "mod"]
    functions = names.filter(lambda name: name not in ("node", "text", "comment"))
    return st.one_of(
        st.builds(Call, functions, st.lists(inside, max_size=3).map(tuple)),
        st.builds(Binary, st.sampled_from([*operators, "|"]), inside, inside),
        st.builds(Negation, inside),
        st.builds(Path, st.booleans(), st.lists(steps, min_size=1, max_size=3).map(tuple)),
        st.builds(Path, st.just(False), st.lists(steps, min_size=1, max_size=2).map(tuple), inside, predicates),
        st.builds(Path, st.just(False), st.just(()), inside, st.lists(inside, min_size=1, max_size=2).map(tuple)),
    )


leaves: st.SearchStrategy[Any] = st.one_of(
    st.builds(Literal, literals),
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{0,3})?|\.[0-9]{1,3}", fullmatch=True).map(Number),
    st.builds(Variable, names),
    st.builds(lambda name: relative(child(name)), names),
    st.just(Path(True, ())),
)


@given(st.recursive(leaves, trees, max_leaves=8))
def test_rendering_and_parsing_are_inverse(tree: Syntax) -> None:
    assert parse(render(tree)) == tree


@given(st.text(st.sampled_from("ab:/.*@[]()'\"|+-=<>!,$ 0123456789") | st.characters(max_codepoint=0x2FF), max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except XPathSyntaxError:
        return
    assert parse(render(tree)) == tree


DOCUMENT = etree.fromstring("<a><b>1</b><b>2<c>3</c></b><c/></a>")
PIECES = ["1", "2.5", "'x'", "a", "b", "c", "*", ".", "..", "/", "//", "|", "+", "-", "*", "div", "<", "=", "and", "or"]


@given(st.lists(st.sampled_from([*PIECES, "(", ")", "[", "]", "not(", "count(", "ancestor::"]), max_size=12))
@example(["1", "-", "2", "-", "3"])
@example(["-", "b", "|", "c"])
@example(["b", "[", "2", "]", "[", "1", "]"])
def test_a_tree_means_what_libxml2_takes_the_text_to_mean(pieces: list[str]) -> None:
    text = " ".join(pieces)
    try:
        tree = parse(text)
    except XPathSyntaxError:
        # libxml2 takes more than the grammar has, as in "/ /".
        return
    assert outcome(render(tree)) == outcome(text)


def outcome(text: str) -> object:
    """What libxml2 makes of an expression: a value, or the fact that operands have no use there."""
    try:
        result = etree.XPath(text)(DOCUMENT)
    except etree.XPathError:
        return "no value"
    return "NaN" if isinstance(result, float) and math.isnan(result) else result
