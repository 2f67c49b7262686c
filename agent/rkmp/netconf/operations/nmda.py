"""get-data and edit-data (RFC 8526): every datastore by its identity, operational and intended among them.

Intended is what running is: nothing of this server's configuration is inactive or a template (RFC 8342 section 5.1.4).
"""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.datastores import NAMES
from rkmp.datastore.with_defaults import BASIC_MODE
from rkmp.errors import RpcError
from rkmp.netconf.filtering import Selection, subtree_filter, xpath_filter
from rkmp.netconf.namespaces import NMDA, base
from rkmp.netconf.operations.datastore_names import datastore_of
from rkmp.netconf.operations.default_handling import datastore_in_mode, defaults_mode, in_use_in_mode
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.operations.urls import read_url
from rkmp.netconf.origin import ORIGIN_ATTRIBUTE, Sieve, limit_depth

OPERATIONAL = "operational"
INTENDED = "intended"


async def get_data(request: Request) -> Outcome:
    """Return what all the filters let through of a datastore."""
    server = request.server
    source = datastore_of(_required(request, "datastore"), (*NAMES, INTENDED, OPERATIONAL))
    _require_sense(request, source)
    selection = _content_filter(request)
    mode = defaults_mode(request, NMDA)
    sieve = _sieve(request)
    depth = _depth(request)
    reader = request.access.reader
    if source == OPERATIONAL:
        tree = server.state.in_use(server.schema, server.datastores.tree("running"))
        tree = in_use_in_mode(server.schema, tree, mode)
    else:
        name = "running" if source == INTENDED else source
        plain = mode is BASIC_MODE and depth is None and sieve.config is not False
        if plain and selection is not None and not selection.wants_readable:
            return server.writer.data(server.datastores.select(name, selection.filter), reader, NMDA)
        tree = datastore_in_mode(server.datastores, name, selection, mode)
    # What a filter selects may depend on anything that it looks at, so what is hidden goes first.
    reader.leave_readable_below(tree)
    selected: list[etree._Element] = list(tree)
    if selection is not None:
        selected = []
        tree = selection.apply_to_readable(tree, selected)
    sieve.apply(tree)
    if depth is not None:
        limit_depth(server.schema, [element for element in selected if _is_below(element, tree)], depth)
    if _parameter(request, "with-origin") is None:
        etree.strip_attributes(tree, ORIGIN_ATTRIBUTE)
    return server.writer.data(tree, None, NMDA)


async def edit_data(request: Request) -> Outcome:
    """Apply ``<config>``, or the one in a file, to a datastore; the first error undoes everything."""
    target = datastore_of(_required(request, "datastore"), ("running", "candidate"))
    config = _parameter(request, "config")
    if config is None:
        # The schema has a mandatory choice of the two.
        config = read_url(request, _required(request, "url").text or "")
    # The datastores' own name for what is above the top-level nodes: paths of errors begin below it.
    config.tag = request.server.schema.root.tag
    request.access.require_secrets(config)
    request.server.datastores.edit(
        target,
        config,
        session_id=request.session.id,
        default_operation=request.operation.findtext(f"{{{NMDA}}}default-operation", "merge"),
        error_option="rollback-on-error",
        permit=request.access.permit,
    )
    return None


def _parameter(request: Request, name: str) -> etree._Element | None:
    return request.operation.find(f"{{{NMDA}}}{name}")


def _required(request: Request, name: str) -> etree._Element:
    element = _parameter(request, name)
    if element is None:
        raise ValueError(f"{name} was found to be there")
    return element


def _require_sense(request: Request, source: str) -> None:
    """RFC 8526 section 4: what is about origins goes with operational only."""
    for name in ("with-origin", "origin-filter", "negated-origin-filter"):
        if source != OPERATIONAL and _parameter(request, name) is not None:
            info = [(base("bad-element"), name)]
            raise RpcError("invalid-value", f"{source} has no origins", info=info)


def _content_filter(request: Request) -> Selection | None:
    schema, reader = request.server.schema, request.access.reader
    if (element := _parameter(request, "subtree-filter")) is not None:
        return subtree_filter(schema, element, reader)
    if (element := _parameter(request, "xpath-filter")) is not None:
        return xpath_filter(schema, element, element.text or "", reader)
    return None


def _sieve(request: Request) -> Sieve:
    schema = request.server.schema
    config = request.operation.findtext(f"{{{NMDA}}}config-filter")
    wanted = [*request.operation.iterchildren(f"{{{NMDA}}}origin-filter")]
    unwanted = [*request.operation.iterchildren(f"{{{NMDA}}}negated-origin-filter")]
    origins = frozenset(("ietf-origin", (leaf.text or "").rpartition(":")[2]) for leaf in wanted or unwanted)
    return Sieve(schema, None if config is None else config == "true", origins or None, negated=bool(unwanted))


def _depth(request: Request) -> int | None:
    text = request.operation.findtext(f"{{{NMDA}}}max-depth", "unbounded")
    return None if text == "unbounded" else int(text)


def _is_below(element: etree._Element, tree: etree._Element) -> bool:
    return any(ancestor is tree for ancestor in element.iterancestors())


OPERATIONS = (
    Operation(f"{{{NMDA}}}get-data", get_data),
    Operation(f"{{{NMDA}}}edit-data", edit_data),
)
