"""A store that the first release wrote is taken up by this one, with everything in it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from ncclient import manager
from rkmp.storage import Database
from tests.e2e.agents import NAMESPACES, USER, AgentProcess, make_user_key

FIRST = Path(__file__).parent / "stores" / "first.sql"
KEY = "7771a8c4dd74fabc82694b158f112395d44ba486770156e6dab2d4673d4e800b"
PASSWORD = "first password"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    """An agent that has not been started yet on the store of the first release."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    for name, content in (
        ("key-encryption-key", KEY.encode()),
        ("ssh_host_ed25519_key", asyncssh.generate_private_key("ssh-ed25519").export_private_key()),
    ):
        (directory / name).touch(mode=0o600)
        (directory / name).write_bytes(content)
    with contextlib.closing(sqlite3.connect(directory / "rkmp.db")) as database:
        database.executescript(FIRST.read_text(encoding="utf-8"))
    made = AgentProcess("first", directory, make_user_key(tmp_path))
    yield made
    made.kill()


def read(agent: AgentProcess, source: str) -> etree._Element:
    """Return a datastore, read by the user that the first release was given."""
    with manager.connect(  # type: ignore[no-untyped-call]
        host="127.0.0.1",
        port=agent.netconf_port,
        username=USER,
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=30,
    ) as session:
        return etree.fromstring(session.get_config(source).data_xml.encode())


def test_an_upgrade_keeps_users_configuration_startup_and_secrets(agent: AgentProcess) -> None:
    agent.start()
    for source in ("running", "startup"):
        data = read(agent, source)
        assert data.xpath("string(rkmp:rkmp/rkmp:peer/rkmp:association/rkmp:proposal)", namespaces=NAMESPACES) == "ao"
        assert data.xpath("count(//rkmp:transform)", namespaces=NAMESPACES) == 2
        assert data.xpath("string(//ckt:key/ckt:protocol)", namespaces=NAMESPACES) == "ckt:bgp"
    agent.stop()
    with Database(agent.directory / "rkmp.db", must_exist=True) as database:
        versions: dict[str, int] = dict(database.rows("SELECT component, version FROM component_versions"))
        assert versions["users"] > 1
    # What was sealed then opens now, and has been sealed anew where it is: an agent that cannot open it does not start.
    agent.start()
    assert len(read(agent, "running")) >= 2
