"""Other implementations of YANG, asked for their verdict on single values: libyang and yangson."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import oopt_gnpy_libyang as libyang
from lxml import etree
from yangson.datamodel import DataModel


class Libyang:
    """libyang over the modules of one folder."""

    def __init__(self, folder: Path, *modules: str) -> None:
        libyang.set_log_options(libyang.LogOptions.Store)
        self._context = libyang.Context(str(folder), libyang.ContextOptions.NoYangLibrary)
        for name in modules:
            self._context.load_module(name)

    def canonical(self, namespace: str, leaf: str, text: str, prefixes: Mapping[str, str]) -> str | None:
        """The canonical form of a top-level leaf's value, or None where it is refused."""
        bound = "".join(f" xmlns:{prefix}={quoteattr(name)}" for prefix, name in prefixes.items())
        document = f"<{leaf} xmlns={quoteattr(namespace)}{bound}>{escape(text)}</{leaf}>"
        try:
            tree = self._context.parse_data(
                document, libyang.DataFormat.XML, libyang.ParseOptions.Strict, libyang.ValidationOptions.Present
            )
        except libyang.Error:
            self._context.clean_all_errors()
            return None
        assert tree is not None
        found = next(node for node in tree.siblings() if node.schema.name == leaf)
        return etree.fromstring(found.print(libyang.DataFormat.XML, libyang.PrintFlags.Shrink)).text or ""


class Yangson:
    """yangson over the modules of one folder, by name and namespace."""

    def __init__(self, folder: Path, modules: Mapping[str, str]) -> None:
        entries = [
            {"name": name, "revision": "", "namespace": namespace, "conformance-type": "implement"}
            for name, namespace in modules.items()
        ]
        library = {"ietf-yang-library:modules-state": {"module-set-id": "", "module": entries}}
        self._model = DataModel(json.dumps(library), [str(folder)])

    def canonical(self, path: str, text: str) -> str | None:
        """The canonical form of the value of the leaf at a data path, or None where it is refused."""
        node: Any = self._model.get_data_node(path)
        value = node.type.parse_value(text)
        if value is None or value not in node.type:
            return None
        canonical: str | None = node.type.canonical_string(value)
        return canonical
