"""The local key API on the wire: one JSON object a line, UTF-8, in both directions, version 1 (docs/key-api.md).

Which fields a message has is a table. What is missing, of another type, or too long is refused by
:class:`MessageError`; fields that are not known are passed over, so that later versions can add some.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from rkmp.errors import SouthboundError
from rkmp.keytable import LDP_ALG_IDS, TCP_AO_ALGORITHMS
from rkmp.secret import Secret
from rkmp.southbound.foreign_words import CONTROL
from rkmp.southbound.keys import ConsumerKey, HelloKey, MasterKeyTuple

VERSION = 1
MOST_OCTETS = 65536
"""Of one line."""
MOST_COUNTED = 2**64 - 1

Message = Mapping[str, Any]

_TEXT, _NUMBER, _LIST, _OBJECT, _TRUTH = str, int, list, dict, bool
_SCOPE = {"protocol": _TEXT, "neighbor": _TEXT}
_STEP = {"subscription": _NUMBER, "sequence": _NUMBER}

FROM_CLIENT: Mapping[str, Mapping[str, type]] = {
    "hello": {"version": _NUMBER, "name": _TEXT},
    "lookup": {"id": _NUMBER, **_SCOPE},
    "subscribe": {"id": _NUMBER, **_SCOPE},
    "unsubscribe": {"subscription": _NUMBER},
    "acknowledge": _STEP,
    "refuse": {**_STEP, "reason": _TEXT},
    "usage": {"subscription": _NUMBER, "sending": _LIST},
}
FROM_AGENT: Mapping[str, Mapping[str, type]] = {
    "hello": {"version": _NUMBER, "agent": _TEXT},
    "keys": {"id": _NUMBER, "keys": _LIST},
    "subscribed": {"subscription": _NUMBER},
    "add": {**_STEP, "key": _OBJECT},
    "prefer": {**_STEP, "key": _TEXT},
    "retire": {**_STEP, "key": _TEXT},
    "remove": {**_STEP, "key": _TEXT},
    "synchronised": {"subscription": _NUMBER},
    "error": {"code": _TEXT, "reason": _TEXT},
}
"""By type, the fields that a message must have."""
OPTIONAL: Mapping[str, type] = {
    "id": _NUMBER,
    "recv-id": _NUMBER,
    "preferred": _TEXT,
    "holds": _LIST,
    "interface": _TEXT,
    "algorithms": _LIST,
}
"""Fields that some messages may have, and what they are then."""
_COUNTERS = ("connections", "good", "bad", "key-not-found", "unsigned", "dropped-icmps")
"""What a report of usage may have besides, each a whole number."""
_KEY_FIELDS: Mapping[str, type] = {
    "name": _TEXT,
    "send-id": _NUMBER,
    "recv-id": _NUMBER,
    "algorithm": _TEXT,
    "security-protocol": _TEXT,
    "kdf": _TEXT,
    "secret": _TEXT,
}
_TCP_AO, _LDP_DISCOVERY = "tcp-ao", "ldp-discovery"
"""What a key is for, as the YANG models call it (typedef security-protocol)."""
_KDFS = {alg_id: kdf for kdf, alg_id in TCP_AO_ALGORITHMS}


class ErrorCode(StrEnum):
    """Why the agent refuses."""

    NOT_PERMITTED = "not-permitted"
    """No permission names the program, or the protocol and neighbor that it asked for; those have an ``id``."""
    TOO_MANY = "too-many"
    """There are too many programs, or subscriptions of this one."""
    ID_IN_USE = "id-in-use"
    """The program has a subscription of this number."""
    NO_SUCH_SUBSCRIPTION = "no-such-subscription"
    """The program has no subscription of this number, which is the ``id``."""
    MALFORMED = "malformed"
    """What was said is no message, or none that makes sense there."""
    UNSUPPORTED_VERSION = "unsupported-version"
    """The program speaks another version."""


class MessageError(SouthboundError):
    """A line that is no message of this protocol; ``code`` is what the error that answers it has."""

    def __init__(self, reason: str, code: ErrorCode = ErrorCode.MALFORMED) -> None:
        super().__init__(reason)
        self.code = code


def encoded(kind: str, **fields: Any) -> bytes:
    """Return one line; names of fields are written with hyphens, those without a value are left out."""
    present = {name.replace("_", "-"): value for name, value in fields.items() if value is not None}
    return json.dumps({"type": kind, **present}, separators=(",", ":")).encode() + b"\n"


def decoded(line: bytes, kinds: Mapping[str, Mapping[str, type]]) -> Message:
    """Return the message of one line, which is one of ``kinds``; raises :class:`MessageError`."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise MessageError("this is no JSON object on a line") from None
    if not isinstance(message, dict):
        raise MessageError("this is no JSON object on a line")
    kind = message.get("type")
    fields = kinds.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise MessageError(f"there is no message of type {kind!r}"[:200])
    for name, wanted in fields.items():
        if name not in message:
            raise MessageError(f"{kind} lacks {name!r}")
        _require(message, name, wanted)
    for name, wanted in OPTIONAL.items():
        if message.get(name) is not None and name not in fields:
            _require(message, name, wanted)
    return message


