"""Keeps one consumer's keys for one neighbor and protocol as the key table has them, step by step, on asyncio.

A consumer is whoever takes keys: a BIRD, a program behind the hook, a client of the key API. What it does not
acknowledge is tried again with a growing delay, after asking it what it has; nothing is ever taken for done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeVar

from rkmp.errors import SouthboundError
from rkmp.keytable import KeyTable
from rkmp.southbound.keys import ANY, Selection, WantedKeys, wanted_keys
from rkmp.southbound.steps import Add, Holding, Step, Usage, adopted, after, is_confirmed, next_step

_log = logging.getLogger(__name__)
_random = random.SystemRandom()
Result = TypeVar("Result")

FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds between tries with a consumer that does not do a step; doubled with each."""
RETRY_JITTER = 0.75, 1.25
"""By what each of these is multiplied, at random: consumers that have failed together do not all come at once."""
FIRST_LOOK, LAST_LOOK, LOOK_GROWTH = 0.2, 15.0, 1.5
"""Seconds between looks at a consumer whose peer has not switched yet."""
IDLE_LOOK = 3600.0
"""Seconds between looks at a consumer that has nothing to do."""


class Consumer(Protocol):
    """Takes keys. Each method raises :class:`SouthboundError` when the consumer does not answer as it should."""

    name: str
    """The consumer's name in the configuration."""

    @property
    def timeout(self) -> float | None:
        """Seconds within which a step is to be acknowledged; None where the consumer keeps the time itself."""

    async def holding(self) -> Holding:
        """Return what the consumer has, so far as it can tell."""

    async def apply(self, step: Step, result: Holding) -> None:
        """Have ``step`` done, and return when it is; ``result`` is what the consumer has then."""

    async def usage(self, holding: Holding, /) -> Usage | None:
        """Return which of the keys in ``holding`` connections use; None where the consumer does not report that."""


