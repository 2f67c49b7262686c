"""What the engine and each peer count, by the names that an operator reads. A counter that never counted is absent.

The counters of IKE SAs (:class:`rkmp.ike.Statistic`) are added up under their own names.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping

from rkmp.ike import AuthenticationFailure, ChildRefusal, IkeSa, NegotiationFailure, RekeyFailure


class EngineStatistic(enum.StrEnum):
    """The engine's own counters."""

    DATAGRAMS_IN = "datagrams-in"
    DATAGRAMS_OUT = "datagrams-out"
    DROPPED_NOT_IKE = "dropped-not-ike"
    """Too short or of a shape that no IKE message has."""
    DROPPED_UNKNOWN_ADDRESS = "dropped-unknown-address"
    """An IKE_SA_INIT request from an address at which no enabled peer is configured."""
    DROPPED_OTHER_ADDRESS = "dropped-other-address"
    """A message of a known IKE SA from an address that is not its peer's."""
    DROPPED_UNKNOWN_SPI = "dropped-unknown-spi"
    """A message of an IKE SA that is not known here; a request is answered within limits."""
    DROPPED_HALF_OPEN_LIMIT = "dropped-half-open-limit"
    DROPPED_WRONG_VERSION = "dropped-wrong-version"
    DROPPED_UNREADABLE_OPENING = "dropped-unreadable-opening"
    """A first message that cannot be answered, and got no state of its own."""
    COOKIES_SENT = "cookies-sent"
    ERRORS_SENT = "errors-sent"
    """Notifies outside of any IKE SA: INVALID_IKE_SPI, INVALID_MAJOR_VERSION and what refuses an IKE_SA_INIT."""
    ERRORS_SUPPRESSED = "errors-suppressed"
    """Such notifies that were not sent, because there were too many of them, in all or to one address."""
    NETWORK_ERRORS = "network-errors"
    """What the network or the host said of datagrams, such as that nobody is there: nothing follows from it alone."""
    HALF_OPEN_IKE_SAS = "half-open-ike-sas"
    """A gauge: IKE SAs that a peer began and whose peer is not authenticated yet."""
    IKE_SAS = "ike-sas"
    """A gauge: established IKE SAs."""
    CLOCK_CHANGES = "clock-changes"
    """How often civil time was set, by more than a second."""
    INTERNAL_ERRORS = "internal-errors"
    """Faults of the agent itself while it handled a message or a timer; the log has each."""


class PeerStatistic(enum.StrEnum):
    """The counters of one peer; failures are counted besides, under the names of :func:`failure_statistic`."""

    IKE_SAS_INITIATED = "ike-sas-initiated"
    IKE_SAS_ESTABLISHED = "ike-sas-established"
    IKE_SAS_LOST = "ike-sas-lost"
    """Established IKE SAs that ended because the peer fell silent."""
    IKE_SAS_REKEYED = "ike-sas-rekeyed"
    """IKE SAs that were replaced by rekeying, by whichever side."""
    IKE_SA_REKEYS_FAILED = "ike-sa-rekeys-failed"
    """Attempts of ours to rekey an IKE SA that came to nothing."""
    KEYS_INSTALLED = "keys-installed"
    KEYS_DELETED_BY_PEER = "keys-deleted-by-peer"
    NEGOTIATIONS_SUCCEEDED = "negotiations-succeeded"
    NEGOTIATIONS_FAILED = "negotiations-failed"
    INSTALLATIONS_FAILED = "installations-failed"
    """Keys that were agreed but that the key table refused."""


def added_up(gone: Mapping[str, int], ike_sas: Iterable[IkeSa]) -> Counter[str]:
    """Return what IKE SAs have counted, those that are gone and those that there are."""
    total = Counter(gone)
    for ike_sa in ike_sas:
        total.update({str(name): amount for name, amount in ike_sa.statistics.items()})
    return total


def failure_statistic(reason: NegotiationFailure | AuthenticationFailure | ChildRefusal | RekeyFailure) -> str:
    """Return the name under which failures for ``reason`` are counted: the notify that told it, where there is one."""
    if isinstance(reason, AuthenticationFailure):
        return f"authentication-failed-{reason.value}"
    return f"failed-{reason.value}"
