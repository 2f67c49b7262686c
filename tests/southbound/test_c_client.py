"""The example client in C: compiled, and given the keys of a rollover by an agent's own socket."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from rkmp.keytable import KeyRow
from rkmp.southbound import KeyPermission
from tests.keytable.rows import PEER
from tests.real_parts import lacking
from tests.southbound.test_key_api import World, at, row, until

SOURCE = Path(__file__).parents[2] / "examples" / "c" / "key_client.c"
LIKE = "algorithm=hmac-sha-1-96 secret=<20 octets>"


async def compiled(directory: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        lacking("there is no C compiler")
    program = directory / "key_client"
    process = await asyncio.create_subprocess_exec(
        compiler, "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-O2", "-o", str(program), str(SOURCE)
    )
    assert await process.wait() == 0
    return program


async def test_the_client_takes_a_rollover_step_by_step(tmp_path: Path) -> None:
    assert len(SOURCE.read_text().splitlines()) < 200
    program = await compiled(tmp_path)
    world = World(tmp_path / "keys.sock")
    world.start()
    await until(world.path.exists)
    world.install(row(1))
    process = await asyncio.create_subprocess_exec(
        str(program), str(world.path), "bgp", PEER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None

    async def said() -> list[str]:
        lines: list[str] = []
        while not lines or lines[-1] != "synchronised":
            assert process.stdout is not None
            lines.append((await asyncio.wait_for(process.stdout.readline(), 5)).decode().rstrip("\n"))
        return lines

    def install(*rows: KeyRow, seconds: float) -> None:
        world.now = at(seconds)
        world.install(*rows)
        world.table.handle_time(world.now)

    try:
        assert await said() == [f"add key-1 send-id=17 recv-id=1 {LIKE}", "prefer key-1", "synchronised"]
        install(row(1, end=5), row(2, start=5), seconds=6)
        assert await said() == [
            f"add key-2 send-id=18 recv-id=2 {LIKE}",
            "prefer key-2",
            "retire key-1",
            "synchronised",
        ]
        world.remove("key-1")
        assert await said() == ["remove key-1", "synchronised"]
    finally:
        await world.stop()
    assert await asyncio.wait_for(process.wait(), 5) == 3


async def test_the_client_says_that_it_is_not_permitted(tmp_path: Path) -> None:
    program = await compiled(tmp_path)
    world = World(tmp_path / "keys.sock")
    world.start(KeyPermission(users=frozenset({"nobody-that-runs-this"})))
    await until(world.path.exists)
    process = await asyncio.create_subprocess_exec(
        str(program), str(world.path), "bgp", PEER, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 5)
    assert process.returncode == 1
    assert errors.startswith(b"refused (not-permitted): ")
    await world.stop()
