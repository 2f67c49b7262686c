"""The page of errors: every rpc-error that the sources make, and every reason for which a negotiation fails.

An error is found where it is written: a call that has an error-tag of RFC 6241 and a message among its arguments, or
one of a function of ``rejections`` that is given the message.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar

import rkmp
from rkmp.datastore import rejections
from rkmp.engine import reasons
from rkmp.netconf.subscriptions import refusals
from tests.docs.reference.markdown import code, document, plain, table
from tests.docs.reference.modules import Statement, argument, statements

TAGS: Mapping[str, str] = {
    "in-use": "something else has it at the moment: try again later",
    "invalid-value": "a value cannot be this",
    "too-big": "the request, or its answer, is larger than is taken",
    "missing-attribute": "an attribute is needed",
    "bad-attribute": "an attribute cannot have this value",
    "unknown-attribute": "an attribute is not known here",
    "missing-element": "an element is needed",
    "bad-element": "an element cannot have this value",
    "unknown-element": "an element is not known here",
    "unknown-namespace": "no module has this namespace",
    "access-denied": "access control does not permit it",
    "lock-denied": "somebody else has the lock",
    "resource-denied": "there is not enough room, or the disk refuses; nothing was changed",
    "data-exists": "what was to be created is there",
    "data-missing": "what was to be there is not",
    "operation-not-supported": "the server does not do this",
    "operation-failed": "it could not be done, and nothing was changed; the message says why",
    "malformed-message": "this is no XML that can be read",
}
"""The error-tags that the agent answers with (RFC 6241 appendix A), in the RFC's order, in a few words."""

Reason = TypeVar("Reason", bound=Enum)


def page() -> str:
    """Return the page."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    given = _given_a_message()
    for path in sorted(Path(rkmp.__file__).parent.rglob("*.py")):
        for tag, app_tag, message in _errors(ast.parse(path.read_text(encoding="utf-8")), given):
            found[tag].add((app_tag, message))
    return document(
        "Errors",
        "## rpc-errors",
        "A request is carried out whole or not at all; one answer has up to 100 errors. An error of the content has an "
        "`error-path` with the keys of the entries that lead there, and `rkmp apply` names the line of the file. "
        "Words between ‹ and › stand for what is in question.",
        table(("error-tag", "what it means"), ((code(tag), words) for tag, words in TAGS.items())),
        *(block for tag in TAGS for block in _section(tag, found[tag])),
        "### Of subscriptions",
        "The error-app-tag is the identity of RFC 8639 or RFC 8641, and hints are in `error-info` (RFC 8640).",
        table(
            ("error-app-tag", "error-tag"),
            ((code(f"{module}:{identity}"), code(tag)) for (module, identity), tag in refusals._ERROR_TAGS.items()),
        ),
        "### Of rules in the modules",
        "A value outside of its type is `invalid-value`; a rule (`must`) that is broken is `operation-failed` with "
        "error-app-tag `must-violation`, unless the rule has one of its own. These rules have words of their own:",
        table(("rule of", "message"), _rules()),
        "## Why there is no key",
        "What `last-error` and notifications say, before the particulars of the case; the first column is how "
        "statistics and [metrics](metrics.md) count it.",
        "### The IKE SA is not opened",
        _reasons(reasons.NEGOTIATION_FAILURES),
        "### Somebody is not authenticated",
        _reasons(reasons.AUTHENTICATION_FAILURES),
        "### A key is refused",
        _reasons(reasons.CHILD_REFUSALS),
        "### The IKE SA is not rekeyed",
        _reasons(reasons.REKEY_FAILURES),
    )


def _section(tag: str, errors: set[tuple[str, str]]) -> Iterator[str]:
    if errors:
        yield f"### {tag}"
        yield table(("error-app-tag", "message"), ((code(app_tag), plain(text)) for app_tag, text in sorted(errors)))


def _reasons(sentences: Mapping[Reason, str]) -> str:
    return table(("reason", "words"), ((code(reason.value), plain(words)) for reason, words in sentences.items()))


# Errors in the sources


def _given_a_message() -> dict[str, tuple[str, str]]:
    """Return the functions of ``rejections`` that are told what to say: tag and app-tag of each."""
    given: dict[str, tuple[str, str]] = {}
    for function in ast.parse(Path(str(rejections.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
            parameters = {
                each.arg: ast.Constant(f"‹{each.arg}› ") for each in function.args.args if each.arg != "app_tag"
            }
            for call in ast.walk(function):
                for tag, app_tag, text in _error(call, parameters) if isinstance(call, ast.Call) else ():
                    if text in {word.value for word in parameters.values()}:
                        given[function.name] = tag, app_tag
    return given


def _errors(tree: ast.Module, given: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield tag, app-tag and message of each error that is made in a file, where the message is written there."""
    constants = _assignments(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        local = {**constants, **_assignments(function)}
        for call in ast.walk(function):
            if isinstance(call, ast.Call):
                yield from _error(call, local)
                if isinstance(call.func, ast.Attribute) and call.func.attr in given:
                    tag, app_tag = given[call.func.attr]
                    texts = [text for text in (_text(word, local) for word in call.args) if " " in text]
                    if texts:
                        yield tag, app_tag, texts[-1]


def _error(call: ast.Call, local: Mapping[str, ast.expr]) -> Iterator[tuple[str, str, str]]:
    for tag, message in zip(call.args, call.args[1:], strict=False):
        text = _text(message, local)
        # A single word is the name of something, and not a message.
        if isinstance(tag, ast.Constant) and tag.value in TAGS and " " in text:
            app_tags = [_text(word.value, local) for word in call.keywords if word.arg == "app_tag"]
            yield str(tag.value), "".join(app_tags), text


def _assignments(scope: ast.AST) -> dict[str, ast.expr]:
    body = scope.body if isinstance(scope, ast.Module) else ast.walk(scope)
    return {
        target.id: node.value
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(expression: ast.expr, local: Mapping[str, ast.expr]) -> str:
    """Return the words of an expression, what happens filled in as names; nothing if it is only that."""
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_part(value) for value in values)
        case ast.Name(id=name) if name in local:
            return _text(local[name], {})
        case ast.BoolOp(values=values):
            return _text(values[-1], local)
    return ""


def _part(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    assert isinstance(value, ast.FormattedValue)
    names = [node.attr if isinstance(node, ast.Attribute) else node.id for node in _named(value.value)]
    return f"‹{names[0].strip('_').replace('_', ' ')}›" if names else "‹…›"


def _named(expression: ast.expr) -> Iterator[ast.Attribute | ast.Name]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute | ast.Name):
            yield node


# Rules in the modules


def _rules() -> Iterator[tuple[str, str]]:
    for module in statements().values():
        pending: list[tuple[Statement, str]] = [(child, "") for child in module.i_children]
        while pending:
            statement, above = pending.pop(0)
            is_data = statement.keyword not in ("choice", "case")
            path = f"{above}/{statement.arg}" if is_data else above
            for must in statement.search("must"):
                if message := argument(must, "error-message"):
                    yield code(path), plain(message)
            pending = [(child, path) for child in getattr(statement, "i_children", ())] + pending
