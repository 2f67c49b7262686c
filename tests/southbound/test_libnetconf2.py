"""Key chains through a NETCONF server that is not ours: libnetconf2, with libyang's judgement of what it is given."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from ncclient.manager import Manager

from ncclient import manager
from rkmp.secret import Secret
from tests.e2e.libnetconf2 import LIBRARY
from tests.keytable.rows import SECRET_OCTETS
from tests.real_parts import lacking
from tests.southbound.pushing import key_id, restarted, row, serving
from tests.southbound.router import ALL_FEATURES, USER, Kind, Router, until

CAPABILITIES = {"candidate": ("candidate", "rollback-on-error"), "running alone": ("writable-running",)}
WORDS = ("crypto-hmac-sha-1-12",)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("impatience")]


class ForeignRouter(Router):
    """The process; an operator logs in to it with the agent's key, and is shown keys."""

    def __init__(self, folder: Path, capabilities: tuple[str, ...], features: tuple[str, ...]) -> None:
        super().__init__(folder, Kind(features=features))
        self.capabilities = capabilities
        self.key_file = folder / "user_key"
        self.key_file.write_bytes(self.private_key)
        asyncssh.generate_private_key("ssh-rsa", key_size=2048).write_private_key(str(folder / "host_key"))

    def start(self) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.southbound.libnetconf2_router", str(self.folder)),
                    *(json.dumps(self.kind.features), json.dumps(self.capabilities)),
                ],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready "), self.log.read_text()
        self.kind = Kind(features=self.kind.features, port=int(line.split()[1]))

    def connect(self, user: str = USER) -> Manager:
        session: Manager = manager.connect(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            port=self.port,
            username=user,
            key_filename=str(self.key_file),
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=20,
        )
        return session


@pytest.fixture
def foreign_router(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ForeignRouter]:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        lacking("libnetconf2 is not installed (Debian and Ubuntu: apt install libnetconf2-2)")
    capabilities, features = request.param
    made = ForeignRouter(tmp_path, capabilities, features)
    made.start()
    yield made
    made.kill()


@pytest.mark.parametrize(
    "foreign_router", [(each, ALL_FEATURES) for each in CAPABILITIES.values()], ids=list(CAPABILITIES), indirect=True
)
async def test_it_takes_a_rollover_and_what_it_shows_is_proof(foreign_router: ForeignRouter) -> None:
    async with serving(foreign_router, "to peer") as agent:
        agent.install(row(1))
        # It does not tell what it sends with, so that what it acknowledges is taken for done.
        await agent.settled(1)
        assert agent.status.usage is None
        agent.install(row(2))
        await agent.settled(1, 2)
        shown = agent.shown()
        assert shown.description == f"[rkmpd: {key_id(1)} {key_id(2)}]"
        assert shown.keys[key_id(2)].secret == Secret(SECRET_OCTETS + bytes([2]))
        async with restarted(agent) as again:
            await again.settled(1, 2)
            link = again.southbound.link("core")
            assert link is not None
            assert (link.last_pushed, again.status.steps) == (None, 0)
            again.table.remove("key-1", row(1).send_lifetime.start, "replaced")
            await again.settled(2)
            (left,) = again.shown().keys.values()
            assert left.secret == Secret(SECRET_OCTETS + bytes([2]))
        assert agent.reports == again.reports == []


@pytest.mark.parametrize("foreign_router", [(("writable-running",), WORDS)], ids=["plain"], indirect=True)
async def test_it_takes_text_and_one_lifetime_where_it_has_nothing_else(foreign_router: ForeignRouter) -> None:
    async with serving(foreign_router, "plain") as agent:
        agent.install(row(1, key=Secret(b"a key that is text")))
        await agent.settled(1)
        (shown,) = agent.shown().keys.values()
        assert shown.secret == Secret(b"a key that is text")
        assert shown.send_lifetime == shown.accept_lifetime


@pytest.mark.parametrize("foreign_router", [((), ALL_FEATURES)], ids=["read-only"], indirect=True)
async def test_one_without_a_configuration_to_write_is_told_so(foreign_router: ForeignRouter) -> None:
    async with serving(foreign_router, "read-only") as agent:
        await until(lambda: "the server has no configuration that can be written" in agent.error)


@pytest.mark.parametrize("foreign_router", [(("candidate",), ALL_FEATURES)], ids=["locked"], indirect=True)
async def test_its_lock_is_waited_for(foreign_router: ForeignRouter) -> None:
    async with serving(foreign_router, "locked") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        with foreign_router.connect() as operator:
            operator.lock("candidate")
            agent.install(row(1))
            await until(
                lambda: f"lock-denied: somebody else has the lock by session {operator.session_id}" in agent.error
            )
            operator.unlock("candidate")
        await agent.settled(1)


@pytest.mark.parametrize("foreign_router", [(("writable-running",), ALL_FEATURES)], ids=["by hand"], indirect=True)
async def test_another_key_that_is_typed_over_ours_is_seen_and_put_right(foreign_router: ForeignRouter) -> None:
    async with serving(foreign_router, "typed", reconcile_interval=1) as agent:
        agent.install(row(1))
        await agent.settled(1)
        foreign_router.edit(
            f"<key-chain><name>typed</name><key><key-id>{key_id(1)}</key-id><key-string>"
            "<hexadecimal-string>00:01</hexadecimal-string></key-string></key></key-chain>"
        )
        assert agent.shown().keys[key_id(1)].secret == Secret(bytes([0, 1]))
        await until(lambda: agent.shown().keys[key_id(1)].secret == Secret(SECRET_OCTETS + bytes([1])))
        assert (agent.reports, agent.status.steps) == ([], 2)


@pytest.mark.parametrize("foreign_router", [(("candidate",), ALL_FEATURES)], ids=["refusing"], indirect=True)
async def test_a_refusal_that_quotes_the_key_is_told_without_it(
    foreign_router: ForeignRouter, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(foreign_router, "refused") as agent:
        await until(lambda: agent.status.state.value == "without-keys")
        (foreign_router.folder / "refuses").touch()
        agent.install(row(1))
        await until(lambda: "the router will not have <key-chain" in agent.error)
        assert "<hexadecimal-string>(the key)</hexadecimal-string>" in agent.error
        assert "\n" not in agent.error
        link = agent.southbound.link("core")
        assert link is not None
        assert "(the key)" in (link.last_error or "")
        with foreign_router.connect() as operator:
            # What was begun there has been taken back.
            assert "hexadecimal" not in operator.get_config("candidate").data_xml
    assert SECRET_OCTETS.hex() not in caplog.text.replace(":", "")
