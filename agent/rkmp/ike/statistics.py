"""What an IKE SA counts, by name. Names are those that an operator reads."""

from __future__ import annotations

import enum


class Statistic(enum.StrEnum):
    """The counters of an IKE SA; one that never counted is absent from the dictionary.

    A fragment is a message of its own to those that count messages.
    """

    MESSAGES_IN = "messages-in"
    MESSAGES_OUT = "messages-out"
    OCTETS_IN = "octets-in"
    OCTETS_OUT = "octets-out"
    RETRANSMISSIONS = "retransmissions"
    """Requests of ours that were sent again."""
    RESPONSES_REPEATED = "responses-repeated"
    """Repeated requests of the peer that got the same response again."""
    DROPPED_MALFORMED = "dropped-malformed"
    DROPPED_WRONG_SPI = "dropped-wrong-spi"
    DROPPED_WRONG_VERSION = "dropped-wrong-version"
    DROPPED_WRONG_DIRECTION = "dropped-wrong-direction"
    """The Initiator flag said that the message came from ourselves."""
    DROPPED_UNEXPECTED = "dropped-unexpected"
    """A message that the state of the IKE SA has no use for, or a response to nothing we asked."""
    DROPPED_STALE = "dropped-stale"
    """A request of a message ID that was answered before, but not the one that was answered, or an old response."""
    DROPPED_OUT_OF_WINDOW = "dropped-out-of-window"
    DROPPED_INTEGRITY = "dropped-integrity"
    """A protected message whose integrity check failed."""
    DROPPED_UNAUTHENTICATED = "dropped-unauthenticated"
    """A message that anybody might have sent: an answer to IKE_SA_INIT that cannot be used, or one without protection
    where there should be."""
    DROPPED_FRAGMENT = "dropped-fragment"
    """A fragment that is there already, of a set that was cut anew, of another message than the one being put
    together, or one too many."""
    REASSEMBLED = "reassembled"
    """Messages that were put together from fragments."""
    FRAGMENTED = "fragmented"
    """Messages of ours that were sent in fragments; repetitions count."""
    POSTPONED = "postponed"
    """A Delete of the IKE SA that has to come again, because a key was being negotiated."""
    INIT_RESTARTS = "init-restarts"
    """Our IKE_SA_INIT requests that were made anew, with a cookie or for another group."""
