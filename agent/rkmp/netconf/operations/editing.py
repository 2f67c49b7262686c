"""Operations that change datastores, and validate (RFC 6241 sections 7.2 to 7.4, 8.3, 8.4, 8.6 and 8.7).

Parameters in, one call of the datastores out: what an edit means, what is valid and who may change what is theirs
to know. Each call carries the whole request out or, with an RpcError, nothing of it.
"""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.datastore.confirmed_commit import DEFAULT_CONFIRM_TIMEOUT, Confirm
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import BASE, base
from rkmp.netconf.operations.datastore_names import NMDA_DATASTORE
from rkmp.netconf.operations.default_handling import defaults_mode, in_mode
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.operations.urls import files_of, read_url, url_in

_ALL = ("running", "candidate", "startup")


async def edit_config(request: Request) -> Outcome:
    """Apply ``<config>``, or the one in a file, to the target."""
    config = request.parameter("config")
    if config is None:
        # The schema has a mandatory choice of the two.
        config = read_url(request, request.text("url", ""))
    request.access.require_secrets(config)
    request.server.datastores.edit(
        request.datastore("target"),
        config,
        session_id=request.session.id,
        default_operation=request.text("default-operation", "merge"),
        test_option=request.text("test-option", "test-then-set"),
        error_option=request.text("error-option", "stop-on-error"),
        permit=request.access.permit,
    )
    return None


async def copy_config(request: Request) -> Outcome:
    """Replace the target by the source, a datastore, a file, or the ``<config>`` of the request."""
    datastores, access = request.server.datastores, request.access
    source = _source(request)
    if (url := url_in(request, "target")) is not None:
        _copy_to_url(request, source, url)
        return None
    target = request.datastore("target")
    if access.permit is None or (source == "running" and target == "startup"):
        # RFC 8341 3.2.6: whoever may copy running to startup may copy all of it.
        datastores.copy(source, target, session_id=request.session.id)
        return None
    if isinstance(source, str) and source != target:
        source = copy.deepcopy(datastores.tree(source))
        access.reader.leave_readable_below(source)
    elif not isinstance(source, str):
        access.require_secrets(source)
    datastores.copy(source, target, session_id=request.session.id, permit=access.permit)
    return None


async def delete_config(request: Request) -> Outcome:
    """Empty the startup datastore, or remove a file; nothing else can be deleted."""
    if (url := url_in(request, "target")) is not None:
        files_of(request).delete(url)
        return None
    permit = request.access.permit
    request.server.datastores.delete(request.datastore("target"), session_id=request.session.id, permit=permit)
    return None


async def validate(request: Request) -> Outcome:
    """Check the source in full, without changing anything."""
    request.server.datastores.validate(_source(request))
    return None


async def commit(request: Request) -> Outcome:
    """Make candidate the running configuration, for good or until it is confirmed (RFC 6241 section 8.4)."""
    confirm = None
    if request.parameter("confirmed") is not None:
        timeout = int(request.text("confirm-timeout", str(DEFAULT_CONFIRM_TIMEOUT)))
        confirm = Confirm(timeout, _text(request, "persist"))
    elif request.parameter("persist") is not None:
        # Taken in silence, it would have a client wait for a revert that never comes.
        info = [(base("bad-element"), "confirmed")]
        raise RpcError("missing-element", "persist is given without confirmed", type="protocol", info=info)
    request.server.datastores.commit(
        session_id=request.session.id,
        permit=request.access.permit,
        confirm=confirm,
        persist_id=_text(request, "persist-id"),
    )
    return None


async def cancel_commit(request: Request) -> Outcome:
    """Make running what it was before the confirmed commit."""
    request.server.datastores.cancel_commit(session_id=request.session.id, persist_id=_text(request, "persist-id"))
    return None


async def discard_changes(request: Request) -> Outcome:
    """Make candidate what running is."""
    request.server.datastores.discard(session_id=request.session.id)
    return None


def _copy_to_url(request: Request, source: str | etree._Element, url: str) -> None:
    """Write what the user may read of the source; so nothing is in a file that a reply would not have held."""
    server = request.server
    files = files_of(request)
    if isinstance(source, str):
        source = in_mode(server.schema, server.datastores.tree(source), defaults_mode(request))
        request.access.reader.leave_readable_below(source)
    config = etree.Element(base("config"), nsmap={None: BASE})
    config.extend(list(source))
    files.write(url, config)


def _text(request: Request, name: str) -> str | None:
    element = request.parameter(name)
    return None if element is None else element.text or ""


def _source(request: Request) -> str | etree._Element:
    """Return the name of the source, or the ``<config>`` element that stands in its place or is in its file."""
    if (url := url_in(request, "source")) is not None:
        return read_url(request, url)
    source = request.parameter("source")
    config = None if source is None else source.find(base("config"))
    return request.datastore("source") if config is None else config


OPERATIONS = (
    Operation(base("edit-config"), edit_config, {"target": ("running", "candidate")}),
    Operation(base("copy-config"), copy_config, {"source": (*_ALL, "config", "url"), "target": (*_ALL, "url")}),
    Operation(base("delete-config"), delete_config, {"target": ("startup", "url")}),
    Operation(base("validate"), validate, {"source": (*_ALL, "config", "url", NMDA_DATASTORE)}),
    Operation(base("commit"), commit),
    Operation(base("cancel-commit"), cancel_commit),
    Operation(base("discard-changes"), discard_changes),
)
