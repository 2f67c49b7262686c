"""A server on loopback in a thread of its own, so that a blocking client can be used as it is."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree
from ncclient.operations import RaiseMode

from ncclient import manager
from rkmp.datastore.schema import load_schema
from rkmp.netconf import NETCONF_MODULES
from tests.netconf.agents import Agent
from tests.netconf.errors.cases import START
from tests.netconf.over_ssh import HOST_KEY, PASSWORD, Users

FOLDERS = [Path(__file__).parents[2] / "datastore" / "modules", Path(__file__).parent]

# The client has no type annotations.
connect: Any = manager.connect


class AnyUser(Users):
    """Lets alice and ann in, both with one password."""

    async def check_password(self, user: str, password: Any) -> bool:
        return await super().check_password("alice" if user == "ann" else user, password)


@contextlib.contextmanager
def served() -> Iterator[int]:
    """Serve the modules of the cases, with START loaded; yield the port."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        schema = load_schema({**NETCONF_MODULES, "zoo": (), "example-errors": ()}, FOLDERS)
        agent = Agent(schema, is_recovery=lambda user: user == "alice")
        await agent.load(START)
        _, found["port"] = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], AnyUser())
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await found["stop"].wait()
        await agent.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield found["port"]
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join()


@contextlib.contextmanager
def client(port: int, username: str = "alice") -> Iterator[Any]:
    """A session of ncclient that hands replies over, errors and all."""
    with connect(
        host="127.0.0.1",
        port=port,
        username=username,
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=30,
    ) as session:
        session.raise_mode = RaiseMode.NONE
        yield session


def ask(session: Any, operation: str) -> etree._Element:
    """Return the reply to one operation."""
    return etree.fromstring(session.dispatch(etree.fromstring(operation)).xml.encode())


def ask_all(session: Any, operations: dict[str, str]) -> dict[str, etree._Element]:
    """Return the replies to many operations, sent at once: the client looks at its socket ten times a second."""
    session.async_mode = True
    pending = {name: session.dispatch(etree.fromstring(operation)) for name, operation in operations.items()}
    session.async_mode = False
    replies = {}
    for name, request in pending.items():
        assert request.event.wait(30), name
        replies[name] = etree.fromstring(request.reply.xml.encode())
    return replies
