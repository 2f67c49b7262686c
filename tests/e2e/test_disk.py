"""What a disk can do to a whole agent: it fills up, or damages what is on it."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from ncclient.manager import Manager
from ncclient.operations import RPCError

from rkmp.storage import LastGood
from tests.e2e.agents import NETCONF, RKMP, AgentProcess
from tests.e2e.test_starting import ANYWHERE, refused, rkmpd

MakeAgent = Callable[[str], AgentProcess]
PAGE = 4096


def name_policies(session: Manager, numbers: range, target: str = "running") -> None:
    policies = "".join(f"<ike-policy><name>{number:032}</name></ike-policy>" for number in numbers)
    config = f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}">{policies}</rkmp></config>'
    session.edit_config(target=target, config=config)


def policies(session: Manager) -> int:
    return str(session.get_config("running").data_xml).count("<ike-policy>")


def test_a_full_disk_is_resource_denied_and_costs_nothing_that_was_acknowledged(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with agent.connect() as session:
        name_policies(session, range(10))
        largest = max(file.stat().st_size for file in agent.directory.glob("rkmp.db*"))
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (largest + 8 * PAGE, resource.RLIM_INFINITY))
        for target, change in (
            ("running", lambda: name_policies(session, range(10, 2000))),
            ("candidate", session.commit),
            ("startup", lambda: session.copy_config("running", "startup")),
        ):
            if target == "candidate":
                name_policies(session, range(10, 2000), "candidate")
            if target == "startup":
                session.discard_changes()
                resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (PAGE, resource.RLIM_INFINITY))
            with pytest.raises(RPCError) as refusal:
                change()
            assert refusal.value.tag == "resource-denied", target
            assert policies(session) == 10
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, unlimited)
        name_policies(session, range(10, 20))
        session.copy_config("running", "startup")
    agent.kill()
    agent.start()
    with agent.connect() as session:
        assert policies(session) == 20


def damage_pages(database: Path) -> None:
    content = bytearray(database.read_bytes())
    for page in range(3, len(content) // PAGE, 3):
        content[page * PAGE : (page + 1) * PAGE] = os.urandom(PAGE)
    database.write_bytes(content)


def cut_short(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def empty(database: Path) -> None:
    os.truncate(database, 0)


def test_a_corrupt_store_is_refused_and_the_last_good_copy_is_the_way_out(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    database = agent.directory / "rkmp.db"
    with agent.connect() as session:
        name_policies(session, range(10))
    # Going down in good order makes the copy that is due.
    assert agent.stop() == 0
    sound = database.read_bytes()
    for damage in (empty, cut_short, damage_pages):
        database.write_bytes(sound)
        damage(database)
        damaged = database.read_bytes()
        said = refused(rkmpd(agent.directory, *ANYWHERE), 4)
        assert f"rkmpd: {database}: " in said
        assert "backup" in said
        assert "or start with --from-last-good, from the copy made at 20" in said
        assert database.read_bytes() == damaged
    agent.options = ("--from-last-good",)
    agent.start()
    with agent.connect() as session:
        assert policies(session) == 10
        name_policies(session, range(10, 12))
    set_aside = LastGood(database).set_aside
    assert set_aside.read_bytes() == damaged
    agent.kill()
    # The option does nothing where there is no need for it.
    agent.start()
    with agent.connect() as session:
        assert policies(session) == 12
    assert set_aside.read_bytes() == damaged
    agent.stop()
    LastGood(database).path.unlink()
    empty(database)
    assert "--from-last-good" not in refused(rkmpd(agent.directory, *ANYWHERE), 4)
    said = refused(rkmpd(agent.directory, *ANYWHERE, "--from-last-good"), 4)
    assert "there is no copy of the database; restore a backup" in said
    assert database.exists()
