"""A small speaker of a BGP-like protocol in a namespace: its keys come from the key API, its sockets are TCP-AO's.

    python -m tests.guest.speaker KEY_SOCKET STATUS_FILE listen|connect PROTOCOL:NEIGHBOR:PORT ...

Each session sends a keepalive every two seconds and ends when none comes for nine; whoever connects tries again every
second. What it knows goes to STATUS_FILE, by protocol, whenever it changes.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rkmp.errors import SouthboundError
from rkmp.southbound import KeyClient, Neighbor, NeighborSockets
from rkmp.southbound.tcp_ao import installed_keys, socket_info

KEEPALIVE, EVERY, HOLD, RETRY = b"\xff" * 16 + b"\x00\x13\x04", 2.0, 9.0, 1.0


class Session:
    """One neighbor and protocol."""

    def __init__(self, client: KeyClient, connects: bool, protocol: str, neighbor: str, port: int) -> None:
        self.protocol, self.neighbor, self.port, self.connects = protocol, neighbor, port, connects
        self.family = socket.AF_INET6 if ":" in neighbor else socket.AF_INET
        self.client = client
        self.sockets = NeighborSockets(Neighbor.of(neighbor))
        self.subscription = client.subscribe(protocol, neighbor)
        self.connection: socket.socket | None = None
        self.listener: socket.socket | None = None
        self.established = 0
        self.messages = 0
        self.heard = self.said = self.tried = 0.0
        if not connects:
            self.listener = socket.socket(self.family)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("", port))
            self.sockets.listening(self.listener)
            self.listener.listen()

    def readable(self) -> list[socket.socket]:
        return [each for each in (self.listener, self.connection) if each is not None]

    def up(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setblocking(False)
        self.established += 1
        self.heard = time.monotonic()

    def down(self) -> None:
        if self.connection is not None:
            self.sockets.forget(self.connection)
            self.connection.close()
            self.connection = None

    def connect(self) -> None:
        self.tried = time.monotonic()
        opened = socket.socket(self.family)
        opened.settimeout(3)
        try:
            self.sockets.prepare(opened)
            opened.connect((self.neighbor, self.port))
        except (OSError, SouthboundError):
            self.sockets.forget(opened)
            opened.close()
        else:
            self.up(opened)

    def accept(self) -> None:
        assert self.listener is not None
        accepted, _ = self.listener.accept()
        try:
            self.sockets.accepted(accepted)
        except SouthboundError:
            accepted.close()
            return
        self.down()
        self.up(accepted)

    def receive(self) -> None:
        assert self.connection is not None
        try:
            octets = self.connection.recv(65536)
        except OSError:
            octets = b""
        if not octets:
            self.down()
            return
        self.messages += octets.count(KEEPALIVE)
        self.heard = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        if self.connection is not None and now - self.heard > HOLD:
            self.down()
        if self.connection is None and self.connects and now - self.tried >= RETRY:
            self.connect()
        if self.connection is not None and now - self.said >= EVERY:
            self.said = now
            with suppress(OSError):
                self.connection.send(KEEPALIVE)
        self.client.report(self.subscription, self.sockets.usage())

    def status(self) -> dict[str, object]:
        status: dict[str, object] = {"established": self.established, "is-up": self.connection is not None}
        if self.connection is not None:
            info = socket_info(self.connection)
            keys = installed_keys(self.connection)
            status |= {
                "sending": sorted(self.sockets.usage().sending),
                "bad": info.bad + info.key_not_found + info.unsigned,
                "keys": len(keys),
                "messages": self.messages,
            }
        return status


def main(key_socket: str, status_file: str, role: str, *scopes: str) -> None:
    client = KeyClient(key_socket, "speaker")
    sessions = []
    for scope in scopes:
        protocol, _, rest = scope.partition(":")
        neighbor, _, port = rest.rpartition(":")
        sessions.append(Session(client, role == "connect", protocol, neighbor, int(port)))
    by_subscription = {session.subscription.number: session for session in sessions}
    written = None
    while True:
        for told in client.wait():
            session = by_subscription[told.subscription.number]
            if session.connection in session.sockets.hold(told.result):
                session.down()
            client.acknowledge(told)
        watched = {each: session for session in sessions for each in session.readable()}
        descriptors: list[Any] = [*watched, *([client.fileno()] if client.fileno() >= 0 else [])]
        for ready in select.select(descriptors, [], [], 0.5)[0]:
            if ready in watched:
                session = watched[ready]
                (session.accept if ready is session.listener else session.receive)()
        for session in sessions:
            session.tick()
        status = json.dumps({session.protocol: session.status() for session in sessions})
        if status != written:
            temporary = Path(f"{status_file}.new")
            temporary.write_text(status)
            temporary.replace(status_file)
            written = status


if __name__ == "__main__":
    main(*sys.argv[1:])
