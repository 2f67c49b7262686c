"""BIRD's replies, as BIRD 3.4 gives them, and what is made of those that it should not give."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rkmp.errors import SouthboundError, TcpAoUnavailable
from rkmp.southbound import Holding, Usage, require_tcp_ao
from rkmp.southbound.bird import BirdConsumer
from rkmp.southbound.bird_control import ControlSocket, SessionKeys, command, session_keys
from rkmp.southbound.steps import HeldKey
from tests.southbound.test_steps import key

ESTABLISHED = """0001 BIRD 3.4.0 ready.
2002-Name       Proto      Table      State  Since         Info
1002-nb         BGP        ---        up     17:45:15.204  Established
1006-  Created:            17:45:14.202
   BGP state:          Established
     TCP-AO:
       Current key:    1
       RNext key:      101
       Good packets:   6
       Bad packets:    2
   Channel ipv4
0000-
0000 end
"""


class Bird:
    """A UNIX socket that answers each command in its turn; it notes what it was asked."""

    def __init__(self, path: Path, *replies: str) -> None:
        self.path = path
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self._replies = list(replies)

    async def __aenter__(self) -> Bird:
        self._server = await asyncio.start_unix_server(self._answer, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        greeting, _, rest = self._replies.pop(0).partition("\n")
        writer.write(f"{greeting}\n".encode())
        self.asked.append((await reader.readline()).decode().strip())
        await asyncio.sleep(0.01)
        self.at_once -= 1
        writer.write(rest.encode())
        writer.close()


async def test_the_session_is_read_from_the_reply(tmp_path: Path) -> None:
    async with Bird(tmp_path / "ctl", ESTABLISHED) as bird:
        lines = await command(bird.path, "show protocols all nb")
    assert session_keys(lines) == SessionKeys(is_established=True, current=1, rnext=101, good=6, bad=2)
    assert bird.asked == ["show protocols all nb"]


def test_a_session_that_is_down_uses_nothing() -> None:
    assert session_keys(["  BGP state:          Active"]) == SessionKeys(is_established=False)


GIVEN_UP = """Name       Proto      Table      State  Since         Info
nb         BGP        ---        down   21:17:03.359  Error: Authentication failed
  Created:            21:17:03.358
  BGP state:          Down
    Last error:       Error: Authentication failed"""


async def test_a_session_that_bird_has_given_up_is_said_so_with_what_the_kernel_lacks(tmp_path: Path) -> None:
    seen = session_keys(GIVEN_UP.splitlines())
    assert seen == SessionKeys(is_established=False, fault="Authentication failed")
    # One that is down because nobody wants it, and one that tries again.
    for line in ("nb  BGP  ---  down  21:17:03.359", "nb  BGP  ---  start  21:17:03.359  Active  Error: Hold timer"):
        assert session_keys([line]).fault is None
    reply = "0001 BIRD ready.\n" + "".join(f"1002-{line}\n" for line in GIVEN_UP.splitlines()) + "0000 \n"
    async with Bird(tmp_path / "ctl", reply) as bird:
        consumer = BirdConsumer("main", "nb", tmp_path, ControlSocket(bird.path))
        held = Holding((HeldKey(key(1)),))
        await consumer.keep(held)
        assert await consumer.usage(held) == Usage(connections=0)
    await consumer.keep(Holding())
    with pytest.raises(SouthboundError, match="BIRD has given up nb: Authentication failed") as said:
        await consumer.keep(held)
    assert lack_of_kernel() in str(said.value)
    assert ("CONFIG_TCP_AO" in str(said.value)) == bool(lack_of_kernel())


def lack_of_kernel() -> str:
    """Return what the kernel under this test lacks."""
    try:
        require_tcp_ao()
    except TcpAoUnavailable as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            "0001 BIRD ready.\n0002-Reading configuration\n8002 bird.conf:9:3 syntax error\n",
            "9:3 syntax error",
        ),
        ("0001 BIRD ready.\n", "broke off"),
        ("0001 BIRD ready.\n0002-more\n", "broke off"),
        ("0001 BIRD ready.\n" + "0002-more\n" * 10_001, "without end"),
    ],
)
async def test_refusals_and_broken_replies_are_errors(tmp_path: Path, reply: str, reason: str) -> None:
    async with Bird(tmp_path / "ctl", reply) as bird:
        with pytest.raises(SouthboundError, match=reason):
            await command(bird.path, "configure")


async def test_a_bird_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SouthboundError, match="does not answer"):
        await command(tmp_path / "ctl", "configure")


async def test_many_changes_at_once_are_read_in_two_goes(tmp_path: Path) -> None:
    async with Bird(tmp_path / "ctl", *["0001 BIRD ready.\n0003 Reconfigured\n"] * 20) as bird:
        control = ControlSocket(bird.path)
        await asyncio.gather(*(control.reload() for _ in range(20)))
    # The first may have begun before the others had written.
    assert 1 <= len(bird.asked) <= 2


async def test_many_neighbors_ask_few_at_a_time(tmp_path: Path) -> None:
    async with Bird(tmp_path / "ctl", *[ESTABLISHED] * 40) as bird:
        control = ControlSocket(bird.path)
        consumers = [BirdConsumer("main", f"nb{number}", tmp_path, control) for number in range(40)]
        usages = await asyncio.gather(*(consumer.usage(Holding()) for consumer in consumers))
    assert [usage and usage.good for usage in usages] == [6] * 40
    assert bird.most_at_once <= 4
