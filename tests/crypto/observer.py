"""Reading recorded conversations: what somebody can do who listened and was told the secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rkmp.crypto.ike_keys import IkeKeys
from rkmp.crypto.protection import Protector
from rkmp.crypto.suites import IkeSuite
from rkmp.wire import Encrypted, EncryptedFragment, Message, Payload, parse_payloads, serialise_payloads

_PayloadT = TypeVar("_PayloadT", bound=Payload)


@dataclass(frozen=True, slots=True)
class Opened:
    """A message without its protection.

    ``head`` ends with the generic header of the Encrypted payload, or of the first Encrypted Fragment payload;
    ``inner`` are the octets of the payloads inside.
    """

    head: bytes
    inner: bytes
    payloads: tuple[Payload, ...]


def only(kind: type[_PayloadT], payloads: Sequence[Payload]) -> _PayloadT:
    """Return the one payload of that kind."""
    (found,) = (payload for payload in payloads if isinstance(payload, kind))
    return found


def protector_of_sender(suite: IkeSuite, keys: IkeKeys, message: Message) -> Protector:
    """Return what the sender of ``message`` sealed it with."""
    if message.is_initiator:
        return Protector(suite, keys.sk_ei, keys.sk_ai)
    return Protector(suite, keys.sk_er, keys.sk_ar)


def opened(suite: IkeSuite, keys: IkeKeys, datagrams: Sequence[bytes]) -> Opened:
    """Open the datagrams of one message, which come in order, and hold the payloads to their octets."""
    head, inner, first_payload = b"", b"", 0
    for octets in datagrams:
        message = Message.parse(octets)
        (sealed,) = message.payloads
        assert isinstance(sealed, Encrypted | EncryptedFragment)
        if not head:
            fragment_fields = 4 if isinstance(sealed, EncryptedFragment) else 0
            head, first_payload = octets[: len(octets) - len(sealed.body) - fragment_fields], sealed.first_payload
        inner += protector_of_sender(suite, keys, message).open(octets[: -len(sealed.body)], sealed.body)
    payloads = parse_payloads(first_payload, inner)
    assert serialise_payloads(payloads) == (first_payload, inner)
    return Opened(head, inner, payloads)
