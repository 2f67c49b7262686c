"""What YANG's names and notations stand for: tables and functions between canonical text and the agent's own values.

Functions that read raise ValueError with a reason for the operator, and never put a secret into it. They must not
know where in a tree a value stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

from rkmp.crypto.suites import KEY_EXCHANGE_BY_NAME
from rkmp.engine.protocols import PROTOCOL_NAMES
from rkmp.keytable import ALG_IDS, KDFS, PROTOCOLS
from rkmp.northbound.names import KEY_TABLE_PREFIX
from rkmp.secret import Secret
from rkmp.wire import AuthAlg, Kdf, KeyExchangeId, LdpAuthAlg

AUTH_ALGORITHMS: Mapping[str, int] = {
    "hmac-sha-1-96": AuthAlg.HMAC_SHA_1_96,
    "aes-128-cmac-96": AuthAlg.AES_128_CMAC_96,
}
TCP_AO_KDFS: Mapping[str, int] = {
    "kdf-hmac-sha1": Kdf.HMAC_SHA1,
    "kdf-aes-128-cmac": Kdf.AES_128_CMAC,
}
"""The draft's code points by the names of ``rkmp-types``; private-use ones are plain numbers."""

LDP_AUTH_ALGORITHMS: Mapping[str, int] = {
    "hmac-sha-1": LdpAuthAlg.HMAC_SHA_1,
    "hmac-sha-256": LdpAuthAlg.HMAC_SHA_256,
    "hmac-sha-384": LdpAuthAlg.HMAC_SHA_384,
    "hmac-sha-512": LdpAuthAlg.HMAC_SHA_512,
}
"""What authenticates the Hellos of LDP, by the names of ``rkmp-types``."""

ADDITIONAL_KEY_EXCHANGES: Mapping[str, int] = {**KEY_EXCHANGE_BY_NAME, "none": KeyExchangeId.NONE}
"""Transform IDs of additional key exchanges, and of leaving one out, by the names of ``rkmp-types``."""

IGNORE_TCP_OPTIONS = "ignore-tcp-options"
"""The bit of ``transform-flags`` that is the draft's O bit."""

ROUTING_PROTOCOLS: Mapping[str, int] = {name: number for number, name in PROTOCOL_NAMES.items()}

KEY_TABLE_IDENTITIES = frozenset({*PROTOCOLS, *KDFS, *ALG_IDS})
"""The names of the key table that are identities of YANG; its other protocols are plain numbers."""

BEGINNING = datetime.min.replace(tzinfo=UTC)
"""The start of a lifetime that has none."""


def code_point(text: str, names: Mapping[str, int]) -> int:
    """Return the number of an algorithm that is written by its name, or as a number for private use."""
    known = names.get(text)
    return int(text) if known is None else known


def routing_protocol_number(text: str) -> int:
    """Return the Rtg. Prot. ID of a value of ``routing-protocol``, or what stands for one (``ldp-discovery``)."""
    return code_point(text, ROUTING_PROTOCOLS)


def key_table_name(text: str) -> str:
    """Return the key table's name for a value that is an identity, or a number, in the key table's module."""
    return text.rpartition(":")[2]


def key_table_text(name: str) -> str:
    """Return the canonical value for a name of the key table: an identity has the schema's prefix."""
    return f"{KEY_TABLE_PREFIX}:{name}" if name in KEY_TABLE_IDENTITIES else name


def canonical_host(text: str) -> str:
    """Return an address as RFC 5952 writes it, and a name as it is."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def octets(text: str) -> bytes:
    """Return the octets of a hexadecimal string, with or without colons."""
    return bytes.fromhex(text.replace(":", ""))


def secret(keystring: str | None, hexadecimal: str | None) -> Secret:
    """Return a secret in whichever notation it is given."""
    if keystring is not None:
        return Secret(keystring.encode("ascii"))
    if hexadecimal is not None:
        return Secret(octets(hexadecimal))
    raise ValueError("the secret is missing")


def moment(text: str) -> datetime:
    """Return the time that a ``utc-date-and-time`` tells; its pattern also admits days that no month has."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise ValueError(f"{text} is no date and time: {error}") from None


def date_and_time(at: datetime) -> str:
    """Return an aware datetime as yang:date-and-time in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def boolean(value: bool) -> str:
    """Return the value of a boolean leaf."""
    return "true" if value else "false"


def decimal(value: float) -> str:
    """Return the canonical value of a decimal64 leaf with up to six digits behind the point (RFC 7950 9.3.2)."""
    text = f"{value:.6f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
