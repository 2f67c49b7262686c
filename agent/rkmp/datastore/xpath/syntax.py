"""XPath 1.0 expressions as syntax trees: a tokenizer, a parser and the node classes (XPath 1.0 sections 2, 3 and 3.7).

libxml2 evaluates; the tree serves what it cannot do: giving unprefixed names their YANG namespace (RFC 7950 6.4.1)
and finding which schema nodes an expression reads. Knows neither schema nor data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rkmp.errors import RkmpError


class XPathSyntaxError(RkmpError):
    """A string that is not an XPath 1.0 expression."""


class NotANodeSet(XPathSyntaxError):
    """An expression that is of another type than what is asked for."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A string in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; YANG binds none (RFC 7950 6.4.1), so one is only met in expressions that we rewrote."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operator: or, and, =, !=, <, <=, >, >=, +, -, *, div, mod or | (union)."""

    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: Syntax


@dataclass(frozen=True, slots=True)
class NameTest:
    """``prefix:name``, ``name``, ``prefix:*`` or ``*``; ``prefix`` is None where none is written."""

    prefix: str | None
    name: str


@dataclass(frozen=True, slots=True)
class TypeTest:
    """``node()``, ``text()``, ``comment()`` or ``processing-instruction()``."""

    type: str


@dataclass(frozen=True, slots=True)
class Step:
    """One location step with its axis spelled out."""

    axis: str
    test: NameTest | TypeTest
    predicates: tuple[Syntax, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A location path. ``start`` is an expression to begin from (with ``predicates`` on it), or None.

    Without a start, an ``absolute`` path begins at the root and any other at the context node.
    """

    absolute: bool
    steps: tuple[Step, ...]
    start: Syntax | None = None
    predicates: tuple[Syntax, ...] = ()


Syntax = Literal | Number | Variable | Call | Binary | Negation | Path

SELF = Step("self", TypeTest("node"))
PARENT = Step("parent", TypeTest("node"))
DESCENDANTS = Step("descendant-or-self", TypeTest("node"))

