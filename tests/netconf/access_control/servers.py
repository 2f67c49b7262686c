"""A server with a box to guard, rules for it, and users: root is the recovery session, ann and bob are not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema
from rkmp.netconf import NetconfServer
from rkmp.secret import Secret
from rkmp.storage import KeyEncryptionKey, Sealer
from tests.netconf.agents import Agent, data_of, edit, require_ok
from tests.netconf.conversation import Peer

BOX = "urn:example:guarded"
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
YANG = "urn:ietf:params:xml:ns:yang:1"

CONTENT = f"""
<box xmlns="{BOX}"><label>plain</label><lock>bolt</lock><code>tiger-1</code><book>atlas</book>
  <colour>red</colour><colour>blue</colour>
  <item><name>cup</name><weight>200</weight><note>old</note><pin>tiger-2</pin></item>
  <item><name>ann</name><weight>300</weight></item>
  <item><name>pen</name><weight>20</weight><note>new</note><pin>tiger-3</pin></item></box>
"""
SECRET = b"tiger"

Groups: TypeAlias = "Iterable[tuple[str, Iterable[str]]]"
"""Names of groups with those of their members."""

STAFF: Groups = (("staff", ("ann", "bob")),)


def b(name: str) -> str:
    return f"{{{BOX}}}{name}"


def rule(name: str, action: str = "permit", **leaves: str) -> str:
    """Return one rule; the leaves are written with underscores, and paths with the prefix g."""
    content = "".join(f"<{leaf.replace('_', '-')}>{value}</{leaf.replace('_', '-')}>" for leaf, value in leaves.items())
    return f'<rule xmlns:g="{BOX}"><name>{name}</name>{content}<action>{action}</action></rule>'


def rules(*content: str, group: str = "staff", name: str = "rules") -> str:
    return f"<rule-list><name>{name}</name><group>{group}</group>{''.join(content)}</rule-list>"


def nacm(*rule_lists: str, groups: Groups = STAFF, **leaves: str) -> str:
    """Return ``/nacm``."""
    members = "".join(
        f"<group><name>{name}</name>{''.join(f'<user-name>{user}</user-name>' for user in users)}</group>"
        for name, users in groups
    )
    switches = "".join(
        f"<{leaf.replace('_', '-')}>{value}</{leaf.replace('_', '-')}>" for leaf, value in leaves.items()
    )
    return f'<nacm xmlns="{ACM}">{switches}<groups>{members}</groups>{"".join(rule_lists)}</nacm>'


def _is_root(username: str) -> bool:
    return username == "root"


class Guarded(Agent):
    """The server."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema, is_recovery=_is_root)

    @classmethod
    def restarted(cls, server: Guarded) -> Guarded:
        """Return a new server on the disk of another."""
        again = cls(server.schema)
        again.database.close()
        again.database = server.database
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
        again.datastores = Datastores(server.schema, server.database, sealer, os.urandom, server.clock)
        again.server = NetconfServer(again.datastores, clock=server.clock, is_recovery=_is_root)
        return again

    async def root(self) -> Peer:
        return await self.connect(username="root")

    async def ann(self) -> Peer:
        return await self.connect(username="ann")

    async def configure(self, *rule_lists: str, content: str = CONTENT, groups: Groups = STAFF, **leaves: str) -> Peer:
        """Load the box and rules as root; return a session of ann's."""
        root = await self.root()
        require_ok(await root.call(edit("running", content + nacm(*rule_lists, groups=groups, **leaves))))
        return await self.ann()

    async def counters(self) -> dict[str, int]:
        """Return what was denied, as root sees it."""
        root = await self.root()
        data = data_of(await root.call(f'<get><filter type="subtree"><nacm xmlns="{ACM}"/></filter></get>'))
        return {
            etree.QName(leaf).localname.removeprefix("denied-"): int(leaf.text or "")
            for leaf in data[0]
            if etree.QName(leaf).localname.startswith("denied-")
        }


def shown(data: etree._Element) -> list[str]:
    """Return what ``data`` holds of the box: names of leaves with values, below the names of entries."""
    found = []
    for leaf in data.iterdescendants():
        if len(leaf) or etree.QName(leaf).namespace != BOX:
            continue
        parent = leaf.getparent()
        entry = None if parent is None else parent.findtext(b("name"))
        found.append(f"{entry}/" * (entry is not None) + f"{etree.QName(leaf).localname}={leaf.text}")
    return found
