"""One peer: its IKE SAs, its associations, and the decision when to talk to it.

A peer has at most one IKE SA of ours in the making. Whatever its associations lack is negotiated over an established
IKE SA if there is one; otherwise a new one is opened with the first of them in IKE_AUTH, and the others follow in
CREATE_CHILD_SA exchanges, in the order of the configuration (protocol.md G38). What an IKE SA reports is dealt with in
:mod:`rkmp.engine.reactions`.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Protocol

from rkmp.engine.association import FIRST_RETRY, LAST_RETRY, Association
from rkmp.engine.configuration import (
    AssociationConfiguration,
    EngineConfiguration,
    IkePolicy,
    Initiate,
    Listener,
    PeerConfiguration,
    TransformConfiguration,
)
from rkmp.engine.conversation import Conversation
from rkmp.engine.events import EngineEvent
from rkmp.engine.offers import child_request
from rkmp.engine.state import PeerSnapshot
from rkmp.engine.statistics import PeerStatistic
from rkmp.errors import EngineRefusal, KeyTableError, StorageError
from rkmp.ike import ChildRequest, ChildSa, CloseReason, Identity, IkeSettings, Role
from rkmp.instant import Instant
from rkmp.keytable import KeyRow, KeyTable
from rkmp.secret import Secret
from rkmp.wire import NotifyType

_log = logging.getLogger(__name__)

CROSSING_WINDOW = 5.0
"""Seconds for which a key that we asked for speaks against another one from scratch: it is one that crossed ours."""
CLOSING_PATIENCE = 60.0
"""Seconds by which an IKE SA may outlive its lifetime while something is negotiated over it."""
TABLE_PATIENCE = 10.0
"""Seconds until what the key table has refused is tried again."""
STABLE = 60.0
"""Seconds that an IKE SA has to last for another to be opened at once when it ends."""
IDLE_BEFORE_CLOSE = {Role.INITIATOR: 1.0, Role.RESPONDER: 5.0}
"""Seconds after the last key for which an IKE SA that is not retained stays open, in case the peer needs it too."""


class Surroundings(Protocol):
    """What a peer needs of the engine."""

    key_table: KeyTable
    configuration: EngineConfiguration

    @property
    def now(self) -> float:
        """The monotonic time of what is being dealt with."""

    def report(self, event: EngineEvent) -> None:
        """Take an event for the layers above."""

    def jitter(self) -> float:
        """Return a random part of a delay to add to it, from 0 to a quarter."""

    def open(self, peer: Peer, request: ChildRequest, at: Instant) -> Conversation:
        """Make an IKE SA with ``peer`` as its initiator."""

    def touch(self, conversation: Conversation) -> None:
        """Deal with what ``conversation`` has to say after a command."""

    def listener_of(self, peer: PeerConfiguration) -> Listener:
        """Return the listener through which we talk to ``peer``."""


class Peer:
    """A configured, enabled peer. Its conversations are the engine's to feed.

    ``conversations`` are those that we open or that are established, oldest first; ``is_departed``: the peer has left
    the configuration, and only good-byes are left to say.
    """

    def __init__(self, configuration: PeerConfiguration, engine: Surroundings, at: Instant) -> None:
        self.configuration = configuration
        self.name = configuration.name
        self.engine = engine
        self.conversations: dict[bytes, Conversation] = {}
        self.associations: dict[int, Association] = {}
        self.statistics: Counter[str] = Counter()
        self.is_departed = False
        self.last_send_id = 0
        self._is_asked = False
        self._reopen_at = float("-inf")
        self._reopen_delay = FIRST_RETRY
        self._keep_up_at = float("-inf")
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
        return IkeSettings(
            proposals=policy.proposals,
            code_points=engine.code_points,
            require_vendor_id=engine.require_vendor_id,
            retransmission=policy.retransmission,
            initial_contact=not any(conversation.is_open for conversation in self.conversations.values()),
        )

    @property
    def expected_identity(self) -> Identity:
        """Who the peer has to be: as configured, or its address."""
        return self.configuration.remote_identity or Identity.of_address(self.configuration.address)

    @property
    def local_identity(self) -> Identity:
        """Who we are: as configured, or the address that we listen on."""
        configured = self.engine.configuration.local_identity
        return configured or Identity.of_address(self.engine.listener_of(self.configuration).address)

    def secret(self, name: str) -> Secret:
        """Return the pre-shared key ``name``."""
        return self.engine.configuration.pre_shared_keys[name]

    def transforms(self, association: Association) -> list[TransformConfiguration]:
        """Return what an association may use, the most wanted first."""
        proposals = self.engine.configuration.proposals
        return [transform for name in association.configuration.proposals for transform in proposals[name].transforms]

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
        self._retry_now()
        if is_other:
            self._retire_conversations("the peer's configuration has changed", at)
            for association in self.associations.values():
                if association.keys.latest() is not None:
                    association.want_rekey()

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
        self._retry_now()
        association.want_rekey(request)

    def initiate(self) -> None:
        """Negotiate now whatever is lacking, an IKE SA to begin with, for an operator."""
        if not any(association.configuration.enabled for association in self.associations.values()):
            raise EngineRefusal("the peer has no enabled association", peer=self.name)
        self._is_asked = True
        self._retry_now()
        for association in self.associations.values():
            association.retry_now()

    def clear(self, at: Instant) -> None:
        """Drop all keys and IKE SAs, here and at the peer as far as it can be reached."""
        for association in self.associations.values():
            self._drop_keys(association, "cleared by an operator", at)
            association.retry_now()
        self._retire_conversations("cleared by an operator", at)
        self._retry_now()

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
        rows = association.keys.rows()
        if rows:
            self.last_send_id = int(rows[-1].peer_key_name, 16)
        if not wanted.enabled:
            self._drop_keys(association, "association disabled", at)

    def _reconfigure_association(self, association: Association, wanted: AssociationConfiguration, at: Instant) -> None:
        previous = association.configuration
        if not wanted.enabled or wanted.neighbor != previous.neighbor:
            self._drop_keys(association, "association changed in the configuration", at)
        association.configuration = wanted
        association.retry_now()
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
                _log.error("peer %s: key %s: %s", self.name, row.admin_key_name, error)
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

    # -- negotiation ---------------------------------------------------------------------------------------------

    def pursue(self, at: Instant) -> None:
        """Start whatever the associations need and may have now, and end what is not needed any more."""
        for association in self.associations.values():
            if association.wants_key(at):
                self._negotiate(association, at)
        if self._wants_ike_sa(at):
            association = next(a for a in self.associations.values() if a.configuration.enabled)
            self._open(association, at)
        for conversation in list(self.conversations.values()):
            self._tidy(conversation, at)

    def opening_failed(self, at: Instant) -> None:
        """Note that no IKE SA came to be."""
        self._is_asked = False
        self._reopen_at = at.monotonic + self._reopen_delay * (1 + self.engine.jitter())
        self._reopen_delay = min(self._reopen_delay * 2, LAST_RETRY)

    def opening_succeeded(self) -> None:
        """Note that an IKE SA was established."""
        self._is_asked = False
        self._retry_now()

    def conversation_ended(self, conversation: Conversation, at: Instant) -> None:
        """Note that an established IKE SA is gone; one that did not last must not be replaced over and over."""
        lasted = conversation.seconds_open(at.monotonic)
        if conversation.retired_because is not None or lasted >= STABLE:
            self._keep_up_at = at.monotonic + FIRST_RETRY * self.engine.jitter()
        else:
            delay = min(max(FIRST_RETRY, 4 * (STABLE - lasted) / STABLE * self._reopen_delay), LAST_RETRY)
            self._keep_up_at = at.monotonic + delay * (1 + self.engine.jitter())
            self._reopen_delay = min(self._reopen_delay * 2, LAST_RETRY)

    def delete_at_peer(self, row: KeyRow, at: Instant) -> None:
        """Tell the peer that a replaced key is gone, if that is for us to do: for the side that replaced it (2.8)."""
        send_id = int(row.peer_key_name, 16)
        for conversation in self.conversations.values():
            for child in conversation.ike_sa.children:
                if child.send_id == send_id and conversation.is_open:
                    conversation.delete_child(send_id, at.monotonic)
                    self.engine.touch(conversation)

    def _negotiate(self, association: Association, at: Instant) -> None:
        conversation, replaced = self._where_to_ask(association, at)
        if conversation is None:
            if self._may_open(association, at):
                self._open(association, at)
            return
        request = self._request(association, at)
        if request is None:
            return
        association.begin(conversation.key, request.send_ids, at)
        if replaced is not None:
            conversation.ike_sa.rekey_child(replaced.send_id, request, at.monotonic)
        else:
            conversation.ike_sa.create_child(request, at.monotonic)
        self.engine.touch(conversation)

    def _where_to_ask(self, association: Association, at: Instant) -> tuple[Conversation | None, ChildSa | None]:
        """Return the conversation to negotiate over, and the child of it that is to be replaced.

        That is where the newest key was made, or else the IKE SA that was made last.
        """
        usable = [conversation for conversation in self.conversations.values() if conversation.is_usable]
        row = association.keys.newest(at.wall)
        newest = int(row.peer_key_name, 16) if row is not None else None
        for conversation in usable:
            for child in conversation.ike_sa.children:
                if (
                    (child.send_id, child.routing_protocol) == (newest, association.configuration.protocol)
                    and conversation.is_open
                    and child.replaced_by is None
                    and not child.redundant
                ):
                    return conversation, child
        is_open = [conversation for conversation in usable if conversation.is_open]
        last = (is_open or usable)[-1:]
        return (last[0] if last else None), None

    def _may_open(self, association: Association, at: Instant) -> bool:
        is_asked = self._is_asked or association.is_asked_for
        if self.configuration.initiate is Initiate.NEVER and not is_asked:
            return False
        return not self.is_departed and at.monotonic >= self._reopen_at

    def _wants_ike_sa(self, at: Instant) -> bool:
        """Whether an IKE SA is to be opened although no association needs it."""
        if self.is_departed or not any(a.configuration.enabled for a in self.associations.values()):
            return False
        if any(conversation.is_usable for conversation in self.conversations.values()):
            return False
        return at.monotonic >= (self._reopen_at if self._is_asked else self._kept_up_from())

    def _kept_up_from(self) -> float:
        if self.is_departed or self.configuration.initiate is not Initiate.IMMEDIATELY:
            return float("inf")
        return max(self._reopen_at, self._keep_up_at) if self.ike_policy.retain_ike_sa else float("inf")

    def _open(self, association: Association, at: Instant) -> None:
        request = self._request(association, at)
        if request is None:
            return
        conversation = self.engine.open(self, request, at)
        self.conversations[conversation.key] = conversation
        self.statistics[PeerStatistic.IKE_SAS_INITIATED] += 1
        association.begin(conversation.key, request.send_ids, at)

    def _request(self, association: Association, at: Instant) -> ChildRequest | None:
        """Return what to ask for, or None when there is no KeyID left to announce."""
        proposals = self.engine.configuration.proposals
        wanted = [proposals[name] for name in association.configuration.proposals]
        request = child_request(
            association.configuration.protocol,
            wanted,
            self.key_ids_in_use(),
            self.peer_send_ids_in_use(association),
            after=self.last_send_id,
        )
        if request is None:
            reason = "all 256 KeyIDs towards this peer are in use"
            self.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
            association.fail(reason, NotifyType.NO_ADDITIONAL_SAS, at)
            return None
        self.last_send_id = request.send_ids[-1]
        return request

    def _tidy(self, conversation: Conversation, at: Instant) -> None:
        """Close an IKE SA that has served."""
        if not conversation.is_open:
            return
        reason = conversation.retired_because or self._why_close(conversation, at)
        if reason is not None:
            conversation.retired_because = reason
            if not conversation.owes_deletes:
                conversation.ike_sa.close(reason, at.monotonic)
                self.engine.touch(conversation)

    def _why_close(self, conversation: Conversation, at: Instant) -> str | None:
        if not any(association.configuration.enabled for association in self.associations.values()):
            return "no association with the peer is enabled"
        if self._is_busy(conversation):
            patience = conversation.expires_at(self.ike_policy) + CLOSING_PATIENCE
            return "its lifetime has ended" if patience <= at.monotonic else None
        if conversation.expires_at(self.ike_policy) <= at.monotonic:
            return "its lifetime has ended"
        if not self.ike_policy.retain_ike_sa and self._idle_at(conversation) <= at.monotonic and self._has_all_keys():
            return "all keys exist and it is not to be retained"
        if conversation.role is Role.INITIATOR and not conversation.ike_sa.children and self._is_doubled(conversation):
            return "another IKE SA with the peer serves"
        return None

    def _is_busy(self, conversation: Conversation) -> bool:
        for association in self.associations.values():
            if association.attempt is not None and association.attempt.ike_sa == conversation.key:
                return True
            if any(waiting.ike_sa == conversation.key for waiting in association.confirmations.values()):
                return True
        return False

    def _is_doubled(self, conversation: Conversation) -> bool:
        return any(c.is_open and c.is_usable and c is not conversation for c in self.conversations.values())

    def _has_all_keys(self) -> bool:
        enabled = [a for a in self.associations.values() if a.configuration.enabled]
        return all(a.attempt is None and not a.confirmations and a.keys.latest() is not None for a in enabled)

    @staticmethod
    def _idle_at(conversation: Conversation) -> float:
        return conversation.busy_at + IDLE_BEFORE_CLOSE[conversation.role]

    def _retry_now(self) -> None:
        self._reopen_at = self._keep_up_at = float("-inf")
        self._reopen_delay = FIRST_RETRY

    # -- time and state ------------------------------------------------------------------------------------------

    def handle_timer(self, at: Instant) -> None:
        """Retire keys whose time is over; what is due besides is for :meth:`pursue`."""
        for association in self.associations.values():
            try:
                retired = association.handle_timer(at)
            except (StorageError, KeyTableError) as error:
                _log.error("peer %s, %s: %s", self.name, association.protocol, error)
                self._try_table_again_at = at.monotonic + TABLE_PATIENCE
                continue
            for row in retired:
                latest = association.keys.latest()
                if latest is not None and latest.provenance is not None and latest.provenance.role == "initiator":
                    self.delete_at_peer(row, at)

    def next_timer(self, at: Instant) -> float | None:
        """Return when there is something to do that no message will bring."""
        moments = [association.next_timer(at) for association in self.associations.values()]
        moments += [self._reopen_at, self._kept_up_from(), self._try_table_again_at]
        for conversation in self.conversations.values():
            if conversation.is_open and not self.is_departed:
                expires = conversation.expires_at(self.ike_policy)
                moments += [expires, expires + CLOSING_PATIENCE]
                if not self.ike_policy.retain_ike_sa:
                    moments.append(self._idle_at(conversation))
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
        )
