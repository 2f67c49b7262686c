"""The hook: a real program is run once a step; what it answers is believed, and what it fails at is tried again."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyTable
from rkmp.southbound import FeedState, Holding, HookConfiguration, Southbound, SouthboundConfiguration, Usage
from rkmp.southbound import southbound as southbound_module
from rkmp.southbound.hook import HookConsumer
from rkmp.southbound.steps import Remove
from tests.docs.pages import Page
from tests.keytable.rows import PEER, SECRET_OCTETS, memory_table
from tests.southbound.test_key_api import World, at, hello_row, row, until

PROGRAM = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
told = json.load(sys.stdin)
with (folder / "steps").open("a") as log:
    log.write(json.dumps(told) + "\\n")
if (folder / "fail").exists():
    sys.exit(5)
answer = folder / told["step"]
if answer.exists():
    print(answer.read_text())
"""


def configuration(folder: Path, timeout: float = 20) -> HookConfiguration:
    program = folder / "hook.py"
    program.write_text(PROGRAM)
    return HookConfiguration("frr", (sys.executable, str(program), str(folder)), timeout, ((PEER, "bgp"),))


def told(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "steps").read_text().splitlines() if (folder / "steps").exists() else []
    return [each for line in lines if (each := json.loads(line))["step"] not in ("holds", "usage")]


def consumer_of(configured: HookConfiguration, table: KeyTable) -> HookConsumer:
    return HookConsumer(configured, PEER, "bgp", table, asyncio.Semaphore(1))


async def hooked(world: World, folder: Path) -> Southbound:
    southbound = Southbound(world.table, lambda: world.now, "rkmpd of a test")
    southbound.subscribe(lambda event, _: world.take(event))
    southbound.configure(SouthboundConfiguration(hooks={"frr": configuration(folder)}))
    return southbound


@pytest.mark.page("docs/how-to/give-keys-to-bird.md", "json")
async def test_a_daemon_is_given_its_keys_by_a_program(tmp_path: Path, page: Page) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1))
    southbound = await hooked(world, tmp_path)
    await until(lambda: len(told(tmp_path)) == 2)
    world.now = at(6)
    world.install(row(1, end=5), row(2, start=5))
    await until(lambda: len(told(tmp_path)) == 5)
    world.remove("key-1")
    await until(lambda: len(told(tmp_path)) == 6)
    await southbound.close()
    steps = told(tmp_path)
    assert [(each["step"], each["holds"]) for each in steps] == [
        ("add", ["key-1"]),
        ("prefer", ["key-1"]),
        ("add", ["key-1", "key-2"]),
        ("prefer", ["key-1", "key-2"]),
        ("retire", ["key-1", "key-2"]),
        ("remove", ["key-2"]),
    ]
    (shown,) = map(json.loads, page.blocks("json"))
    assert steps[0].keys() == shown.keys()
    assert steps[0] == {
        "version": 1,
        "step": "add",
        "neighbor": PEER,
        "protocol": "bgp",
        "holds": ["key-1"],
        "key": {
            "name": "key-1",
            "send-id": 17,
            "recv-id": 1,
            "algorithm": "hmac-sha-1-96",
            "security-protocol": "tcp-ao",
            "kdf": "hmac-sha-1",
            "ignore-tcp-options": False,
            "secret": row(1).key.reveal().hex(),
        },
    }
    assert steps[1]["key"] == "key-1"


async def test_keys_of_hellos_go_to_hooks_too(tmp_path: Path) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1), hello_row(1))
    program = replace(configuration(tmp_path), neighbors=((PEER, "ldp-discovery"),))
    southbound = Southbound(world.table, lambda: world.now, "rkmpd of a test")
    southbound.configure(SouthboundConfiguration(hooks={"frr": program}))
    await until(lambda: len(told(tmp_path)) == 2)
    assert [each["step"] for each in told(tmp_path)] == ["add", "prefer"]
    key = told(tmp_path)[0]["key"]
    assert (key["name"], key["security-protocol"], key["recv-id"]) == ("hello-1", "ldp-discovery", 0xAB01)
    await southbound.close()


async def test_a_daemon_that_has_keys_already_is_not_given_them_again(tmp_path: Path) -> None:
    world = World(tmp_path / "unused")
    world.install(row(2))
    (tmp_path / "holds").write_text('["key-1", "key-2"]')
    (tmp_path / "usage").write_text('{"sending": ["key-2"], "connections": 1, "good": 3}')
    southbound = await hooked(world, tmp_path)
    await until(lambda: len(told(tmp_path)) == 2)
    assert [(each["step"], each["key"]) for each in told(tmp_path)] == [("prefer", "key-2"), ("remove", "key-1")]
    await until(lambda: southbound.hooks()[0][1].state is FeedState.SYNCHRONISED)
    await southbound.close()


async def test_a_program_is_asked_again_when_somebody_wants_to_see_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1))
    (tmp_path / "usage").write_text('{"sending": ["key-1"], "connections": 1, "good": 3}')
    southbound = await hooked(world, tmp_path)
    await until(lambda: southbound.hooks()[0][1].state is FeedState.SYNCHRONISED)
    first = asked(tmp_path)
    southbound.refresh()
    await asyncio.sleep(0.3)
    assert asked(tmp_path) == first
    await southbound.close()

    monkeypatch.setattr(southbound_module, "FRESH_HOOK", 0.0)
    southbound = await hooked(world, tmp_path)
    await until(lambda: southbound.hooks()[0][1].state is FeedState.SYNCHRONISED)
    (tmp_path / "usage").write_text('{"sending": ["key-1"], "connections": 1, "good": 4, "unsigned": 1}')
    world.now = at(5)
    southbound.refresh()
    await until(lambda: southbound.hooks()[0][1].usage == Usage(frozenset({"key-1"}), 1, good=4, unsigned=1))
    assert southbound.hooks()[0][1].usage_at == at(5)
    await southbound.close()


