"""One peer: its IKE SAs, its associations, and the decision when to talk to it.

A peer has at most one IKE SA of ours in the making. What there is to do about it now is found in
:mod:`rkmp.engine.pursuit`, what an IKE SA reports is dealt with in :mod:`rkmp.engine.reactions`.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Protocol

from rkmp.crypto.certificates import CertificateRejected
from rkmp.engine.algorithms import algorithms_for, tcp_ao_key_lengths
from rkmp.engine.association import Association
from rkmp.engine.certificate_watch import CertificateWatch
from rkmp.engine.closing import closing_moments
from rkmp.engine.configuration import (
    IKE_PORT,
    NAT_PORT,
    AssociationConfiguration,
    Childless,
    EngineConfiguration,
    IkePolicy,
    Listener,
    PeerConfiguration,
    TransformConfiguration,
)
from rkmp.engine.conversation import Conversation
from rkmp.engine.credentials import Trust
from rkmp.engine.events import EngineEvent
from rkmp.engine.pursuit import pursue
from rkmp.engine.reopening import Reopening
from rkmp.engine.state import PeerSnapshot
from rkmp.engine.statistics import added_up
from rkmp.errors import EngineRefusal, KeyTableError, StorageError
from rkmp.ike import ChildRequest, CloseReason, Identity, IkeSettings
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.instant import Instant
from rkmp.keytable import KeyRow, KeyTable
from rkmp.log_context import about

_log = logging.getLogger(__name__)

CROSSING_WINDOW = 5.0
"""Seconds for which a key that we asked for speaks against another one from scratch: it is one that crossed ours."""
TABLE_PATIENCE = 10.0
"""Seconds until what the key table has refused is tried again."""


class Surroundings(Protocol):
    """What a peer needs of the engine."""

    key_table: KeyTable
    configuration: EngineConfiguration
    trust: Trust
    certificate_watch: CertificateWatch

    @property
    def now(self) -> float:
        """The monotonic time of what is being dealt with."""

    @property
    def wall(self) -> datetime:
        """The civil time of what is being dealt with."""

    def report(self, event: EngineEvent) -> None:
        """Take an event for the layers above."""

    def jitter(self) -> float:
        """Return a random part of a delay to add to it, from 0 to a quarter."""

    def open(self, peer: Peer, request: ChildRequest | None, at: Instant) -> Conversation:
        """Make an IKE SA with ``peer`` as its initiator; ``request`` of None makes one without a child."""

    def touch(self, conversation: Conversation) -> None:
        """Deal with what ``conversation`` has to say after a command."""

    def listener_of(self, peer: PeerConfiguration) -> Listener:
        """Return the listener through which we talk to ``peer``."""


class Peer:
    """A configured, enabled peer. Its conversations are the engine's to feed.

    ``conversations`` are those that we open or that are established, oldest first; ``ike_statistics`` counts those that
    are gone. ``is_departed``: the peer has left the configuration, and only good-byes are left to say.
    """

    def __init__(self, configuration: PeerConfiguration, engine: Surroundings, at: Instant) -> None:
        self.configuration = configuration
        self.name = configuration.name
        self.journal = logging.LoggerAdapter(_log, about(peer=self.name))
        self.engine = engine
        self.conversations: dict[bytes, Conversation] = {}
        self.associations: dict[int, Association] = {}
        self.statistics: Counter[str] = Counter()
        self.ike_statistics: Counter[str] = Counter()
        self.is_departed = False
        # KeyIDs, and SA IDs of LDP discovery, which begin with the time, so that a restart comes back to none.
        self._last_send_ids = {False: 0, True: int(at.wall.timestamp())}
        self.reopening = Reopening(engine.jitter)
        self._try_table_again_at = float("-inf")
        for number, wanted in configuration.associations.items():
            self._add_association(number, wanted, at)

    # -- what it is configured to be -----------------------------------------------------------------------------

    @property
    def ike_policy(self) -> IkePolicy:
        """The policy of IKE SAs with this peer."""
        return self.engine.configuration.ike_policies[self.configuration.ike_policy]

    @property
    def settings(self) -> IkeSettings:
        """The policy as an IKE SA takes it."""
        policy, engine = self.ike_policy, self.engine.configuration
        listener = self.engine.listener_of(self.configuration)
        is_on_usual_ports = listener.marked_port is not None and self.configuration.port == IKE_PORT
        return IkeSettings(
            proposals=policy.proposals,
            code_points=engine.code_points,
            require_vendor_id=engine.require_vendor_id,
            algorithm_pairs=tcp_ao_key_lengths(engine.private_algorithms),
            retransmission=policy.retransmission,
            fragmentation=policy.fragmentation,
            datagram_size=policy.datagram_size,
            childless=policy.childless is not Childless.NEVER,
            nat_port=NAT_PORT if is_on_usual_ports else None,
            allow_sha1=policy.allow_sha1,
            initial_contact=not any(conversation.is_open for conversation in self.conversations.values()),
        )

    @property
    def expected_identity(self) -> Identity:
        """Who the peer has to be: as configured, or its address."""
        return self.configuration.remote_identity or Identity.of_address(self.configuration.address)

    def accepts(self, identity: Identity) -> bool:
        """Return whether the peer may call itself ``identity``."""
        if self.expected_identity.is_same_as(identity):
            return True
        return any(pattern.fits(identity) for pattern in self.configuration.accepted_identities)

    @property
    def local_identity(self) -> Identity:
        """Who we are: as configured, or the address that we listen on."""
        configured = self.engine.configuration.local_identity
        return configured or Identity.of_address(self.engine.listener_of(self.configuration).address)

    @property
    def has_enabled_association(self) -> bool:
        """Whether there is anything to negotiate."""
        return any(association.configuration.enabled for association in self.associations.values())

    def transforms(self, association: Association) -> list[TransformConfiguration]:
        """Return what an association may use, the most wanted first."""
        proposals = self.engine.configuration.proposals
        return [transform for name in association.configuration.proposals for transform in proposals[name].transforms]

    def last_announced(self, purpose: int) -> int:
        """Return the identifier that was announced last, after which the next one is looked for."""
        return self._last_send_ids[purpose == LDP_DISCOVERY]

    def announced(self, purpose: int, send_id: int) -> None:
        """Note an identifier that is announced."""
        self._last_send_ids[purpose == LDP_DISCOVERY] = send_id

    def key_ids_in_use(self) -> set[int]:
        """Return every KeyID that a key with this peer carries in either direction, or that we have offered."""
        in_use: set[int] = set()
        for association in self.associations.values():
            in_use |= association.keys.key_ids()
            if association.attempt is not None:
                in_use.update(association.attempt.send_ids)
        for conversation in self.conversations.values():
            for child in conversation.ike_sa.children:
                in_use |= {child.send_id, child.peer_send_id}
        return in_use

    def peer_send_ids_in_use(self, association: Association) -> frozenset[int]:
        """Return the KeyIDs that the peer announced for live keys of an association."""
        return association.keys.peer_send_ids()

    def crossing(self, association: Association, remote: Identity, ike_sa: bytes) -> str | None:
        """Return why a negotiation from scratch over ``ike_sa`` must not be answered now: ours goes on instead.

        RFC 7296 has no rule for two IKE SAs that are opened at once (G23): of two negotiations for one association,
        that of the side with the greater identity goes on. Within one IKE SA the nonces decide.
        """
        attempt = association.attempt
        if attempt is None:
            is_crossed = self.engine.now - association.asked_at < CROSSING_WINDOW
        else:
            conversation = self.conversations.get(attempt.ike_sa)
            is_crossed = (
                conversation is not None
                and conversation.key != ike_sa
                and not conversation.is_unanswered
                and conversation.retired_because is None
            )
        local = self.local_identity
        if is_crossed and (local.id_type, local.value) > (remote.id_type, remote.value):
            return f"our own negotiation for {association.protocol} goes before"
        return None

    # -- configuration and commands ------------------------------------------------------------------------------

    def reconfigure(self, configuration: PeerConfiguration, at: Instant, *, is_other: bool) -> None:
        """Take over changed settings; associations that are new, changed or gone are dealt with.

        ``is_other``: it is not the same neighbor any more, or has to be convinced anew that it is. Then IKE SAs end,
        and keys stay until others have replaced them (protocol.md G40).
        """
        self.configuration = configuration
        for number in [number for number in self.associations if number not in configuration.associations]:
            self._drop_keys(self.associations.pop(number), "association removed from the configuration", at)
        for number, wanted in configuration.associations.items():
            association = self.associations.get(number)
            if association is None:
                self._add_association(number, wanted, at)
            elif association.configuration != wanted:
                self._reconfigure_association(association, wanted, at)
        self.associations = {number: self.associations[number] for number in configuration.associations}
        for number, association in self.associations.items():
            association.keys.algorithms = algorithms_for(number, self.engine.configuration.private_algorithms)
        self.reopening.now()
        for association in self.associations.values():
            association.retry_now()
        if is_other:
            self._retire_conversations("the peer's configuration has changed", at)
            for association in self.associations.values():
                if association.keys.latest() is not None:
                    association.want_rekey()

    def retire_revoked(self) -> None:
        """Close IKE SAs whose peer has shown a certificate that is revoked by now; keys stay in force (G16)."""
        for conversation in list(self.conversations.values()):
            chain = conversation.established.remote_chain if conversation.established is not None else None
            if chain is None or conversation.retired_because is not None:
                continue
            try:
                self.engine.trust.require_unrevoked(self.engine.configuration, chain)
            except CertificateRejected as refusal:
                conversation.retired_because = refusal.reason
                self.engine.touch(conversation)

    def transforms_changed(self, names: frozenset[str]) -> None:
        """Replace the keys of associations that use one of the proposals ``names``."""
        for association in self.associations.values():
            if not names.isdisjoint(association.configuration.proposals):
                self._renew(association)

    def rekey(self, protocol: int, request: int) -> None:
        """Replace the key of an association now, for an operator; raises EngineRefusal if there is none."""
        association = self.associations.get(protocol)
        if association is None or not association.configuration.enabled:
            raise EngineRefusal("there is no enabled association for this protocol", peer=self.name)
        self.reopening.now()
        association.want_rekey(request)

    def initiate(self) -> None:
        """Negotiate now whatever is lacking, an IKE SA to begin with, for an operator."""
        if not self.has_enabled_association:
            raise EngineRefusal("the peer has no enabled association", peer=self.name)
        self.reopening.now()
        self.reopening.is_asked = not any(conversation.is_usable for conversation in self.conversations.values())
        for association in self.associations.values():
            association.retry_now()

    def clear(self, at: Instant) -> None:
        """Drop all keys and IKE SAs, here and at the peer as far as it can be reached."""
        for association in self.associations.values():
            self._drop_keys(association, "cleared by an operator", at)
            association.retry_now()
        self._retire_conversations("cleared by an operator", at)
        self.reopening.now()

    def depart(self, reason: str, at: Instant, *, keep_keys: bool) -> None:
        """Leave the configuration: end everything with the peer; keys too unless they are to be kept."""
        for association in self.associations.values():
            if keep_keys:
                association.end(reason)
            else:
                self._drop_keys(association, reason, at)
        self.is_departed = True
        self._retire_conversations(reason, at)
        self.associations = {}

    def _add_association(self, number: int, wanted: AssociationConfiguration, at: Instant) -> None:
        engine = self.engine
        association = Association(self.name, wanted, engine.key_table, engine.report, engine.jitter, at)
        self.associations[number] = association
        association.keys.algorithms = algorithms_for(number, engine.configuration.private_algorithms)
        rows = association.keys.rows()
        if rows:
            self.announced(number, int(rows[-1].peer_key_name, 16))
        if not wanted.enabled:
            self._drop_keys(association, "association disabled", at)

    def _reconfigure_association(self, association: Association, wanted: AssociationConfiguration, at: Instant) -> None:
        previous = association.configuration
        if not wanted.enabled or wanted.neighbor != previous.neighbor:
            self._drop_keys(association, "association changed in the configuration", at)
        association.configuration = wanted
        if wanted.proposals != previous.proposals:
            self._renew(association)

    def _renew(self, association: Association) -> None:
        # The draft's section 5: "neighbor changed or updated" makes RKMP run again.
        if association.configuration.enabled and association.keys.latest() is not None:
            association.want_rekey()

    def _drop_keys(self, association: Association, reason: str, at: Instant) -> None:
        """Remove the keys of an association and delete them at the peer, as far as an IKE SA can name them (G40)."""
        number = association.configuration.protocol
        association.end(reason)
        for row in association.keys.rows():
            try:
                association.remove(row, reason, at)
            except (StorageError, KeyTableError) as error:
                # Nobody waits for an answer any more; the next start removes what nothing is configured for.
                self.journal.error("peer %s: key %s: %s", self.name, row.admin_key_name, error)
        for conversation in self.conversations.values():
            for child in conversation.ike_sa.children:
                if child.routing_protocol == number:
                    conversation.delete_child(child.send_id, at.monotonic)
                    self.engine.touch(conversation)

    def _retire_conversations(self, reason: str, at: Instant) -> None:
        for conversation in list(self.conversations.values()):
            conversation.retired_because = reason
            if conversation.is_opening:
                conversation.ike_sa.abandon(reason, at.monotonic, CloseReason.REPLACED)
            self.engine.touch(conversation)

    # -- time and state -------------------------------------------------------------------------------------------

    def pursue(self, at: Instant) -> None:
        """Start whatever the associations need and may have now, and end what is not needed any more."""
        pursue(self, at)

    def handle_timer(self, at: Instant) -> None:
        """Retire keys whose time is over; what is due besides is for :meth:`pursue`."""
        for association in self.associations.values():
            try:
                retired = association.handle_timer(at)
            except (StorageError, KeyTableError) as error:
                self.journal.error("peer %s, %s: %s", self.name, association.protocol, error)
                self._try_table_again_at = at.monotonic + TABLE_PATIENCE
                continue
            for row in retired:
                latest = association.keys.latest()
                # RFC 7296 2.8: the side that asked for the new one deletes the old one.
                if latest is not None and latest.provenance is not None and latest.provenance.role == "initiator":
                    self._delete_at_peer(row, at)

    def _delete_at_peer(self, row: KeyRow, at: Instant) -> None:
        """Tell the peer that a replaced key is gone, where an IKE SA can name it."""
        send_id = int(row.peer_key_name, 16)
        for conversation in self.conversations.values():
            for child in conversation.ike_sa.children:
                if child.send_id == send_id and conversation.is_open:
                    conversation.delete_child(send_id, at.monotonic)
                    self.engine.touch(conversation)

    def next_timer(self, at: Instant) -> float | None:
        """Return when there is something to do that no message will bring."""
        moments = [association.next_timer(at) for association in self.associations.values()]
        policy = self.ike_policy
        moments += [*self.reopening.moments(self.configuration.initiate, policy), self._try_table_again_at]
        for conversation in self.conversations.values():
            if conversation.is_open:
                moments += closing_moments(policy, conversation, at)
        to_come = [m for m in moments if m is not None and at.monotonic < m < float("inf")]
        return min(to_come) if to_come else None

    def snapshot(self, at: Instant) -> PeerSnapshot:
        """Return what is shown of the peer."""
        policy = self.ike_policy
        return PeerSnapshot(
            name=self.name,
            associations=tuple(association.snapshot(at.wall) for association in self.associations.values()),
            ike_sas=tuple(conversation.snapshot(policy) for conversation in self.conversations.values()),
            statistics=dict(self.statistics),
            ike_statistics=added_up(self.ike_statistics, (each.ike_sa for each in self.conversations.values())),
        )
