"""What the IKE SAs that replace one another by rekeying have in common (RFC 7296 2.8): one life to the layer above.

Each of them is an :class:`~rkmp.ike.core.IkeSaCore` with SPIs, keys and Message IDs of its own. Which of them takes
over from which is decided in :mod:`rkmp.ike.succession`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

from rkmp.ike.events import Event
from rkmp.ike.statistics import Statistic
from rkmp.wire import SPI_LENGTH

if TYPE_CHECKING:
    from rkmp.ike.core import IkeSaCore


@final
class Lineage:
    """``current`` is the one that is in use, ``cores`` are all that still have something to say, in order of birth.

    ``events`` and ``datagrams`` wait for the caller. ``last_heard`` is when the last protected message came.
    ``completed`` and ``answered`` are the requests, of ours and of the peer, that were over before ``current`` took
    over.
    """

    __slots__ = ("answered", "completed", "cores", "current", "datagrams", "events", "last_heard", "statistics")

    current: IkeSaCore

    def __init__(self) -> None:
        self.cores: tuple[IkeSaCore, ...] = ()
        self.events: list[Event] = []
        self.datagrams: list[bytes] = []
        self.statistics: Counter[Statistic] = Counter()
        self.last_heard = float("-inf")
        self.completed = 0
        self.answered = 0

    def found(self, core: IkeSaCore) -> None:
        """Begin with ``core``."""
        self.current, self.cores = core, (core,)

    def pass_to(self, heir: IkeSaCore) -> None:
        """Let ``heir`` be the one that is in use; its own requests are yet to be counted."""
        self.completed += self.current.tasks.requests_completed
        self.answered += self.current.tasks.expected_message_id
        self.current = heir

    def addressee(self, datagram: bytes) -> IkeSaCore:
        """Return the one that a datagram names, or else the current one, to drop it."""
        if len(self.cores) > 1:
            initiator_spi, responder_spi = datagram[:SPI_LENGTH], datagram[SPI_LENGTH : 2 * SPI_LENGTH]
            for core in self.cores:
                if core.context.local_spi == (initiator_spi if core.context.is_initiator else responder_spi):
                    return core
        return self.current

    def tidy(self) -> None:
        """Forget those that have nothing to say any more."""
        if len(self.cores) > 1:
            self.cores = tuple(core for core in self.cores if core is self.current or not core.is_finished)
