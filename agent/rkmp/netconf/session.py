"""One NETCONF session: hello, then messages in, replies and notifications out, in order, until it ends.

RFC 6241 sections 3, 4 and 8.1, RFC 6242 section 5. The session works on any `transport` and hands every message to
a `MessageHandler`; it must not know operations, datastores or SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from rkmp.errors import StorageError
from rkmp.log_context import about
from rkmp.netconf.documents import serialise
from rkmp.netconf.feeds import Feeds
from rkmp.netconf.framing import (
    DEFAULT_MESSAGE_LIMIT,
    FrameDecoder,
    Framing,
    FramingError,
    OversizedMessage,
    frame,
)
from rkmp.netconf.hello import BadHello, ClientHello, read_client_hello, server_hello
from rkmp.netconf.notifications import Subscription
from rkmp.netconf.replay import ReplaySubscription
from rkmp.netconf.statistics import MessageCounters
from rkmp.netconf.transport import Client, Transport

_log = logging.getLogger(__name__)

_LONGEST_SLEEP = 30.0
"""Seconds after which a subscription with a stop time looks at the clock again."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session."""

    hello_timeout: float = 30.0
    """Seconds from the start of the session to the client's hello."""
    idle_timeout: float | None = None
    """Seconds for which a session without a subscription may ask for nothing before it is ended; None for ever."""
    message_octets: int = DEFAULT_MESSAGE_LIMIT
    """Largest message, in octets; a larger one is answered with too-big."""
    unread_octets: int = 1024 * 1024
    """Octets that may wait behind the request being answered before the client is asked to wait."""
    queued_notification_octets: int = 8 * 1024 * 1024
    """Octets of notifications that may wait for a slow reader before its session is dropped."""
    queued_notifications: int = 10_000
    """Number of notifications that may wait for a slow reader before its session is dropped."""


