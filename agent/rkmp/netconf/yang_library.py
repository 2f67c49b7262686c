"""The YANG library as state (RFC 8525): ``yang-library``, and ``modules-state`` for older clients.

One module set, one schema, which every datastore shares. The content never changes while the agent runs, so it is
built once and copied. It must not know sessions or messages.
"""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.datastore.schema import Module, Schema
from rkmp.netconf.namespaces import DATASTORES, YANG_LIBRARY

YANG_LIBRARY_TREE = f"{{{YANG_LIBRARY}}}yang-library"
MODULES_STATE = f"{{{YANG_LIBRARY}}}modules-state"

_NAME = "complete"
"""Name of the only module set and of the only schema."""

# Identities of RFC 8342 for the datastores that clients can reach.
_DATASTORES = ("running", "candidate", "startup", "intended", "operational")


class YangLibrary:
    """State provider for both top-level containers of ietf-yang-library."""

    def __init__(self, schema: Schema) -> None:
        self._yang_library = _yang_library(schema)
        self._modules_state = _modules_state(schema)

    def provide_yang_library(self, root: etree._Element) -> None:
        """Add ``yang-library`` to ``root``."""
        root.append(copy.deepcopy(self._yang_library))

    def provide_modules_state(self, root: etree._Element) -> None:
        """Add ``modules-state`` to ``root``."""
        root.append(copy.deepcopy(self._modules_state))


def _tag(name: str) -> str:
    return f"{{{YANG_LIBRARY}}}{name}"


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(name)).text = text


def _yang_library(schema: Schema) -> etree._Element:
    datastores = schema.prefix_of(DATASTORES)
    library = etree.Element(YANG_LIBRARY_TREE, nsmap={None: YANG_LIBRARY, datastores: DATASTORES})
    module_set = etree.SubElement(library, _tag("module-set"))
    _leaf(module_set, "name", _NAME)
    modules = sorted(schema.modules.values(), key=lambda module: module.name)
    for module in modules:
        if module.implemented:
            entry = _module(etree.SubElement(module_set, _tag("module")), module)
            for feature in module.features:
                _leaf(entry, "feature", feature)
            for deviation in module.deviations:
                _leaf(entry, "deviation", deviation)
    for module in modules:
        if not module.implemented:
            _module(etree.SubElement(module_set, _tag("import-only-module")), module)
    shared = etree.SubElement(library, _tag("schema"))
    _leaf(shared, "name", _NAME)
    _leaf(shared, "module-set", _NAME)
    for name in _DATASTORES:
        datastore = etree.SubElement(library, _tag("datastore"))
        _leaf(datastore, "name", f"{datastores}:{name}")
        _leaf(datastore, "schema", _NAME)
    _leaf(library, "content-id", schema.content_id)
    return library


def _module(entry: etree._Element, module: Module) -> etree._Element:
    _leaf(entry, "name", module.name)
    if module.revision or not module.implemented:
        # The revision is a key of an import-only module: empty where the module has none.
        _leaf(entry, "revision", module.revision or "")
    _leaf(entry, "namespace", module.namespace)
    for submodule in module.submodules:
        below = etree.SubElement(entry, _tag("submodule"))
        _leaf(below, "name", submodule.name)
        if submodule.revision:
            _leaf(below, "revision", submodule.revision)
    return entry


def _modules_state(schema: Schema) -> etree._Element:
    state = etree.Element(MODULES_STATE, nsmap={None: YANG_LIBRARY})
    _leaf(state, "module-set-id", schema.content_id)
    for module in sorted(schema.modules.values(), key=lambda module: module.name):
        entry = etree.SubElement(state, _tag("module"))
        _leaf(entry, "name", module.name)
        _leaf(entry, "revision", module.revision or "")
        _leaf(entry, "namespace", module.namespace)
        for feature in module.features:
            _leaf(entry, "feature", feature)
        for name in module.deviations:
            deviation = etree.SubElement(entry, _tag("deviation"))
            _leaf(deviation, "name", name)
            _leaf(deviation, "revision", schema.modules[name].revision or "")
        _leaf(entry, "conformance-type", "implement" if module.implemented else "import")
        for submodule in module.submodules:
            below = etree.SubElement(entry, _tag("submodule"))
            _leaf(below, "name", submodule.name)
            _leaf(below, "revision", submodule.revision or "")
    return state
