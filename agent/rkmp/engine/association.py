"""One routing protocol with one peer: when it wants a key, how the negotiation goes, and what the operator is told.

The keys are :class:`~rkmp.engine.association_keys.AssociationKeys`. What is kept here, in memory, is the negotiation
under way, what is still to be confirmed, the backoff after a failure, and what is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from rkmp.engine.association_keys import AssociationKeys
from rkmp.engine.association_states import TRANSITIONS, AssociationInput, AssociationState
from rkmp.engine.attempts import Attempt, Confirmation
from rkmp.engine.configuration import AssociationConfiguration
from rkmp.engine.events import (
    AssociationStateChange,
    EngineEvent,
    NegotiationFailure,
    RequestCompleted,
    RolloverCompleted,
    RolloverStarted,
)
from rkmp.engine.key_schedule import MAXIMUM_MARGIN, rollover_time
from rkmp.engine.state import AssociationSnapshot
from rkmp.ike import ChildKeysEstablished
from rkmp.instant import Instant
from rkmp.keytable import KeyRow, KeyTable

FIRST_RETRY = 2.0
"""Seconds until a failed negotiation is tried again; doubled with each failure up to :data:`LAST_RETRY`."""
LAST_RETRY = 300.0
LONGEST_DICE = 16.0
"""Four times the seconds within which two sides that want the same at once each throw the dice for when to ask."""
MOST_POSTPONEMENTS = 8
"""How often in a row a peer may say "not now" before that is a failure."""
CONFIRMATION_PATIENCE = timedelta(seconds=60)
"""How long a key that waits for its confirmation keeps us from negotiating another, over an IKE SA that works."""
JUST_AFTER = timedelta(milliseconds=1)
"""Lifetimes include their end (RFC 7210 section 3)."""
BEGINNING = datetime.min.replace(tzinfo=UTC)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Association:
    """The state of one association. ``report`` takes the events that it causes, ``random`` spreads retries."""

    def __init__(
        self,
        peer: str,
        configuration: AssociationConfiguration,
        key_table: KeyTable,
        report: Callable[[EngineEvent], None],
        jitter: Callable[[], float],
        at: Instant,
    ) -> None:
        self.peer = peer
        self.keys = AssociationKeys(peer, configuration, key_table)
        self.protocol = self.keys.protocol
        self.state = AssociationState.IDLE
        self.attempt: Attempt | None = None
        self.confirmations: dict[str, Confirmation] = {}
        self.last_error: str | None = None
        self.rollovers = 0
        self.rekey_wanted = False
        self._is_owed = False
        self.asked_at = float("-inf")
        self._keyed_wall: datetime | None = None
        self._waiting_requests: list[int] = []
        self._is_unconfirmed = False
        self._postponements = 0
        self._retry_at = float("-inf")
        self._retry_delay = FIRST_RETRY
        self._report = report
        self._jitter = jitter
        if self.keys.current(at.wall) is not None:
            # What the key table holds from before a restart.
            several = len(self.keys.rows()) > 1
            self.state = AssociationState.ROLLING_OVER if several else AssociationState.ESTABLISHED

    @property
    def configuration(self) -> AssociationConfiguration:
        """The settings in force."""
        return self.keys.configuration

    @configuration.setter
    def configuration(self, configuration: AssociationConfiguration) -> None:
        self.keys.configuration = configuration

    # -- when to negotiate ---------------------------------------------------------------------------------------

    def wants_key(self, at: Instant) -> bool:
        """Whether a negotiation should be started now, leaving aside whether the peer lets us."""
        if not self.configuration.enabled or self.attempt is not None or at.monotonic < self._retry_at:
            return False
        return self._need_begins_at(at.wall) <= at.wall

    def next_timer(self, at: Instant) -> float | None:
        """Return the monotonic time of this association's next own deed."""
        moments = [monotonic_time(end + JUST_AFTER, at) for end, _ in self.keys.retirements()]
        if self.configuration.enabled and self.attempt is None:
            need = self._need_begins_at(at.wall)
            moments.append(max(self._retry_at, monotonic_time(need, at)) if need > at.wall else self._retry_at)
        latest = self.keys.latest()
        if latest is not None and latest.send_lifetime.end is not None and self._holds_key:
            moments.append(monotonic_time(latest.send_lifetime.end + JUST_AFTER, at))
        moments = [moment for moment in moments if moment > at.monotonic]
        return min(moments) if moments else None

    @property
    def _holds_key(self) -> bool:
        return self.state in (AssociationState.ESTABLISHED, AssociationState.ROLLING_OVER)

    def _need_begins_at(self, wall: datetime) -> datetime:
        latest = self.keys.latest()
        if self.rekey_wanted or latest is None:
            return BEGINNING
        if not self.confirmations and (self._is_unconfirmed or self.keys.is_unsettled(wall)):
            # A rollover was cut off half-way. Nothing is lost, but it has to be finished with another key.
            return BEGINNING
        if latest.send_lifetime.start > wall + MAXIMUM_MARGIN and self.keys.current(wall) is None:
            # Civil time was set back, to before all that we could send with.
            return BEGINNING
        need = rollover_time(self.configuration, latest) or END_OF_TIME
        if self.confirmations and self._keyed_wall is not None:
            return max(need, self._keyed_wall + CONFIRMATION_PATIENCE)
        return need

    # -- negotiation ---------------------------------------------------------------------------------------------

    @property
    def is_asked_for(self) -> bool:
        """Whether an operator waits for a key that is not being negotiated yet."""
        return bool(self._waiting_requests)

    def want_rekey(self, request: int | None = None) -> None:
        """Replace the key as soon as possible; ``request`` is told when that is done, or has failed."""
        self.retry_now()
        if self.attempt is not None and request is not None:
            # A new key is on its way already.
            self.attempt.requests.append(request)
            return
        self.rekey_wanted = True
        if request is not None:
            self._waiting_requests.append(request)
        else:
            self._is_owed = True

    def begin(self, ike_sa: bytes, send_ids: tuple[int, ...], at: Instant) -> None:
        """Note that a negotiation of ours starts."""
        current = self.keys.current(at.wall)
        if current is not None and self.state is not AssociationState.ROLLING_OVER:
            reason = "request" if self.rekey_wanted else "lifetime"
            self._report(RolloverStarted(self.peer, self.protocol, current.admin_key_name, reason))
        self.attempt = Attempt(ike_sa, send_ids, self._waiting_requests, at.monotonic, is_owed=self._is_owed)
        self._waiting_requests = []
        self.rekey_wanted = self._is_owed = False
        self._move(AssociationInput.NEGOTIATE, "negotiation started")

    def install(
        self,
        event: ChildKeysEstablished,
        ike_sa: bytes,
        spis: tuple[bytes, bytes],
        progress: int,
        redundant_send_ids: Collection[int],
        at: Instant,
    ) -> KeyRow:
        """Put the negotiated key into the key table and return its row.

        ``spis`` are those of ``ike_sa`` now, ours first; ``progress`` is what :class:`Confirmation` counts; the KeyIDs
        are those that we announced for children which have lost against another. Raises StorageError or KeyTableError
        when the table refuses; then nothing has changed.
        """
        before = self.keys.current(at.wall)
        row = self.keys.install(event, spis, at.wall, is_settled=not self.confirmations)
        requester = event.child.requester
        spare = self._undecided(ike_sa, redundant_send_ids) if requester else ()
        if self.attempt is not None and not requester:
            self.attempt.answered[row.admin_key_name] = ike_sa
        if event.redundant:
            if requester:
                self._end_attempt(self.attempt.last_answered if self.attempt else None)
            return row
        self.confirmations[row.admin_key_name] = Confirmation(ike_sa, requester, progress, spare)
        self._keyed_wall = at.wall
        if requester:
            self.asked_at = at.monotonic
        self._is_unconfirmed = False
        self.retry_now()
        self.last_error = None
        if before is None:
            self._move(AssociationInput.KEYED, "key installed")
        else:
            if self.state is AssociationState.ESTABLISHED:
                self._report(RolloverStarted(self.peer, self.protocol, before.admin_key_name, "peer"))
            self._move(AssociationInput.SUCCEEDED, "replacement key installed")
        if requester:
            self._end_attempt(row.admin_key_name)
        return row

    def wish_fulfilled(self) -> None:
        """Note that the key which was to come is there, whoever asked for it; who waits for one of ours waits on."""
        self.rekey_wanted = bool(self._waiting_requests)
        self._is_owed = False

    def settle(self, admin_key_name: str, at: Instant) -> None:
        """Take the second step for a key, now that the peer is known to hold it. Raises like :meth:`install`."""
        confirmation = self.confirmations.pop(admin_key_name)
        self.keys.settle(admin_key_name, at.wall, spare=confirmation.spare)
        if confirmation.spare:
            # Two keys were agreed at the same time and nothing decides between them, so that each side may think that
            # another one came last. One that comes after both settles it, if not both sides ask for it at once again.
            self.rekey_wanted = self._is_owed = True
            self.wait(LONGEST_DICE * self._jitter(), at)

    def fail(self, reason: str, notify_type: int | None, at: Instant, *, report: bool = True) -> None:
        """Note that the negotiation under way failed; ``report`` is False where the peer as a whole is reported."""
        attempt, self.attempt = self.attempt, None
        if attempt is not None and attempt.is_owed:
            # Nobody hears of this failure who would ask again.
            self.rekey_wanted = self._is_owed = True
        self._back_off(at)
        self._postponements = 0
        self.last_error = reason
        if report:
            self._report(NegotiationFailure(self.peer, self.protocol, reason, notify_type))
        self._move(AssociationInput.REJECTED, reason)
        requests = (attempt.requests if attempt is not None else []) + self._waiting_requests
        self._waiting_requests = []
        for request in requests:
            self._report(RequestCompleted(request, None, reason))

    def postpone(self, reason: str, notify_type: int | None, at: Instant, *, at_once: bool = False) -> None:
        """Note that the negotiation under way came to nothing, and may well succeed when it is tried again."""
        attempt = self.attempt
        if attempt is None:
            return
        answered = attempt.last_answered
        if answered is not None and self.keys.get(answered) is not None:
            # The peer was faster: what we wanted is there.
            self._end_attempt(answered)
            return
        self._postponements += 1
        if self._postponements > MOST_POSTPONEMENTS:
            self.fail(reason, notify_type, at)
            return
        self.attempt = None
        self.rekey_wanted = self.rekey_wanted or bool(attempt.requests) or attempt.is_owed
        self._is_owed = self._is_owed or attempt.is_owed
        self._waiting_requests = attempt.requests + self._waiting_requests
        if not at_once or self._postponements > 1:
            self._back_off(at)

    def note_failure(self, reason: str, notify_type: int | None, *, report: bool = True) -> None:
        """Note that a negotiation which the peer began failed."""
        if not self._holds_key:
            self.last_error = reason
        if report:
            self._report(NegotiationFailure(self.peer, self.protocol, reason, notify_type))

    def ike_sa_gone(self, ike_sa: bytes) -> None:
        """Note that what waits for a confirmation over ``ike_sa`` waits in vain."""
        for name in [name for name, waiting in self.confirmations.items() if waiting.ike_sa == ike_sa]:
            del self.confirmations[name]
            self._is_unconfirmed = True

    def end(self, reason: str) -> None:
        """Tell those who wait that there is nothing to wait for: the association is leaving the configuration."""
        requests = (self.attempt.requests if self.attempt is not None else []) + self._waiting_requests
        for request in requests:
            self._report(RequestCompleted(request, None, reason))
        self.attempt, self._waiting_requests = None, []
        self.confirmations.clear()
        self.rekey_wanted = self._is_owed = self._is_unconfirmed = False

    def retry_now(self) -> None:
        """Forget the backoff: somebody asked, or the peer has shown that it is there."""
        self._retry_at = float("-inf")
        self._retry_delay = FIRST_RETRY
        self._postponements = 0

    def wait(self, seconds: float, at: Instant) -> None:
        """Negotiate nothing for a while."""
        self._retry_at = max(self._retry_at, at.monotonic + seconds)

    def lost_against_ours(self, row: KeyRow, ike_sa: bytes) -> bool:
        """Whether the peer, which deletes ``row`` over ``ike_sa``, means that what we are asking for has won."""
        attempt = self.attempt
        return attempt is not None and attempt.ike_sa == ike_sa and row.admin_key_name in attempt.answered

    def _undecided(self, ike_sa: bytes, redundant_send_ids: Collection[int]) -> tuple[str, ...]:
        """Return the keys that the peer asked us for while we asked it, and that may have come before or after.

        Within one IKE SA the nonces decide between two of the same purpose (RFC 7296 2.8.1).
        """
        undecided = []
        for name, came_over in self.attempt.answered.items() if self.attempt is not None else ():
            row = self.keys.get(name)
            if row is None or row.provenance is None:
                continue
            has_lost = int(row.peer_key_name, 16) in redundant_send_ids
            if came_over != ike_sa or not has_lost:
                undecided.append(name)
        return tuple(undecided)

    def _end_attempt(self, key_name: str | None) -> None:
        attempt, self.attempt = self.attempt, None
        self._postponements = 0
        for request in attempt.requests if attempt is not None else ():
            error = None if key_name is not None else "the new key lost against one that the peer made"
            self._report(RequestCompleted(request, key_name, error))

    def _back_off(self, at: Instant) -> None:
        self._retry_at = at.monotonic + self._retry_delay * (1 + self._jitter())
        self._retry_delay = min(self._retry_delay * 2, LAST_RETRY)

    # -- the passing of time and the end of keys -----------------------------------------------------------------

    def handle_timer(self, at: Instant) -> list[KeyRow]:
        """Remove keys whose time is over and return them, so that the peer can be told. Raises like install."""
        promoted = self.keys.promote(at.wall)
        retired = [row for end, row in self.keys.retirements() if end < at.wall]
        for row in retired:
            latest = self.keys.latest()
            is_replaced = latest is not None and latest.admin_key_name != row.admin_key_name
            self.remove(row, "replaced" if is_replaced else "its lifetime has ended", at)
        if promoted is None and self.keys.current(at.wall) is None:
            latest = self.keys.latest()
            if latest is not None and latest.send_lifetime.end_or(at.wall) < at.wall:
                self._lose("the key's lifetime ended before a replacement was agreed")
        return retired

    def remove(self, row: KeyRow, reason: str, at: Instant) -> None:
        """Take ``row`` out of the key table and draw the consequences. Raises like install."""
        was_sent_with = row.send_lifetime.end is None or row.send_lifetime.end > row.send_lifetime.start
        self.keys.remove(row, reason, at.wall)
        self.confirmations.pop(row.admin_key_name, None)
        latest = self.keys.latest()
        if latest is None:
            self._lose(f"key {row.admin_key_name}: {reason}")
            return
        if reason == "replaced" and was_sent_with and row.for_sending:
            self.rollovers += 1
            self._report(RolloverCompleted(self.peer, self.protocol, latest.admin_key_name, row.admin_key_name))
        if len(self.keys.rows()) == 1 and self.state is AssociationState.ROLLING_OVER and self.attempt is None:
            self._move(AssociationInput.RETIRED, "the replaced key is gone")

    def give_up(self, row: KeyRow, at: Instant) -> None:
        """Stop using a key that lost against another one, and that its creator has deleted. Raises like install."""
        self.confirmations.pop(row.admin_key_name, None)
        if not self.keys.give_up(row.admin_key_name, at.wall, is_settled=not self.confirmations):
            # It serves on until what we are asking for is there.
            self._is_unconfirmed = True

    def _lose(self, reason: str) -> None:
        if self._holds_key:
            self.last_error = reason
            self._move(AssociationInput.LOST, reason)

    def _move(self, happened: AssociationInput, reason: str) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, happened]
        if before is not self.state:
            self._report(AssociationStateChange(self.peer, self.protocol, before, self.state, reason))

    def snapshot(self, wall: datetime) -> AssociationSnapshot:
        """Return what is shown of the association at ``wall``."""
        current, latest = self.keys.current(wall), self.keys.latest()
        awaiting = self.keys.awaiting(wall)
        following = awaiting[-1] if awaiting else latest
        if current is None or following is None or following.admin_key_name == current.admin_key_name:
            following = None
        rollover = None
        if latest is not None and self.configuration.enabled:
            rollover = rollover_time(self.configuration, latest)
        return AssociationSnapshot(
            protocol=self.protocol,
            state=self.state,
            current_key=current.admin_key_name if current else None,
            next_key=following.admin_key_name if following else None,
            send_id=int(current.peer_key_name, 16) if current else None,
            recv_id=int(current.local_key_name, 16) if current else None,
            established_at=current.provenance.negotiated_at if current and current.provenance else None,
            next_rollover_at=rollover,
            rollovers=self.rollovers,
            last_error=self.last_error,
        )


def monotonic_time(moment: datetime, at: Instant) -> float:
    """Return when ``moment`` of civil time comes on the monotonic clock, as seen from ``at``."""
    return at.monotonic + (moment - at.wall) / timedelta(seconds=1)
