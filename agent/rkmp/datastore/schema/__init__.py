"""The schema: YANG modules compiled through pyang into nodes and value types that the datastores walk."""

from rkmp.datastore.schema.compiler import load_schema
from rkmp.datastore.schema.modules import standard_modules
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
