"""get-schema (RFC 6022 section 3.1): the YANG text of every module and submodule that the server knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import MONITORING
from rkmp.netconf.operations.request import Operation, Outcome, Request

YANG_FORMAT = "yang"
"""Name of the identity of ietf-netconf-monitoring for the only format there is."""


@dataclass(frozen=True, slots=True)
class SchemaText:
    """One row of netconf-state's list of schemas, and its text."""

    identifier: str
    version: str
    namespace: str
    text: str


def schema_texts(schema: Schema) -> Iterator[SchemaText]:
    """Yield every module and submodule, by name of module."""
    for module in sorted(schema.modules.values(), key=lambda module: module.name):
        yield SchemaText(module.name, module.revision or "", module.namespace, module.text)
        for submodule in module.submodules:
            yield SchemaText(submodule.name, submodule.revision or "", module.namespace, submodule.text)


async def get_schema(request: Request) -> Outcome:
    """Return the text of the schema that the parameters name."""
    identifier = _parameter(request, "identifier") or ""
    version = _parameter(request, "version")
    schema_format = _parameter(request, "format")
    # Canonical identity values carry a prefix; the identity has been found valid.
    if schema_format is not None and schema_format.rpartition(":")[2] != YANG_FORMAT:
        raise _not_found("format", "schemas are had in the format yang only")
    # A schema has one revision of each module and submodule, and their names share one space (RFC 7950 5.1): what
    # RFC 6022 has for more than one match cannot happen.
    found = next((text for text in schema_texts(request.server.schema) if text.identifier == identifier), None)
    if found is None:
        raise _not_found("identifier", f"there is no schema {identifier}")
    if version is not None and version != found.version:
        raise _not_found("version", f"there is no version {version} of {identifier}")
    data = etree.Element(f"{{{MONITORING}}}data", nsmap={None: MONITORING})
    data.text = found.text
    return [data]


def _parameter(request: Request, name: str) -> str | None:
    element = request.operation.find(f"{{{MONITORING}}}{name}")
    return None if element is None else element.text or ""


def _not_found(parameter: str, message: str) -> RpcError:
    return RpcError("invalid-value", message, info=[("bad-element", parameter)])


OPERATIONS = (Operation(f"{{{MONITORING}}}get-schema", get_schema),)
