"""Conversations between other implementations, recorded octet for octet, with the keys that open them.

Each goes IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA (which rekeys the IKE SA), INFORMATIONAL (which deletes the old one),
and INFORMATIONAL under the new one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one recording holds; ``messages`` pairs requests with responses, ``keys`` are by their RFC's names."""

    proposal: str
    pre_shared_key: bytes
    keys: dict[str, bytes]
    rekeyed_keys: dict[str, bytes]
    messages: tuple[tuple[bytes, bytes], ...]


def _load() -> tuple[Conversation, ...]:
    recorded = json.loads((Path(__file__).parent / "charon.json").read_text(encoding="utf-8"))
    conversations = []
    for entry in recorded["conversations"]:
        octets = [bytes.fromhex(message["octets"]) for message in entry["messages"]]
        conversations.append(
            Conversation(
                entry["proposal"],
                bytes.fromhex(entry["pre_shared_key"]),
                {name: bytes.fromhex(key) for name, key in entry["keys"].items()},
                {name: bytes.fromhex(key) for name, key in entry["rekeyed_keys"].items()},
                tuple(zip(octets[::2], octets[1::2], strict=True)),
            )
        )
    return tuple(conversations)


CONVERSATIONS = _load()
"""Recorded between two strongSwan 5.9.8."""

MESSAGES = tuple(octets for conversation in CONVERSATIONS for pair in conversation.messages for octets in pair)
"""Every recorded message, in order."""
