"""The rpc-errors that datastores answer with: one function a row of the table in docs/architecture.md.

RFC 6241 appendix A fixes tags, types and error-info; RFC 7950 sections 8.3 and 15 the rest. A path is where the
fault is, an ``InstancePath`` in the schema's prefixes. No message holds the value of a node that is secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import RpcError, RpcErrors

YANG = "urn:ietf:params:xml:ns:yang:1"
"""Namespace of YANG's own attributes and error-info (RFC 7950 section 5.3.1)."""

MOST_ERRORS = 100
"""Errors that one answer holds at most, so that a large bad request does not get an answer that is larger yet."""

_BAD_ATTRIBUTE = f"{{{NETCONF_BASE}}}bad-attribute"
_BAD_ELEMENT = f"{{{NETCONF_BASE}}}bad-element"
_BAD_NAMESPACE = f"{{{NETCONF_BASE}}}bad-namespace"
_SESSION_ID = f"{{{NETCONF_BASE}}}session-id"
_NON_UNIQUE = f"{{{YANG}}}non-unique"
_MISSING_CHOICE = f"{{{YANG}}}missing-choice"


def _at(
    path: InstancePath, tag: str, message: str, *, info: Sequence[tuple[str, str]] = (), app_tag: str | None = None
) -> RpcError:
    return RpcError(tag, message, app_tag=app_tag, path=path.text, path_namespaces=path.namespaces, info=info)


# Payload parsing (RFC 7950 8.3.1)


def unknown_element(path: InstancePath, name: str, reason: str = "is not defined here") -> RpcError:
    return _at(path, "unknown-element", f"{name} {reason}", info=[(_BAD_ELEMENT, name)])


def unknown_namespace(path: InstancePath, name: str, namespace: str) -> RpcError:
    info = [(_BAD_ELEMENT, name), (_BAD_NAMESPACE, namespace)]
    return _at(path, "unknown-namespace", f"no module has the namespace of {name}", info=info)


def invalid_value(path: InstancePath, reason: str, app_tag: str | None) -> RpcError:
    return _at(path, "invalid-value", reason, app_tag=app_tag)


def missing_key(path: InstancePath, entry: str, key: str) -> RpcError:
    return _at(path, "missing-element", f"{entry} lacks its key {key}", info=[(_BAD_ELEMENT, key)])


def bad_element(path: InstancePath, name: str, reason: str) -> RpcError:
    return _at(path, "bad-element", f"{name} {reason}", info=[(_BAD_ELEMENT, name)])


def unknown_attribute(path: InstancePath, element: str, attribute: str) -> RpcError:
    info = [(_BAD_ATTRIBUTE, attribute), (_BAD_ELEMENT, element)]
    return _at(path, "unknown-attribute", f"{element} cannot have the attribute {attribute}", info=info)


def missing_attribute(path: InstancePath, element: str, attribute: str) -> RpcError:
    info = [(_BAD_ATTRIBUTE, attribute), (_BAD_ELEMENT, element)]
    return _at(path, "missing-attribute", f"{element} needs the attribute {attribute}", info=info)


def bad_attribute(path: InstancePath, element: str, attribute: str, reason: str, *, protocol: bool = False) -> RpcError:
    info = [(_BAD_ATTRIBUTE, attribute), (_BAD_ELEMENT, element)]
    error = _at(path, "bad-attribute", f"the attribute {attribute} {reason}", info=info)
    if protocol:
        error.type = "protocol"
    return error


# Processing of edit-config (RFC 7950 8.3.2)


def data_exists(path: InstancePath, name: str) -> RpcError:
    return _at(path, "data-exists", f"{name} exists already", info=[(_BAD_ELEMENT, name)])


def data_missing(path: InstancePath, name: str) -> RpcError:
    return _at(path, "data-missing", f"{name} does not exist", info=[(_BAD_ELEMENT, name)])


def missing_instance(path: InstancePath, element: str, attribute: str) -> RpcError:
    """RFC 7950 15.7."""
    info = [(_BAD_ATTRIBUTE, attribute), (_BAD_ELEMENT, element)]
    message = f"there is no {element} where the attribute {attribute} points"
    return _at(path, "bad-attribute", message, info=info, app_tag="missing-instance")


def condition_false(path: InstancePath, name: str, condition: str) -> RpcError:
    return unknown_element(path, name, f"is only allowed when {condition}")


# Validation (RFC 7950 8.3.3 and 15)


def not_unique(path: InstancePath, message: str, leaves: Sequence[InstancePath]) -> RpcError:
    """RFC 7950 15.1: one non-unique for each leaf."""
    info = [(_NON_UNIQUE, leaf.text) for leaf in leaves]
    error = _at(path, "operation-failed", message, info=info, app_tag="data-not-unique")
    namespaces = dict(path.namespaces)
    for leaf in leaves:
        namespaces.update(leaf.namespaces)
    error.path_namespaces = namespaces
    return error


def too_many_elements(path: InstancePath, name: str, most: int) -> RpcError:
    """RFC 7950 15.2."""
    return _at(path, "operation-failed", f"there are more than {most} of {name}", app_tag="too-many-elements")


