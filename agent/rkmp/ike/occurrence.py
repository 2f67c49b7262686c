"""Which payload may appear in which message, how often: a table, and its check.

RFC 7296 sections 1.2 to 1.4 and appendix C, RFC 9370 2.2, the draft's section 3. What a payload says is not looked at
here, except whether a notify refuses what was asked: then what a success would carry is not required.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from rkmp.errors import IkeError
from rkmp.wire import (
    FIRST_STATUS_NOTIFY,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Delete,
    ExchangeType,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    SecurityAssociation,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnknownPayload,
    VendorId,
)

MANY = 2**16
"""More than fit into a message."""

_PayloadT = TypeVar("_PayloadT", bound=Payload)


class Occurrence(NamedTuple):
    """How often a payload appears in a message that does not refuse what was asked."""

    minimum: int
    maximum: int


_NONE_OR_ONE, _ONE, _ANY = Occurrence(0, 1), Occurrence(1, 1), Occurrence(0, MANY)
_NOTIFY_AND_VENDOR: dict[type[Payload], Occurrence] = {Notify: _ANY, VendorId: _ANY}

ENCRYPTED: dict[int, bool] = {
    ExchangeType.IKE_SA_INIT: False,
    ExchangeType.IKE_AUTH: True,
    ExchangeType.IKE_INTERMEDIATE: True,
    ExchangeType.CREATE_CHILD_SA: True,
    ExchangeType.IKE_FOLLOWUP_KE: True,
    ExchangeType.INFORMATIONAL: True,
}
"""Whether the payloads of an exchange travel inside an Encrypted payload."""

REQUEST: dict[int, dict[type[Payload], Occurrence]] = {
    ExchangeType.IKE_SA_INIT: {SecurityAssociation: _ONE, KeyExchange: _ONE, Nonce: _ONE} | _NOTIFY_AND_VENDOR,
    ExchangeType.IKE_AUTH: {
        IdInitiator: _ONE,
        Certificate: _ANY,
        CertificateRequest: _ANY,
        IdResponder: _NONE_OR_ONE,
        Authentication: _ONE,
        Configuration: _NONE_OR_ONE,
        # An IKE_AUTH without a child leaves out all three (RFC 6023).
        SecurityAssociation: _NONE_OR_ONE,
        TrafficSelectorsInitiator: _NONE_OR_ONE,
        TrafficSelectorsResponder: _NONE_OR_ONE,
    }
    | _NOTIFY_AND_VENDOR,
    # What is not a key exchange is something that we do not know, and let pass (RFC 9242 3.2).
    ExchangeType.IKE_INTERMEDIATE: {KeyExchange: _NONE_OR_ONE} | _NOTIFY_AND_VENDOR,
    ExchangeType.CREATE_CHILD_SA: {
        SecurityAssociation: _ONE,
        Nonce: _ONE,
        KeyExchange: _NONE_OR_ONE,
        # The rekeying of an IKE SA has no traffic selectors.
        TrafficSelectorsInitiator: _NONE_OR_ONE,
        TrafficSelectorsResponder: _NONE_OR_ONE,
    }
    | _NOTIFY_AND_VENDOR,
    ExchangeType.IKE_FOLLOWUP_KE: {KeyExchange: _ONE} | _NOTIFY_AND_VENDOR,
    ExchangeType.INFORMATIONAL: {Delete: _ANY, Configuration: _NONE_OR_ONE} | _NOTIFY_AND_VENDOR,
}

RESPONSE: dict[int, dict[type[Payload], Occurrence]] = {
    ExchangeType.IKE_SA_INIT: {SecurityAssociation: _ONE, KeyExchange: _ONE, Nonce: _ONE, CertificateRequest: _ANY}
    | _NOTIFY_AND_VENDOR,
    ExchangeType.IKE_AUTH: {
        IdResponder: _ONE,
        Certificate: _ANY,
        Authentication: _ONE,
        Configuration: _NONE_OR_ONE,
        SecurityAssociation: _NONE_OR_ONE,
        TrafficSelectorsInitiator: _NONE_OR_ONE,
        TrafficSelectorsResponder: _NONE_OR_ONE,
    }
    | _NOTIFY_AND_VENDOR,
    ExchangeType.IKE_INTERMEDIATE: REQUEST[ExchangeType.IKE_INTERMEDIATE],
    ExchangeType.CREATE_CHILD_SA: REQUEST[ExchangeType.CREATE_CHILD_SA],
    ExchangeType.IKE_FOLLOWUP_KE: REQUEST[ExchangeType.IKE_FOLLOWUP_KE],
    ExchangeType.INFORMATIONAL: REQUEST[ExchangeType.INFORMATIONAL],
}


def check_occurrence(exchange_type: int, payloads: Iterable[Payload], *, is_response: bool) -> None:
    """Check the payloads of one message (the inner ones, where it is encrypted).

    Raises IkeError: UNSUPPORTED_CRITICAL_PAYLOAD with the type's octet for an unknown critical payload (RFC 7296 2.5),
    INVALID_SYNTAX for one that is missing, one too many or out of place.
    """
    table = (RESPONSE if is_response else REQUEST)[exchange_type]
    counts: dict[type[Payload], int] = {}
    is_refusal = False
    for payload in payloads:
        if isinstance(payload, UnknownPayload):
            if payload.critical:
                raise IkeError(
                    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
                    f"payload type {payload.payload_type} is unknown and critical",
                    bytes((payload.payload_type,)),
                )
            continue
        kind = type(payload)
        counts[kind] = counts.get(kind, 0) + 1
        if kind not in table or counts[kind] > table[kind].maximum:
            raise IkeError(NotifyType.INVALID_SYNTAX, f"{kind.__name__} has no place here")
        is_refusal = is_refusal or (is_response and isinstance(payload, Notify) and refuses(payload, exchange_type))
    if is_refusal:
        return
    for kind, occurrence in table.items():
        if counts.get(kind, 0) < occurrence.minimum:
            raise IkeError(NotifyType.INVALID_SYNTAX, f"{kind.__name__} is missing")


def refuses(notify: Notify, exchange_type: int) -> bool:
    """Return whether ``notify`` in a response means that the request was not granted."""
    wants_cookie = exchange_type == ExchangeType.IKE_SA_INIT and notify.notify_type == NotifyType.COOKIE
    return notify.notify_type < FIRST_STATUS_NOTIFY or wants_cookie


def only(kind: type[_PayloadT], payloads: Iterable[Payload]) -> _PayloadT | None:
    """Return the payload of ``kind``, which the tables allow once, or None."""
    for payload in payloads:
        if isinstance(payload, kind):
            return payload
    return None


def notify_of(notify_type: int, payloads: Iterable[Payload]) -> Notify | None:
    """Return the first notify of ``notify_type`` among ``payloads``, or None."""
    for payload in payloads:
        if isinstance(payload, Notify) and payload.notify_type == notify_type:
            return payload
    return None


def first_error(payloads: Iterable[Payload]) -> Notify | None:
    """Return the first notify among ``payloads`` that reports an error."""
    for payload in payloads:
        if isinstance(payload, Notify) and payload.notify_type < FIRST_STATUS_NOTIFY:
            return payload
    return None