AXES = frozenset(
    [
        "ancestor",
        "ancestor-or-self",
        "attribute",
        "child",
        "descendant",
        "descendant-or-self",
        "following",
        "following-sibling",
        "namespace",
        "parent",
        "preceding",
        "preceding-sibling",
        "self",
    ]
)
_NODE_TYPES = frozenset({"comment", "text", "processing-instruction", "node"})
_OPERATOR_NAMES = frozenset({"and", "or", "mod", "div"})
# Lowest precedence first (XPath 1.0 section 3.5); the union operator is parsed apart, since its operands are paths.
_PRECEDENCE: tuple[frozenset[str], ...] = (
    frozenset({"or"}),
    frozenset({"and"}),
    frozenset({"=", "!="}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "div", "mod"}),
)
# Characters of an expression that a message repeats.
LONGEST_SHOWN = 200
_NAME = r"[^\W\d][\w.\-]*"
_TOKEN = re.compile(
    rf"""[ \t\r\n]*(?:
        (?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)
      | (?P<literal>"[^"]*"|'[^']*')
      | (?P<variable>\${_NAME}(?::{_NAME})?)
      | (?P<symbol>::|//|\.\.|!=|<=|>=|[()\[\].@,/|+\-=<>*])
      | (?P<name>{_NAME}(?::(?!:)(?:{_NAME}|\*))?)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    is_operator: bool = False


def _tokens(expression: str) -> Iterator[_Token]:
    position = 0
    end = len(expression.rstrip(" \t\r\n"))
    previous: _Token | None = None
    while position < end:
        match = _TOKEN.match(expression, position, end)
        if match is None:
            raise XPathSyntaxError(
                f"unexpected {expression[position:end].strip()[:12]!r} in {expression[:LONGEST_SHOWN]!r}"
            )
        kind = str(match.lastgroup)
        text = match.group(kind)
        # XPath 1.0 section 3.7: after an operand, "*" multiplies and the operator names are operators.
        after_operand = previous is not None and not (
            previous.is_operator or (previous.text in ("@", "::", "(", "[", ",") and previous.kind == "symbol")
        )
        is_operator = (kind == "symbol" and text in ["|", "+", "-", "=", "!=", "<", "<=", ">", ">=", "/", "//"]) or (
            after_operand and (text == "*" or (kind == "name" and text in _OPERATOR_NAMES))
        )
        if kind == "name" and text.endswith(":*"):
            kind = "wildcard"
        previous = _Token(kind, text, is_operator)
        yield previous
        position = match.end()


# What a client's filter may cost. Walks over a tree recurse, here and in libxml2, so its height is bounded, too.
MAXIMUM_LENGTH = 65_536
MAXIMUM_HEIGHT = 100


def parse(expression: str) -> Syntax:
    """The syntax tree of an XPath 1.0 expression; raises XPathSyntaxError."""
    if len(expression) > MAXIMUM_LENGTH:
        raise XPathSyntaxError(f"the expression is longer than {MAXIMUM_LENGTH} characters")
    parser = _Parser(expression)
    tree = parser.expression()
    parser.expect_end()
    _require_height(tree)
    return tree


def _require_height(tree: Syntax) -> None:
    level: list[Syntax] = [tree]
    for _ in range(MAXIMUM_HEIGHT):
        level = [operand for each in level for operand in operands(each)]
        if not level:
            return
    raise XPathSyntaxError("the expression is nested too deeply")


def operands(tree: Syntax) -> list[Syntax]:
    """The expressions directly inside of an expression."""
    match tree:
        case Call(_, arguments):
            return list(arguments)
        case Binary(_, left, right):
            return [left, right]
        case Negation(operand):
            return [operand]
        case Path(_, steps, start, predicates):
            inside = [*predicates, *(predicate for step in steps for predicate in step.predicates)]
            return inside if start is None else [start, *inside]
        case _:
            return []


class _Parser:
    """Recursive descent over the grammar of XPath 1.0 section 3."""

    # Deeper nesting is not an expression that anybody wrote; the limit keeps it from exhausting the stack.
    MAXIMUM_DEPTH = 40

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._tokens = list(_tokens(expression))
        self._position = 0
        self._depth = 0

    def expect_end(self) -> None:
        if self._position < len(self._tokens):
            raise self._fault()

    def _fault(self) -> XPathSyntaxError:
        at = self._tokens[self._position].text if self._position < len(self._tokens) else "end"
        return XPathSyntaxError(f"unexpected {at[:40]!r} in {self._text[:LONGEST_SHOWN]!r}")

    def _peek(self, ahead: int = 0) -> _Token | None:
        index = self._position + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def _at(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == "symbol" and token.text == text

    def _accept(self, text: str) -> bool:
        if self._at(text):
            self._position += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fault()

    def expression(self) -> Syntax:
        self._depth += 1
        if self._depth > self.MAXIMUM_DEPTH:
            raise XPathSyntaxError("the expression is nested too deeply")
        tree = self._binary(0)
        self._depth -= 1
        return tree

    def _binary(self, level: int) -> Syntax:
        if level == len(_PRECEDENCE):
            return self._unary()
        left = self._binary(level + 1)
        while (token := self._peek()) is not None and token.is_operator and token.text in _PRECEDENCE[level]:
            self._position += 1
            left = Binary(token.text, left, self._binary(level + 1))
        return left

    def _unary(self) -> Syntax:
        minus = 0
        while self._accept("-"):
            minus += 1
        tree = self._union()
        for _ in range(minus):
            tree = Negation(tree)
        return tree

    def _union(self) -> Syntax:
        left = self._path()
        while self._accept("|"):
            left = Binary("|", left, self._path())
        return left

    def _path(self) -> Syntax:
        start = self._primary()
        if start is None:
            return self._location_path()
        predicates = self._predicates()
        steps: tuple[Step, ...] = ()
        if self._accept("//"):
            steps = (DESCENDANTS, *self._relative())
        elif self._accept("/"):
            steps = self._relative()
        if not predicates and not steps:
            return start
        return Path(False, steps, start, predicates)

    def _primary(self) -> Syntax | None:
        """A primary expression, or None where a location path stands instead."""
        token = self._peek()
        if token is None:
            raise self._fault()
        if token.kind == "literal":
            self._position += 1
            return Literal(token.text[1:-1])
        if token.kind == "number":
            self._position += 1
            return Number(token.text)
        if token.kind == "variable":
            self._position += 1
            return Variable(token.text[1:])
        if self._accept("("):
            inside = self.expression()
            self._expect(")")
            return inside
        if token.kind == "name" and self._at("(", 1) and token.text not in _NODE_TYPES:
            self._position += 2
            return Call(token.text, self._arguments())
        return None

    def _arguments(self) -> tuple[Syntax, ...]:
        if self._accept(")"):
            return ()
        arguments = [self.expression()]
        while self._accept(","):
            arguments.append(self.expression())
        self._expect(")")
        return tuple(arguments)

    def _location_path(self) -> Path:
        if self._accept("//"):
            return Path(True, (DESCENDANTS, *self._relative()))
        if self._accept("/"):
            return Path(True, self._relative() if self._starts_step() else ())
        return Path(False, self._relative())

    def _starts_step(self) -> bool:
        token = self._peek()
        if token is None or token.is_operator:
            return False
        return token.kind in ("name", "wildcard") or token.text in (".", "..", "@", "*")

    def _relative(self) -> tuple[Step, ...]:
        steps = [self._step()]
        while True:
            if self._accept("//"):
                steps += [DESCENDANTS, self._step()]
            elif self._accept("/"):
                steps.append(self._step())
            else:
                return tuple(steps)

    def _step(self) -> Step:
        if self._accept(".."):
            return PARENT
        if self._accept("."):
            return SELF
        token = self._peek()
        axis = "child"
        if self._accept("@"):
            axis = "attribute"
        elif token is not None and token.kind == "name" and self._at("::", 1):
            if token.text not in AXES:
                raise self._fault()
            axis = token.text
            self._position += 2
        return Step(axis, self._node_test(), self._predicates())

    def _node_test(self) -> NameTest | TypeTest:
        token = self._peek()
        if token is None or token.is_operator:
            raise self._fault()
        if token.kind == "symbol" and token.text == "*":
            self._position += 1
            return NameTest(None, "*")
        if token.kind not in ("name", "wildcard"):
            raise self._fault()
        self._position += 1
        if token.text in _NODE_TYPES and self._accept("("):
            argument = self._peek()
            if token.text == "processing-instruction" and argument is not None and argument.kind == "literal":
                self._position += 1
            self._expect(")")
            return TypeTest(token.text)
        prefix, colon, name = token.text.partition(":")
        return NameTest(prefix, name) if colon else NameTest(None, prefix)

    def _predicates(self) -> tuple[Syntax, ...]:
        predicates: list[Syntax] = []
        while self._accept("["):
            predicates.append(self.expression())
            self._expect("]")
        return tuple(predicates)


def render(tree: Syntax) -> str:
    """An expression that parses back to ``tree``; operands are put in parentheses where precedence could matter."""
    match tree:
        case Literal(value):
            return f'"{value}"' if '"' not in value else f"'{value}'"
        case Number(text):
            return text
        case Variable(name):
            return f"${name}"
        case Call(name, arguments):
            return f"{name}({', '.join(render(argument) for argument in arguments)})"
        case Negation(operand):
            return f"-{_operand(operand)}"
        case Binary(operator, left, right):
            return f"{_operand(left)} {operator} {_operand(right)}"
        case Path():
            return _render_path(tree)


def _operand(tree: Syntax) -> str:
    # After a bare "/" an operator's name would be read as a step.
    enclosed = isinstance(tree, Binary | Negation) or tree == Path(True, ())
    return f"({render(tree)})" if enclosed else render(tree)


def _render_path(path: Path) -> str:
    steps = "/".join(_render_step(step) for step in path.steps)
    if path.start is None:
        return ("/" if path.absolute else "") + steps
    start = _operand(path.start) if not isinstance(path.start, Path) else f"({render(path.start)})"
    start += "".join(f"[{render(predicate)}]" for predicate in path.predicates)
    return f"{start}/{steps}" if steps else start


def _render_step(step: Step) -> str:
    if step == PARENT:
        return ".."
    if step == SELF:
        return "."
    match step.test:
        case NameTest(None, name):
            test = name
        case NameTest(prefix, name):
            test = f"{prefix}:{name}"
        case TypeTest(kind):
            test = f"{kind}()"
    axis = "" if step.axis == "child" else f"{step.axis}::"
    return axis + test + "".join(f"[{render(predicate)}]" for predicate in step.predicates)


def quoted(value: str) -> str:
    """An XPath 1.0 literal of ``value``; XPath has no escapes, so a value with both quotes becomes a concat()."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    pieces = ["'" + piece + "'" for piece in value.split("'")]
    return "concat(" + ', "\'", '.join(pieces) + ")"
