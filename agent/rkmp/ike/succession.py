"""Which IKE SA takes over when one is rekeyed, by one side or by both at once.

RFC 7296 1.3.2, 2.8, 2.8.2 and 2.25.2; RFC 9370 2.2.4. The children need no moving: all IKE SAs of a lineage know them
together, and the one that takes over is the one whose end is theirs. Whoever made the new IKE SA deletes the old one;
where both made one, the exchange with the lowest nonce loses, and whoever made the loser deletes that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkmp.ike.events import CloseReason, IkeSaRekeyed
from rkmp.ike.exchanges.exchange import Closing
from rkmp.ike.exchanges.informational import Farewell
from rkmp.ike.rekeying import Successor
from rkmp.ike.states import IkeSaState

if TYPE_CHECKING:
    from rkmp.ike.core import IkeSaCore

_REPLACED = Closing(CloseReason.REPLACED, "another IKE SA has taken its place")
_REDUNDANT = Closing(CloseReason.REPLACED, "the peer has made another one at the same time")


def succeed(core: IkeSaCore, successor: Successor, now: float) -> None:
    """Let ``successor``, which an exchange over ``core`` has made, take the place of ``core`` as far as it may."""
    heir = core.beget(successor)
    if not heir.context.is_initiator:
        core.context.rekeying = None
        _follow(core, heir, now)
    elif successor.is_redundant:
        heir.move(IkeSaState.ESTABLISHED)
        heir.context.children_outlive_it = True
        heir.begin_closing(Farewell.deleting(_REDUNDANT))
        heir.advance(now)
        yield_to_rival(core, now)
    else:
        overrule_rival(core, now)
        _hand_over(core, heir, now)
        core.begin_closing(Farewell.deleting(_REPLACED))


def has_rival(core: IkeSaCore) -> bool:
    """Return whether the peer has made something to take the place of ``core``, and has not taken it back."""
    return core.rival is not None and core.rival.state is IkeSaState.UNDECIDED


def overrule_rival(core: IkeSaCore, now: float) -> None:
    """Let nothing come of what the peer has made or begun to take the place of ``core``: ours goes on."""
    rival = _take_rival(core)
    core.context.rekeying = None
    if rival is not None:
        # Whoever made it sees that it has lost, or hears of the end of the old one first and never gets to know it.
        _await_delete(rival, now)


def yield_to_rival(core: IkeSaCore, now: float) -> None:
    """Let what the peer has made take the place of ``core``, if it is made: nothing has come of our own request."""
    rival = _take_rival(core)
    if rival is not None:
        _hand_over(core, rival, now)
        _await_delete(core, now)


def _follow(core: IkeSaCore, heir: IkeSaCore, now: float) -> None:
    """Let ``heir``, which the peer asked for, take over, at once or when it is clear that nothing of ours does."""
    if core.context.is_rekeying:
        heir.move(IkeSaState.UNDECIDED)
        core.rival, core.context.rival = heir, heir.context.negotiated.nonces
        core.context.children_outlive_it = True
    else:
        _hand_over(core, heir, now)
        _await_delete(core, now)


def _hand_over(core: IkeSaCore, heir: IkeSaCore, now: float) -> None:
    """Make ``heir`` the one in use: it has the children, and what ``core`` had still to do."""
    old, new = core.context, heir.context
    heir.move(IkeSaState.ESTABLISHED)
    core.heir = heir
    new.children_outlive_it, old.children_outlive_it = False, True
    old.rekeying = None
    core.lineage.pass_to(heir)
    core.lineage.events.append(
        IkeSaRekeyed(old.local_spi, old.remote_spi, new.local_spi, new.remote_spi, new.role, new.negotiated.suite)
    )
    closing = core.stop_closing()
    for exchange in core.tasks.drop_queue():
        if exchange.closing is None and not exchange.rekeys_ike_sa:
            heir.tasks.enqueue(exchange)
    if closing is not None:
        heir.begin_closing(Farewell.deleting(closing))
    if not new.is_initiator:
        # 2.8: the peer has it when it uses it, or deletes the old one; before that it would not know what we mean.
        heir.hold(now + new.settings.half_open_timeout)
    heir.advance(now)


def _await_delete(core: IkeSaCore, now: float) -> None:
    """Let ``core`` do nothing but wait for the peer to delete it, who has replaced it or lost with it."""
    core.move(IkeSaState.REPLACED)
    core.context.children_outlive_it = True
    core.deadline = now + core.context.settings.replaced_timeout


def _take_rival(core: IkeSaCore) -> IkeSaCore | None:
    """Return what the peer has made to take the place of ``core``, unless it has taken it back; it is one no more."""
    rival = core.rival if has_rival(core) else None
    core.rival = core.context.rival = None
    core.context.children_outlive_it = False
    return rival
