"""A page for each of our YANG modules, from pyang: the tree, then every node with its type, default and description."""

from __future__ import annotations

import io
import optparse
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from pyang.context import Context
from pyang.plugins.tree import TreePlugin, emit_tree
from pyang.repository import FileRepository

from tests.docs.reference.markdown import code, document, paragraphs, plain, table
from tests.yang.modules import MODULES, NAMES, SEARCH_PATH

# A pyang Statement; pyang has no type annotations.
Statement = Any

_INNER = frozenset({"container", "list", "action", "rpc", "notification", "input", "output"})
_KINDS: Mapping[bool | None, str] = {True: "config", False: "state"}
_SCHEMA_ONLY = frozenset({"choice", "case"})


@cache
def statements() -> dict[str, Statement]:
    """Return our modules, expanded, by name."""
    context: Any = Context(FileRepository(":".join(map(str, SEARCH_PATH)), use_env=False))
    context.opts = _options()
    found = {
        name: context.add_module(name, (MODULES / f"{name}.yang").read_text(encoding="utf-8"), in_format="yang")
        for name in NAMES
    }
    context.validate()
    return found


def _options() -> Any:
    """Return the options of pyang's tree, at their defaults."""
    # This plugin alone: pyang's others change for good how it reads modules, in every test that comes after. The tree
    # asks for the options that go with two of them all the same.
    parser = optparse.OptionParser()
    parser.set_defaults(tree_print_yang_data=None, tree_print_structures=None)
    TreePlugin().add_opts(parser)
    return parser.parse_args([])[0]


def argument(statement: Statement, keyword: str) -> str:
    """Return the argument of a substatement, or nothing."""
    found = statement.search_one(keyword)
    return "" if found is None else str(found.arg)


def page_of(name: str) -> Callable[[], str]:
    """Return what makes the page of a module."""
    return partial(_page, name)


def _page(name: str) -> str:
    module = statements()[name]
    prefix, namespace = argument(module, "prefix"), argument(module, "namespace")
    revision = module.search_one("revision")
    return document(
        f"The module {name}",
        paragraphs(argument(module, "description")),
        f"Namespace `{namespace}`, prefix `{prefix}`, revision {revision.arg}: `yang/{name}.yang`.",
        *_tree(module),
        *_nodes(module),
        *_definitions(module),
    )


def _tree(module: Statement) -> Iterator[str]:
    drawn = io.StringIO()
    emit_tree(module.i_ctx, [module], drawn, None, None, None)
    if drawn.getvalue().strip():
        yield "## Tree"
        yield "In the notation of RFC 8340."
        yield f"```text\n{drawn.getvalue().rstrip()}\n```"


# Nodes


def _nodes(module: Statement) -> Iterator[str]:
    blocks = [block for child in module.i_children for block in _inner_nodes(child, "")]
    for augment in module.search("augment"):
        for child in augment.i_children:
            target = str(augment.arg)
            blocks += _inner_nodes(child, target) if child.keyword in _INNER else ()
        if leaves := _leaf_rows(augment):
            blocks += [f"### {augment.arg}", "Added to a list of another module.", _leaf_table(leaves)]
    if blocks:
        yield "## Nodes"
        yield "`config` is written, `state` is read; *secret* nodes are in no reply without a rule that permits it."
        yield from blocks


def _inner_nodes(statement: Statement, above: str) -> Iterator[str]:
    """Yield the blocks of a container, list, action, rpc or notification, and of all below it."""
    if statement.keyword not in _INNER | _SCHEMA_ONLY:
        return
    path = above
    if statement.keyword in _INNER:
        path = f"{above}/{statement.arg}"
        leaves = _leaf_rows(statement)
        description = argument(statement, "description")
        if leaves or description:
            yield f"### {path}"
            yield _headline(statement)
            yield paragraphs(description) if description else ""
            yield from (f"- {rule}" for rule in _rules(statement))
            yield _leaf_table(leaves)
    for child in statement.i_children:
        yield from _inner_nodes(child, path)


def _headline(statement: Statement) -> str:
    words = [statement.keyword]
    if key := argument(statement, "key"):
        words.append("keyed by " + ", ".join(map(code, key.split())))
    if statement.search_one("presence") is not None:
        words.append("whose presence means something")
    if statement.keyword in ("container", "list"):
        words[0] = f"{_KINDS.get(statement.i_config, '')} {words[0]}".strip()
    return f"*{' '.join(words[:1])}*{''.join(', ' + word for word in words[1:])}"


