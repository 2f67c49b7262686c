"""The rpc-errors that say no: access-denied (RFC 8341 sections 3.4.3 and 3.4.4, RFC 6241 appendix A)."""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.instance_path import InstancePath
from rkmp.errors import RpcError
from rkmp.netconf.namespaces import BASE


def operation_denied(tag: str) -> RpcError:
    """Return the error for a protocol operation; the path names it below its ``<rpc>``, as RFC 8341 3.4.4 shows."""
    name = etree.QName(tag)
    namespaces = {"nc": BASE}
    prefix = "nc"
    if name.namespace and name.namespace != BASE:
        prefix = "op"
        namespaces[prefix] = name.namespace
    return RpcError(
        "access-denied",
        f"this user may not invoke {name.localname}",
        type="protocol",
        path=f"/nc:rpc/{prefix}:{name.localname}",
        path_namespaces=namespaces,
    )


def data_denied(path: InstancePath, what: str) -> RpcError:
    """Return the error for a node of data, an action included; ``what`` is what was not permitted."""
    return RpcError(
        "access-denied", f"this user may not {what} this node", path=path.text, path_namespaces=path.namespaces
    )


def hidden_fault(error: RpcError) -> RpcError:
    """Return ``error`` without where it is and what is there: in data that the user may not read."""
    message = "the fault is in data that this user may not read"
    return RpcError(error.tag, message, type=error.type, app_tag=error.app_tag, severity=error.severity)