def written_key(key: ConsumerKey) -> dict[str, Any]:
    """Return a key as messages have it, with its secret."""
    named = {"name": key.name, "send-id": key.send_id, "recv-id": key.recv_id, "algorithm": key.alg_id}
    secret = {"secret": key.secret.reveal().hex()}
    if isinstance(key, HelloKey):
        return {**named, "security-protocol": _LDP_DISCOVERY, "kdf": "none", **secret}
    of_tcp_ao = {"kdf": _KDFS[key.alg_id], "ignore-tcp-options": key.ignore_tcp_options}
    return {**named, "security-protocol": _TCP_AO, **of_tcp_ao, **secret}


def read_key(fields: Mapping[str, Any]) -> ConsumerKey:
    """Return the key of a message; raises :class:`MessageError`."""
    for name, wanted in _KEY_FIELDS.items():
        _require_field(fields, name, wanted)
    try:
        secret = Secret(bytes.fromhex(fields["secret"]))
    except ValueError:
        raise MessageError("a key's secret is not hexadecimal") from None
    named = (fields["name"], fields["send-id"], fields["recv-id"], fields["algorithm"])
    match fields["security-protocol"]:
        case "tcp-ao":
            _require_field(fields, "ignore-tcp-options", _TRUTH)
            _require_names(fields, _KDFS, 8, "TCP-AO")
            return MasterKeyTuple(*named, secret, ignore_tcp_options=fields["ignore-tcp-options"])
        case "ldp-discovery":
            _require_names(fields, LDP_ALG_IDS, 32, "LDP discovery")
            return HelloKey(*named, secret)
        case _:
            raise MessageError("a key is for a security protocol that is not known")


def _require_field(fields: Mapping[str, Any], name: str, wanted: type) -> None:
    if name not in fields:
        raise MessageError(f"a key lacks {name!r}")
    _require(fields, name, wanted)


def _require_names(fields: Mapping[str, Any], alg_ids: Collection[str], id_bits: int, what: str) -> None:
    """Refuse an algorithm that is none of ``alg_ids``, and IDs that take more than ``id_bits``."""
    ids = (fields["send-id"], fields["recv-id"])
    if fields["algorithm"] not in alg_ids or max(ids).bit_length() > id_bits:
        raise MessageError(f"a key has an algorithm or an ID that {what} does not have")


def counters(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return what a report of usage counts, by the names of :class:`~rkmp.southbound.steps.Usage`.

    Raises :class:`MessageError`.
    """
    present = [name for name in _COUNTERS if fields.get(name) is not None]
    for name in present:
        _require(fields, name, _NUMBER)
        if fields[name] > MOST_COUNTED:
            raise MessageError(f"{name!r} is more than a counter holds")
    return {name.replace("-", "_"): fields[name] for name in present}


def is_name(value: object) -> bool:
    """Whether ``value`` may be a name: text without control characters, as in the key table."""
    return isinstance(value, str) and CONTROL.search(value) is None


def _require(fields: Mapping[str, Any], name: str, wanted: type) -> None:
    value: Any = fields[name]
    # JSON's truth values are numbers in Python.
    if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
        raise MessageError(f"{name!r} is not {_WORDS[wanted]}")
    if isinstance(value, int) and value < 0:
        raise MessageError(f"{name!r} is negative")
    if isinstance(value, str) and name != "reason" and not is_name(value):
        raise MessageError(f"{name!r} is not text without control characters")


_WORDS = {str: "text", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}
