"""The page of algorithms: what IKE SAs and keys are made with, and how operators call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES
from rkmp.crypto.key_exchange import KEY_EXCHANGES
from rkmp.crypto.prf import PRFS
from rkmp.crypto.signature_schemes import LEGACY_SCHEMES, PREFERENCES, SIGNATURE_SCHEMES
from rkmp.crypto.suites import HYBRID_IKE_PROPOSALS, IkeProposal
from rkmp.engine.algorithms import LDP_HELLOS, PRIVATE_USE, TCP_AO
from tests.docs.reference.markdown import code, codes, document, table


def page() -> str:
    """Return the page."""
    return document(
        "Algorithms",
        "The names are those of configuration and state; for IKE SAs the numbers are transform IDs of IANA's IKEv2 "
        "registries, for keys those of the draft.",
        "## Of IKE SAs",
        "An `ike-policy` without proposals of its own offers and accepts these, the first that fits both sides:",
        table(
            ("proposal", "encryption", "PRF", "key exchange", "additional key exchange"),
            (_proposal(number, each) for number, each in enumerate(HYBRID_IKE_PROPOSALS, start=1)),
        ),
        "### Encryption",
        table(
            ("name", "number", "bits of key", "integrity"),
            (
                (code(row.name), str(int(row.encryption_id)), str(row.key_bits), _integrity(row.is_combined))
                for row in ENCRYPTIONS.values()
            ),
        ),
        "### Integrity",
        table(
            ("name", "number", "octets of key", "octets in a message"),
            (
                (code(row.name), str(int(row.integrity_id)), str(row.key_length), str(row.icv_length))
                for row in INTEGRITIES.values()
            ),
        ),
        "### PRF",
        table(
            ("name", "number", "octets of output"),
            ((code(row.name), str(int(row.prf_id)), str(row.key_length)) for row in PRFS.values()),
        ),
        "### Key exchange",
        "Each may be the first, an additional one (RFC 9370), or both as far as the modules allow it.",
        table(
            ("name", "number", "octets of the initiator", "octets of the responder"),
            (
                (code(row.name), str(int(row.method)), str(row.request_length), str(row.answer_length))
                for row in KEY_EXCHANGES.values()
            ),
        ),
        "### Signatures",
        "What a key of each type signs with, the best first; the hash algorithms that the peer announces decide "
        "(RFC 7427).",
        table(
            ("key", "signs with"),
            ((code(key.value), codes(scheme.name for scheme in schemes)) for key, schemes in PREFERENCES.items()),
        ),
        f"Understood of others: {codes(sorted(SIGNATURE_SCHEMES))}. Towards a peer that announces no hash algorithms, "
        f"the older methods: {codes(row.method.name for row in LEGACY_SCHEMES.values())}.",
        "## Of keys",
        table(("for", "Auth Alg", "KDF", "algorithm", "key derivation", "octets of key"), _keys()),
        "Private-use numbers (241 to 255) mean what `private-algorithm` says: "
        f"{codes(PRIVATE_USE)} ({', '.join(f'{row.key_octets} octets' for row in PRIVATE_USE.values())}).",
    )


def _proposal(number: int, proposal: IkeProposal) -> tuple[str, ...]:
    return (
        str(number),
        codes(ENCRYPTIONS[each].name for each in proposal.encryption),
        codes(PRFS[each].name for each in proposal.prf),
        _methods(proposal.key_exchange),
        "; ".join(map(_methods, proposal.additional_key_exchanges)) or "none",
    )


def _methods(methods: Iterable[int]) -> str:
    return codes(KEY_EXCHANGES[each].name for each in methods)


def _integrity(is_combined: bool) -> str:
    return "its own" if is_combined else "an integrity algorithm"


def _keys() -> Iterator[tuple[str, ...]]:
    for purpose, algorithms in (("TCP-AO", TCP_AO), ("LDP Hellos", LDP_HELLOS)):
        for (auth_alg, kdf), row in algorithms.items():
            yield purpose, str(int(auth_alg)), str(int(kdf)), code(row.alg_id), code(row.kdf), str(row.key_octets)
