"""The engine: from configured peers to keys in the key table, kept fresh.

:class:`Engine` is sans-IO (datagrams, timers, commands and an :class:`~rkmp.instant.Instant` in; datagrams and events
out); :class:`EngineDriver` runs one on asyncio with a UDP socket for each listener. Both take one frozen
:class:`EngineConfiguration` at a time: ``prepare`` may refuse it with a reason, ``apply`` cannot fail.

What is shown of it are snapshots (:mod:`rkmp.engine.state`), events (:mod:`rkmp.engine.events`) and counters
(:mod:`rkmp.engine.statistics`). The keys are rows of the key table, with their provenance.
"""

from __future__ import annotations

from rkmp.engine.association_states import TRANSITIONS, AssociationInput, AssociationState
from rkmp.engine.configuration import (
    IKE_PORT,
    NAT_PORT,
    AssociationConfiguration,
    AtExpiry,
    CertificateName,
    Childless,
    EngineConfiguration,
    IkePolicy,
    Initiate,
    Listener,
    NatPolicy,
    PeerConfiguration,
    PpkConfiguration,
    PpkName,
    PreSharedKeyName,
    ProposalConfiguration,
    SecurityProtocol,
    TransformConfiguration,
    TrustAnchorNames,
)
from rkmp.engine.configuration_check import PreparedConfiguration
from rkmp.engine.datagrams import OutgoingDatagram
from rkmp.engine.driver import EngineDriver, PreparedChange, system_clock
from rkmp.engine.engine import Engine
from rkmp.engine.events import (
    AssociationStateChange,
    AuthenticationFailure,
    CertificateExpiring,
    EngineEvent,
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    NatFound,
    NegotiationFailure,
    NegotiationSuccess,
    RequestCompleted,
    RevocationListOverdue,
    RolloverCompleted,
    RolloverStarted,
)
from rkmp.engine.protocols import protocol_name
from rkmp.engine.state import AssociationSnapshot, IkeSaSnapshot, PeerSnapshot
from rkmp.engine.statistics import EngineStatistic, PeerStatistic, failure_statistic

__all__ = [
    "IKE_PORT",
    "NAT_PORT",
    "TRANSITIONS",
    "AssociationConfiguration",
    "AssociationInput",
    "AssociationSnapshot",
    "AssociationState",
    "AssociationStateChange",
    "AtExpiry",
    "AuthenticationFailure",
    "CertificateExpiring",
    "CertificateName",
    "Childless",
    "Engine",
    "EngineConfiguration",
    "EngineDriver",
    "EngineEvent",
    "EngineStatistic",
    "IkePolicy",
    "IkeSaDown",
    "IkeSaReplaced",
    "IkeSaSnapshot",
    "IkeSaUp",
    "Initiate",
    "Listener",
    "NatFound",
    "NatPolicy",
    "NegotiationFailure",
    "NegotiationSuccess",
    "OutgoingDatagram",
    "PeerConfiguration",
    "PeerSnapshot",
    "PeerStatistic",
    "PpkConfiguration",
    "PpkName",
    "PreSharedKeyName",
    "PreparedChange",
    "PreparedConfiguration",
    "ProposalConfiguration",
    "RequestCompleted",
    "RevocationListOverdue",
    "RolloverCompleted",
    "RolloverStarted",
    "SecurityProtocol",
    "TransformConfiguration",
    "TrustAnchorNames",
    "failure_statistic",
    "protocol_name",
    "system_clock",
]
