"""A session answers in order, waits for nobody but its own client, and ends for one reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from lxml import etree

from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema import Schema
from rkmp.netconf.documents import parse_document
from rkmp.netconf.framing import Framing, OversizedMessage, frame
from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from rkmp.netconf.notifications import NotificationHub
from rkmp.netconf.replies import ok_reply
from rkmp.netconf.session import Answer, Session, SessionLimits, TerminationReason
from rkmp.netconf.statistics import MessageCounters
from rkmp.netconf.transport import Client
from tests.netconf.conversation import MemoryTransport, Peer, client_hello, nc, rpc, settle

LOGIN_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = etree.fromstring('<alarm xmlns="urn:example:network"><text>a</text></alarm>')

Handle = Callable[[Session, bytes | OversizedMessage], Awaitable[Answer]]


async def acknowledge(session: Session, message: bytes | OversizedMessage) -> Answer:
    assert isinstance(message, bytes)
    request = parse_document(message)
    session.closing = request.find(nc("close-session")) is not None
    return Answer(ok_reply(request))


@dataclass
class Owner:
    """Opens sessions and notes how they end."""

    handler: Handle = acknowledge
    limits: SessionLimits = field(default_factory=SessionLimits)
    totals: MessageCounters = field(default_factory=MessageCounters)
    ends: list[tuple[int, TerminationReason]] = field(default_factory=list)

    def open(self, transport: MemoryTransport) -> Session:
        return Session(
            7,
            Client("alice", "192.0.2.1", "netconf-ssh"),
            transport,
            handler=self.handler,
            capabilities=(BASE_1_0, BASE_1_1, "urn:x"),
            limits=self.limits,
            login_time=LOGIN_TIME,
            on_end=lambda session, reason: self.ends.append((session.id, reason)),
            totals=self.totals,
        )


def message_ids(*replies: etree._Element) -> list[str | None]:
    return [reply.get("message-id") for reply in replies]


# The hello.


async def test_the_server_says_hello_first_and_does_not_wait_for_the_client() -> None:
    peer = Peer(Owner().open)
    hello = await peer.message()
    assert hello.tag == nc("hello")
    assert hello.findtext(nc("session-id")) == "7"
    assert "urn:x" in [element.text for element in hello.iter(nc("capability"))]
    peer.session.end(TerminationReason.OTHER)


@pytest.mark.parametrize(
    ("versions", "framing"),
    [((BASE_1_0,), Framing.END_OF_MESSAGE), ((BASE_1_1,), Framing.CHUNKED), ((BASE_1_0, BASE_1_1), Framing.CHUNKED)],
)
async def test_replies_are_framed_as_the_common_version_asks(versions: tuple[str, ...], framing: Framing) -> None:
    peer = await Peer(Owner().open).hello(*versions)
    peer.framing = Framing.END_OF_MESSAGE
    peer.session.data_received(frame(rpc("<get/>", "5"), framing))
    await settle()
    sent = bytes(peer.transport.sent)
    assert sent.endswith(b"]]>]]>" if framing is Framing.END_OF_MESSAGE else b"\n##\n")
    assert sent.startswith(b"<?xml" if framing is Framing.END_OF_MESSAGE else b"\n#")
    peer.session.end(TerminationReason.OTHER)


@pytest.mark.parametrize(
    "message",
    [b"not XML", rpc("<get/>"), client_hello("urn:x"), b"<hello/>", b"x" * 200_000],
    ids=["no XML", "an rpc", "no common version", "no namespace", "over the limit"],
)
async def test_a_bad_hello_ends_the_session(message: bytes) -> None:
    owner = Owner(limits=SessionLimits(message_octets=100_000))
    peer = Peer(owner.open)
    await peer.message()
    peer.send(message)
    await peer.ended()
    assert owner.ends == [(7, TerminationReason.BAD_HELLO)]
    assert owner.totals == MessageCounters()


async def test_a_client_that_says_nothing_is_not_waited_for_for_ever() -> None:
    owner = Owner(limits=SessionLimits(hello_timeout=0.02))
    peer = Peer(owner.open)
    await peer.ended()
    assert owner.ends == [(7, TerminationReason.TIMEOUT)]


async def test_a_session_that_is_not_used_ends_and_one_that_is_does_not() -> None:
    owner = Owner(limits=SessionLimits(idle_timeout=0.6))
    idle, busy = Peer(owner.open), Peer(owner.open)
    await idle.hello()
    await busy.hello()
    for _ in range(8):
        await asyncio.sleep(0.1)
        await busy.call("<get/>")
    assert owner.ends == [(7, TerminationReason.TIMEOUT)]
    await idle.ended()
    await busy.ended()
    assert owner.ends == [(7, TerminationReason.TIMEOUT)] * 2


async def test_a_client_that_closes_its_side_instead_of_a_hello_is_gone() -> None:
    owner = Owner()
    peer = Peer(owner.open)
    peer.session.eof_received()
    await peer.ended()
    assert owner.ends == [(7, TerminationReason.DROPPED)]


# Requests and replies.


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def slow_then_fast(session: Session, message: bytes | OversizedMessage) -> Answer:
        answer = await acknowledge(session, message)
        await asyncio.sleep(0.01 if b'"1"' in (answer.reply or b"") else 0)
        return answer

    peer = await Peer(Owner(slow_then_fast).open).hello()
    peer.send_octets(b"".join(frame(rpc("<get/>", str(number)), Framing.CHUNKED) for number in range(1, 6)))
    assert message_ids(*[await peer.message() for _ in range(5)]) == ["1", "2", "3", "4", "5"]
    peer.session.end(TerminationReason.OTHER)


@pytest.mark.parametrize("version", [BASE_1_0, BASE_1_1])
async def test_octets_may_come_one_at_a_time(version: str) -> None:
    peer = Peer(Owner().open)
    framing = Framing.CHUNKED if version == BASE_1_1 else Framing.END_OF_MESSAGE
    stream = frame(client_hello(version), Framing.END_OF_MESSAGE) + frame(rpc("<get/>", "9"), framing) * 2
    await peer.message()
    for index in range(len(stream)):
        peer.send_octets(stream[index : index + 1])
        await asyncio.sleep(0)
    peer.framing = framing
    assert message_ids(await peer.message(), await peer.message()) == ["9", "9"]
    peer.session.end(TerminationReason.OTHER)


@pytest.mark.parametrize("version", [BASE_1_0, BASE_1_1])
async def test_a_client_may_drop_at_every_octet(version: str) -> None:
    framing = Framing.CHUNKED if version == BASE_1_1 else Framing.END_OF_MESSAGE
    stream = frame(client_hello(version), Framing.END_OF_MESSAGE) + frame(rpc("<get/>"), framing)
    for length in range(len(stream) + 1):
        owner = Owner()
        peer = Peer(owner.open)
        peer.send_octets(stream[:length])
        await settle()
        peer.session.connection_lost()
        await peer.ended()
        assert owner.ends == [(7, TerminationReason.DROPPED)]
        assert owner.totals.in_rpcs == (length == len(stream))


async def test_a_client_that_closes_its_side_is_still_answered() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<get/>", "1"))
    peer.send(rpc("<get/>", "2"))
    peer.session.eof_received()
    assert message_ids(await peer.message(), await peer.message()) == ["1", "2"]
    assert await peer.octets() is None
    await peer.ended()
    assert peer.transport.closed
    assert not peer.transport.aborted
    assert owner.ends == [(7, TerminationReason.DROPPED)]


async def test_nothing_is_answered_after_close_session() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<close-session/>", "1"))
    peer.send(rpc("<get/>", "2"))
    assert message_ids(await peer.message()) == ["1"]
    assert await peer.octets() is None
    assert peer.transport.closed
    assert not peer.transport.aborted
    assert owner.ends == [(7, TerminationReason.CLOSED)]
    assert owner.totals.in_rpcs == 1


async def test_close_session_is_carried_out_while_the_client_does_not_read() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.session.pause_writing()
    peer.send(rpc("<close-session/>"))
    await peer.ended()
    assert owner.ends == [(7, TerminationReason.CLOSED)]
    assert peer.transport.closed


async def test_replies_before_a_framing_error_are_sent_and_nothing_after_it() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.send_octets(
        frame(rpc("<get/>", "1"), Framing.CHUNKED) + b"\n#0\n" + frame(rpc("<get/>", "2"), Framing.CHUNKED)
    )
    assert message_ids(await peer.message()) == ["1"]
    assert await peer.octets() is None
    assert owner.ends == [(7, TerminationReason.DROPPED)]


async def test_a_handler_may_refuse_to_go_on() -> None:
    async def refuse(session: Session, message: bytes | OversizedMessage) -> Answer:
        return Answer(None, bad_rpc=True)

    owner = Owner(refuse)
    peer = await Peer(owner.open).hello()
    peer.send(b"<")
    assert await peer.octets() is None
    assert owner.ends == [(7, TerminationReason.DROPPED)]
    assert owner.totals.in_bad_rpcs == 1


async def test_a_handler_that_fails_ends_its_session_only() -> None:
    async def fail(session: Session, message: bytes | OversizedMessage) -> Answer:
        raise RuntimeError("a bug")

    owner = Owner(fail)
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<get/>"))
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.gather(*peer.session._tasks)
    assert owner.ends == [(7, TerminationReason.OTHER)]


async def test_what_is_received_and_answered_is_counted() -> None:
    async def judge(session: Session, message: bytes | OversizedMessage) -> Answer:
        assert isinstance(message, bytes)
        bad = b"bad" in message
        return Answer(ok_reply(parse_document(message)), has_errors=bad or b"fail" in message, bad_rpc=bad)

    owner = Owner(judge)
    peer = await Peer(owner.open).hello()
    for operation in ("<get/>", "<fail/>", "<bad/>", "<get/>"):
        await peer.call(operation)
    expected = MessageCounters(in_rpcs=3, in_bad_rpcs=1, out_rpc_errors=2)
    assert peer.session.counters == expected
    assert owner.totals == expected
    peer.session.end(TerminationReason.OTHER)


# Slow and hostile clients.


async def test_a_client_that_sends_faster_than_it_is_answered_has_to_wait() -> None:
    gate = asyncio.Event()

    async def wait(session: Session, message: bytes | OversizedMessage) -> Answer:
        await gate.wait()
        return await acknowledge(session, message)

    peer = await Peer(Owner(wait, SessionLimits(unread_octets=10_000)).open).hello()
    request = frame(rpc("<get/>"), Framing.CHUNKED)
    sent = 0
    while not peer.transport.reading_paused:
        peer.send_octets(request)
        await settle()
        sent += 1
        assert sent < 1000
    gate.set()
    for _ in range(sent):
        await peer.message()
    assert not peer.transport.reading_paused
    peer.session.end(TerminationReason.OTHER)


async def test_no_request_is_answered_while_the_client_does_not_read() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.session.pause_writing()
    for number in range(5):
        peer.send(rpc("<get/>", str(number)))
    await settle()
    # One reply is on its way; the rest wait until the client has taken it.
    assert owner.totals.in_rpcs == 1
    peer.session.resume_writing()
    for _ in range(5):
        await peer.message()
    assert owner.totals.in_rpcs == 5
    peer.session.end(TerminationReason.OTHER)


async def test_a_flood_of_requests_leaves_room_for_other_sessions() -> None:
    owner = Owner()
    flooder, other = await Peer(owner.open).hello(), await Peer(owner.open).hello()
    flooder.send_octets(frame(rpc("<get/>"), Framing.CHUNKED) * 500)
    other.send(rpc("<get/>"))
    await other.message()
    assert flooder.session.counters.in_rpcs < 10
    for peer in (flooder, other):
        peer.session.end(TerminationReason.OTHER)


async def test_a_message_over_the_limit_reaches_the_handler_as_such() -> None:
    seen: list[bytes | OversizedMessage] = []

    async def note(session: Session, message: bytes | OversizedMessage) -> Answer:
        seen.append(message)
        return Answer(ok_reply(etree.fromstring(rpc("<get/>"))))

    peer = await Peer(Owner(note, SessionLimits(message_octets=1000)).open).hello()
    peer.send(b"x" * 1001)
    await peer.message()
    assert seen == [OversizedMessage(b"x" * 1001, 1001)]
    peer.session.end(TerminationReason.OTHER)


async def test_a_giant_chunk_header_holds_no_memory_and_the_session_waits() -> None:
    peer = await Peer(Owner(limits=SessionLimits(message_octets=1000)).open).hello()
    peer.send_octets(b"\n#4294967295\n")
    for _ in range(50):
        peer.send_octets(b"x" * 10_000)
        await settle()
    assert peer.session._decoder.unread_octets == 0
    assert peer.session.ended is None
    peer.session.end(TerminationReason.OTHER)


# The end of a session.


async def test_a_session_ends_once_and_the_first_reason_counts() -> None:
    owner = Owner()
    peer = await Peer(owner.open).hello()
    peer.session.end(TerminationReason.KILLED)
    peer.session.connection_lost()
    await peer.ended()
    assert peer.session.ended is TerminationReason.KILLED
    assert owner.ends == [(7, TerminationReason.KILLED)]
    assert peer.transport.aborted
    peer.send(rpc("<get/>"))
    peer.session.notify(b"<notification/>")
    await settle()
    assert owner.totals.in_rpcs == 0


async def test_a_killed_session_does_not_answer_what_it_was_working_on() -> None:
    started = asyncio.Event()
    cancelled: list[bool] = []

    async def hang(session: Session, message: bytes | OversizedMessage) -> Answer:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
        raise AssertionError

    owner = Owner(hang)
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<get/>"))
    await started.wait()
    peer.session.end(TerminationReason.KILLED)
    await peer.ended()
    assert cancelled == [True]
    assert owner.totals.in_rpcs == 0


async def test_a_request_that_ends_its_own_session_gets_no_reply() -> None:
    async def end(session: Session, message: bytes | OversizedMessage) -> Answer:
        session.end(TerminationReason.KILLED)
        return await acknowledge(session, message)

    owner = Owner(end)
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<get/>"))
    assert await peer.octets() is None
    await peer.ended()
    assert owner.ends == [(7, TerminationReason.KILLED)]


# Notifications.


def subscribing(hub: NotificationHub) -> Handle:
    """A handler that subscribes the session at its first request, and has two events happen before it answers."""

    async def handle(session: Session, message: bytes | OversizedMessage) -> Answer:
        if session.subscription is None:
            session.subscription = hub.subscribe(session.notify)
            hub.publish(LOGIN_TIME, EVENT)
            hub.publish(LOGIN_TIME, EVENT)
            await asyncio.sleep(0)
        return await acknowledge(session, message)

    return handle


async def test_notifications_follow_the_reply_that_grants_them_and_interleave_with_later_replies(
    schema: Schema,
) -> None:
    hub = NotificationHub(schema, Redactor(schema))
    owner = Owner(subscribing(hub))
    peer = await Peer(owner.open).hello()
    peer.send(rpc("<get/>"))
    tags = [etree.QName(await peer.message()).localname for _ in range(3)]
    assert tags == ["rpc-reply", "notification", "notification"]
    hub.publish(LOGIN_TIME, EVENT)
    assert etree.QName(await peer.message()).localname == "notification"
    await peer.call("<get/>")
    assert owner.totals.out_notifications == peer.session.counters.out_notifications == 3
    peer.session.end(TerminationReason.OTHER)


async def test_a_session_that_ended_receives_no_events(schema: Schema) -> None:
    hub = NotificationHub(schema, Redactor(schema))
    peer = await Peer(Owner(subscribing(hub)).open).hello()
    await peer.call("<get/>")
    peer.session.connection_lost()
    await peer.ended()
    assert not hub.has_subscribers


@pytest.mark.parametrize(
    "limits",
    [SessionLimits(queued_notifications=100), SessionLimits(queued_notification_octets=20_000)],
    ids=["number", "octets"],
)
async def test_a_subscriber_that_does_not_read_is_dropped_and_the_others_are_served(
    schema: Schema, limits: SessionLimits
) -> None:
    hub = NotificationHub(schema, Redactor(schema))
    slow_owner, quick_owner = Owner(subscribing(hub), limits), Owner(subscribing(hub), limits)
    slow, quick = await Peer(slow_owner.open).hello(), await Peer(quick_owner.open).hello()
    for peer in (slow, quick):
        peer.send(rpc("<get/>"))
        for _ in range(3):
            await peer.message()
    slow.session.pause_writing()
    published = 0
    while slow.session.ended is None:
        hub.publish(LOGIN_TIME, EVENT)
        published += 1
        assert etree.QName(await quick.message()).localname == "notification"
        assert published < 1000
    assert slow_owner.ends == [(7, TerminationReason.DROPPED)]
    assert slow.transport.aborted
    assert quick.session.ended is None
    quick.session.end(TerminationReason.OTHER)


async def test_notifications_wait_for_a_slow_reader_and_then_come(schema: Schema) -> None:
    hub = NotificationHub(schema, Redactor(schema))
    peer = await Peer(Owner(subscribing(hub)).open).hello()
    await peer.call("<get/>")
    await peer.message()
    await peer.message()
    peer.session.pause_writing()
    for _ in range(5):
        hub.publish(LOGIN_TIME, EVENT)
    await settle()
    assert not peer.transport.sent
    peer.session.resume_writing()
    for _ in range(5):
        assert etree.QName(await peer.message()).localname == "notification"
    peer.session.end(TerminationReason.OTHER)
