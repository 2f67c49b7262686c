"""One IKE SA as the engine sees it: the sans-IO object, where its peer is, and when it was last heard of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rkmp.crypto.suites import IkeSuite
from rkmp.engine.configuration import IkePolicy
from rkmp.engine.policy import ConversationPolicy
from rkmp.engine.renewal import Renewal
from rkmp.engine.state import IkeSaSnapshot
from rkmp.ike import CloseReason, Identity, IkeSa, IkeSaEstablished, IkeSaRekeyed, IkeSaState, Path, Role, Statistic
from rkmp.instant import Instant

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer

_OPENING = (IkeSaState.NEW, IkeSaState.INIT_SENT, IkeSaState.INTERMEDIATE, IkeSaState.AUTH_SENT)
KEEPALIVE_INTERVAL = 20.0
"""Seconds of silence after which a translator before us is reminded of us (RFC 3948 section 4)."""
HINT_INTERVAL = 30.0
"""Seconds for which a hint is not listened to again: anybody can send one, and each costs a liveness check."""
HINT_PATIENCE = 2.0
"""Seconds in which a peer that somebody says has forgotten the IKE SA may prove the contrary."""
RESPONDER_PATIENCE = 1.1
"""The responder lets a tenth more time pass before it ends or checks an IKE SA, so that both sides do not at once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an IKE SA did not come to be, for the associations that wait for it."""

    reason: str
    notify_type: int | None


class Conversation:
    """An IKE SA with the way on which its messages travel.

    ``path`` is from where to where, ``marked``: behind a non-ESP marker (G37). ``said_at`` is when the last was sent.
    ``role`` is ours. ``retired_because``: nothing new is begun over it, and it is closed when what it owes the peer is
    done. ``began_at`` is when its first message was sent or came, ``busy_at`` when it was last used for its purpose.
    ``is_mute``: what it wants to say must not be said. ``owner`` is the peer once it is sure who that is: from the
    start where we are the initiator, and for a responder when the IKE SA is established.
    """

    def __init__(
        self,
        ike_sa: IkeSa,
        policy: ConversationPolicy,
        listener: str,
        path: Path,
        *,
        role: Role,
        marked: bool,
        began_at: float,
    ) -> None:
        self.ike_sa = ike_sa
        self._key = ike_sa.local_spi
        self.policy = policy
        self.listener = listener
        self.path = path
        self.role = role
        self.marked = marked
        self.began_at = began_at
        self.owner: Peer | None = policy.peer
        self.established: IkeSaEstablished | None = None
        self.established_at: datetime | None = None
        self.failure: Failure | None = None
        self.renewal = Renewal()
        self.retired_because: str | None = None
        self.is_mute = False
        self.busy_at = float("-inf")
        self.said_at = float("-inf")
        self._deleted: set[int] = set()
        self._progress = (0, 0)
        self._opened_at = float("-inf")
        self._heard_at = float("-inf")
        self._answers_to: tuple[Path, bool] | None = None
        self._hinted_at = float("-inf")
        self._doubted_until: float | None = None

    @property
    def key(self) -> bytes:
        """What names this conversation: our first SPI, 8 octets, which stays its name when the IKE SA is rekeyed."""
        return self._key

    @property
    def remote(self) -> tuple[str, int]:
        """Address and port of the peer."""
        return self.path.remote

    @property
    def claimed_peer(self) -> Peer | None:
        """Who the peer says it is, or seems to be by its address; nothing has proved it."""
        candidates = self.policy.candidates
        return self.policy.peer or (candidates[0] if len(candidates) == 1 else None)

    @property
    def ike_policy(self) -> IkePolicy | None:
        """The policy that this IKE SA is kept by; None while, or once, there is no peer to have one."""
        return None if self.owner is None or self.owner.is_departed else self.owner.ike_policy

    def adopt(self) -> None:
        """Take the peer at its word: it has proved who it is."""
        self.owner = self.policy.peer

    def has_progressed(self) -> bool:
        """Whether a request was answered, in either direction, since the last call."""
        before, self._progress = self._progress, (self.ike_sa.requests_completed, self.ike_sa.requests_answered)
        return before != self._progress

    @property
    def is_open(self) -> bool:
        """Whether requests of ours can be made: established and not closing."""
        return self.ike_sa.state is IkeSaState.ESTABLISHED

    @property
    def is_opening(self) -> bool:
        """Whether it is being established by us."""
        return self.ike_sa.state in _OPENING and self.role is Role.INITIATOR

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing of the peer has reached us yet."""
        return self.ike_sa.state in (IkeSaState.NEW, IkeSaState.INIT_SENT)

    @property
    def is_refused_opening(self) -> bool:
        """Whether we have refused the message that was to open it, so that it never came to be."""
        return self.role is Role.RESPONDER and self.ike_sa.is_closed and not any(self.ike_sa.remote_spi)

    @property
    def is_usable(self) -> bool:
        """Whether something new may be begun over it, now or once it is established."""
        return self.retired_because is None and (self.is_open or self.is_opening)

    @property
    def owes_deletes(self) -> bool:
        """Whether the peer has not confirmed yet that children are gone."""
        return any(child.send_id in self._deleted for child in self.ike_sa.children)

    def delete_child(self, send_id: int, now: float) -> None:
        """Tell the peer that the key for which we announced ``send_id`` is gone."""
        self._deleted.add(send_id)
        self.ike_sa.delete_child(send_id, now)

    def progress(self, *, requester: bool) -> int:
        """Return how many requests were answered: of ours by the peer, or else of the peer by us.

        What was under way when the IKE SA ended does not count: nobody knows.
        """
        if requester and self.ike_sa.is_closed:
            return 0
        return self.ike_sa.requests_completed if requester else self.ike_sa.requests_answered

    def seconds_open(self, now: float) -> float:
        """Return for how long it has been established."""
        return now - self._opened_at if self.established is not None else 0.0

    def receive(self, message: bytes, path: Path, now: float, *, is_marked: bool) -> None:
        """Hand a message to the IKE SA; one that it accepts shows that the peer is there, at which port, and how."""
        before, repeated = self.ike_sa.last_heard, self.ike_sa.statistics.get(Statistic.RESPONSES_REPEATED, 0)
        self.ike_sa.receive(message, now)
        if self.ike_sa.statistics.get(Statistic.RESPONSES_REPEATED, 0) != repeated:
            # RFC 7296 2.11: an answer goes to where the request came from. That proves nothing of where the peer is.
            self._answers_to = path, is_marked
        if self.ike_sa.last_heard != before:
            self._heard_at = now
            self._doubted_until = None
            # RFC 7296 2.23: a translator may have given the peer another port meanwhile.
            self.take(path, marked=is_marked)

    def way_out(self) -> tuple[Path, bool]:
        """Return how what there is to be sent now travels, and whether behind a marker."""
        way, self._answers_to = self._answers_to or (self.path, self.marked), None
        return way

    def take(self, path: Path, *, marked: bool) -> None:
        """Let what is sent from now on travel like this."""
        self.path, self.marked = path, marked

    def doubt(self, now: float) -> None:
        """Take an unauthenticated hint that the peer has lost this IKE SA (RFC 7296 2.4, 2.21.4).

        The hint alone changes nothing. A liveness check goes out, and unless the peer answers something within
        :data:`HINT_PATIENCE` the IKE SA is given up. What a forged hint can cost is a handshake, never a key.
        """
        if self._doubted_until is None and self.is_open and self._hinted_at + HINT_INTERVAL <= now:
            self._hinted_at, self._doubted_until = now, now + HINT_PATIENCE
            self.ike_sa.check_liveness(now)

    def handle_timer(self, policy: IkePolicy | None, now: float) -> None:
        """Retransmit, check liveness, or give the IKE SA up, whichever is due."""
        self.ike_sa.handle_timer(now)
        if self._doubted_until is not None and self._doubted_until <= now:
            self._doubted_until = None
            self.ike_sa.abandon("the peer has forgotten the IKE SA", now, CloseReason.LIVENESS_FAILED)
        if not self.is_open or policy is None or not policy.liveness_interval:
            return
        if self._heard_at + _patience(policy.liveness_interval, self.role) <= now:
            self._heard_at = now
            self.ike_sa.check_liveness(now)

    def next_timer(self, policy: IkePolicy | None) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        moments = [self.ike_sa.next_timer(), self._doubted_until, self.keepalive_at]
        if self.is_open and policy is not None and policy.liveness_interval:
            moments.append(self._heard_at + _patience(policy.liveness_interval, self.role))
        known = [moment for moment in moments if moment is not None]
        return min(known) if known else None

    @property
    def keepalive_at(self) -> float | None:
        """When the translator before us has to be reminded of us; None where there is none."""
        nat = self.ike_sa.nat if self.is_open else None
        return self.said_at + KEEPALIVE_INTERVAL if nat is not None and nat.local else None

    def expires_at(self, policy: IkePolicy) -> float:
        """Return when the lifetime of the IKE SA ends on this side."""
        return self._opened_at + _patience(policy.lifetime, self.role)

    def renews_at(self, policy: IkePolicy) -> float:
        """Return when this side is to rekey the IKE SA, infinity for never."""
        return self.renewal.due_at(policy, self.role, self._opened_at)

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When what the peer has proved who it is with expires; None where that was no certificate."""
        chain = self.established.remote_chain if self.established is not None else None
        return None if chain is None else chain.valid_until

    def renew(self, now: float) -> None:
        """Rekey the IKE SA."""
        self.renewal.is_under_way = True
        self.ike_sa.rekey(now)

    def established_by(self, event: IkeSaEstablished, at: Instant, jitter: float) -> None:
        """Note that both sides are authenticated; the lifetime of the IKE SA begins."""
        self.established = event
        self.busy_at = at.monotonic
        self._begin_lifetime(at, jitter)

    def rekeyed_by(self, event: IkeSaRekeyed, at: Instant, jitter: float) -> None:
        """Note that another IKE SA with the same peer has taken the place of this one; its lifetime begins anew."""
        if self.established is not None:
            self.established = replace(
                self.established,
                local_spi=event.local_spi,
                remote_spi=event.remote_spi,
                role=event.role,
                suite=event.suite,
            )
        self.role = event.role
        self._begin_lifetime(at, jitter)

    def _begin_lifetime(self, at: Instant, jitter: float) -> None:
        self.established_at = at.wall
        self._opened_at = self._heard_at = at.monotonic
        self.renewal.begin(jitter)

    def snapshot(self, policy: IkePolicy) -> IkeSaSnapshot:
        """Return what is shown of the IKE SA."""
        event, count, nat = self.established, self.ike_sa.statistics, self.ike_sa.nat
        suite: IkeSuite | None = event.suite if event else None
        identity: Identity | None = event.remote_identity if event else None
        renews_at = expires_at = None
        if self.established_at is not None:
            expires_at = self.established_at + timedelta(seconds=_patience(policy.lifetime, self.role))
            if policy.retain_ike_sa:
                renews_at = self.established_at + timedelta(seconds=self.renewal.planned_after(policy, self.role))
        return IkeSaSnapshot(
            local_spi=self.ike_sa.local_spi,
            remote_spi=self.ike_sa.remote_spi,
            role=self.role.value,
            state=self.ike_sa.state.value,
            established_at=self.established_at,
            rekey_at=renews_at,
            expires_at=expires_at,
            encryption=suite.encryption_name if suite else None,
            integrity=suite.integrity_name if suite else None,
            prf=suite.prf_name if suite else None,
            key_exchange=suite.key_exchange_name if suite else None,
            additional_key_exchanges=suite.additional_key_exchange_names if suite else (),
            remote_identity=identity.text if identity else None,
            auth_method=event.remote_method.value if event else None,
            certificate_expires_at=self.certificate_expires_at,
            uses_ppk=event.uses_ppk if event else None,
            nat_local=None if nat is None else nat.local,
            nat_remote=None if nat is None else nat.remote,
            messages_in=count.get(Statistic.MESSAGES_IN, 0),
            messages_out=count.get(Statistic.MESSAGES_OUT, 0),
            octets_in=count.get(Statistic.OCTETS_IN, 0),
            octets_out=count.get(Statistic.OCTETS_OUT, 0),
        )


def _patience(seconds: float, role: Role) -> float:
    return seconds * (1.0 if role is Role.INITIATOR else RESPONDER_PATIENCE)
