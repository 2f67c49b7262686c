"""Subscriptions of YANG push over NETCONF: RFC 8639, RFC 8641, under the rules of RFC 8640.

    publisher = Publisher(surroundings, sources)
    subscription = publisher.establish(subscriber, terms)   # Refusal, with hints
    subscription.start()                                    # once the reply has left
    subscription.take()                                     # the next notification, as the client reads

    publisher.running_changed(session_id, edits)            # a listener of commits
    publisher.capable.declare(tag, excepted)                # state that is on-change capable
    publisher.state_changed(tag)                            # and has changed

``changes`` finds what has changed between two snapshots, ``pending`` keeps what is not told yet, ``updates`` decides
when to tell; ``subscription`` holds the queue that a slow reader fills, and suspends. Clocks come in as functions;
``alarm`` is the only file that knows the event loop.
"""

from rkmp.netconf.subscriptions.admission import Sources
from rkmp.netconf.subscriptions.limits import SubscriptionLimits
from rkmp.netconf.subscriptions.publisher import Publisher
from rkmp.netconf.subscriptions.subscription import Subscriber, Subscription, Surroundings

__all__ = ["Publisher", "Sources", "Subscriber", "Subscription", "SubscriptionLimits", "Surroundings"]
