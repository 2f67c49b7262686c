"""YANG modules found, parsed and expanded by pyang: what the compiler starts from (RFC 7950 sections 5.1 and 5.6).

pyang resolves imports, typedefs, groupings, augments, deviations and features; this file tells it which modules and
features there are, keeps the text of what it reads, and turns its complaints into one ``SchemaError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyang import error as pyang_errors
from pyang.context import Context
from pyang.repository import Repository
from pyang.syntax import re_filename

from rkmp.datastore.schema.folders import standard_modules
from rkmp.errors import SchemaError

# A pyang Statement; pyang has no type annotations.
Statement = Any

# pyang's levels: 1 to 3 are errors, 4 is a warning.
_FIRST_WARNING_LEVEL = 4


class _Folders(Repository):
    """Modules in folders, the first folder that has a module winning; keeps every text that pyang asked for.

    pyang's own repository takes the newest revision of all folders in the order of the file system, and looks at
    environment variables: neither is the same on every machine.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.texts: dict[str, str] = {}
        # pyang forgets these where it only looks for a revision.
        self.unreadable: list[tuple[str, int, str]] = []
        self._found: list[tuple[str, str | None, tuple[str, str]]] = []
        taken: dict[str, Path] = {}
        for folder in folders:
            for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                match = re_filename.search(file.name)
                if match is None or not file.is_file():
                    continue
                name, revision, extension = match.groups()
                if taken.setdefault(name, folder) == folder:
                    self._found.append((name, revision, (extension, str(file))))

    def get_modules_and_revisions(self, ctx: Context) -> list[tuple[str, str | None, tuple[str, str]]]:  # noqa: ARG002
        return self._found

    def get_module_from_handle(self, handle: tuple[str, str]) -> tuple[str, str, str]:
        extension, path = handle
        if extension != "yang":
            raise self._unreadable(path, "YANG's XML syntax is not handled")
        try:
            self.texts[path] = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as failure:
            raise self._unreadable(path, str(failure)) from failure
        # pyang stumbles over a last line that has no end.
        return path, "yang", self.texts[path] + "\n"

    def _unreadable(self, path: str, reason: str) -> Exception:
        self.unreadable.append((Path(path).name, 0, reason))
        failure: Exception = self.ReadError(reason)
        return failure


class _Features(dict[str, list[str]]):
    """Enabled features by module. pyang takes a module that is not in here to have all of its features."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class ParsedModules:
    """Validated and expanded modules by name, the submodules among them, and the text of each.

    ``implemented`` gives the enabled features of the implemented ones, sorted; all others are only imported.
    """

    statements: Mapping[str, Statement]
    texts: Mapping[str, str]
    implemented: Mapping[str, tuple[str, ...]]


def parse_modules(implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path]) -> ParsedModules:
    """Parse and expand the implemented modules and everything they import; raises SchemaError."""
    repository = _Folders([*search_path, *standard_modules()])
    context = Context(repository)
    features = {name: tuple(sorted(set(implemented[name]))) for name in sorted(implemented)}
    context.features = _Features({name: list(enabled) for name, enabled in features.items()})
    try:
        for name in features:
            context.search_module(pyang_errors.Position(name), name)
        context.validate()
    except Exception:
        # pyang goes on after an error and can stumble over what it left behind; the error tells more.
        _raise_errors(context.errors, repository.unreadable)
        raise
    _raise_errors(context.errors, repository.unreadable)
    statements: dict[str, Statement] = {}
    problems: list[tuple[str, int, str]] = []
    for (name, _), statement in sorted(context.modules.items()):
        if name in statements:
            problems.append((name, 0, "two revisions of one module are imported, which is not handled"))
        statements[name] = statement
    for name, enabled in features.items():
        if statements[name].keyword != "module":
            problems.append((name, 0, "is not a module"))
        else:
            problems += _feature_problems(statements[name], enabled)
    if problems:
        raise SchemaError(problems)
    texts = {name: repository.texts[statement.pos.ref] for name, statement in statements.items()}
    return ParsedModules(statements, texts, features)


def _feature_problems(module: Statement, enabled: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    for name in enabled:
        feature = module.i_features.get(name)
        if feature is None:
            yield str(module.arg), 0, f"has no feature {name}"
        elif hasattr(feature, "i_not_implemented"):
            # RFC 7950 7.20.1: a server supports a feature only with those that it depends on.
            yield problem(feature, f"the feature {name} is enabled without those that it depends on")


def _raise_errors(errors: Iterable[tuple[Any, str, Any]], unreadable: Iterable[tuple[str, int, str]]) -> None:
    problems = [*unreadable]
    problems += [
        (_module_at(position), position.line, pyang_errors.err_to_str(tag, arguments))
        for position, tag, arguments in errors
        if pyang_errors.err_level(tag) < _FIRST_WARNING_LEVEL
    ]
    if problems:
        raise SchemaError(problems)


def _module_at(position: Any) -> str:
    top = position.top
    return str(top.arg) if top is not None and top.arg is not None else Path(position.ref).stem.partition("@")[0]


def problem(statement: Statement, reason: str) -> tuple[str, int, str]:
    """One problem of a SchemaError: the module and line of the statement, and what is wrong with it."""
    return _module_at(statement.pos), statement.pos.line, reason


def argument(statement: Statement, keyword: str) -> str | None:
    """The argument of the first substatement with this keyword."""
    found = statement.search_one(keyword)
    return None if found is None else found.arg


def module_name(statement: Statement) -> str:
    """The name of the module that a module or submodule statement belongs to."""
    return str(statement.i_modulename)