def asked(folder: Path) -> int:
    return (folder / "steps").read_text().count('"usage"')


async def test_a_neighbor_that_comes_leaves_those_that_are_there_alone(tmp_path: Path) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1))
    southbound = await hooked(world, tmp_path)
    await until(lambda: southbound.hooks()[0][1].state is FeedState.SYNCHRONISED)
    (_, before), *_ = southbound.hooks()
    more = replace(configuration(tmp_path), neighbors=((PEER, "bgp"), ("192.0.2.77", "bgp")))
    southbound.configure(SouthboundConfiguration(hooks={"frr": more}))
    assert {feed.neighbor: feed.steps for _, feed in southbound.hooks()} == {PEER: before.steps, "192.0.2.77": 0}
    await southbound.close()


async def test_thousands_of_neighbors_are_no_thousands_of_processes(tmp_path: Path) -> None:
    (tmp_path / "now").mkdir()
    (tmp_path / "seen").mkdir()
    script = tmp_path / "counting"
    lines = ("touch now/$$", "sleep 0.2", "ls now | wc -l >seen/$$", "rm now/$$")
    script.write_text("\n".join(("#!/bin/sh", f"cd {tmp_path}", *lines)) + "\n")
    script.chmod(0o755)
    neighbors = tuple((f"192.0.2.{number}", "bgp") for number in range(1, 61))
    world = World(tmp_path / "unused")
    southbound = Southbound(world.table, lambda: world.now, "rkmpd of a test")
    counting = HookConfiguration("frr", (str(script),), 20, neighbors)
    southbound.configure(SouthboundConfiguration(hooks={"frr": counting}))
    await until(lambda: len(seen_at_once(tmp_path)) >= 32)
    await southbound.close()
    assert max(seen_at_once(tmp_path)) <= 16


def seen_at_once(folder: Path) -> list[int]:
    return [int(text) for each in (folder / "seen").iterdir() if (text := each.read_text())]


async def test_a_program_that_fails_is_reported_and_run_again(tmp_path: Path) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1))
    (tmp_path / "fail").touch()
    southbound = await hooked(world, tmp_path)
    await until(lambda: bool(world.reports))
    assert "exits with 5 for holds" in (world.reports[0].reason or "")
    (tmp_path / "fail").unlink()
    await until(lambda: len(told(tmp_path)) == 2)
    await until(lambda: [report.reason for report in world.reports[1:]] == [None])
    await southbound.close()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("holds", "{}"),
        ("holds", "[1]"),
        ("holds", '["a name\\nand a line of the log"]'),
        ("holds", "[" * 10000),
        ("usage", "[]"),
        ("usage", "{}"),
        ("usage", '{"sending": "key-1"}'),
        ("usage", '{"sending": [], "good": -1}'),
        ("usage", '{"sending": [], "bad": "many"}'),
    ],
)
async def test_answers_that_mean_nothing_are_faults_of_the_program(tmp_path: Path, question: str, answer: str) -> None:
    (tmp_path / question).write_text(answer)
    consumer = consumer_of(configuration(tmp_path), memory_table())
    with pytest.raises(SouthboundError, match=f"answers {question} with something else"):
        await (consumer.holding() if question == "holds" else consumer.usage(Holding()))


@pytest.mark.parametrize("name", [SECRET_OCTETS.hex(), SECRET_OCTETS.hex().upper(), f"is {bytes(16).hex()}"])
@pytest.mark.parametrize("question", ["holds", "usage"])
async def test_a_key_in_the_place_of_its_name_is_neither_taken_nor_shown(
    tmp_path: Path, question: str, name: str
) -> None:
    world = World(tmp_path / "unused")
    world.install(row(1))
    (tmp_path / question).write_text(json.dumps([name] if question == "holds" else {"sending": [name]}))
    consumer = consumer_of(configuration(tmp_path), world.table)
    with pytest.raises(SouthboundError, match="a key in the place of a name") as refused:
        await (consumer.holding() if question == "holds" else consumer.usage(Holding()))
    assert name not in str(refused.value)


async def test_an_answer_without_end_is_cut_off_and_the_program_ended(tmp_path: Path) -> None:
    script = tmp_path / "endless"
    script.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec yes\n")
    script.chmod(0o755)
    consumer = consumer_of(HookConfiguration("endless", (str(script),), 20, ()), memory_table())
    with pytest.raises(SouthboundError, match="prints more than 65536 octets for holds"):
        await consumer.holding()
    assert not running(int((tmp_path / "pid").read_text()))


async def test_what_is_printed_for_a_step_goes_nowhere_and_no_step_has_to_be_read(tmp_path: Path) -> None:
    script = tmp_path / "noisy"
    script.write_text("#!/bin/sh\nhead -c 1000000 /dev/zero\n")
    script.chmod(0o755)
    consumer = consumer_of(HookConfiguration("noisy", (str(script),), 20, ()), memory_table())
    await consumer.apply(Remove("x" * 200_000), Holding())


async def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = tmp_path / "slow"
    script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! >{tmp_path}/pid\nwait\n")
    script.chmod(0o755)
    consumer = consumer_of(HookConfiguration("slow", (str(script),), 0.5, ()), memory_table())
    with pytest.raises(SouthboundError, match=r"no answer within 0.5 s"):
        await consumer.holding()
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not running(pid))


def running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def test_a_program_that_is_not_there_is_said_so() -> None:
    consumer = consumer_of(HookConfiguration("no", ("/there-is-no-such-program",), 1, ()), memory_table())
    with pytest.raises(SouthboundError, match="cannot run"):
        await consumer.holding()
