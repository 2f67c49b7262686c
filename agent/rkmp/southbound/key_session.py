"""One program on the key API: what it asks, what it has subscribed to, and the steps that it is told.

Each subscription is a consumer of keys like any other, so that the order of steps is the same for all. A program that
was there before tells by name and fingerprint what it still holds, and the steps go on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyTable, fingerprint
from rkmp.keytable.rules import canonical_peer
from rkmp.secret import Secret
from rkmp.southbound.feed import ConsumerReport, FeedStatus, KeyFeed
from rkmp.southbound.feeds import Feeds
from rkmp.southbound.foreign_words import shown
from rkmp.southbound.keys import Selection, consumer_key, local_key_name, unknown_key, wanted_keys
from rkmp.southbound.messages import (
    FROM_CLIENT,
    VERSION,
    ErrorCode,
    Message,
    MessageError,
    counters,
    decoded,
    encoded,
    is_name,
    written_key,
)
from rkmp.southbound.permissions import KeyAccessRefused, Permitted
from rkmp.southbound.steps import Add, HeldKey, Holding, Step, Usage

ACKNOWLEDGEMENT_SECONDS = 30.0
HELLO_SECONDS = 10.0
MOST_SUBSCRIPTIONS = 10_000
MOST_UNREAD = 1 << 23
"""Octets that wait for a program to read them before it is heard and told no more: an answer and a step for each of so
many subscriptions, since a program may ask for all of them before it reads.
"""
MOST_CHARACTERS = 255
"""Of a protocol or neighbor: the longest name of the domain name system."""


class _Subscriber:
    """A subscription as a consumer of keys (:class:`rkmp.southbound.feed.Consumer`)."""

    timeout = ACKNOWLEDGEMENT_SECONDS

    def __init__(
        self,
        name: str,
        number: int,
        holding: Holding,
        send: Callable[[bytes], None],
        has_room: Callable[[], Awaitable[None]],
    ) -> None:
        self.name = name
        self._number = number
        self._holding = holding
        self._send = send
        self._has_room = has_room
        self._sequence = 0
        self._acknowledged: asyncio.Future[None] | None = None
        self._secrets: tuple[Secret, ...] = ()
        self._usage: Usage | None = None
        self.wake: Callable[[], None] = lambda: None

    async def holding(self) -> Holding:
        """Return what the program said, and has acknowledged since."""
        return self._holding

    async def apply(self, step: Step, result: Holding) -> None:
        """Tell the program, once it reads what it was told before, and wait until it has acknowledged."""
        await self._has_room()
        self._sequence += 1
        key = written_key(step.key) if isinstance(step, Add) else step.name
        kind = type(step).__name__.lower()
        known = (*self._holding.keys, *result.keys)
        self._secrets = tuple(held.key.secret for held in known if len(held.key.secret))
        self._acknowledged = asyncio.get_running_loop().create_future()
        self._send(encoded(kind, subscription=self._number, sequence=self._sequence, key=key))
        try:
            await self._acknowledged
        finally:
            self._acknowledged = None
        self._holding = result

    async def usage(self, _holding: Holding, /) -> Usage | None:
        """Return what the program reported last."""
        return self._usage

    def answered(self, message: Message) -> None:
        """Take an acknowledgement or refusal; one of an earlier step that was given up means nothing any more."""
        if message["sequence"] != self._sequence or self._acknowledged is None or self._acknowledged.done():
            return
        if message["type"] == "refuse":
            self._acknowledged.set_exception(SouthboundError(f"refused: {shown(message['reason'], self._secrets)}"))
        else:
            self._acknowledged.set_result(None)

    def reported(self, usage: Usage) -> None:
        """Take what the program says that its connections use."""
        self._usage = usage
        self.wake()

    def tell_synchronised(self) -> None:
        """Say that there is nothing left to do."""
        self._send(encoded("synchronised", subscription=self._number))


class KeySession:
    """The session with one program; :meth:`run` is its task."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        agent: str,
        table: KeyTable,
        clock: Callable[[], datetime],
        report: Callable[[ConsumerReport], None],
        permitted: Permitted,
        refused: Callable[[KeyAccessRefused], None],
        all_feeds: Feeds,
    ) -> None:
        self.permitted = permitted
        self._reader = reader
        self._writer = writer
        self._agent = agent
        self._table = table
        self._clock = clock
        self._report = report
        self._refused = refused
        self._all_feeds = all_feeds
        self._name = ""
        self._feeds: dict[int, tuple[KeyFeed, _Subscriber, asyncio.Task[None]]] = {}

    def statuses(self) -> list[FeedStatus]:
        """Return how far each subscription is."""
        return [feed.status for feed, _, _ in self._feeds.values()]

    async def run(self) -> None:
        """Serve until the program goes away or says what it must not."""
        self._writer.transport.set_write_buffer_limits(high=MOST_UNREAD)
        self._send(encoded("hello", version=VERSION, agent=self._agent))
        try:
            self._name = _name(await asyncio.wait_for(self._line(), HELLO_SECONDS))
            while line := await self._line():
                self._take(decoded(line, FROM_CLIENT))
                await self._writer.drain()
        except MessageError as error:
            self._send(encoded("error", code=error.code, reason=str(error)))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            for number in tuple(self._feeds):
                self._end(number)

    def end(self) -> None:
        """Have the program come again, since it may read other keys now; until then it keeps what it has.

        What it has not read yet it does not get any more.
        """
        self._writer.transport.abort()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise MessageError("the line is too long") from None

    def _send(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)

    async def _has_room(self) -> None:
        """Return when the program reads: what one that does not was told again and again would need ever more room."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    def _take(self, message: Message) -> None:
        match message["type"]:
            case "lookup":
                self._look_up(message)
            case "subscribe":
                self._subscribe(message)
            case "hello":
                raise MessageError("there was a hello already")
            case _:
                self._to_subscription(message)

    def _to_subscription(self, message: Message) -> None:
        number = message["subscription"]
        if number not in self._feeds:
            reason = "there is no such subscription"
            self._send(encoded("error", id=number, code=ErrorCode.NO_SUCH_SUBSCRIPTION, reason=reason))
            return
        subscriber = self._feeds[number][1]
        match message["type"]:
            case "unsubscribe":
                self._end(number)
            case "usage":
                subscriber.reported(_usage(message))
            case _:
                subscriber.answered(message)

    def _look_up(self, message: Message) -> None:
        """Answer as RFC 7210 section 3 selects: the key to send with, or the one that a received segment names."""
        if not self._may_read(message):
            return
        neighbor, protocol, now = message["neighbor"], message["protocol"], self._clock()
        selection = _selection(message)
        wanted = wanted_keys(self._table, neighbor, protocol, now, selection)
        keys = wanted.keys
        if message.get("recv-id") is not None:
            name = local_key_name(protocol, message["recv-id"])
            row = self._table.select_for_receiving(neighbor, protocol, name, now, selection.interface)
            keys = tuple(key for key in keys if row is not None and key.name == row.admin_key_name)
        listed = [written_key(key) for key in keys]
        self._send(encoded("keys", id=message["id"], keys=listed, preferred=wanted.preferred))

    def _subscribe(self, message: Message) -> None:
        number = message["id"]
        if not self._may_read(message):
            return
        if number in self._feeds:
            reason = "there is a subscription of this number"
            self._send(encoded("error", id=number, code=ErrorCode.ID_IN_USE, reason=reason))
            return
        if len(self._feeds) >= MOST_SUBSCRIPTIONS:
            reason = "there are too many subscriptions"
            self._send(encoded("error", id=number, code=ErrorCode.TOO_MANY, reason=reason))
            return
        holding = self._said(message)
        subscriber = _Subscriber(self._name, number, holding, self._send, self._has_room)
        feed = KeyFeed(
            consumer=subscriber,
            table=self._table,
            neighbor=canonical_peer(message["neighbor"]),
            protocol=message["protocol"],
            clock=self._clock,
            report=self._report,
            selection=_selection(message),
            settled=subscriber.tell_synchronised,
        )
        subscriber.wake = feed.wake
        self._send(encoded("subscribed", subscription=number))
        self._all_feeds.add(feed)
        self._feeds[number] = feed, subscriber, feed.start()

    def _may_read(self, message: Message) -> bool:
        """Whether the program may read the keys that it asks for; it is told otherwise."""
        protocol, neighbor = message["protocol"], message["neighbor"]
        if max(len(protocol), len(neighbor)) > MOST_CHARACTERS:
            raise MessageError("no protocol and no neighbor has so long a name")
        if self.permitted.covers(protocol, neighbor):
            return True
        refusal = KeyAccessRefused(self.permitted.credentials, self._name, protocol, neighbor)
        self._refused(refusal)
        self._send(encoded("error", id=message["id"], code=ErrorCode.NOT_PERMITTED, reason=refusal.reason))
        return False

    def _said(self, message: Message) -> Holding:
        """Return what the program says that it holds: keys of the table where name and fingerprint are the same."""
        keys = []
        for claim in message.get("holds") or []:
            if not isinstance(claim, dict) or not all(is_name(claim.get(n)) for n in ("name", "fingerprint")):
                raise MessageError("'holds' lists objects with name and fingerprint")
            keys.append(self._claimed(claim["name"], claim["fingerprint"]))
        return Holding(tuple(keys), message.get("preferred"))

    def _claimed(self, name: str, print_of_key: str) -> HeldKey:
        row = self._table.get(name)
        key = consumer_key(row) if row is not None else None
        if key is not None and fingerprint(key.secret) == print_of_key:
            return HeldKey(key)
        # Unknown, or the name of another key by now: it is removed first. Its KeyIDs are not known, so they are none.
        return HeldKey(unknown_key(name) if key is None else replace(key, secret=Secret(b"")))

    def _end(self, number: int) -> None:
        feed, _, task = self._feeds.pop(number)
        self._all_feeds.discard(feed)
        task.cancel()


def _name(line: bytes) -> str:
    """Return what the program calls itself in its hello."""
    hello = decoded(line, FROM_CLIENT)
    if hello["type"] != "hello":
        raise MessageError("a hello comes first")
    if hello["version"] != VERSION:
        raise MessageError(f"this is version {VERSION} of the key API", ErrorCode.UNSUPPORTED_VERSION)
    return str(hello["name"][:64])


def _selection(message: Message) -> Selection:
    """Return what a lookup or subscription says besides protocol and neighbor."""
    algorithms = message.get("algorithms") or []
    if not all(is_name(name) for name in algorithms):
        raise MessageError("'algorithms' lists names of algorithms")
    interface = message.get("interface")
    if interface is not None and len(interface) > MOST_CHARACTERS:
        raise MessageError("no interface has so long a name")
    return Selection(interface, tuple(algorithms))


def _usage(message: Message) -> Usage:
    sending = message["sending"]
    if not all(is_name(name) for name in sending):
        raise MessageError("'sending' lists names of keys")
    return Usage(frozenset(sending), **counters(message))
