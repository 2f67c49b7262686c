"""YANG modules written in tests: text in, compiled schema out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rkmp.datastore.schema import Schema, SchemaNode, load_schema


def module(body: str, *, name: str = "m", header: str = "") -> str:
    """A YANG 1.1 module whose namespace is ``urn:NAME`` and whose prefix is its name."""
    return f'module {name} {{ yang-version 1.1; namespace "urn:{name}"; prefix {name}; {header} {body} }}'


def write(folder: Path, *texts: str) -> Path:
    """Each text in a file named after its module or submodule."""
    folder.mkdir(parents=True, exist_ok=True)
    for text in texts:
        (folder / f"{text.split()[1]}.yang").write_text(text, encoding="utf-8")
    return folder


def compiled(
    folder: Path, *texts: str, implemented: Mapping[str, Sequence[str]] | None = None, features: Sequence[str] = ()
) -> Schema:
    """The schema of modules given as text; all of them are implemented unless ``implemented`` says otherwise."""
    write(folder, *texts)
    if implemented is None:
        names = [words[1] for words in (text.split() for text in texts) if words[0] == "module"]
        implemented = dict.fromkeys(names, features)
    return load_schema(implemented, [folder])


def at(schema: Schema, path: str) -> SchemaNode:
    """The node of ``/m:a/b``: a step without a prefix has that of the step before it."""
    prefix = ""
    tags = []
    for step in path.strip("/").split("/"):
        own, colon, name = step.rpartition(":")
        prefix = own if colon else prefix
        tags.append(f"{{{schema.nsmap[prefix]}}}{name}")
    node = schema.node_at(tags)
    assert node is not None, path
    return node
