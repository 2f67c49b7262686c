"""What every exchange is: four verbs, two roles, and an outcome that the IKE SA commits.

RFC 7296 1.2 to 1.4. The side that sends the request builds it and processes the response; the other side processes
the request and builds the response. *Initiator* and *responder* are the sides of the IKE SA, *requester* is the one
of a single exchange. Three more verbs say what it means when things go wrong: a request that is unacceptable, a
response that makes no sense, and no response at all.

An exchange reads the :class:`~rkmp.ike.context.Context` and changes nothing in it: what it finds out comes back as an
:class:`Outcome`, which the IKE SA commits last. There are no timers in here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from rkmp.crypto.ike_keys import IkeKeys
from rkmp.errors import IkeError
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.context import Context, IkeSaSecrets
from rkmp.ike.events import CloseReason, Event
from rkmp.ike.identity import Identity
from rkmp.ike.rekeying import Rekeying, Successor
from rkmp.ike.settings import IkeSettings
from rkmp.value import value
from rkmp.wire import Payload

Payloads = tuple[Payload, ...]


@value
class Closing:
    """That the IKE SA ends here, and why; ``message`` is one sentence for an operator."""

    reason: CloseReason
    message: str


@value
class Identities:
    """Who was authenticated: ourselves and the peer."""

    local: Identity
    remote: Identity


@value
class Outcome:
    """What an exchange came to, all of it committed at once or not at all.

    ``events`` are reported in order. ``children`` are new or changed, ``removed`` are the KeyIDs that we had announced
    for those that are gone. ``secrets`` and ``identities`` establish the IKE SA step by step; ``keys`` are what
    IKE_AUTH has made of those in ``secrets``, with the same for encryption and integrity (RFC 8784); ``settings`` are
    those for a peer who might have been another until then. ``successor``
    replaces it; ``rekeying`` is to be remembered until the peer goes on with it, and ``overrules`` says that we go on
    with ours, whatever the peer has begun at the same time. ``follow_ups`` are exchanges that go before all that wait.
    ``restart`` takes the place of the exchange under way, with its Message ID.
    ``doubt`` is what the exchange under way fails with unless a better response comes within a grace period: it goes
    with a response that anybody might have sent, and with a request that tells of a refusal (G18). ``complaint`` closes
    the IKE SA with one last request of ours. ``closing`` ends it at once, after a response of ours where there is one.
    """

    events: tuple[Event, ...] = ()
    children: tuple[ChildSa, ...] = ()
    removed: tuple[int, ...] = ()
    secrets: IkeSaSecrets | None = None
    identities: Identities | None = None
    keys: IkeKeys | None = None
    settings: IkeSettings | None = None
    successor: Successor | None = None
    rekeying: Rekeying | None = None
    overrules: bool = False
    follow_ups: tuple[Exchange, ...] = ()
    restart: Exchange | None = None
    doubt: Event | None = None
    complaint: Exchange | None = None
    closing: Closing | None = None


class Withdrawn(Exception):
    """Raised instead of a request that has become pointless since it was queued; ``outcome`` is what that means."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the request has become pointless")
        self.outcome = outcome


class Postponed(Exception):
    """Raised instead of answering a request that has to wait; the peer will repeat it, and so no answer is lost."""


class Exchange(ABC):
    """One exchange, seen from one side. Constructed without arguments for the side that answers."""

    exchange_type: ClassVar[int]

    @property
    def closing(self) -> Closing | None:
        """How the IKE SA ends when this request is over; None for all but the last one of an IKE SA."""
        return None

    @property
    def announced_send_ids(self) -> tuple[int, ...]:
        """The KeyIDs that the request announces for children to come."""
        return ()

    @property
    def deleted_send_ids(self) -> tuple[int, ...]:
        """The KeyIDs of the children that the request deletes."""
        return ()

    @property
    def concerns_children(self) -> bool:
        """Whether the request creates, replaces or deletes children, so that the IKE SA must not change meanwhile."""
        return bool(self.announced_send_ids or self.deleted_send_ids)

    @property
    def rekeys_ike_sa(self) -> bool:
        """Whether the request is to replace the IKE SA."""
        return False

    def refused_by_notify(self, notify_type: int) -> Event | None:
        """Return how the request ends if a notify of the peer's own turns out to have been the answer (G18)."""
        return None

    @abstractmethod
    def build_request(self, context: Context) -> Payloads:
        """Return the payloads of the request. Raises Withdrawn where there is nothing to ask for any more."""

    @abstractmethod
    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return what a request means; ``message`` is the datagram.

        What it refuses in part, the response will say. Raises IkeError where all of it is unacceptable, and Postponed
        where it comes too early.
        """

    @abstractmethod
    def build_response(self, context: Context) -> Payloads:
        """Return the payloads that answer the request just processed."""

    @abstractmethod
    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome | None:
        """Return what a response means; ``message`` is the datagram. None: it is worth nothing, go on waiting.

        Raises IkeError where the response makes no sense.
        """

    @abstractmethod
    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return what it means that a request is answered with nothing but the notify of ``refusal``."""

    @abstractmethod
    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return what it means that the response makes no sense, for the reason that ``fault`` gives."""

    @abstractmethod
    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return what it means that the request will get no (better) response: ``doubt`` is the best guess so far.

        ``timed_out``: it was sent, and not answered in time; otherwise the IKE SA ends before it could be, or before
        it left the queue.
        """