def _leaf_table(rows: list[tuple[str, ...]]) -> str:
    return table(("node", "kind", "type", "default", "what it is"), rows)


def _leaf_rows(statement: Statement, case: str = "") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for child in statement.i_children:
        if child.keyword in _SCHEMA_ONLY:
            rows += _leaf_rows(child, f"{child.parent.arg} = {child.arg}" if child.keyword == "case" else case)
        elif child.keyword in ("leaf", "leaf-list"):
            rows.append(_leaf_row(child, case))
    return rows


def _leaf_row(leaf: Statement, case: str) -> tuple[str, ...]:
    name = code(leaf.arg) + (" (list)" if leaf.keyword == "leaf-list" else "")
    kind = _KINDS.get(leaf.i_config, "")
    if argument(leaf, "mandatory") == "true" or getattr(leaf, "i_is_key", False):
        kind += ", mandatory" if kind else "mandatory"
    if leaf.search_one(("ietf-netconf-acm", "default-deny-all")) is not None or _is_secret(leaf):
        kind += ", *secret*"
    default = argument(leaf, "default")
    if default and (units := argument(leaf, "units")):
        default = f"{default} {units}"
    words = [f"(one choice of {case.split(' = ')[0]})"] if case else []
    words.append(plain(argument(leaf, "description")))
    words += _rules(leaf)
    return name, kind, _type(leaf), code(default), " ".join(words)


def _is_secret(leaf: Statement) -> bool:
    above = leaf
    while above is not None and above.keyword not in ("module", "submodule"):
        if above.search_one(("ietf-netconf-acm", "default-deny-all")) is not None:
            return True
        above = getattr(above, "parent", None)
    return False


def _rules(statement: Statement) -> list[str]:
    rules = [f"Only when `{' '.join(when.arg.split())}`." for when in statement.search("when")]
    for must in statement.search("must"):
        message = argument(must, "error-message")
        rules.append(f"Must: {plain(message)}." if message else f"Must: `{' '.join(must.arg.split())}`.")
    return rules


# Types


def _type(leaf: Statement) -> str:
    return _type_words(leaf.search_one("type"))


def _type_words(kind: Statement) -> str:
    name = str(kind.arg)
    match name:
        case "enumeration":
            return ", ".join(code(enum.arg) for enum in kind.search("enum"))
        case "bits":
            return "bits " + ", ".join(code(bit.arg) for bit in kind.search("bit"))
        case "leafref":
            return f"→ {code(argument(kind, 'path'))}"
        case "identityref":
            return f"identity of {code(argument(kind, 'base'))}"
        case "union":
            return " or ".join(_type_words(member) for member in kind.search("type"))
    words = _linked(kind, name)
    for keyword in ("range", "length"):
        if limit := argument(kind, keyword):
            words += f", {keyword} {code(limit)}"
    if digits := argument(kind, "fraction-digits"):
        words += f", {digits} fraction digits"
    return words


def _linked(kind: Statement, name: str) -> str:
    typedef = getattr(kind, "i_typedef", None)
    if typedef is None or typedef.i_module.arg not in NAMES:
        return code(name)
    return f"[`{name}`]({typedef.i_module.arg}.md#types)"


# Typedefs and identities


def _definitions(module: Statement) -> Iterator[str]:
    types = [
        (code(each.arg), _type(each), code(argument(each, "default")), _type_description(each))
        for each in module.search("typedef")
    ]
    if types:
        yield "## Types"
        yield table(("type", "based on", "default", "what it is"), types)
    identities = [
        (
            code(each.arg),
            ", ".join(code(base.arg) for base in each.search("base")),
            plain(argument(each, "description")),
        )
        for each in module.search("identity")
    ]
    if identities:
        yield "## Identities"
        yield table(("identity", "base", "what it is"), identities)


def _type_description(typedef: Statement) -> str:
    words = [plain(argument(typedef, "description"))]
    kind = typedef.search_one("type")
    for value in (*kind.search("enum"), *kind.search("bit")):
        if description := argument(value, "description"):
            words.append(f"{code(value.arg)}: {plain(description)}")
    return " ".join(words)