class TerminationReason(Enum):
    """Why a session ended; the names of RFC 6470's netconf-session-end."""

    CLOSED = "closed"
    KILLED = "killed"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    BAD_HELLO = "bad-hello"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a message handler wants sent; None for ``reply`` ends the session without one."""

    reply: bytes | None
    has_errors: bool = False
    bad_rpc: bool = False
    """Whether the message was no correct ``<rpc>`` (RFC 6022: in-bad-rpcs)."""


MessageHandler = Callable[["Session", bytes | OversizedMessage], Awaitable[Answer]]
"""Answers one message of a session. It contains its own faults: an exception that leaves it ends the session."""


class Session:
    """One session. Its transport calls ``data_received``, ``eof_received``, ``connection_lost`` and the two
    ``..._writing``; everyone else ``start`` and ``end``. All on one event loop.
    """

    def __init__(
        self,
        session_id: int,
        client: Client,
        transport: Transport,
        *,
        handler: MessageHandler,
        capabilities: Sequence[str],
        limits: SessionLimits,
        login_time: datetime,
        on_end: Callable[[Session, TerminationReason], None],
        totals: MessageCounters,
    ) -> None:
        self.id = session_id
        self.client = client
        self.journal = logging.LoggerAdapter(_log, about(session=session_id, user=client.username))
        self.login_time = login_time
        self.counters = MessageCounters()
        self.client_hello: ClientHello | None = None
        self.subscription: Subscription | None = None
        """The one subscription that RFC 5277 allows a session."""
        self.has_subscriptions: Callable[[], bool] = lambda: False
        """Says whether it has any of those that establish-subscription makes; the server sets it."""
        self.closing = False
        """Set by close-session: the session ends once its reply is on its way."""
        self.killed_by: int | None = None
        """Set by kill-session: the session that asked for it."""
        self._transport = transport
        self._handler = handler
        self._capabilities = capabilities
        self._limits = limits
        self._on_end = on_end
        self._totals = totals
        self._decoder = FrameDecoder(limits.message_octets)
        self._framing = Framing.END_OF_MESSAGE
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading_paused = False
        self._no_more_input = False
        self._ended: TerminationReason | None = None
        self._notifications: deque[bytes] = deque()
        self._notification_octets = 0
        self._notified = asyncio.Event()
        self._notifying = False
        self.feeds = Feeds()
        """Where further notifications come from; ``send_feeds`` has them sent."""
        self._feeding = False
        self._after_reply: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ended(self) -> TerminationReason | None:
        """Why the session ended, or None while it lives."""
        return self._ended

    # What the owner calls.

    def start(self) -> None:
        """Send the hello and begin to serve; needs a running event loop."""
        self._send(serialise(server_hello(self.id, self._capabilities)))
        self._spawn(self._run(), f"netconf session {self.id}")

    def end(self, reason: TerminationReason, *, flush: bool = False) -> None:
        """End the session now, for good; the first call decides the reason.

        With ``flush`` what was written is still sent, as long as the client takes it; else it is lost.
        """
        if self._ended is not None:
            return
        self._ended = reason
        if self.subscription is not None:
            self.subscription.cancel()
        self._notifications.clear()
        self.feeds.clear()
        # Locks must be gone when the reply to a kill-session leaves (RFC 6241 7.9), hence before any task stops.
        self._on_end(self, reason)
        if flush:
            self._transport.close()
        else:
            self._transport.abort()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    async def wait_ended(self) -> None:
        """Return when nothing of the session runs any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # What the transport calls.

    def data_received(self, octets: bytes) -> None:
        """Take octets from the client."""
        if self._ended is not None:
            return
        self._decoder.receive(octets)
        if self._decoder.unread_octets > self._limits.unread_octets and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        """Take note that the client sends no more; what it asked is still answered."""
        self._no_more_input = True
        self._arrived.set()

    def connection_lost(self) -> None:
        """Take note that the stream is gone."""
        self.end(TerminationReason.DROPPED)

    def pause_writing(self) -> None:
        """Take note that the client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Take note that the client has caught up."""
        self._writable.set()

    # Messages in, replies out.

    async def _run(self) -> None:
        reason = TerminationReason.OTHER
        try:
            reason = await self._serve()
        except FramingError as error:
            # RFC 6242 4.2: the two sides are out of step; no reply could be trusted to be understood. The log gets
            # words and not the exception, which would keep the session alive in a handler that keeps records.
            self.journal.warning("session %d of %s: %s", self.id, self.client.username, str(error))
            reason = TerminationReason.DROPPED
        finally:
            # The replies to the requests before this end are still owed, whatever ended it.
            self.end(reason, flush=True)

    async def _serve(self) -> TerminationReason:
        try:
            async with asyncio.timeout(self._limits.hello_timeout):
                message = await self._next_message()
        except TimeoutError:
            return TerminationReason.TIMEOUT
        if message is None:
            return TerminationReason.DROPPED
        try:
            self.client_hello = read_client_hello(message)
        except BadHello as error:
            self.journal.warning("session %d of %s: bad hello: %s", self.id, self.client.username, str(error))
            return TerminationReason.BAD_HELLO
        self._framing = self._decoder.framing = self.client_hello.framing
        while not self.closing:
            try:
                message = await self._next_request()
            except TimeoutError:
                return TerminationReason.TIMEOUT
            if message is None:
                # RFC 6241 2.1: the connection ends the session; only close-session ends it in good order.
                return TerminationReason.DROPPED
            answer = await self._handler(self, message)
            if self._ended is not None:
                # Answering ended the session itself, as when its own change overflows its own notifications.
                return self._ended
            self._count(answer)
            if answer.reply is None:
                return TerminationReason.DROPPED
            self._send(answer.reply)
            # RFC 8639 2.6: records of a subscription follow the reply that grants it.
            for action in self._after_reply:
                action()
            self._after_reply.clear()
            if self.subscription is not None and not self._notifying:
                # RFC 5277 2.1.1: notifications follow the reply that grants the subscription.
                self._notifying = True
                self._spawn(self._send_notifications(self.subscription), f"netconf notifications {self.id}")
            if not self.closing:
                await self._writable.wait()
            # A client that has sent a thousand requests must not keep the other sessions waiting.
            await asyncio.sleep(0)
        return TerminationReason.CLOSED

    async def _next_request(self) -> bytes | OversizedMessage | None:
        """Return the next message like ``_next_message``. Raises TimeoutError for a session that is not used."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_timeout):
                    return await self._next_message()
            except TimeoutError:
                if self.subscription is None and not self.has_subscriptions():
                    raise

    async def _next_message(self) -> bytes | OversizedMessage | None:
        """Return the next message, or None when the client has sent its last."""
        while True:
            message = self._decoder.next_message()
            if self._reading_paused and self._decoder.unread_octets <= self._limits.unread_octets // 2:
                self._reading_paused = False
                self._transport.resume_reading()
            if message is not None:
                return message
            if self._no_more_input:
                return None
            self._arrived.clear()
            await self._arrived.wait()

    def _count(self, answer: Answer) -> None:
        for counters in (self.counters, self._totals):
            if answer.bad_rpc:
                counters.in_bad_rpcs += 1
            else:
                counters.in_rpcs += 1
            if answer.has_errors:
                counters.out_rpc_errors += 1

    def _send(self, message: bytes) -> None:
        self._transport.write(frame(message, self._framing))

    # Notifications out.

    def notify(self, message: bytes) -> None:
        """Queue one serialised notification; a client too slow to take what is queued loses its session."""
        if self._ended is not None:
            return
        self._notifications.append(message)
        self._notification_octets += len(message)
        if (
            self._notification_octets > self._limits.queued_notification_octets
            or len(self._notifications) > self._limits.queued_notifications
        ):
            self.journal.warning(
                "session %d of %s dropped: it leaves %d notifications unread",
                self.id,
                self.client.username,
                len(self._notifications),
            )
            self.end(TerminationReason.DROPPED)
            return
        self._notified.set()

    async def _send_notifications(self, subscription: Subscription) -> None:
        if isinstance(subscription, ReplaySubscription):
            try:
                async for message in subscription.past():
                    await self._send_notification(message)
            except StorageError as error:
                # Better no session than one that has seen only a part, and does not know.
                self.journal.warning(
                    "session %d of %s: events cannot be replayed: %s", self.id, self.client.username, error
                )
                self.end(TerminationReason.OTHER)
        while self._ended is None and await self._notifications_can_come(subscription):
            while self._notifications and self._ended is None:
                await self._writable.wait()
                # The session may have ended meanwhile, and then has no notifications any more.
                if self._notifications:
                    message = self._notifications.popleft()
                    self._notification_octets -= len(message)
                    await self._send_notification(message)
        if self._ended is None and isinstance(subscription, ReplaySubscription):
            subscription.cancel()
            await self._send_notification(subscription.complete())
            # RFC 5277 3.3.2: a normal session again, which may subscribe anew.
            self.subscription = None
            self._notifying = False

    async def _notifications_can_come(self, subscription: Subscription) -> bool:
        """Wait for notifications; return whether the subscription's stop time has not come first."""
        while not self._notifications:
            left = subscription.seconds_left() if isinstance(subscription, ReplaySubscription) else None
            if left is not None and left <= 0:
                return False
            self._notified.clear()
            with contextlib.suppress(TimeoutError):
                # The clock is looked at again from time to time: it may have been set.
                async with asyncio.timeout(None if left is None else min(left, _LONGEST_SLEEP)):
                    await self._notified.wait()
        return True

    def after_reply(self, action: Callable[[], None]) -> None:
        """Call ``action`` once the reply to the request that is carried out now has been sent, if it ever is."""
        self._after_reply.append(action)

    def send_feeds(self) -> None:
        """Send what the feeds have, from now on; may be called again."""
        if not self._feeding:
            self._feeding = True
            self._spawn(self._send_feeds(), f"netconf feeds {self.id}")

    async def _send_feeds(self) -> None:
        while self._ended is None:
            await self._writable.wait()
            await self._send_notification(await self.feeds.next())

    async def _send_notification(self, message: bytes) -> None:
        await self._writable.wait()
        if self._ended is None:
            self._send(message)
            self.counters.out_notifications += 1
            self._totals.out_notifications += 1

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
