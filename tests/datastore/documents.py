"""Whole configurations judged by libyang and yangson: valid or not, and why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as libyang
from lxml import etree
from yangson.datamodel import DataModel
from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import YangsonException

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode, standard_modules
from rkmp.datastore.schema.types import (
    BooleanType,
    EmptyType,
    IdentityrefType,
    InstanceIdentifierType,
    IntegerType,
    ValueType,
    effective_type,
    member_types,
)
from rkmp.errors import InvalidValue


class LibyangJudge:
    """libyang over the modules of a schema."""

    def __init__(self, schema: Schema, folder: Path) -> None:
        folders = [folder, *standard_modules()]
        libyang.set_log_options(libyang.LogOptions.Store)
        self._context = libyang.Context(":".join(map(str, folders)), libyang.ContextOptions.NoYangLibrary)
        for module in schema.modules.values():
            if module.implemented:
                self._context.load_module(module.name, features=module.features)

    def objections(self, root: etree._Element) -> list[str]:
        """What is wrong with the content of a ``config`` element."""
        text = "".join(etree.tostring(child, encoding="unicode") for child in root)
        self._context.clean_all_errors()
        try:
            self._context.parse_data(
                text,
                libyang.DataFormat.XML,
                libyang.ParseOptions.Strict | libyang.ParseOptions.NoState,
                libyang.ValidationOptions.NoState,
            )
        except libyang.Error as error:
            return [str(found) for found in self._context.errors()] or [str(error)]
        return []


class YangsonJudge:
    """yangson over the modules of a schema."""

    def __init__(self, schema: Schema, folder: Path) -> None:
        folders = [folder, *standard_modules()]
        self._schema = schema
        entries = [
            {
                "name": module.name,
                "revision": module.revision or "",
                "namespace": module.namespace,
                "conformance-type": "implement" if module.implemented else "import",
                "feature": list(module.features),
            }
            for module in schema.modules.values()
        ]
        library = {"ietf-yang-library:modules-state": {"module-set-id": "", "module": entries}}
        self._model = DataModel(json.dumps(library), [str(folder) for folder in folders])

    def objections(self, root: etree._Element) -> list[str]:
        """The first thing that is wrong with the content of a ``config`` element."""
        try:
            instance = self._model.from_raw(_json_object(root, self._schema.root, self._schema))
            instance.validate(ValidationScope.all, ContentType.config)
        except (YangsonException, TypeError) as error:
            # TypeError: what yangson 1.7 stumbles over while it words its objection to a missing choice.
            return [type(error).__name__]
        return []


def _json_object(element: etree._Element, node: SchemaNode, schema: Schema) -> dict[str, Any]:
    """A node in the JSON encoding of RFC 7951, which yangson reads without losing prefixes in values."""
    found: dict[str, Any] = {}
    for child in element:
        below = node.data_children[str(child.tag)]
        name = below.name if node is not schema.root and below.module == node.module else f"{below.module}:{below.name}"
        if below.kind in (NodeKind.ANYDATA, NodeKind.ANYXML):
            value: Any = {}
        elif below.type is None:
            value = _json_object(child, below, schema)
        else:
            value = _json_value(child.text or "", below.type, schema)
        if below.is_entry:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _json_value(text: str, value_type: ValueType, schema: Schema) -> Any:
    for member in member_types(value_type):
        effective = effective_type(member)
        try:
            effective.check(text, schema.value_namespaces)
        except InvalidValue:
            continue
        match effective:
            case IntegerType(name=name) if not name.endswith("64"):
                return int(text)
            case BooleanType():
                return text == "true"
            case EmptyType():
                return [None]
            case IdentityrefType():
                prefix, _, name = text.partition(":")
                module = schema.module_of(schema.nsmap[prefix])
                assert module is not None
                return f"{module.name}:{name}"
            case InstanceIdentifierType():
                return _json_path(text, schema)
        return text
    raise AssertionError(f"{text!r} is in no type")


def _json_path(text: str, schema: Schema) -> str:
    """RFC 7951 6.11: names have a prefix, the module's name, where the module changes."""
    known = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal known
        module = schema.module_of(schema.nsmap[match["prefix"]])
        assert module is not None
        changed, known = module.name != known, module.name
        return f"{match['before']}{module.name}:" if changed else match["before"]

    return re.sub(r"(?P<before>[/\[])(?P<prefix>[a-z0-9-]+):", replace, text)
