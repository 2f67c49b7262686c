"""Documents of inventories: YAML, JSON or TOML, by their ending.

A name that is there twice is refused in each of them: the second would silently take the place of the first.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from rkmp.cli.exit_status import USAGE
from rkmp.errors import CommandError

STANDARD_INPUT = Path("-")


def read_document(path: Path) -> Any:
    """Return what the file holds, ``-`` for standard input; raise :class:`CommandError` where it cannot be read."""
    try:
        octets = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        text = octets.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: this is no UTF-8", USAGE) from error
    # What is not said to be something else is YAML, of which JSON is a part.
    kind = path.suffix.lower()
    name, read = _KINDS.get(kind, ("YAML", _yaml))
    return _read(path, name, read, text)


def _read(path: Path, name: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except RecursionError as error:
        raise CommandError(f"{path}: this is nested too deeply", USAGE) from error
    except yaml.constructor.ConstructorError as error:
        raise CommandError(f"{path}{_line(error)}: {error.problem}", USAGE) from error
    except yaml.YAMLError as error:
        raise CommandError(f"{path}{_line(error)}: this is no {name}", USAGE) from error
    except json.JSONDecodeError as error:
        raise CommandError(f"{path} line {error.lineno}: this is no {name}", USAGE) from error
    except ValueError as error:
        # Of TOML, whose messages have the line.
        raise CommandError(f"{path}: this is no {name}: {error}", USAGE) from error


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" line {mark.line + 1}"


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
        return values

    return json.loads(text, object_pairs_hook=unique)


class _Loader(yaml.SafeLoader):
    """The safe loader, which builds nothing but data, with names that are there twice refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if isinstance(name, str | int) and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", key.start_mark)
            if isinstance(name, str | int):
                seen.add(name)
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader


_KINDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {".json": ("JSON", _json), ".toml": ("TOML", tomllib.loads)}
