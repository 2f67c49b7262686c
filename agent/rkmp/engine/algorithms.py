"""What the numbers of a transform mean for a key: how long it is, and how the key table calls its algorithms.

RFC 7210's registries name what RFC 5926 (TCP-AO) and RFC 7349 (LDP discovery) use; private-use numbers of the draft
mean what the configuration says. A pair that has no row here is neither offered nor accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rkmp.ike import RFC_5926_PAIRS
from rkmp.ike.purposes import LDP_DISCOVERY, LDP_KEY_LENGTH
from rkmp.wire import AuthAlg, Kdf, LdpAuthAlg

NO_KDF = 0
"""In the place of a KDF where the key is used as it is."""


@dataclass(frozen=True, slots=True)
class Algorithms:
    """RFC 7210's names of AlgID and KDF, and the octets of a key that is negotiated for them."""

    alg_id: str
    kdf: str
    key_octets: int


TCP_AO: Mapping[tuple[int, int], Algorithms] = MappingProxyType(
    {
        pair: Algorithms(*names, RFC_5926_PAIRS[pair])
        for pair, names in (
            ((AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1), ("hmac-sha-1-96", "hmac-sha-1")),
            ((AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC), ("aes-128-cmac-96", "aes-128-cmac")),
        )
    }
)
"""By the draft's Auth Alg and KDF."""

LDP_HELLOS: Mapping[tuple[int, int], Algorithms] = MappingProxyType(
    {
        (number, NO_KDF): Algorithms(name, "none", LDP_KEY_LENGTH[number])
        for number, name in (
            (LdpAuthAlg.HMAC_SHA_1, "hmac-sha-1"),
            (LdpAuthAlg.HMAC_SHA_256, "hmac-sha-256"),
            (LdpAuthAlg.HMAC_SHA_384, "hmac-sha-384"),
            (LdpAuthAlg.HMAC_SHA_512, "hmac-sha-512"),
        )
    }
)
"""By the Auth Alg of an LDP discovery transform, which has no KDF."""

PRIVATE_USE: Mapping[str, Algorithms] = MappingProxyType(
    {"hmac-sha-256-128": Algorithms("hmac-sha-256-128", "hmac-sha-256", 32)}
)
"""By what an operator calls it: what a pair of private-use numbers may stand for with TCP-AO."""


def tcp_ao_key_lengths(private: Mapping[tuple[int, int], str]) -> Mapping[tuple[int, int], int]:
    """Return the octets of master keys of TCP-AO, by Auth Alg and KDF."""
    if not private:
        return RFC_5926_PAIRS
    return {**RFC_5926_PAIRS, **{pair: PRIVATE_USE[name].key_octets for pair, name in private.items()}}


def algorithms_for(purpose: int, private: Mapping[tuple[int, int], str]) -> Mapping[tuple[int, int], Algorithms]:
    """Return what may be used for ``purpose`` (:mod:`rkmp.ike.purposes`), by Auth Alg and KDF.

    ``private`` says what the private-use pairs of the configuration stand for.
    """
    if purpose == LDP_DISCOVERY:
        return LDP_HELLOS
    return {**TCP_AO, **{pair: PRIVATE_USE[name] for pair, name in private.items()}} if private else TCP_AO
