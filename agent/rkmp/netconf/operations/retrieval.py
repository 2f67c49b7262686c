"""get and get-config (RFC 6241 sections 7.1 and 7.7), without what the user may not read (RFC 8341 section 3.2.4)."""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.datastore.with_defaults import BASIC_MODE
from rkmp.netconf.access_control import Reader
from rkmp.netconf.filtering import Selection, read_filter
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.default_handling import datastore_in_mode, defaults_mode, in_mode
from rkmp.netconf.operations.request import Operation, Outcome, Request, ServerContext


async def get_config(request: Request) -> Outcome:
    """Return the source datastore, or what the filter selects of it."""
    server = request.server
    source = request.datastore("source")
    reader = request.access.reader
    selection = read_filter(server.schema, request.parameter("filter"), reader)
    mode = defaults_mode(request)
    if mode is not BASIC_MODE:
        # RFC 6243 4.5.1: the filter looks at data and defaults together.
        tree = datastore_in_mode(server.datastores, source, selection, mode)
        tree, unread = select(tree, selection, reader)
        return server.writer.data(tree, unread)
    if selection is None:
        return server.writer.copy_of(server.datastores.tree(source), reader)
    if selection.wants_readable:
        if (narrow := selection.narrow) is not None:
            readable = server.datastores.select(source, narrow)
        else:
            readable = copy.deepcopy(server.datastores.tree(source))
        reader.leave_readable_below(readable)
        return server.writer.data(selection.apply_to_readable(readable), None)
    return server.writer.data(server.datastores.select(source, selection.filter), reader)


async def get(request: Request) -> Outcome:
    """Return running together with the state that there is, or what the filter selects of both."""
    server = request.server
    running = server.datastores.tree("running")
    reader = request.access.reader
    selection = read_filter(server.schema, request.parameter("filter"), reader)
    selects = server.state.selects_by_default if selection is None else selection.filter.selects
    mode = defaults_mode(request)
    if mode is BASIC_MODE:
        state = _named_entries(server, selection)
        if state is None:
            state = server.state.build(running, selects)
    else:
        # Which defaults are in use can hang on nodes that are not selected.
        state = server.state.build(running, lambda tag: tag in server.schema.top or selects(tag))
        state = in_mode(server.schema, state, mode)
    tree, unread = select(state, selection, reader)
    return server.writer.data(tree, unread)


def _named_entries(server: ServerContext, selection: Selection | None) -> etree._Element | None:
    """Return the entries that a filter names by their keys, with their state; None where it looks at more."""
    names = None if selection is None else selection.filter.named_entries()
    if selection is None or not names:
        return None
    configured = server.datastores.entries_in_mode("running", selection.filter, BASIC_MODE)
    return None if configured is None else server.state.build_entries(configured, names)


def select(tree: etree._Element, selection: Selection | None, reader: Reader) -> tuple[etree._Element, Reader | None]:
    """Return what is selected of ``tree``, a copy that is given away, and whose reading is still to be checked."""
    if selection is None:
        return tree, reader
    if selection.wants_readable:
        if (narrow := selection.narrow) is not None:
            tree = narrow.apply(tree)
        reader.leave_readable_below(tree)
        return selection.apply_to_readable(tree), None
    return selection.filter.apply(tree), reader


OPERATIONS = (
    Operation(base("get-config"), get_config, {"source": ("running", "candidate", "startup")}),
    Operation(base("get"), get),
)
