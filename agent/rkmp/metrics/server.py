"""Serves the metrics over HTTP as configuration has it: off, or on one address, tried again while it cannot be had.

HTTP is served in threads of its own. The agent's rooms may be read on the event loop only, so there they are,
and a scrape that the loop has no time for fails instead of waiting for long; what is made of it is made in the thread,
since with ten thousand peers that takes a third of a second, in which a loop has other things to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rkmp.metrics.collector import AgentCollector, Sources
from rkmp.metrics.http import MetricsServer
from rkmp.metrics.latencies import Latencies

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
SCRAPE_SECONDS = 5.0
"""How long a scrape waits for the event loop."""


@dataclass(frozen=True, slots=True)
class MetricsConfiguration:
    """Where metrics are served, if at all."""

    enabled: bool = False
    address: str = "127.0.0.1"
    port: int = 9830


@dataclass(frozen=True, slots=True)
class MetricsStatus:
    """Whether metrics can be scraped, and why not."""

    state: str
    """``disabled``, ``opening``, ``listening`` or ``failed``."""
    last_error: str | None = None


class _OnEventLoop(Collector):
    """Looks at sources on the event loop for a thread that is not; when that fails, this is all there is to see."""

    def __init__(self, sources: Sources, loop: asyncio.AbstractEventLoop) -> None:
        self._sources = sources
        self._loop = loop

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        async def look() -> Sources:
            return self._sources.taken()

        collected: list[Metric] = []
        try:
            looking = asyncio.run_coroutine_threadsafe(look(), self._loop)
            try:
                taken = looking.result(SCRAPE_SECONDS)
            finally:
                # A loop that comes to it later has enough to do.
                looking.cancel()
            collected = list(AgentCollector(taken).collect())
        except Exception as error:  # noqa: BLE001 - a bug, or a loop without time, costs one scrape
            # Never the exception's own words, which may repeat what it saw.
            _log.error("a scrape of the metrics failed: %s", type(error).__qualname__)
        failed = GaugeMetricFamily("rkmp_scrape_failed", "1 where this scrape shows nothing but itself.")
        failed.add_metric((), float(not collected))
        return [failed, *collected]


class Metrics:
    """The metrics of one agent; needs a running event loop, and ``close`` ends it."""

    def __init__(self, sources: Sources, *, retry_seconds: float = RETRY_SECONDS) -> None:
        registry = CollectorRegistry()
        registry.register(_OnEventLoop(sources, asyncio.get_running_loop()))
        self.latencies = Latencies(registry)
        self._registry = registry
        self._retry_seconds = retry_seconds
        self._wanted = MetricsConfiguration()
        self._status = MetricsStatus("disabled")
        self._served: tuple[MetricsServer, threading.Thread] | None = None
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task = asyncio.create_task(self._follow(), name="metrics")

    @property
    def status(self) -> MetricsStatus:
        """Whether metrics can be scraped now."""
        return self._status

    @property
    def port(self) -> int | None:
        """The TCP port that is listened on; None where none is."""
        return None if self._served is None else self._served[0].server_port

    def configure(self, configuration: MetricsConfiguration) -> None:
        """Serve as ``configuration`` says, soon."""
        if configuration == self._wanted:
            return
        self._wanted = configuration
        if configuration.enabled:
            self._status = MetricsStatus("opening")
        self._settled.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Return when what was configured last has been tried."""
        await self._settled.wait()

    async def close(self) -> None:
        """Serve no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._shut()

    async def _follow(self) -> None:
        watching: asyncio.Task[None] | None = None
        try:
            while True:
                failed = self._status.state == "failed"
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._retry_seconds if failed else None):
                        await self._wake.wait()
                self._wake.clear()
                await self._shut()
                if watching is not None:
                    watching.cancel()
                    watching = None
                if not self._wanted.enabled:
                    self._status = MetricsStatus("disabled")
                elif self._open(self._wanted):
                    watching = asyncio.create_task(self.latencies.watch_event_loop(), name="event loop lag")
                if not self._wake.is_set():
                    self._settled.set()
        finally:
            if watching is not None:
                watching.cancel()

    def _open(self, wanted: MetricsConfiguration) -> bool:
        try:
            server = MetricsServer(wanted.address, wanted.port, self._registry)
        except (OSError, OverflowError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            if reason != self._status.last_error:
                _log.error("metrics cannot be served on %s port %d: %s", wanted.address, wanted.port, reason)
            self._status = MetricsStatus("failed", reason)
            return False
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        self._served = server, thread
        self._status = MetricsStatus("listening")
        return True

    async def _shut(self) -> None:
        if self._served is None:
            return
        server, thread = self._served
        self._served = None
        # Its loop looks for the wish to end twice a second.
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)
