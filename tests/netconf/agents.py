"""A whole NETCONF server in one process, on a database in memory, and clients of it without a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema
from rkmp.netconf import Client, EventLog, NetconfServer, ServerLimits
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.netconf.conversation import Peer, nc

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NET = "urn:example:network"

PEERS = f"""
<network xmlns="{NET}">
  <name>lab</name>
  <profile><name>fast</name><medium xmlns:n="{NET}">n:fibre</medium></profile>
  <peer><name>a</name><address>192.0.2.1</address><mtu>1400</mtu><profile>fast</profile><password>hunter2a</password></peer>
  <peer><name>b</name><address>192.0.2.2</address><enabled>false</enabled><password>hunter2b</password></peer>
</network>
<vault xmlns="{NET}"><combination>hunter2c</combination></vault>
"""
SECRET = b"hunter2"


def net(name: str) -> str:
    return f"{{{NET}}}{name}"


@dataclass
class Agent:
    """A server with its datastores, and every octet that its clients got."""

    schema: Schema
    limits: ServerLimits = field(default_factory=ServerLimits)
    clock: Callable[[], datetime] = lambda: NOW
    is_recovery: Callable[[str], bool] = lambda username: True
    has_replay: bool = True
    url_directory: Path | None = None

    def __post_init__(self) -> None:
        self.database = Database(IN_MEMORY)
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
        self.datastores = Datastores(self.schema, self.database, sealer, os.urandom, self.clock)
        self.event_log = EventLog(self.database, self.clock)
        self.server = NetconfServer(
            self.datastores,
            clock=self.clock,
            limits=self.limits,
            is_recovery=self.is_recovery,
            event_log=self.event_log if self.has_replay else None,
            url_directory=self.url_directory,
        )

    def open(self, username: str = "alice") -> Peer:
        """Return a client that has not said hello."""
        return Peer(lambda transport: self.server.open_session(self.client(username), transport))

    async def connect(self, *versions: str, username: str = "alice") -> Peer:
        """Return a client after the hellos."""
        return await self.open(username).hello(*versions)

    def client(self, username: str) -> Client:
        return Client(username, "192.0.2.7", "netconf-ssh")

    async def load(self, content: str = PEERS) -> None:
        """Put configuration into running."""
        peer = await self.connect()
        require_ok(await peer.call(edit("running", content)))
        require_ok(await peer.call("<close-session/>"))
        await peer.ended()

    async def close(self) -> None:
        await self.server.close()
        self.database.close()


def edit(target: str, content: str, options: str = "") -> str:
    """Return an edit-config operation."""
    return f"<edit-config><target><{target}/></target>{options}<config>{content}</config></edit-config>"


def get_config(source: str = "running", filter_content: str | None = None) -> str:
    """Return a get-config operation, with a subtree filter or without."""
    selection = "" if filter_content is None else f'<filter type="subtree">{filter_content}</filter>'
    return f"<get-config><source><{source}/></source>{selection}</get-config>"


def get(filter_content: str | None = None) -> str:
    """Return a get operation, with a subtree filter or without."""
    selection = "" if filter_content is None else f'<filter type="subtree">{filter_content}</filter>'
    return f"<get>{selection}</get>"


def require_ok(reply: etree._Element) -> None:
    assert [child.tag for child in reply] == [nc("ok")], etree.tostring(reply).decode()


def data_of(reply: etree._Element) -> etree._Element:
    """Return ``<data>`` of a reply."""
    assert [child.tag for child in reply] == [nc("data")], etree.tostring(reply).decode()
    return reply[0]


@dataclass(frozen=True)
class Fault:
    """What matters of an rpc-error."""

    type: str
    tag: str
    app_tag: str | None = None
    path: str | None = None
    info: tuple[tuple[str, str], ...] = ()


def faults_of(reply: etree._Element) -> list[Fault]:
    """Return the rpc-errors of a reply; it must hold nothing else, and each must be in the order of RFC 6241."""
    found = []
    order = [
        nc(name)
        for name in (
            *("error-type", "error-tag", "error-severity", "error-app-tag"),
            *("error-path", "error-message", "error-info"),
        )
    ]
    for error in reply:
        assert error.tag == nc("rpc-error"), etree.tostring(reply).decode()
        assert error.findtext(nc("error-severity")) == "error"
        assert error.findtext(nc("error-message"))
        positions = [order.index(str(child.tag)) for child in error]
        assert positions == sorted(set(positions))
        info = error.find(nc("error-info"))
        found.append(
            Fault(
                error.findtext(nc("error-type")) or "",
                error.findtext(nc("error-tag")) or "",
                error.findtext(nc("error-app-tag")),
                error.findtext(nc("error-path")),
                tuple((etree.QName(child).localname, child.text or "") for child in (() if info is None else info)),
            )
        )
    assert found
    return found


def fault_of(reply: etree._Element) -> Fault:
    (fault,) = faults_of(reply)
    return fault


def texts(root: etree._Element, *steps: str) -> list[str]:
    """Return the text of the elements at a path of local names of the test module."""
    return [element.text or "" for element in root.iterfind("/".join(net(step) for step in steps))]
