"""The life of an IKE SA as tables: what each state makes of each input, and which states follow.

RFC 7296 sections 1.2, 2.21 and 2.25; RFC 9242. A request under way is an exchange, not a state, so the states are few.
The first table is total; the second names every transition there is, and taking another is a fault of ours.
"""

from __future__ import annotations

import enum

from rkmp.wire import ExchangeType


class IkeSaState(enum.Enum):
    """Where an IKE SA stands."""

    # Members are one of a kind; Enum would hash their names, in Python, with every look into a table.
    __hash__ = object.__hash__

    NEW = "new"
    """Made; nothing was sent or received."""
    INIT_SENT = "init-sent"
    """Initiator: IKE_SA_INIT is under way."""
    INTERMEDIATE = "intermediate"
    """IKE_SA_INIT is done; additional key exchanges are to be done in IKE_INTERMEDIATE, nobody is authenticated."""
    HALF_OPEN = "half-open"
    """Responder: IKE_AUTH is to come, nobody is authenticated."""
    AUTH_SENT = "auth-sent"
    """Initiator: IKE_AUTH is under way."""
    ESTABLISHED = "established"
    CLOSING = "closing"
    """Our Delete of the IKE SA, or our complaint about its authentication, is under way."""
    UNDECIDED = "undecided"
    """Made by the peer to replace another one, while a request of ours to replace the same is under way."""
    REPLACED = "replaced"
    """Another one has taken its place, or kept it from taking a place; the peer is to delete it."""
    CLOSED = "closed"


class Input(enum.Enum):
    """What can reach an IKE SA: a message that is neither a repetition nor stale, or a command."""

    # Members are one of a kind; Enum would hash their names, in Python, with every look into a table.
    __hash__ = object.__hash__

    IKE_SA_INIT_REQUEST = "IKE_SA_INIT request"
    IKE_SA_INIT_RESPONSE = "IKE_SA_INIT response"
    IKE_AUTH_REQUEST = "IKE_AUTH request"
    IKE_AUTH_RESPONSE = "IKE_AUTH response"
    IKE_INTERMEDIATE_REQUEST = "IKE_INTERMEDIATE request"
    IKE_INTERMEDIATE_RESPONSE = "IKE_INTERMEDIATE response"
    CREATE_CHILD_SA_REQUEST = "CREATE_CHILD_SA request"
    CREATE_CHILD_SA_RESPONSE = "CREATE_CHILD_SA response"
    IKE_FOLLOWUP_KE_REQUEST = "IKE_FOLLOWUP_KE request"
    IKE_FOLLOWUP_KE_RESPONSE = "IKE_FOLLOWUP_KE response"
    INFORMATIONAL_REQUEST = "INFORMATIONAL request"
    INFORMATIONAL_RESPONSE = "INFORMATIONAL response"
    OTHER_REQUEST = "request of another exchange"
    OTHER_RESPONSE = "response of another exchange"
    START = "start as initiator"
    REQUEST = "request an exchange"
    CLOSE = "close"


class Action(enum.Enum):
    """What a state makes of an input."""

    PROCESS = "process"
    DROP = "drop"
    REFUSE = "answer TEMPORARY_FAILURE"
    POSTPONE = "postpone"
    SEND = "send"
    QUEUE = "queue"
    REJECT = "reject"
    IGNORE = "ignore"
    DELETE = "send Delete"
    END = "end"


_I, _A, _S = Input, Action, IkeSaState

_MESSAGES: tuple[Input, ...] = tuple(i for i in Input if i not in (_I.START, _I.REQUEST, _I.CLOSE))
_NO_MESSAGE: dict[Input, Action] = dict.fromkeys(_MESSAGES, _A.DROP)

