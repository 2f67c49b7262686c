"""The schema: YANG modules compiled through pyang into nodes and value types that the datastores walk."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rkmp.datastore.schema.folders import standard_modules
from rkmp.datastore.schema.nodes import Identity, Module, Must, NodeKind, Schema, SchemaNode, Submodule, When

__all__ = [
    "Identity",
    "Module",
    "Must",
    "NodeKind",
    "Schema",
    "SchemaNode",
    "Submodule",
    "When",
    "load_schema",
    "standard_modules",
]


def load_schema(implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path]) -> Schema:
    """Compile the implemented modules and what they import.

    ``implemented`` maps a module's name to its enabled features; a module that is only imported has none.
    ``search_path`` holds folders of modules, which win over the standard modules of the pyang package.
    The result does not depend on the order of either mapping or file system. Raises SchemaError with every problem
    that was found before compilation could not go on.
    """
    # Imported here, since the compiler needs XPath, which walks the nodes of this package.
    from rkmp.datastore.schema.compiler import compile_modules

    return compile_modules(implemented, search_path)
