"""The names of module ``ietf-key-chain`` as Clark tags, as far as the agent shows them; like `names`."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

KEY_CHAIN_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-key-chain"

KEY_CHAIN_PREFIX = "key-chain"
"""The prefix that the schema binds to the namespace; the algorithms are written with it."""

KEY_CHAIN_MODULES: Mapping[str, Sequence[str]] = {
    "ietf-key-chain": ("aes-cmac-prf-128", "crypto-hmac-sha-1-12", "independent-send-accept-lifetime"),
    "rkmp-key-chain-deviations": (),
}
"""The modules with their features, for ``load_schema``; what is left out, the second one and absent features say."""


class KeyChainNames(enum.StrEnum):
    """What the agent shows of module ``ietf-key-chain``."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"{{{KEY_CHAIN_NAMESPACE}}}{name.lower().replace('_', '-')}"

    KEY_CHAINS = enum.auto()
    KEY_CHAIN = enum.auto()
    NAME = enum.auto()
    LAST_MODIFIED_TIMESTAMP = enum.auto()
    KEY = enum.auto()
    KEY_ID = enum.auto()
    LIFETIME = enum.auto()
    SEND_LIFETIME = enum.auto()
    ACCEPT_LIFETIME = enum.auto()
    ALWAYS = enum.auto()
    START_DATE_TIME = enum.auto()
    NO_END_TIME = enum.auto()
    END_DATE_TIME = enum.auto()
    CRYPTO_ALGORITHM = enum.auto()
    SEND_LIFETIME_ACTIVE = enum.auto()
    ACCEPT_LIFETIME_ACTIVE = enum.auto()