def too_few_elements(path: InstancePath, name: str, least: int) -> RpcError:
    """RFC 7950 15.3."""
    return _at(path, "operation-failed", f"there are fewer than {least} of {name}", app_tag="too-few-elements")


def must_violation(path: InstancePath, message: str, app_tag: str | None) -> RpcError:
    """RFC 7950 15.4."""
    return _at(path, "operation-failed", message, app_tag=app_tag or "must-violation")


def instance_required(path: InstancePath, message: str) -> RpcError:
    """RFC 7950 15.5."""
    return _at(path, "data-missing", message, app_tag="instance-required")


def missing_choice(path: InstancePath, choice: str) -> RpcError:
    """RFC 7950 15.6."""
    message = f"one of the cases of {choice} is needed"
    return _at(path, "data-missing", message, info=[(_MISSING_CHOICE, choice)], app_tag="missing-choice")


def missing_mandatory(path: InstancePath, name: str) -> RpcError:
    return _at(path, "missing-element", f"{name} is mandatory", info=[(_BAD_ELEMENT, name)])


# Datastores and locks (RFC 6241 sections 7 and 8)


def lock_denied(message: str, session_id: int) -> RpcError:
    """``session_id`` holds the lock; 0 when it is not a NETCONF session."""
    return RpcError("lock-denied", message, type="protocol", info=[(_SESSION_ID, str(session_id))])


def in_use(name: str, session_id: int) -> RpcError:
    info = [(_SESSION_ID, str(session_id))]
    return RpcError("in-use", f"{name} is locked by session {session_id}", type="protocol", info=info)


def commit_in_use(session_id: int) -> RpcError:
    """``session_id`` has a confirmed commit pending; 0 when its session has ended."""
    info = [(_SESSION_ID, str(session_id))]
    return RpcError("in-use", "a confirmed commit of another session is pending", type="protocol", info=info)


def wrong_persist_id() -> RpcError:
    """RFC 6241 8.4.4.1, and the description of persist-id in its YANG module."""
    info = [(_BAD_ELEMENT, "persist-id")]
    return RpcError(
        "invalid-value", "persist-id is not that of a confirmed commit that is pending", type="protocol", info=info
    )


def nothing_to_confirm() -> RpcError:
    return RpcError("operation-failed", "there is no confirmed commit to cancel", type="protocol")


def not_locked(name: str) -> RpcError:
    return RpcError("operation-failed", f"{name} is not locked", type="protocol")


def not_a_partial_lock() -> RpcError:
    """RFC 5717 2.4.2."""
    info = [(_BAD_ELEMENT, "lock-id")]
    return RpcError("invalid-value", "lock-id is not that of a lock of this session", type="protocol", info=info)


def partially_locked(path: InstancePath, session_id: int) -> RpcError:
    """RFC 5717 2.5; ``session_id`` holds the lock."""
    return RpcError(
        "in-use",
        f"a part of this is locked by session {session_id}",
        type="protocol",
        app_tag="locked",
        path=path.text,
        path_namespaces=path.namespaces,
        info=[(_SESSION_ID, str(session_id))],
    )


def commit_outstanding(session_id: int) -> RpcError:
    """RFC 5717 2.6.2; ``session_id`` has a confirmed commit pending; 0 when its session has ended."""
    return RpcError(
        "in-use",
        "a confirmed commit is pending, which may still be undone",
        type="protocol",
        app_tag="outstanding-confirmed-commit",
        info=[(_SESSION_ID, str(session_id))],
    )


def unknown_datastore(name: str) -> RpcError:
    return RpcError("bad-element", f"there is no datastore {name}", info=[(_BAD_ELEMENT, name)])


def same_datastore(name: str) -> RpcError:
    return RpcError("invalid-value", f"source and target are both {name}")


def cannot_delete(name: str) -> RpcError:
    return RpcError("operation-not-supported", f"{name} cannot be deleted", type="protocol")


def cannot_edit(name: str) -> RpcError:
    return RpcError("operation-not-supported", f"{name} is written by copy-config only", type="protocol")


def invalid_option(name: str, value: str) -> RpcError:
    return RpcError("invalid-value", f"{value} is no {name}", type="protocol")


def bad_filter(reason: str) -> RpcError:
    """RFC 6241 8.9.1: a filter's expression that cannot be carried out, or that selects no nodes."""
    return RpcError("invalid-value", reason, info=[(_BAD_ELEMENT, "filter")])


def all_of(errors: Sequence[RpcError]) -> RpcErrors:
    """Several errors as one answer; of very many, the first are enough to begin with."""
    return RpcErrors(errors[:MOST_ERRORS])


def raise_any(errors: Sequence[RpcError]) -> None:
    """Raise what ``all_of`` makes of ``errors``, if there are any."""
    if errors:
        raise all_of(errors)


def refused(path: InstancePath | None, reason: str) -> RpcError:
    """What consumes the configuration cannot carry it out."""
    if path is None:
        return RpcError("operation-failed", reason)
    return _at(path, "operation-failed", reason)


def not_stored(reason: str) -> RpcError:
    return RpcError("resource-denied", f"the change could not be stored: {reason}")
