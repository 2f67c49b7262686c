"""How long things take, as histograms: the one part of the metrics that is told and not asked."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram

from rkmp.engine import EngineEvent
from rkmp.engine.association_states import AssociationState
from rkmp.engine.events import (
    AssociationStateChange,
    IkeSaUp,
    NegotiationSuccess,
    RolloverCompleted,
    RolloverStarted,
)

LAG_INTERVAL = 1.0
"""Seconds between two looks at how late the event loop is."""

_NETWORK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LOCAL = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Latencies:
    """The histograms of one agent, kept in ``registry``. Times are in seconds, ``clock`` is monotonic."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._handshake = Histogram(
            "rkmp_handshake_seconds",
            "From the first message of an IKE SA, sent or received, to its being established, by our role in it.",
            ["role"],
            buckets=_NETWORK,
            registry=registry,
        )
        self._negotiation = Histogram(
            "rkmp_negotiation_seconds",
            "From the start of a negotiation of ours to its key, by whether that is the first one or replaces another; "
            "with the handshake where there was no IKE SA.",
            ["key"],
            buckets=_NETWORK,
            registry=registry,
        )
        for role in ("initiator", "responder"):
            self._handshake.labels(role)
        for key in ("first", "replacement"):
            self._negotiation.labels(key)
        self._rollover = Histogram(
            "rkmp_rollover_seconds",
            "From the start of a rollover to the last that is heard of the old key.",
            buckets=(*_NETWORK, 3600.0, 86400.0),
            registry=registry,
        )
        self._operation = Histogram(
            "rkmp_netconf_operation_seconds",
            "From a request that was read to its answer, durable where it changes anything, by operation.",
            ["operation"],
            buckets=_LOCAL,
            registry=registry,
        )
        for operation in ("edit-config", "copy-config", "commit"):
            # What is durable when it is answered: how long that takes is shown from the first time on.
            self._operation.labels(operation)
        self._lag = Histogram(
            "rkmp_event_loop_lag_seconds",
            "How late the agent's event loop comes to what is due.",
            buckets=_LOCAL,
            registry=registry,
        )
        self._rolling: dict[tuple[str, str], float] = {}

    def engine_event(self, event: EngineEvent, _at: datetime) -> None:
        """Take note of an event of the engine; for :meth:`rkmp.engine.EngineDriver.subscribe`."""
        match event:
            case IkeSaUp():
                self._handshake.labels(event.role).observe(event.seconds)
            case NegotiationSuccess():
                self._negotiation.labels("replacement" if event.replaces else "first").observe(event.seconds)
            case RolloverStarted():
                self._rolling.setdefault((event.peer, event.protocol), self._clock())
            case RolloverCompleted():
                since = self._rolling.pop((event.peer, event.protocol), None)
                if since is not None:
                    self._rollover.observe(self._clock() - since)
            case AssociationStateChange(after=state) if state is not AssociationState.ROLLING_OVER:
                # It has come to nothing; one that was completed is gone from here already.
                self._rolling.pop((event.peer, event.protocol), None)

    def operation_answered(self, operation: str, seconds: float) -> None:
        """Take note of a NETCONF request; ``operation`` is a name out of the schema, and no client's."""
        self._operation.labels(operation).observe(seconds)

    async def watch_event_loop(self) -> None:
        """Look at the event loop until cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                due = time.monotonic() + LAG_INTERVAL
                await asyncio.sleep(LAG_INTERVAL)
                self._lag.observe(max(0.0, time.monotonic() - due))
