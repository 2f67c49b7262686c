"""A store that any release wrote is taken up by this one, with everything in it; one of a later release is refused."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tomllib
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from rkmp.storage import Database
from tests.docs.pages import REPOSITORY
from tests.e2e.agents import NAMESPACES, AgentProcess
from tests.e2e.stores import FOLDER, KEY, connect, record
from tests.e2e.test_starting import ANYWHERE, refused, rkmpd

FIRST_RELEASE = "0.1.0"
STORES = sorted(FOLDER.glob("*.sql"))


def restored(directory: Path, store: str) -> AgentProcess:
    """Return an agent that has not been started yet on a store."""
    directory.mkdir(mode=0o700)
    for name, content in (
        ("key-encryption-key", KEY.encode()),
        ("ssh_host_ed25519_key", asyncssh.generate_private_key("ssh-ed25519").export_private_key()),
    ):
        (directory / name).touch(mode=0o600)
        (directory / name).write_bytes(content)
    with contextlib.closing(sqlite3.connect(directory / "rkmp.db")) as database:
        database.executescript(store)
    return AgentProcess("restored", directory, directory / "no-key")


def read(agent: AgentProcess, source: str) -> etree._Element:
    with connect(agent) as session:
        return etree.fromstring(session.get_config(source).data_xml.encode())


def everything_is_there(agent: AgentProcess) -> None:
    agent.start()
    try:
        for source in ("running", "startup"):
            data = read(agent, source)
            proposal = "string(rkmp:rkmp/rkmp:peer/rkmp:association/rkmp:proposal)"
            assert data.xpath(proposal, namespaces=NAMESPACES) == "ao"
            assert data.xpath("count(//rkmp:transform)", namespaces=NAMESPACES) == 2
            assert data.xpath("string(//ckt:key/ckt:protocol)", namespaces=NAMESPACES) == "ckt:bgp"
        assert agent.stop() == 0
        # What was sealed then opens now, and has been sealed anew where it is: an agent that cannot open it does not
        # start.
        agent.start()
        assert len(read(agent, "running")) >= 2
        assert agent.stop() == 0
    finally:
        agent.kill()


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.stem)
def test_an_upgrade_keeps_users_configuration_startup_and_secrets(store: Path, tmp_path: Path) -> None:
    agent = restored(tmp_path / "state", store.read_text(encoding="utf-8"))
    everything_is_there(agent)
    with Database(agent.directory / "rkmp.db", must_exist=True) as database:
        versions: dict[str, int] = dict(database.rows("SELECT component, version FROM component_versions"))
    assert versions["users"] > 1


@pytest.mark.slow
def test_what_would_be_recorded_of_this_release_is_a_store(tmp_path: Path) -> None:
    everything_is_there(restored(tmp_path / "state", record(tmp_path / "recorded")))


def test_every_release_has_left_its_store() -> None:
    released = re.findall(r"(?m)^## (\d+\.\d+\.\d+)", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"first", *released} == {store.stem for store in STORES}, "run python -m tests.e2e.stores"
    assert project["version"] == FIRST_RELEASE or released, "the version goes up with a release in CHANGELOG.md"


def test_what_a_later_release_wrote_is_refused_and_left_alone(tmp_path: Path) -> None:
    agent = restored(tmp_path / "state", STORES[-1].read_text(encoding="utf-8"))
    path = agent.directory / "rkmp.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE component_versions SET version = 99 WHERE component = 'keytable'")
        database.commit()
    said = refused(rkmpd(agent.directory, *ANYWHERE), 4)
    assert "the stored keytable has version 99, written by a newer release" in said
    assert "upgrade, or restore the backup from before the upgrade" in said
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT version FROM component_versions WHERE component = 'keytable'").fetchall()
    assert rows == [(99,)]
