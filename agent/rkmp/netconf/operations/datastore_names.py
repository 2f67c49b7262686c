"""Datastores as identities name them (RFC 8342 section 7, RFC 8526 section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.namespaces import DATASTORES, NMDA, base

NMDA_DATASTORE = f"{{{NMDA}}}datastore"
"""The leaf that names a datastore: of get-data and edit-data, and in the source or target of older operations."""


def datastore_of(element: etree._Element, served: Sequence[str]) -> str:
    """Return the name of the datastore that ``element`` names, a valid identity in canonical form.

    Raises RpcError (invalid-value) where it is none of ``served``, as the module's descriptions ask.
    """
    prefix, _, name = (element.text or "").partition(":")
    if name in served and element.nsmap.get(prefix, DATASTORES) == DATASTORES:
        return name
    info = [(base("bad-element"), "datastore")]
    raise RpcError("invalid-value", f"this is not to be had of the datastore {name}", info=info)
