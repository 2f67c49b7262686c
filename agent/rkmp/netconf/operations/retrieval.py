"""get and get-config (RFC 6241 sections 7.1 and 7.7), without secrets."""

from __future__ import annotations

from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.filtering import read_filter
from rkmp.netconf.operations.request import Operation, Outcome, Request


async def get_config(request: Request) -> Outcome:
    """Return the source datastore, or what the filter selects of it."""
    server = request.server
    source = request.datastore("source")
    selection = read_filter(server.schema, request.parameter("filter"))
    if selection is None:
        return server.writer.copy_of(server.datastores.tree(source))
    return server.writer.data(server.datastores.select(source, selection))


async def get(request: Request) -> Outcome:
    """Return running together with the state that there is, or what the filter selects of both."""
    server = request.server
    running = server.datastores.tree("running")
    selection = read_filter(server.schema, request.parameter("filter"))
    if selection is None:
        return server.writer.data(server.state.build(running, server.state.selects_by_default))
    return server.writer.data(selection.apply(server.state.build(running, selection.selects)))


OPERATIONS = (
    Operation(base("get-config"), get_config, {"source": ("running", "candidate", "startup")}),
    Operation(base("get"), get),
)
