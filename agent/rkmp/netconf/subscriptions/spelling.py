"""XPath filters in prefixes that whatever shows them binds: those of a client are gone with its message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rkmp.datastore.xpath import XPathSyntaxError, parse
from rkmp.datastore.xpath.syntax import Binary, Call, NameTest, Negation, Path, Step, Syntax, render

Respell = Callable[[str], str]


def respelled(text: str, prefixes: Mapping[str, str], of_namespace: Mapping[str, str]) -> str:
    """Return the expression ``text`` with prefixes by namespace in place of those that ``prefixes`` binds.

    One that has no other stays as it is, and so does what is no expression.
    """
    try:
        tree = parse(text)
    except XPathSyntaxError:
        return text
    again = _respelled(tree, lambda prefix: of_namespace.get(prefixes.get(prefix, ""), prefix))
    return text if again == tree else render(again)


def _respelled(tree: Syntax, respell: Respell) -> Syntax:
    match tree:
        case Call(name, arguments):
            return Call(name, tuple(_respelled(argument, respell) for argument in arguments))
        case Binary(operator, left, right):
            return Binary(operator, _respelled(left, respell), _respelled(right, respell))
        case Negation(operand):
            return Negation(_respelled(operand, respell))
        case Path(absolute, steps, start, predicates):
            return Path(
                absolute,
                tuple(_step(step, respell) for step in steps),
                None if start is None else _respelled(start, respell),
                tuple(_respelled(predicate, respell) for predicate in predicates),
            )
        case _:
            return tree


def _step(step: Step, respell: Respell) -> Step:
    test = step.test
    if isinstance(test, NameTest) and test.prefix is not None:
        test = NameTest(respell(test.prefix), test.name)
    return replace(step, test=test, predicates=tuple(_respelled(each, respell) for each in step.predicates))
