"""What is told of IKE SAs that fail before anybody is authenticated: by whom they seem to come, and not too often."""

from __future__ import annotations

from collections.abc import Callable

from rkmp.engine.conversation import Conversation
from rkmp.engine.events import AuthenticationFailure, EngineEvent, NegotiationFailure
from rkmp.engine.peer import Peer
from rkmp.engine.reasons import explain
from rkmp.engine.statistics import PeerStatistic, failure_statistic
from rkmp.ike import AuthenticationFailed, Event, NegotiationFailed
from rkmp.wire import NotifyType

REPORT_INTERVAL = 10.0
"""Seconds for which the same failure at the same address is only counted: anybody can send what causes it."""
MOST_REMEMBERED = 10_000


class Strangers:
    """Reports the failures of those whose identity is a claim, if that."""

    def __init__(self, report: Callable[[EngineEvent], None]) -> None:
        self._report = report
        self._reported_at: dict[tuple[str, str], float] = {}

    def react(self, conversation: Conversation, claimed: Peer | None, event: Event, now: float) -> None:
        """Count and report ``event``; ``claimed`` is the peer that it may concern."""
        if not isinstance(event, AuthenticationFailed | NegotiationFailed):
            return
        reason = explain(event.reason, event.message)
        address = conversation.remote[0]
        is_news = self._is_news(address, event.reason.value, now)
        notify_type = event.notify_type if isinstance(event, NegotiationFailed) else NotifyType.AUTHENTICATION_FAILED
        if claimed is not None:
            claimed.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
            claimed.statistics[failure_statistic(event.reason)] += 1
            for association in claimed.associations.values():
                association.note_failure(reason, notify_type, report=False)
        if not is_news:
            return
        name = claimed.name if claimed is not None else None
        if isinstance(event, AuthenticationFailed):
            identity = event.identity.text if event.identity is not None else None
            self._report(AuthenticationFailure(name, address, identity, reason))
        elif name is not None:
            self._report(NegotiationFailure(name, None, reason, notify_type))

    def _is_news(self, address: str, reason: str, now: float) -> bool:
        if len(self._reported_at) >= MOST_REMEMBERED:
            self._reported_at.clear()
        last = self._reported_at.get((address, reason))
        if last is not None and now - last < REPORT_INTERVAL:
            return False
        self._reported_at[address, reason] = now
        return True
