"""get and get-config (RFC 6241 sections 7.1 and 7.7), without what the user may not read (RFC 8341 section 3.2.4)."""

from __future__ import annotations

import copy

from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.filtering import read_filter
from rkmp.netconf.operations.request import Operation, Outcome, Request


async def get_config(request: Request) -> Outcome:
    """Return the source datastore, or what the filter selects of it."""
    server = request.server
    source = request.datastore("source")
    reader = request.access.reader
    selection = read_filter(server.schema, request.parameter("filter"), reader)
    if selection is None:
        return server.writer.copy_of(server.datastores.tree(source), reader)
    if selection.wants_readable:
        readable = copy.deepcopy(server.datastores.tree(source))
        reader.leave_readable_below(readable)
        return server.writer.data(selection.filter.apply(readable), None)
    return server.writer.data(server.datastores.select(source, selection.filter), reader)


async def get(request: Request) -> Outcome:
    """Return running together with the state that there is, or what the filter selects of both."""
    server = request.server
    running = server.datastores.tree("running")
    reader = request.access.reader
    selection = read_filter(server.schema, request.parameter("filter"), reader)
    if selection is None:
        return server.writer.data(server.state.build(running, server.state.selects_by_default), reader)
    state = server.state.build(running, selection.filter.selects)
    if selection.wants_readable:
        reader.leave_readable_below(state)
        return server.writer.data(selection.filter.apply(state), None)
    return server.writer.data(selection.filter.apply(state), reader)


OPERATIONS = (
    Operation(base("get-config"), get_config, {"source": ("running", "candidate", "startup")}),
    Operation(base("get"), get),
)
