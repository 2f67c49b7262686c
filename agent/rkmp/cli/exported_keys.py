"""``rkmp keys export``: the key table with its keys, as a document that another router can be configured with.

The agent shows keys only to users whom access control lets read them; what it leaves out is left out here, and said.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.private_file import write_private
from rkmp.cli.session import Session
from rkmp.cli.show import subtree
from rkmp.cli.views import KEY_TABLE

CONFIGURED = (
    *("admin-key-name", "local-key-name", "peer-key-name", "peer", "interface", "protocol", "tcp-ao", "kdf", "alg-id"),
    *("hexadecimal-string", "direction", "send-lifetime", "accept-lifetime"),
)
"""What an entry of the key table is configured with, in the order of the module; tests/cli holds it against that."""


def export(session: Session, names: Sequence[str], output: Path | None, *, as_json: bool) -> None:
    """Write the keys called ``names``, or all that may be shown, to the file ``output`` or to standard output."""
    table = fetch(session, names)
    content = written(table, as_json=as_json)
    if output is None:
        sys.stdout.write(content)
    else:
        write_private(output, content.encode())
        print(f"{len(table)} keys in {output}; whoever reads it can forge what they protect", file=sys.stderr)


def fetch(session: Session, names: Sequence[str] = (), *, with_withheld: bool = False) -> etree._Element:
    """Return ``key-table`` with the entries of the keys that the agent shows, as they would be configured.

    Raises :class:`CommandError` where it shows none, or not one that is asked for by name. That others are left out is
    said on standard error; ``with_withheld`` they are not, but for the key itself.
    """
    shown = {
        entry.findtext(_tag("admin-key-name")): entry.findtext(_tag("hexadecimal-string"))
        for entry in session.action(_export_instance(names))
        if entry.tag == _tag("key")
    }
    data = session.get(subtree((_tag("key-table"), _tag("key"))))
    entries = data.findall(f"{_tag('key-table')}/{_tag('key')}")
    table = etree.Element(_tag("key-table"), nsmap={None: KEY_TABLE, **_prefixes(data)})
    hidden = 0
    for entry in entries:
        name = entry.findtext(_tag("admin-key-name"))
        # A key that came or went between the two questions is in one of the answers only.
        if name in shown:
            table.append(_configured(entry, shown[name] or ""))
        elif with_withheld:
            table.append(_configured(entry, None))
        elif not names:
            hidden += 1
    if hidden:
        print(f"rkmp: {hidden} keys are left out: no rule permits you to read them", file=sys.stderr)
    return table


def written(table: etree._Element, *, as_json: bool) -> str:
    """Return the document as text."""
    if as_json:
        holder = etree.Element("data")
        holder.append(table)
        return json.dumps(to_dictionary(holder) or {"key-table": {"key": []}}, indent=2) + "\n"
    etree.indent(table)
    return etree.tostring(table, encoding="unicode") + "\n"


def _configured(entry: etree._Element, key: str | None) -> etree._Element:
    """Return what would configure the entry, with its key as octets where it is shown."""
    configured = etree.Element(_tag("key"))
    for name in CONFIGURED:
        if name == "hexadecimal-string" and key is not None:
            etree.SubElement(configured, _tag(name)).text = key
        else:
            configured.extend(entry.findall(_tag(name)))
    return configured


def _export_instance(names: Sequence[str]) -> etree._Element:
    root = etree.Element(_tag("key-table"), nsmap={None: KEY_TABLE})
    action = etree.SubElement(root, _tag("export-keys"))
    for name in names:
        etree.SubElement(action, _tag("admin-key-name")).text = name
    return root


def _prefixes(data: etree._Element) -> dict[str | None, str]:
    """Return the prefix that the values of ``data`` give to identities of the key table."""
    return {prefix: namespace for prefix, namespace in data.nsmap.items() if prefix and namespace == KEY_TABLE}


def _tag(name: str) -> str:
    return f"{{{KEY_TABLE}}}{name}"
