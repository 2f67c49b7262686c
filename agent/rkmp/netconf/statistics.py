"""Counters of sessions and of the server, as RFC 6022 sections 2.1.4 and 2.1.5 name them.

Plain numbers, counted where things happen; `monitoring` turns them into state.
"""

from __future__ import annotations

from dataclasses import dataclass, field

COUNTER_MODULUS = 2**32
"""A zero-based-counter32 starts again at zero after its largest value (RFC 6991)."""


@dataclass(slots=True)
class MessageCounters:
    """What one session, or all of them together, received and sent."""

    in_rpcs: int = 0
    """Correct ``<rpc>`` messages."""
    in_bad_rpcs: int = 0
    """Messages that came in the place of an ``<rpc>`` and were none: not well-formed, or wrong at the rpc layer."""
    out_rpc_errors: int = 0
    """Replies that held an ``<rpc-error>``."""
    out_notifications: int = 0
    """``<notification>`` messages sent."""


@dataclass(slots=True)
class ServerCounters:
    """What the server counts since it started."""

    in_sessions: int = 0
    """Sessions started: a hello was sent."""
    in_bad_hellos: int = 0
    """Sessions ended because the client's hello was not acceptable."""
    dropped_sessions: int = 0
    """Sessions that ended other than by close-session or kill-session."""
    messages: MessageCounters = field(default_factory=MessageCounters)
    """Accumulated over all sessions."""
