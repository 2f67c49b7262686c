"""What subscriptions may cost the agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """Bounds of all subscriptions together, and of each."""

    subscriptions: int = 512
    """Subscriptions at a time; the next one is refused with insufficient-resources."""
    session_subscriptions: int = 32
    """Subscriptions of one session at a time."""
    filter_octets: int = 64 * 1024
    """Octets of a filter; a larger one is refused with filter-unsupported."""
    queued_records: int = 1000
    """Notifications that may wait for a slow reader before the subscription is suspended."""
    queued_octets: int = 4 * 1024 * 1024
    """Octets that may wait for a slow reader, unless it is one record by itself."""
    all_queued_octets: int = 128 * 1024 * 1024
    """Octets that may wait for all slow readers together; whoever is to get more then is suspended."""
    record_octets: int = 16 * 1024 * 1024
    """Octets of one push-update or push-change-update."""
    held_octets: int = 64 * 1024 * 1024
    """Octets of what all on-change subscriptions together select when they begin: it is held, to be compared with."""
    suspension_seconds: float = 300.0
    """Seconds after which a suspended subscription is terminated."""
    resumption_seconds: float = 1.0
    """Seconds after which a suspended subscription resumes at the soonest."""
    shortest_period: int = 10
    """Centiseconds of the shortest period of a periodic subscription."""
    share: float = 0.25
    """Part of the time that looking at the data of one subscription may take; periods are long enough for it."""
