"""The action that shows keys themselves, to whoever a rule of access control lets read them, and to nobody else.

State never holds key material, so no filter, mode or subscription can find any there. This is the one way out of the
agent, and each use of it is logged (docs/decisions).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from lxml import etree

from rkmp.datastore.xpath.syntax import quoted
from rkmp.errors import RpcError
from rkmp.keytable import KeyRow, KeyTable
from rkmp.netconf.access_control import Reader
from rkmp.netconf.handlers import Handler, Invocation
from rkmp.northbound.elements import add
from rkmp.northbound.names import KEY_TABLE_NAMESPACE, KEY_TABLE_PREFIX, KeyTableNames

_log = logging.getLogger(__name__)

_NOT_PERMITTED = (
    "no rule of access control permits you to read this key: it takes one that permits reading "
    f"/{KEY_TABLE_PREFIX}:key-table/{KEY_TABLE_PREFIX}:key/{KEY_TABLE_PREFIX}:hexadecimal-string"
)


class KeyExport:
    """The handler, by the path of its action in :attr:`handlers`."""

    def __init__(self, key_table: KeyTable) -> None:
        self._key_table = key_table
        self.handlers: Mapping[tuple[str, ...], Handler] = {
            (KeyTableNames.KEY_TABLE, KeyTableNames.EXPORT_KEYS): self.export_keys
        }

    async def export_keys(self, invocation: Invocation) -> Sequence[etree._Element]:
        """Answer with the keys asked for, or with all that may be shown where none is named.

        Raises RpcError for a key that is not there, for one asked for by name that may not be shown, and where there
        are keys of which none may be.
        """
        names = [leaf.text or "" for leaf in invocation.input.iterchildren(KeyTableNames.ADMIN_KEY_NAME)]
        rows = [self._row(name) for name in names] if names else self._key_table.rows()
        shown = readable(rows, invocation.reader)
        for row in rows:
            if row.admin_key_name not in shown and (names or not shown):
                raise _error("access-denied", row.admin_key_name, _NOT_PERMITTED)
        output = [entry for row in rows if (entry := shown.get(row.admin_key_name)) is not None]
        told = ", ".join(repr(row.admin_key_name) for row in rows if row.admin_key_name in shown)
        _log.warning(
            "keys were shown to %r in session %d: %s", invocation.username, invocation.session_id, told or "none"
        )
        return output

    def _row(self, name: str) -> KeyRow:
        row = self._key_table.get(name)
        if row is None:
            raise _error("data-missing", name, f"there is no key {name!r}")
        return row


def readable(rows: Sequence[KeyRow], reader: Reader) -> dict[str, etree._Element]:
    """Return, by name, entries with the keys of those ``rows`` whose key ``reader`` may be shown.

    The question is put to access control as if the key table's state had the keys in it.
    """
    root = etree.Element("config")
    top = etree.SubElement(root, KeyTableNames.KEY_TABLE, nsmap={None: KEY_TABLE_NAMESPACE})
    for row in rows:
        entry = etree.SubElement(top, KeyTableNames.KEY)
        add(entry, KeyTableNames.ADMIN_KEY_NAME, row.admin_key_name)
        add(entry, KeyTableNames.HEXADECIMAL_STRING, row.key.reveal())
    reader.leave_readable_below(root)
    return {
        entry.findtext(KeyTableNames.ADMIN_KEY_NAME) or "": entry
        for entry in root.iterfind(f"{KeyTableNames.KEY_TABLE}/{KeyTableNames.KEY}")
        if entry.find(KeyTableNames.HEXADECIMAL_STRING) is not None
        # A name that may not be read is told to nobody, whatever rules say of the key.
        and entry.find(KeyTableNames.ADMIN_KEY_NAME) is not None
    }


def _error(tag: str, name: str, reason: str) -> RpcError:
    prefix = KEY_TABLE_PREFIX
    path = f"/{prefix}:key-table/{prefix}:key[{prefix}:admin-key-name={quoted(name)}]"
    return RpcError(tag, reason, path=path, path_namespaces={prefix: KEY_TABLE_NAMESPACE})
