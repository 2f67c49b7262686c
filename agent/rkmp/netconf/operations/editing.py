"""Operations that change datastores, and validate (RFC 6241 sections 7.2 to 7.4, 8.3, 8.4, 8.6 and 8.7).

Parameters in, one call of the datastores out: what an edit means, what is valid and who may change what is theirs
to know. Each call carries the whole request out or, with an RpcError, nothing of it.
"""

from __future__ import annotations

import copy

from lxml import etree

from rkmp.datastore.confirmed_commit import DEFAULT_CONFIRM_TIMEOUT, Confirm
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.datastore_names import NMDA_DATASTORE
from rkmp.netconf.operations.request import Operation, Outcome, Request

_ALL = ("running", "candidate", "startup")


async def edit_config(request: Request) -> Outcome:
    """Apply ``<config>`` to the target."""
    # The schema has a mandatory choice of config and url, and no feature url.
    (config,) = request.operation.iterchildren(base("config"))
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
    """Replace the target by the source, a datastore or the ``<config>`` of the request."""
    datastores, access = request.server.datastores, request.access
    source, target = _source(request), request.datastore("target")
    if access.permit is None or (source == "running" and target == "startup"):
        # RFC 8341 3.2.6: whoever may copy running to startup may copy all of it.
        datastores.copy(source, target, session_id=request.session.id)
        return None
    if isinstance(source, str) and source != target:
        source = copy.deepcopy(datastores.tree(source))
        access.reader.leave_readable_below(source)
    datastores.copy(source, target, session_id=request.session.id, permit=access.permit)
    return None


async def delete_config(request: Request) -> Outcome:
    """Empty the startup datastore; no other can be deleted."""
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


def _text(request: Request, name: str) -> str | None:
    element = request.parameter(name)
    return None if element is None else element.text or ""


def _source(request: Request) -> str | etree._Element:
    """Return the name of the source, or the ``<config>`` element that stands in its place."""
    source = request.parameter("source")
    config = None if source is None else source.find(base("config"))
    return request.datastore("source") if config is None else config


OPERATIONS = (
    Operation(base("edit-config"), edit_config, {"target": ("running", "candidate")}),
    Operation(base("copy-config"), copy_config, {"source": (*_ALL, "config"), "target": _ALL}),
    Operation(base("delete-config"), delete_config, {"target": ("startup",)}),
    Operation(base("validate"), validate, {"source": (*_ALL, "config", NMDA_DATASTORE)}),
    Operation(base("commit"), commit),
    Operation(base("cancel-commit"), cancel_commit),
    Operation(base("discard-changes"), discard_changes),
)