class FeedState(Enum):
    """How far a consumer is."""

    WITHOUT_KEYS = "without-keys"
    """The key table has none for it: it is closed."""
    CHANGING = "changing"
    """A step is under way."""
    AWAITING_PEER = "awaiting-peer"
    """All is installed; a connection still sends with an older key, since the peer has not asked for the new one."""
    SYNCHRONISED = "synchronised"
    """It holds what the key table has and uses what is to be used."""
    NOT_RESPONDING = "not-responding"
    """It has not done the last step; that is tried again."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """What is shown of a feed. Names are AdminKeyNames; counters are of TCP-AO segments."""

    consumer: str
    neighbor: str
    protocol: str
    state: FeedState
    holding: Holding
    usage: Usage | None
    steps: int
    last_step: tuple[str, str] | None
    """The kind of the last step that it has acknowledged, and the key of that step."""
    last_error: str | None
    changed_at: datetime | None
    usage_at: datetime | None = None
    """When the consumer said what ``usage`` is, UTC."""
    interface: str | None = None
    """Over which it reaches the neighbor, if it says so."""


@dataclass(frozen=True, slots=True)
class ConsumerReport:
    """A consumer that stopped doing what it is asked to, for ``reason``, or that does it again when that is None."""

    consumer: str
    neighbor: str
    protocol: str
    reason: str | None


@dataclass(slots=True, eq=False)
class KeyFeed:
    """One consumer's share of the key table; :meth:`start` begins its task, :meth:`wake` tells it that keys changed."""

    consumer: Consumer
    table: KeyTable
    neighbor: str
    protocol: str
    clock: Callable[[], datetime]
    report: Callable[[ConsumerReport], None]
    selection: Selection = ANY
    settled: Callable[[], None] = lambda: None
    """Called when there is no step left to do, each time that there were some and once at the start."""
    keep: Callable[[Holding], Coroutine[object, object, None]] | None = None
    """Brings in line what no step tells, where the consumer has such things; called when there is no step left."""
    audit: float | None = None
    """Seconds after which the consumer is asked again what it has; None is only after a failure."""
    fresh: float | None = None
    """Seconds for which its last answer about usage is shown without asking again; None: it tells by itself."""
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _is_doubted: bool = False
    _holding: Holding = field(default_factory=Holding)
    _usage: Usage | None = None
    _usage_at: datetime | None = None
    _asked_usage: float = -math.inf
    _state: FeedState = FeedState.CHANGING
    _steps: int = 0
    _last_step: tuple[str, str] | None = None
    _retry: float = FIRST_RETRY
    _last_error: str | None = None
    _changed_at: datetime | None = None

    def wake(self) -> None:
        """Look at the key table again."""
        self._awake.set()

    def doubt(self) -> None:
        """Ask the consumer again what it has: it may be other than it was."""
        self._is_doubted = True
        self._awake.set()

    def refresh(self) -> None:
        """Ask the consumer soon what its connections use, if that is not fresh: somebody wants to see it.

        Nobody asks of itself what does not change by a step: counters of thousands of sessions that none looks at.
        """
        if self.fresh is not None and asyncio.get_running_loop().time() >= self._asked_usage + self.fresh:
            self._awake.set()

    @property
    def status(self) -> FeedStatus:
        """What is shown of this feed."""
        return FeedStatus(
            consumer=self.consumer.name,
            neighbor=self.neighbor,
            protocol=self.protocol,
            state=self._state,
            holding=self._holding,
            usage=self._usage,
            steps=self._steps,
            last_step=self._last_step,
            last_error=self._last_error,
            changed_at=self._changed_at,
            usage_at=self._usage_at,
            interface=self.selection.interface,
        )

    def start(self) -> asyncio.Task[None]:
        """Return the task that serves until it is cancelled."""
        return asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Serve until cancelled, whatever happens: who gets no keys any more loses its sessions when they end."""
        while True:
            try:
                self._is_doubted = False
                self._holding = await self._within_time(self.consumer.holding())
                await self._serve()
            except SouthboundError as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - it is logged, and told of as one of the consumer's
                _log.critical("consumer %s: a fault of the agent", self.consumer.name, exc_info=True)
                self._fail(f"a fault of the agent, which its log has: {type(error).__name__}")
            else:
                continue
            # A key that comes meanwhile does not make a consumer answer, so nothing but time ends this.
            await asyncio.sleep(self._retry * _random.uniform(*RETRY_JITTER))
            self._retry = min(self._retry * 2, LAST_RETRY)

    async def _serve(self) -> None:
        """Do steps as they come, until there is doubt about what the consumer has.

        Raises :class:`SouthboundError` when a step is not done.
        """
        look, is_news = FIRST_LOOK, True
        asked = asyncio.get_running_loop().time()
        while not self._is_doubted:
            self._awake.clear()
            wanted = wanted_keys(self.table, self.neighbor, self.protocol, self.clock(), self.selection)
            self._holding = adopted(self._holding, wanted)
            self._asked_usage = asyncio.get_running_loop().time()
            self._usage = await self._within_time(self.consumer.usage(self._holding))
            self._usage_at = None if self._usage is None else self.clock()
            step = next_step(self._holding, wanted, self._usage)
            if step is not None:
                self._state = FeedState.CHANGING
                result = after(self._holding, step)
                await self._within_time(self.consumer.apply(step, result))
                self._holding, self._steps, self._changed_at = result, self._steps + 1, self.clock()
                self._last_step = type(step).__name__.lower(), step.key.name if isinstance(step, Add) else step.name
                where = f"for {self.protocol} with {self.neighbor}"
                _log.info("consumer %s: %s %s %s", self.consumer.name, *self._last_step, where)
                look, is_news = FIRST_LOOK, True
                continue
            if self.keep is not None:
                await self._within_time(self.keep(self._holding))
            self._recover()
            if is_news:
                self.settled()
                is_news = False
            is_settled = is_confirmed(self._holding, self._usage)
            if not is_settled:
                self._state = FeedState.AWAITING_PEER
            else:
                self._state = FeedState.SYNCHRONISED if self._holding.keys else FeedState.WITHOUT_KEYS
            delay = self._until(wanted, IDLE_LOOK if is_settled else look)
            look = FIRST_LOOK if is_settled else min(look * LOOK_GROWTH, LAST_LOOK)
            left = self._until_audit(asked)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), min(delay, left))
            self._is_doubted |= self._until_audit(asked) <= 0

    def _until(self, wanted: WantedKeys, longest: float) -> float:
        if wanted.next_change is None:
            return longest
        return min(max((wanted.next_change - self.clock()).total_seconds(), 0.001), longest)

    def _until_audit(self, asked: float) -> float:
        """Return the seconds until the consumer is to be asked again, by the loop's clock."""
        return math.inf if self.audit is None else asked + self.audit - asyncio.get_running_loop().time()

    async def _within_time(self, deed: Coroutine[object, object, Result]) -> Result:
        try:
            return await asyncio.wait_for(deed, self.consumer.timeout)
        except TimeoutError:
            raise SouthboundError(f"no answer within {self.consumer.timeout:g} s") from None

    def _fail(self, reason: str) -> None:
        is_news, self._last_error = self._last_error is None, reason
        self._state = FeedState.NOT_RESPONDING
        if is_news:
            self.report(ConsumerReport(self.consumer.name, self.neighbor, self.protocol, reason))

    def _recover(self) -> None:
        self._retry = FIRST_RETRY
        if self._last_error is not None:
            self._last_error = None
            self.report(ConsumerReport(self.consumer.name, self.neighbor, self.protocol, None))
