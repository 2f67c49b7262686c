"""Keys out of what ``rkmp keys export`` wrote, or fetched, as XML or JSON, for the check of a capture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lxml import etree

from rkmp.capture import VerificationKey
from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import USAGE
from rkmp.cli.views import KEY_TABLE, identity
from rkmp.errors import CommandError
from rkmp.secret import Secret


def read_keys(path: Path) -> list[VerificationKey]:
    """Return the keys in a file; raises :class:`CommandError` where it is not what an export writes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from error
    try:
        document = json.loads(content) if content.lstrip()[:1] == b"{" else _from_xml(content)
        return keys_of(document)
    except (ValueError, KeyError, TypeError, AttributeError, etree.XMLSyntaxError):
        # Without the error's own words, which may repeat a key.
        raise CommandError(f"{path} is not what `rkmp keys export` writes", USAGE) from None


def keys_of(document: Mapping[str, Any], *, with_withheld: bool = False) -> list[VerificationKey]:
    """Return the keys of an exported document. Raises ValueError, KeyError or TypeError where it is none.

    ``with_withheld``: entries without the key itself count, as keys that are withheld.
    """
    table = {identity(name): value for name, value in document.items()}["key-table"]
    if not isinstance(table, dict | None):
        raise TypeError("the key table is no container")
    return [_key(entry, with_withheld) for entry in (table or {}).get("key", [])]


def keys_of_table(table: etree._Element) -> list[VerificationKey]:
    """Return the keys of a fetched ``key-table`` element, those that are withheld too."""
    holder = etree.Element("data")
    holder.append(table)
    return keys_of(to_dictionary(holder), with_withheld=True)


def _from_xml(content: bytes) -> dict[str, Any]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(content, parser)
    if root.tag == f"{{{KEY_TABLE}}}key-table":
        holder = etree.Element("data")
        holder.append(root)
        root = holder
    return to_dictionary(root)


def _key(entry: Mapping[str, Any], may_be_withheld: bool) -> VerificationKey:
    octets = entry.get("hexadecimal-string") if may_be_withheld else entry["hexadecimal-string"]
    accept = entry.get("accept-lifetime") or {}
    return VerificationKey(
        name=entry["admin-key-name"],
        protocol=identity(str(entry["protocol"])),
        peers=tuple(entry["peer"]),
        send_id=int(entry["peer-key-name"], 16),
        recv_id=int(entry["local-key-name"], 16),
        kdf=identity(entry["kdf"]),
        alg_id=identity(entry["alg-id"]),
        ignore_tcp_options=str((entry.get("tcp-ao") or {}).get("ignore-tcp-options", "false")).lower() == "true",
        key=None if octets is None else Secret(bytes.fromhex(octets.replace(":", ""))),
        starts=_moment(accept.get("start")),
        ends=_moment(accept.get("end")),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
