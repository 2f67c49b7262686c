"""The life of an association as a table: what each state makes of each input.

The table is total, so that no order in which a peer, a clock and an operator act can meet a state without an answer.
"""

from __future__ import annotations

import enum


class AssociationState(enum.Enum):
    """Where the negotiation of one routing protocol with one peer stands."""

    # Members are one of a kind; Enum would hash their names, in Python, with every look into a table.
    __hash__ = object.__hash__

    IDLE = "idle"
    NEGOTIATING = "negotiating"
    ESTABLISHED = "established"
    ROLLING_OVER = "rolling-over"
    FAILED = "failed"


class AssociationInput(enum.Enum):
    """What can happen to an association."""

    # Members are one of a kind; Enum would hash their names, in Python, with every look into a table.
    __hash__ = object.__hash__

    NEGOTIATE = "a negotiation starts"
    KEYED = "a first key is installed"
    SUCCEEDED = "a key that replaces another is installed"
    REJECTED = "a negotiation failed"
    RETIRED = "the last replaced key is gone"
    LOST = "no key is left"


_S, _I = AssociationState, AssociationInput

TRANSITIONS: dict[tuple[AssociationState, AssociationInput], AssociationState] = {
    (_S.IDLE, _I.NEGOTIATE): _S.NEGOTIATING,
    (_S.IDLE, _I.KEYED): _S.ESTABLISHED,
    (_S.IDLE, _I.SUCCEEDED): _S.ROLLING_OVER,
    (_S.IDLE, _I.REJECTED): _S.FAILED,
    (_S.IDLE, _I.RETIRED): _S.IDLE,
    (_S.IDLE, _I.LOST): _S.IDLE,
    (_S.NEGOTIATING, _I.NEGOTIATE): _S.NEGOTIATING,
    (_S.NEGOTIATING, _I.KEYED): _S.ESTABLISHED,
    (_S.NEGOTIATING, _I.SUCCEEDED): _S.ROLLING_OVER,
    (_S.NEGOTIATING, _I.REJECTED): _S.FAILED,
    (_S.NEGOTIATING, _I.RETIRED): _S.NEGOTIATING,
    (_S.NEGOTIATING, _I.LOST): _S.NEGOTIATING,
    (_S.ESTABLISHED, _I.NEGOTIATE): _S.ROLLING_OVER,
    (_S.ESTABLISHED, _I.KEYED): _S.ESTABLISHED,
    (_S.ESTABLISHED, _I.SUCCEEDED): _S.ROLLING_OVER,
    (_S.ESTABLISHED, _I.REJECTED): _S.ESTABLISHED,
    (_S.ESTABLISHED, _I.RETIRED): _S.ESTABLISHED,
    (_S.ESTABLISHED, _I.LOST): _S.IDLE,
    (_S.ROLLING_OVER, _I.NEGOTIATE): _S.ROLLING_OVER,
    (_S.ROLLING_OVER, _I.KEYED): _S.ESTABLISHED,
    (_S.ROLLING_OVER, _I.SUCCEEDED): _S.ROLLING_OVER,
    # The old key stays in force; the failure is told apart by last-error and a notification.
    (_S.ROLLING_OVER, _I.REJECTED): _S.ESTABLISHED,
    (_S.ROLLING_OVER, _I.RETIRED): _S.ESTABLISHED,
    (_S.ROLLING_OVER, _I.LOST): _S.NEGOTIATING,
    (_S.FAILED, _I.NEGOTIATE): _S.NEGOTIATING,
    (_S.FAILED, _I.KEYED): _S.ESTABLISHED,
    (_S.FAILED, _I.SUCCEEDED): _S.ROLLING_OVER,
    (_S.FAILED, _I.REJECTED): _S.FAILED,
    (_S.FAILED, _I.RETIRED): _S.FAILED,
    (_S.FAILED, _I.LOST): _S.FAILED,
}
