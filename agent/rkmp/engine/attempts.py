"""Negotiations of one association that are under way, and keys that wait until both sides are sure of them.

The IKE SA that one goes over is named by :attr:`rkmp.engine.conversation.Conversation.key`, which stays the same when
the IKE SA is rekeyed.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Attempt:
    """A negotiation of ours that is under way over ``ike_sa`` since ``began_at``, a monotonic time.

    ``send_ids`` are the KeyIDs that it announces; ``requests`` are the operators' requests that wait for it.
    ``is_owed``: whether the key has to be replaced whatever comes of this negotiation, as after a change of secrets.
    ``answered`` are keys that the peer negotiated with us meanwhile, each with the IKE SA that it came over.
    """

    ike_sa: bytes
    send_ids: tuple[int, ...]
    requests: list[int]
    began_at: float
    is_owed: bool = False
    answered: dict[str, bytes] = field(default_factory=dict)

    @property
    def last_answered(self) -> str | None:
        """The last key that the peer negotiated with us meanwhile."""
        return next(reversed(self.answered), None)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A key whose second step is still to come, over ``ike_sa``.

    ``requester``: whether we asked for it; then our next request that is answered tells that the peer has heard, and
    otherwise the next request of the peer that we answer does. ``progress`` is the count of those when it was agreed.
    ``spare`` are keys of which it is not known whether they came before or after this one.
    """

    ike_sa: bytes
    requester: bool
    progress: int
    spare: tuple[str, ...] = ()
