"""The IKE SA of RKMP: RFC 7296's exchanges, carrying TCP-AO policy, without any input or output of its own.

The life of an SA
-----------------

* An initiator makes one with ``IkeSa.initiate(settings, policy, random, child_request, now)``; its IKE_SA_INIT request
  waits in :meth:`IkeSa.datagrams`. A responder makes one with ``IkeSa.respond(settings, policy, random)`` for a
  datagram that opens an IKE SA (an IKE_SA_INIT request whose responder SPI is zero) and hands it that datagram. Finding
  the SA for a datagram is the caller's business: by each of its ``local_spis``, and for a repeated opening request by
  the initiator SPI of the first and the address that it came from (:func:`rkmp.ike.addressing.is_opening_request` tells
  one). An opening request that is dropped or refused closes the responder's SA at once, with nothing left to repeat.
  Both take a :class:`Path`, the addresses and ports of both ends as they are seen from here; without one, messages are
  cut into fragments that fit any path, and nobody finds out whether addresses are translated. Where they are,
  :class:`NatDetected` comes with IKE_SA_INIT and ``nat`` says so; an initiator's caller moves to the port that the
  event names, before it sends what comes with it.
* After every call of ``receive``, ``handle_timer`` or a command the caller takes, in this order, ``events()`` and
  ``datagrams()``, acting on the first before it sends the second, and arms one timer for ``next_timer()``.
* ``receive`` never raises on what the network brings: a datagram is processed, answered or dropped, and counted in
  ``statistics``.
* Commands: ``create_child``, ``rekey_child``, ``delete_child``, ``rekey``, ``check_liveness``, ``close``, and
  ``abandon`` which tells the peer nothing. They queue: one request of ours is under way at a time (window 1). Before
  the SA is established they wait; on an SA that is closing or closed they are refused by an event. Every
  :class:`ChildRequest` that was handed in, the one for IKE_AUTH included, ends in exactly one
  :class:`ChildKeysEstablished` or :class:`ChildRefused`.
* ``rekey``, or the peer, replaces the IKE SA by another with SPIs, keys and Message IDs of its own. The object stays
  the same: it is the conversation with the peer, and its children, queue, counters and policy go on.
  :class:`IkeSaRekeyed` tells the SPIs from then on, which ``local_spi`` and ``remote_spi`` give. Messages to the old
  one, and to one that both sides make at once and only one of which remains, still come for a while: ``local_spis``
  changes with any call, so after each the caller sees to it that it finds the object by all of them and by no others.
* Keys leave in :class:`ChildKeysEstablished`. The last event is :class:`IkeSaClosed`; it deletes no keys (G15). When
  ``is_closed`` and ``is_finished`` are both true the object may be forgotten; between the two it only repeats its last
  response to a peer that did not get it.

What the layer above decides comes in through one :class:`Policy`, and is asked for while a datagram is processed. That
includes whether a peer's certificates are valid, because it depends on the civil time.
Time (``now``, monotonic seconds) and randomness come in as arguments, so that a whole transcript can be replayed.

KeyIDs (SendIDs) name children in REKEY_SA and Delete, so within one IKE SA each side has to announce a different one
for each live child, whatever its routing protocol: allocate them per peer, not per peer and protocol.

:mod:`rkmp.ike.stateless` answers what needs no SA: unknown versions and SPIs; :mod:`rkmp.ike.cookies` keeps floods of
IKE_SA_INIT from taking memory.
"""

from __future__ import annotations

from rkmp.ike.child_sa import ChildSa
from rkmp.ike.collisions import is_redundant
from rkmp.ike.cookies import CookieKeeper
from rkmp.ike.events import (
    AuthenticationFailed,
    AuthenticationFailure,
    AuthenticationMethod,
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    Event,
    IkeSaClosed,
    IkeSaEstablished,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    LivenessFailed,
    NatDetected,
    NegotiationFailed,
    NegotiationFailure,
    NotifyReceived,
    RekeyFailure,
    Role,
)
from rkmp.ike.identity import IDENTITY_TYPE_NAMES, Identity
from rkmp.ike.identity_patterns import IdentityPattern
from rkmp.ike.ike_sa import IkeSa
from rkmp.ike.nat_detection import Nat
from rkmp.ike.path import Path
from rkmp.ike.policy import (
    ChildChoice,
    ChildOffer,
    ChildRequest,
    Expectations,
    LocalAuthentication,
    OfferedTransform,
    OwnCertificate,
    PeerCertificate,
    Policy,
    Ppk,
    PreSharedKey,
    RemoteAuthentication,
)
from rkmp.ike.settings import RFC_5926_PAIRS, IkeSettings, Retransmission
from rkmp.ike.states import IkeSaState
from rkmp.ike.statistics import Statistic

__all__ = [
    "IDENTITY_TYPE_NAMES",
    "RFC_5926_PAIRS",
    "AuthenticationFailed",
    "AuthenticationFailure",
    "AuthenticationMethod",
    "ChildChoice",
    "ChildDeleted",
    "ChildDeletion",
    "ChildKeysEstablished",
    "ChildOffer",
    "ChildRefusal",
    "ChildRefused",
    "ChildRequest",
    "ChildSa",
    "CloseReason",
    "CookieKeeper",
    "Event",
    "Expectations",
    "Identity",
    "IdentityPattern",
    "IkeSa",
    "IkeSaClosed",
    "IkeSaEstablished",
    "IkeSaRekeyFailed",
    "IkeSaRekeyed",
    "IkeSaState",
    "IkeSettings",
    "LivenessFailed",
    "LocalAuthentication",
    "Nat",
    "NatDetected",
    "NegotiationFailed",
    "NegotiationFailure",
    "NotifyReceived",
    "OfferedTransform",
    "OwnCertificate",
    "Path",
    "PeerCertificate",
    "Policy",
    "Ppk",
    "PreSharedKey",
    "RekeyFailure",
    "RemoteAuthentication",
    "Retransmission",
    "Role",
    "Statistic",
    "is_redundant",
]
