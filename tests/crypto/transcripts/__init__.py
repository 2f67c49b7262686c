"""Conversations between other implementations that authenticate by signature or derive keys in more than one step.

Recorded octet for octet, with the secrets that open them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SignedConversation:
    """IKE_SA_INIT and IKE_AUTH between two that have certificates of ``TRUST_ANCHOR``.

    Each element of ``requests`` and ``responses`` is a message as its datagrams.
    """

    name: str
    shared_secret: bytes
    requests: tuple[tuple[bytes, ...], ...]
    responses: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class KeySchedule:
    """A conversation with what its log says of keys.

    ``generations`` are the keys after IKE_SA_INIT and after each IKE_INTERMEDIATE, by their RFC's names and with the
    shared secret that led there; ``int_auth`` the initiator's and responder's IntAuth after each; ``with_ppk`` the keys
    that a post-quantum pre-shared key changed; ``rekeyed`` those of the IKE SA that replaces the first.
    """

    proposal: str
    pre_shared_key: bytes
    ppk: bytes | None
    generations: tuple[dict[str, bytes], ...]
    int_auth: tuple[tuple[bytes, bytes], ...]
    with_ppk: dict[str, bytes]
    rekeyed: dict[str, bytes]
    additional_secrets: tuple[bytes, ...]
    requests: tuple[tuple[bytes, ...], ...]
    responses: tuple[tuple[bytes, ...], ...]


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def _messages(recorded: list[dict[str, str]], sender: str) -> tuple[tuple[bytes, ...], ...]:
    """Put datagrams that follow one another with one SPI and Message ID into one message."""
    messages: list[list[bytes]] = []
    for entry in recorded:
        octets = bytes.fromhex(entry["octets"])
        if entry["sender"] != sender:
            continue
        if messages and messages[-1][0][:8] + messages[-1][0][18:24] == octets[:8] + octets[18:24]:
            messages[-1].append(octets)
        else:
            messages.append([octets])
    return tuple(map(tuple, messages))


def _octets(names: dict[str, Any] | None) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in (names or {}).items() if isinstance(value, str)}


_SIGNATURES = _load("signatures")

SIGNED_CONVERSATIONS = tuple(
    SignedConversation(
        entry["name"],
        bytes.fromhex(entry["shared_secret"]),
        _messages(entry["messages"], "initiator"),
        _messages(entry["messages"], "responder"),
    )
    for entry in _SIGNATURES["conversations"]
)
"""Recorded between two strongSwan 5.9.8, all with aes128gcm16-prfsha256-x25519."""

TRUST_ANCHOR: bytes = _SIGNATURES["trust_anchor"].encode()

KEY_SCHEDULES = tuple(
    KeySchedule(
        entry["proposal"],
        bytes.fromhex(entry["pre_shared_key"]),
        bytes.fromhex(entry["ppk"]) if entry["ppk"] else None,
        tuple(map(_octets, entry["generations"])),
        tuple(
            (bytes.fromhex(of_initiator), bytes.fromhex(of_responder))
            for of_initiator, of_responder in entry["int_auth"]
        ),
        _octets(entry["with_ppk"]),
        _octets(entry["rekeyed"]),
        tuple(map(bytes.fromhex, (entry["rekeyed"] or {}).get("additional_secrets", ()))),
        _messages(entry["messages"], "initiator"),
        _messages(entry["messages"], "responder"),
    )
    for entry in _load("key_schedules")["conversations"]
)
"""Recorded between two strongSwan 5.9.8 or two strongSwan 6.1.0."""