ACTIONS: dict[IkeSaState, dict[Input, Action]] = {
    _S.NEW: _NO_MESSAGE
    | {_I.IKE_SA_INIT_REQUEST: _A.PROCESS, _I.START: _A.SEND, _I.REQUEST: _A.QUEUE, _I.CLOSE: _A.END},
    _S.INIT_SENT: _NO_MESSAGE
    | {_I.IKE_SA_INIT_RESPONSE: _A.PROCESS, _I.START: _A.IGNORE, _I.REQUEST: _A.QUEUE, _I.CLOSE: _A.END},
    # An IKE_AUTH that comes before all key exchanges are done is from somebody who does not know what was agreed.
    _S.INTERMEDIATE: _NO_MESSAGE
    | {
        _I.IKE_INTERMEDIATE_REQUEST: _A.PROCESS,
        _I.IKE_INTERMEDIATE_RESPONSE: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.QUEUE,
        _I.CLOSE: _A.END,
    },
    _S.HALF_OPEN: _NO_MESSAGE
    | {
        _I.IKE_INTERMEDIATE_REQUEST: _A.PROCESS,
        _I.IKE_AUTH_REQUEST: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.QUEUE,
        _I.CLOSE: _A.END,
    },
    # A request that overtakes the IKE_AUTH response comes from a peer that is not authenticated yet: it will repeat it.
    _S.AUTH_SENT: _NO_MESSAGE
    | {_I.IKE_AUTH_RESPONSE: _A.PROCESS, _I.START: _A.IGNORE, _I.REQUEST: _A.QUEUE, _I.CLOSE: _A.QUEUE},
    _S.ESTABLISHED: _NO_MESSAGE
    | {
        _I.CREATE_CHILD_SA_REQUEST: _A.PROCESS,
        _I.CREATE_CHILD_SA_RESPONSE: _A.PROCESS,
        _I.IKE_FOLLOWUP_KE_REQUEST: _A.PROCESS,
        _I.IKE_FOLLOWUP_KE_RESPONSE: _A.PROCESS,
        _I.INFORMATIONAL_REQUEST: _A.PROCESS,
        _I.INFORMATIONAL_RESPONSE: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.SEND,
        _I.CLOSE: _A.DELETE,
    },
    # RFC 7296 2.25.2: nothing new is begun on an IKE SA that is being closed; its own Delete is answered as usual. What
    # was under way when we began to close it still comes to its end, or the two sides would not hold the same keys.
    _S.CLOSING: _NO_MESSAGE
    | {
        _I.CREATE_CHILD_SA_REQUEST: _A.REFUSE,
        _I.CREATE_CHILD_SA_RESPONSE: _A.PROCESS,
        _I.IKE_FOLLOWUP_KE_REQUEST: _A.PROCESS,
        _I.IKE_FOLLOWUP_KE_RESPONSE: _A.PROCESS,
        _I.INFORMATIONAL_REQUEST: _A.PROCESS,
        _I.INFORMATIONAL_RESPONSE: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.REJECT,
        _I.CLOSE: _A.IGNORE,
    },
    # That the peer uses it means that it knows already whose request has won; so will we, soon.
    _S.UNDECIDED: _NO_MESSAGE
    | {
        _I.CREATE_CHILD_SA_REQUEST: _A.POSTPONE,
        _I.INFORMATIONAL_REQUEST: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.REJECT,
        _I.CLOSE: _A.IGNORE,
    },
    # RFC 7296 2.8.2: to the peer's Delete and its late requests it is as if we were closing it.
    _S.REPLACED: _NO_MESSAGE
    | {
        _I.CREATE_CHILD_SA_REQUEST: _A.REFUSE,
        _I.IKE_FOLLOWUP_KE_REQUEST: _A.PROCESS,
        _I.INFORMATIONAL_REQUEST: _A.PROCESS,
        _I.INFORMATIONAL_RESPONSE: _A.PROCESS,
        _I.START: _A.IGNORE,
        _I.REQUEST: _A.REJECT,
        _I.CLOSE: _A.IGNORE,
    },
    _S.CLOSED: _NO_MESSAGE | {_I.START: _A.IGNORE, _I.REQUEST: _A.REJECT, _I.CLOSE: _A.IGNORE},
}

TRANSITIONS: dict[IkeSaState, frozenset[IkeSaState]] = {
    # One that replaces another begins where the other is.
    _S.NEW: frozenset({_S.INIT_SENT, _S.INTERMEDIATE, _S.HALF_OPEN, _S.ESTABLISHED, _S.UNDECIDED, _S.CLOSED}),
    _S.INIT_SENT: frozenset({_S.INTERMEDIATE, _S.AUTH_SENT, _S.CLOSED}),
    _S.INTERMEDIATE: frozenset({_S.INTERMEDIATE, _S.HALF_OPEN, _S.AUTH_SENT, _S.CLOSED}),
    _S.HALF_OPEN: frozenset({_S.ESTABLISHED, _S.CLOSED}),
    _S.AUTH_SENT: frozenset({_S.ESTABLISHED, _S.CLOSING, _S.CLOSED}),
    _S.ESTABLISHED: frozenset({_S.CLOSING, _S.REPLACED, _S.CLOSED}),
    _S.CLOSING: frozenset({_S.REPLACED, _S.CLOSED}),
    _S.UNDECIDED: frozenset({_S.ESTABLISHED, _S.REPLACED, _S.CLOSED}),
    _S.REPLACED: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
}

_REQUESTS: dict[int, Input] = {
    ExchangeType.IKE_SA_INIT: _I.IKE_SA_INIT_REQUEST,
    ExchangeType.IKE_AUTH: _I.IKE_AUTH_REQUEST,
    ExchangeType.IKE_INTERMEDIATE: _I.IKE_INTERMEDIATE_REQUEST,
    ExchangeType.CREATE_CHILD_SA: _I.CREATE_CHILD_SA_REQUEST,
    ExchangeType.IKE_FOLLOWUP_KE: _I.IKE_FOLLOWUP_KE_REQUEST,
    ExchangeType.INFORMATIONAL: _I.INFORMATIONAL_REQUEST,
}
_RESPONSES: dict[int, Input] = {
    ExchangeType.IKE_SA_INIT: _I.IKE_SA_INIT_RESPONSE,
    ExchangeType.IKE_AUTH: _I.IKE_AUTH_RESPONSE,
    ExchangeType.IKE_INTERMEDIATE: _I.IKE_INTERMEDIATE_RESPONSE,
    ExchangeType.CREATE_CHILD_SA: _I.CREATE_CHILD_SA_RESPONSE,
    ExchangeType.IKE_FOLLOWUP_KE: _I.IKE_FOLLOWUP_KE_RESPONSE,
    ExchangeType.INFORMATIONAL: _I.INFORMATIONAL_RESPONSE,
}


def message_input(exchange_type: int, *, is_response: bool) -> Input:
    """Return the input that a message of an exchange is."""
    if is_response:
        return _RESPONSES.get(exchange_type, Input.OTHER_RESPONSE)
    return _REQUESTS.get(exchange_type, Input.OTHER_REQUEST)
