"""The algorithms of both sides: how charon is told of each, how it names one that is in use, and our number for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rkmp.crypto.suites import IkeProposal, IkeSuite
from rkmp.wire import EncryptionId, IntegrityId, KeyExchangeId, PrfId

ENCRYPTIONS = {
    "aes128gcm16": (EncryptionId.AES_GCM_16, 128),
    "aes256gcm16": (EncryptionId.AES_GCM_16, 256),
    "aes128": (EncryptionId.AES_CBC, 128),
    "aes256": (EncryptionId.AES_CBC, 256),
}
INTEGRITIES = {
    "sha256": IntegrityId.HMAC_SHA2_256_128,
    "sha384": IntegrityId.HMAC_SHA2_384_192,
    "sha512": IntegrityId.HMAC_SHA2_512_256,
}
PRFS = {
    "prfsha256": PrfId.HMAC_SHA2_256,
    "prfsha384": PrfId.HMAC_SHA2_384,
    "prfsha512": PrfId.HMAC_SHA2_512,
}
KEY_EXCHANGES = {
    "x25519": KeyExchangeId.CURVE25519,
    "ecp256": KeyExchangeId.ECP_256,
    "ecp384": KeyExchangeId.ECP_384,
    "ecp521": KeyExchangeId.ECP_521,
}
KEY_EXCHANGES_OF_6 = {"mlkem768": KeyExchangeId.ML_KEM_768, "mlkem1024": KeyExchangeId.ML_KEM_1024}
"""charon's keywords, of which a proposal is made; ML-KEM is known from strongSwan 6 on."""

SHOWN = {
    "AES_GCM_16": EncryptionId.AES_GCM_16,
    "AES_CBC": EncryptionId.AES_CBC,
    "HMAC_SHA2_256_128": IntegrityId.HMAC_SHA2_256_128,
    "HMAC_SHA2_384_192": IntegrityId.HMAC_SHA2_384_192,
    "HMAC_SHA2_512_256": IntegrityId.HMAC_SHA2_512_256,
    "PRF_HMAC_SHA2_256": PrfId.HMAC_SHA2_256,
    "PRF_HMAC_SHA2_384": PrfId.HMAC_SHA2_384,
    "PRF_HMAC_SHA2_512": PrfId.HMAC_SHA2_512,
    "CURVE_25519": KeyExchangeId.CURVE25519,
    "ECP_256": KeyExchangeId.ECP_256,
    "ECP_384": KeyExchangeId.ECP_384,
    "ECP_521": KeyExchangeId.ECP_521,
}
"""What charon calls those of an IKE SA."""

SUITES = (
    "aes128gcm16-prfsha256-x25519",
    "aes256gcm16-prfsha384-ecp256",
    "aes128gcm16-prfsha512-ecp384",
    "aes256gcm16-prfsha512-ecp521",
    "aes128-sha256-prfsha256-x25519",
    "aes256-sha384-prfsha384-ecp384",
    "aes256-sha512-prfsha512-ecp521",
    "aes128-sha512-prfsha256-ecp256",
)
"""What is tried against charon, as charon writes a proposal: each algorithm at least once."""


def proposal(text: str) -> IkeProposal:
    """Return our policy for a proposal in charon's words, which may name several algorithms of a kind."""
    words = text.split("-")
    return IkeProposal(
        encryption=tuple(ENCRYPTIONS[word] for word in words if word in ENCRYPTIONS),
        integrity=tuple(INTEGRITIES[word] for word in words if word in INTEGRITIES),
        prf=tuple(PRFS[word] for word in words if word in PRFS),
        key_exchange=tuple(KEY_EXCHANGES[word] for word in words if word in KEY_EXCHANGES),
        additional_key_exchanges=_additional(words),
    )


def _additional(words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return what words such as ke1_mlkem768 mean, those of one number being alternatives."""
    known = KEY_EXCHANGES | KEY_EXCHANGES_OF_6
    numbered: dict[str, list[int]] = {}
    for word in words:
        number, separator, name = word.partition("_")
        if separator:
            numbered.setdefault(number, []).append(known[name])
    return tuple(tuple(methods) for _, methods in sorted(numbered.items()))


def shown_suite(ike_sa: Mapping[str, str]) -> IkeSuite:
    """Return the algorithms of an IKE SA in charon's list of them."""
    return IkeSuite(
        encryption=SHOWN[ike_sa["encr-alg"]],
        key_bits=int(ike_sa["encr-keysize"]),
        integrity=SHOWN[ike_sa["integ-alg"]] if "integ-alg" in ike_sa else 0,
        prf=SHOWN[ike_sa["prf-alg"]],
        key_exchange=SHOWN[ike_sa["dh-group"]],
    )
