"""Events of the past come from the event log: which, in which order, and when it ends (RFC 5277 section 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf import EventLog, EventLogLimits, NetconfServer, ServerLimits, SessionLimits
from rkmp.netconf.namespaces import NOTIFICATION, STREAMS
from rkmp.netconf.session import TerminationReason
from tests.netconf.agents import NET, SECRET, Agent, Fault, data_of, fault_of, get, net, require_ok
from tests.netconf.conversation import Peer, nc, settle

START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def at(self, minute: int) -> datetime:
        self.now = START + timedelta(minutes=minute)
        return self.now


class Stage:
    """An agent, its clock, and one client of the events of its own network, so that sessions do not show."""

    def __init__(self, agent: Agent, clock: Clock) -> None:
        self.agent = agent
        self.clock = clock

    def publish(self, minute: int, text: str | None = None) -> None:
        alarm = (
            f'<alarm xmlns="{NET}"><severity>major</severity><text>{text or minute}</text>'
            f"<secret>{SECRET.decode()}</secret></alarm>"
        )
        self.agent.server.publish(self.clock.at(minute), etree.fromstring(alarm))

    async def subscribe(self, parameters: str, wanted: str = f'<alarm xmlns="{NET}"/>') -> Peer:
        peer = await self.agent.connect()
        require_ok(await peer.call(subscription(parameters, wanted)))
        return peer


def subscription(parameters: str, wanted: str = f'<alarm xmlns="{NET}"/>') -> str:
    selection = f'<filter type="subtree">{wanted}</filter>' if wanted else ""
    return f'<create-subscription xmlns="{NOTIFICATION}">{selection}{parameters}</create-subscription>'


def start(minute: int) -> str:
    return f"<startTime>2026-01-02T03:{minute:02}:00Z</startTime>"


def stop(minute: int) -> str:
    return f"<stopTime>2026-01-02T03:{minute:02}:00Z</stopTime>"


async def told(peer: Peer, count: int) -> list[str]:
    """Return the next events, alarms by their text and others by their name."""
    found = []
    for _ in range(count):
        message = await peer.message()
        assert message.tag == f"{{{NOTIFICATION}}}notification"
        found.append(message[1].findtext(net("text")) or etree.QName(message[1]).localname)
    return found


async def nothing_more(peer: Peer) -> None:
    await settle()
    assert not peer.transport.sent


@pytest.fixture
async def stage(schema: Schema) -> AsyncIterator[Stage]:
    clock = Clock()
    agent = Agent(schema, clock=clock)
    yield Stage(agent, clock)
    await agent.close()


async def test_what_was_comes_first_and_then_what_is(stage: Stage) -> None:
    for minute in range(4):
        stage.publish(minute)
    peer = await stage.subscribe(start(1))
    assert await told(peer, 4) == ["1", "2", "3", "replayComplete"]
    stage.publish(4)
    assert await told(peer, 1) == ["4"]
    await nothing_more(peer)


async def test_a_past_stop_time_ends_it_and_the_session_goes_on(stage: Stage) -> None:
    for minute in range(5):
        stage.publish(minute)
    peer = await stage.subscribe(start(1) + stop(3))
    assert await told(peer, 5) == ["1", "2", "3", "replayComplete", "notificationComplete"]
    stage.publish(5)
    await nothing_more(peer)
    data_of(await peer.call(get("")))
    require_ok(await peer.call(subscription("")))
    stage.publish(6)
    assert await told(peer, 1) == ["6"]


async def test_a_future_stop_time_ends_it_when_it_has_come(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rkmp.netconf.session._LONGEST_SLEEP", 0.01)
    stage.publish(1)
    peer = await stage.subscribe(start(0) + stop(5))
    assert await told(peer, 2) == ["1", "replayComplete"]
    stage.publish(2)
    assert await told(peer, 1) == ["2"]
    stage.publish(6)
    assert await told(peer, 1) == ["notificationComplete"]
    await nothing_more(peer)
    assert not stage.agent.server.has_subscribers


async def test_the_end_cannot_be_filtered_out_and_events_can(stage: Stage) -> None:
    for minute in range(3):
        stage.publish(minute)
    wanted = f'<alarm xmlns="{NET}"><text>1</text></alarm>'
    peer = await stage.agent.connect()
    require_ok(await peer.call(subscription(start(0) + stop(2), wanted)))
    assert await told(peer, 3) == ["1", "replayComplete", "notificationComplete"]


async def test_without_a_filter_sessions_and_changes_are_replayed_too(stage: Stage) -> None:
    await stage.agent.load()
    peer = await stage.subscribe(start(0), wanted="")
    assert await told(peer, 5) == [
        *("netconf-session-start", "netconf-config-change", "netconf-session-end", "netconf-session-start"),
        "replayComplete",
    ]


async def test_no_secret_is_logged(stage: Stage) -> None:
    stage.publish(0)
    await stage.agent.load()
    assert stage.agent.database.rows("SELECT count(*) FROM logged_events")[0][0] > 1
    assert not stage.agent.database.rows("SELECT 1 FROM logged_events WHERE instr(content, ?)", (SECRET,))
    peer = await stage.subscribe(start(0))
    message = await peer.octets()
    assert message is not None
    assert SECRET not in message
    guess = f'<alarm xmlns="{NET}"><secret>{SECRET.decode()}</secret></alarm>'
    assert await told(await stage.subscribe(start(0), guess), 1) == ["replayComplete"]


async def test_many_events_are_replayed_in_order_and_live_ones_after_them(stage: Stage) -> None:
    for number in range(500):
        stage.publish(1, f"e{number}")
    peer = await stage.subscribe(start(0))
    # While the replay goes on, more happens.
    for number in range(500, 600):
        stage.publish(1, f"e{number}")
        if number % 10 == 0:
            await asyncio.sleep(0)
    found = await told(peer, 601)
    assert found.count("replayComplete") == 1
    found.remove("replayComplete")
    assert found == [f"e{number}" for number in range(600)]


async def test_a_slow_reader_keeps_nobody_waiting_and_nothing_in_memory(schema: Schema) -> None:
    clock = Clock()
    limits = ServerLimits(session=SessionLimits(queued_notifications=100))
    agent = Agent(schema, clock=clock, limits=limits)
    stage = Stage(agent, clock)
    for number in range(300):
        stage.publish(0, f"e{number}")
    slow = await agent.connect()
    slow.session.pause_writing()
    slow.send(
        f'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="9">{subscription(start(0))}</rpc>'.encode()
    )
    await settle()
    slow.session.resume_writing()
    await asyncio.sleep(0)
    slow.session.pause_writing()
    quick = await stage.subscribe("")
    for number in range(300, 900):
        stage.publish(0, f"e{number}")
        assert await told(quick, 1) == [f"e{number}"]
    assert slow.session.ended is None
    assert not slow.session._notifications
    slow.session.resume_writing()
    assert (await slow.message()).tag == nc("rpc-reply")
    found = await told(slow, 901)
    found.remove("replayComplete")
    assert found == [f"e{number}" for number in range(900)]
    await agent.close()


async def test_a_session_that_ends_in_a_replay_leaves_nothing_behind(stage: Stage) -> None:
    for number in range(300):
        stage.publish(0, f"e{number}")
    peer = await stage.subscribe(start(0))
    peer.session.end(TerminationReason.DROPPED)
    await peer.session.wait_ended()
    assert not stage.agent.server.has_subscribers


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        (start(30), Fault("protocol", "bad-element", info=(("bad-element", "startTime"),))),
        (start(5) + stop(4), Fault("protocol", "bad-element", info=(("bad-element", "stopTime"),))),
        (start(5) + stop(5), Fault("protocol", "bad-element", info=(("bad-element", "stopTime"),))),
        (stop(5), Fault("protocol", "missing-element", info=(("bad-element", "startTime"),))),
        *(
            (f"<startTime>{text}</startTime>", Fault("protocol", "bad-element", info=(("bad-element", "startTime"),)))
            for text in (
                *("", "yesterday", "2026-01-02", "2026-01-02T03:00:00", "2026-02-30T03:00:00Z"),
                *("2026-01-02T03:00:00+99:99", "20260102T030000Z", "0001-01-01T00:00:00+23:00", "2026-01-02T03:00:61Z"),
            )
        ),
    ],
)
async def test_times_that_make_no_sense_are_refused(stage: Stage, parameters: str, fault: Fault) -> None:
    stage.clock.at(10)
    peer = await stage.agent.connect()
    assert fault_of(await peer.call(subscription(parameters))) == fault
    require_ok(await peer.call(subscription("")))


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-02T05:01:00+02:00", "2026-01-01T22:01:00-05:00", "2026-01-02t03:01:00z"),
        *(
            "2026-01-02T03:00:59.5Z",
            "2026-01-02T03:00:59.123456789Z",
            "2026-01-02T03:00:60Z",
            " 2026-01-02T03:01:00Z\n",
        ),
    ],
)
async def test_every_form_of_time_of_rfc_3339_is_understood(stage: Stage, text: str) -> None:
    for minute in range(3):
        stage.publish(minute)
    peer = await stage.subscribe(f"<startTime>{text}</startTime>")
    assert await told(peer, 3) == ["1", "2", "replayComplete"]


async def test_replay_without_a_log_is_refused(schema: Schema) -> None:
    agent = Agent(schema, has_replay=False)
    peer = await agent.connect()
    assert fault_of(await peer.call(subscription(start(0)))) == Fault("protocol", "operation-failed")
    assert (await streams(peer))["replaySupport"] == "false"
    await agent.close()


async def streams(peer: Peer, content: str = "<streams/>") -> dict[str, str]:
    data = data_of(await peer.call(get(f'<netconf xmlns="{STREAMS}">{content}</netconf>')))
    (stream,) = data.iterfind("/".join(f"{{{STREAMS}}}{step}" for step in ("netconf", "streams", "stream")))
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in stream}


@pytest.mark.parametrize("content", ["", "<streams/>"])
async def test_the_list_of_streams_says_how_far_back_replay_goes(schema: Schema, content: str) -> None:
    clock = Clock()
    agent = Agent(schema, clock=clock)
    agent.event_log._limits = EventLogLimits(events=16)
    peer = await agent.connect()
    expected = {
        "name": "NETCONF",
        "description": "Every notification of the agent.",
        "replaySupport": "true",
        "replayLogCreationTime": "2026-01-02T03:00:00Z",
    }
    assert await streams(peer, content) == expected
    stage = Stage(agent, clock)
    for minute in range(1, 18):
        stage.publish(minute)
    # The start of the session and an alarm had to go, a sixteenth more than had to.
    assert await streams(peer, content) == {**expected, "replayLogAgedTime": "2026-01-02T03:01:00Z"}
    # The start of the session that asks pushes two more out.
    assert await told(await stage.subscribe(start(0)), 2) == ["4", "5"]
    await agent.close()


async def test_another_release_tells_what_it_can_do_now(schema: Schema) -> None:
    clock = Clock()
    agent = Agent(schema, clock=clock)
    before = agent.event_log.last
    again = EventLog(agent.database, clock)
    assert again.announced() == set(agent.server.capabilities)
    gone = "urn:example:gone"
    library = next(uri for uri in agent.server.capabilities if "yang-library:1.1" in uri)
    older = {*agent.server.capabilities, gone, library.replace("content-id=", "content-id=0")} - {library}
    older.discard("urn:ietf:params:netconf:capability:interleave:1.0")
    again.announce(older)
    NetconfServer(agent.datastores, clock=clock, event_log=again)
    ((event,), _) = again.page(before + 1, until=again.last, start=START)
    names = [(etree.QName(leaf).localname, leaf.text) for leaf in etree.fromstring(event.content)]
    assert names == [
        ("changed-by", None),
        ("added-capability", "urn:ietf:params:netconf:capability:interleave:1.0"),
        ("deleted-capability", gone),
        ("modified-capability", library),
    ]
    assert again.announced() == set(agent.server.capabilities)
    await agent.close()
