"""What is shown of a consumer of keys, wherever it is shown: the grouping ``consumption``."""

from __future__ import annotations

from lxml import etree

from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.elements import add
from rkmp.southbound import FeedStatus


def add_feed(parent: etree._Element, feed: FeedStatus) -> None:
    """Append what the grouping ``consumption`` shows of a consumer."""
    add(parent, AgentNames.STATE, feed.state)
    for held in feed.holding.keys:
        add(parent, AgentNames.ACCEPTED_KEY, held.key.name)
    add(parent, AgentNames.PREFERRED_KEY, feed.holding.preferred)
    if feed.usage is not None:
        for name in sorted(feed.usage.sending):
            add(parent, AgentNames.SENDING_KEY, name)
        add(parent, AgentNames.CONNECTIONS, feed.usage.connections)
        add(parent, AgentNames.GOOD_SEGMENTS, feed.usage.good)
        add(parent, AgentNames.BAD_SEGMENTS, feed.usage.bad)
        add(parent, AgentNames.KEY_NOT_FOUND_SEGMENTS, feed.usage.key_not_found)
        add(parent, AgentNames.UNSIGNED_SEGMENTS, feed.usage.unsigned)
        add(parent, AgentNames.DROPPED_ICMPS, feed.usage.dropped_icmps)
        add(parent, AgentNames.REPORTED_AT, feed.usage_at)
    add(parent, AgentNames.STEPS, feed.steps)
    if feed.last_step is not None:
        kind, name = feed.last_step
        add(parent, AgentNames.LAST_STEP, kind)
        add(parent, AgentNames.LAST_STEP_KEY, name)
    add(parent, AgentNames.CHANGED_AT, feed.changed_at)
    add(parent, AgentNames.CONSUMER_ERROR, feed.last_error)
