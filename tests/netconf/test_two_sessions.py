"""Sessions at the same time: every edit happens whole, one after the other, and nobody ever sees half of one."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from lxml import etree

from tests.netconf.agents import NET, Agent, data_of, edit, faults_of, get_config, net, require_ok
from tests.netconf.conversation import Peer, nc

SESSIONS = 4
EDITS = 12


def mark(session: int, number: int) -> str:
    """An edit that gives three places of the configuration the same value."""
    value = 1000 + session * 100 + number
    entries = "".join(f"<peer><name>{name}</name><mtu>{value}</mtu></peer>" for name in "xyz")
    return f'<network xmlns="{NET}">{entries}</network>'


def marks_of(data: etree._Element) -> list[str]:
    path = f"{net('network')}/{net('peer')}"
    return [
        entry.findtext(net("mtu")) or "" for entry in data.iterfind(path) if entry.findtext(net("name")) in set("xyz")
    ]


async def change(peer: Peer, session: int, target: str) -> list[str]:
    """Make edits in a row; return the values of those that were acknowledged, in order."""
    done = []
    for number in range(EDITS):
        content = mark(session, number)
        if number % 3 == 2:
            # The last of the three places is wrong: nothing of it may be seen.
            content = content.replace("</mtu></peer></network>", "0000</mtu></peer></network>")
            assert faults_of(await peer.call(edit(target, content)))[0].tag == "invalid-value"
        else:
            require_ok(await peer.call(edit(target, content)))
            done.append(str(1000 + session * 100 + number))
        if target == "candidate" and number % 2:
            await peer.call("<commit/>")
        await asyncio.sleep(0)
    return done


@pytest.mark.parametrize("target", ["running", "candidate"])
async def test_readers_and_writers_at_once_see_whole_edits_only(agent: Agent, target: str) -> None:
    await agent.load()
    require_ok(await (await agent.connect()).call(edit("running", mark(9, 99))))
    writers = [await agent.connect() for _ in range(SESSIONS)]
    reader = await agent.connect()
    writing = asyncio.gather(*(change(peer, session, target) for session, peer in enumerate(writers)))
    seen = ["1999"]
    while not writing.done():
        for source in ("running", "candidate"):
            marks = marks_of(data_of(await reader.call(get_config(source))))
            assert len(marks) == 3
            assert len(set(marks)) == 1, f"half an edit: {marks}"
            if source == target and marks[0] != seen[-1]:
                seen.append(marks[0])
        await asyncio.sleep(0)
    done = await writing
    # What was seen of each session is in the order in which it was made.
    for acknowledged in done:
        of_session = [value for value in seen if value in acknowledged]
        assert of_session == sorted(of_session)
    assert set(seen) <= {"1999", *itertools.chain.from_iterable(done)}


async def test_a_lock_keeps_the_edits_of_others_out_until_it_is_released(agent: Agent) -> None:
    await agent.load()
    holder, other = await agent.connect(), await agent.connect()
    require_ok(await holder.call("<lock><target><running/></target></lock>"))
    waiting = asyncio.create_task(change_until_allowed(other))
    for number in range(5):
        require_ok(await holder.call(edit("running", mark(1, number))))
        await asyncio.sleep(0)
        assert set(marks_of(data_of(await holder.call(get_config())))) == {str(1100 + number)}
    require_ok(await holder.call("<unlock><target><running/></target></unlock>"))
    assert await waiting > 0
    assert set(marks_of(data_of(await holder.call(get_config())))) == {"1200"}


async def change_until_allowed(peer: Peer) -> int:
    """Try one edit until it is accepted; return how often it was not."""
    for refused in itertools.count():
        reply = await peer.call(edit("running", mark(2, 0)))
        if reply[0].tag == nc("ok"):
            return refused
        assert faults_of(reply)[0].tag == "in-use"
        await asyncio.sleep(0)
    raise AssertionError
