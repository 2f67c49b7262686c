"""get and get-config (RFC 6241 sections 7.1 and 7.7), without secrets."""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.filtering import read_filter
from rkmp.netconf.operations.request import Operation, Outcome, Request


async def get_config(request: Request) -> Outcome:
    """Return the source datastore, or what the filter selects of it."""
    server = request.server
    selection = read_filter(server.schema, request.parameter("filter"))
    return _data(request, server.datastores.tree(request.datastore("source")), selection)


async def get(request: Request) -> Outcome:
    """Return running together with the state that there is, or what the filter selects of both."""
    server = request.server
    selection = read_filter(server.schema, request.parameter("filter"))
    selects = server.state.selects_by_default if selection is None else selection.selects
    return _data(request, server.state.build(server.datastores.tree("running"), selects), selection)


def _data(request: Request, tree: etree._Element, selection: SubtreeFilter | None) -> bytes:
    """Return ``<data>`` with what is selected of ``tree``."""
    return request.server.writer.data(tree if selection is None else selection.apply(tree))


OPERATIONS = (
    Operation(base("get-config"), get_config, {"source": ("running", "candidate", "startup")}),
    Operation(base("get"), get),
)
