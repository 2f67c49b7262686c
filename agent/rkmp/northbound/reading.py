"""Reads validated configuration through :class:`~rkmp.datastore.defaults.Instance`, and says where it is wrong.

What validation has made sure of is read without looking twice; where it is not there, KeyError is a fault of the
agent. It must not know which modules there are.
"""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.defaults import Instance
from rkmp.datastore.instance_path import instance_path
from rkmp.datastore.schema import Schema, SchemaNode
from rkmp.datastore.validation.constraints import constraints_of
from rkmp.errors import RpcError


def instance_of(schema: Schema, tree: etree._Element, node: SchemaNode, element: etree._Element) -> Instance:
    """Return the list entry ``element`` of ``tree``, reached without walking over its siblings."""
    return Instance(constraints_of(schema), tree, node, element)


def value(instance: Instance, tag: str) -> str:
    """Return the value of a leaf that is mandatory, a key, or has a default."""
    found = instance.value(tag)
    if found is None:
        raise KeyError(tag)
    return found


def number(instance: Instance, tag: str) -> int | None:
    """Return the value of an integer leaf, if it has one."""
    found = instance.value(tag)
    return None if found is None else int(found)


def boolean(instance: Instance, tag: str) -> bool:
    """Return the value of a boolean leaf that is mandatory or has a default."""
    return value(instance, tag) == "true"


def optional_boolean(instance: Instance, tag: str) -> bool | None:
    """Return the value of a boolean leaf, if it has one."""
    found = instance.value(tag)
    return None if found is None else found == "true"


def container(instance: Instance, tag: str) -> Instance:
    """Return a container without presence, which is always there."""
    found = instance.container(tag)
    if found is None:
        raise KeyError(tag)
    return found


def invalid_value(schema: Schema, instance: Instance, tag: str, reason: str) -> RpcError:
    """Return the answer to a leaf of ``instance`` whose type admits a value that cannot be meant."""
    leaf = None if instance.element is None else instance.element.find(tag)
    return _error(schema, "invalid-value", leaf, reason)


def instance_error(schema: Schema, instance: Instance, reason: str) -> RpcError:
    """Return the answer to an instance that is valid and that the agent cannot carry out."""
    return _error(schema, "operation-failed", instance.element, reason)


def _error(schema: Schema, tag: str, element: etree._Element | None, reason: str) -> RpcError:
    if element is None:
        return RpcError(tag, reason)
    path = instance_path(schema, element)
    return RpcError(tag, reason, path=path.text, path_namespaces=path.namespaces)
