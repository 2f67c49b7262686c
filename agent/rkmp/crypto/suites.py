"""What protects an IKE SA: policies over algorithms, and the one suite that two sides agree on.

RFC 7296 2.7, 3.3 and 3.3.6; RFC 9370 2.2.1 (additional key exchanges). Knows proposals as payloads and as policy, and
the names that operators use; derives no keys.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES, Encryption, Integrity
from rkmp.crypto.key_exchange import KEY_EXCHANGES
from rkmp.crypto.prf import PRFS
from rkmp.errors import CryptoError
from rkmp.wire import (
    Attribute,
    AttributeType,
    EncryptionId,
    IntegrityId,
    KeyExchangeId,
    PrfId,
    Proposal,
    ProtocolId,
    RkmpProposal,
    Transform,
    TransformType,
)

ENCRYPTION_BY_NAME: Mapping[str, tuple[int, int]] = MappingProxyType(
    {row.name: key for key, row in ENCRYPTIONS.items()}
)
INTEGRITY_BY_NAME: Mapping[str, int] = MappingProxyType({row.name: key for key, row in INTEGRITIES.items()})
PRF_BY_NAME: Mapping[str, int] = MappingProxyType({row.name: key for key, row in PRFS.items()})
KEY_EXCHANGE_BY_NAME: Mapping[str, int] = MappingProxyType({row.name: key for key, row in KEY_EXCHANGES.items()})
"""What an operator's names stand for: transform IDs, for encryption together with the key length in bits."""


_ADDITIONAL_TYPES = tuple(range(TransformType.ADDKE1, TransformType.ADDKE7 + 1))
_NONE = 0


@dataclass(frozen=True, slots=True)
class IkeProposal:
    """What a policy offers and accepts, each tuple in order of preference.

    ``encryption`` holds transform IDs with key lengths in bits, the others hold transform IDs. Ciphers that protect
    integrity themselves (AES-GCM) go without ``integrity``, the others need one, and the two kinds cannot share a
    proposal (RFC 7296 3.3). ``additional_key_exchanges`` are done one after the other when the first is done, up to
    seven; each is a choice of methods as ``key_exchange`` is, and may be left out where NONE is among them (RFC 9370).
    Raises ValueError, for the operator, otherwise and for what is not implemented.
    """

    encryption: tuple[tuple[int, int], ...]
    integrity: tuple[int, ...]
    prf: tuple[int, ...]
    key_exchange: tuple[int, ...]
    additional_key_exchanges: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        _check_known("encryption algorithm", self.encryption, ENCRYPTIONS)
        _check_known("PRF", self.prf, PRFS)
        _check_known("key exchange method", self.key_exchange, KEY_EXCHANGES)
        if len(self.additional_key_exchanges) > len(_ADDITIONAL_TYPES):
            raise ValueError(f"more than {len(_ADDITIONAL_TYPES)} additional key exchanges")
        for choice in self.additional_key_exchanges:
            _check_known("additional key exchange method", choice, {**KEY_EXCHANGES, KeyExchangeId.NONE: None})
        combined = {ENCRYPTIONS[cipher].is_combined for cipher in self.encryption}
        if len(combined) > 1:
            raise ValueError("ciphers with and without integrity protection of their own need separate proposals")
        if not any(combined):
            _check_known("integrity algorithm", self.integrity, INTEGRITIES)
        elif self.integrity:
            raise ValueError("a cipher that protects integrity itself cannot be combined with an integrity algorithm")


def _check_known(
    kind: str, chosen: Sequence[object], known: Mapping[int, object] | Mapping[tuple[int, int], object]
) -> None:
    if not chosen:
        raise ValueError(f"a proposal needs at least one {kind}")
    for algorithm in chosen:
        if algorithm not in known:
            raise ValueError(f"{kind} {algorithm} is not implemented")


DEFAULT_IKE_PROPOSALS: tuple[IkeProposal, ...] = (
    IkeProposal(
        encryption=((EncryptionId.AES_GCM_16, 256), (EncryptionId.AES_GCM_16, 128)),
        integrity=(),
        prf=(PrfId.HMAC_SHA2_384, PrfId.HMAC_SHA2_256),
        key_exchange=(KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256),
    ),
)
"""What every peer knows, strongest first."""

HYBRID_IKE_PROPOSALS: tuple[IkeProposal, ...] = (
    # Proposals of their own, not NONE as an alternative: whoever does not know the transform type passes over all of a
    # proposal that has it (RFC 7296 3.3.6).
    *(replace(each, additional_key_exchanges=((KeyExchangeId.ML_KEM_768,),)) for each in DEFAULT_IKE_PROPOSALS),
    *DEFAULT_IKE_PROPOSALS,
)
"""The same with ML-KEM-768 on top where the peer knows it: what an operator's policy without proposals means."""


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of one IKE SA, by transform ID; ``integrity`` is 0 with a cipher that does without.

    ``additional_key_exchanges`` are those that are done, in this order, after ``key_exchange``.
    """

    encryption: int
    key_bits: int
    integrity: int
    prf: int
    key_exchange: int
    additional_key_exchanges: tuple[int, ...] = ()

    @property
    def encryption_algorithm(self) -> Encryption:
        """The row of the cipher."""
        return ENCRYPTIONS[self.encryption, self.key_bits]

    @property
    def integrity_algorithm(self) -> Integrity | None:
        """The row of the integrity algorithm, or None."""
        return INTEGRITIES[self.integrity] if self.integrity else None

    @property
    def encryption_name(self) -> str:
        """The cipher and its key length, such as aes-gcm-16-256."""
        return self.encryption_algorithm.name

    @property
    def integrity_name(self) -> str | None:
        """The integrity algorithm, such as hmac-sha2-256-128, or None."""
        return INTEGRITIES[self.integrity].name if self.integrity else None

    @property
    def prf_name(self) -> str:
        """The PRF, such as hmac-sha2-256."""
        return PRFS[self.prf].name

    @property
    def key_exchange_name(self) -> str:
        """The key exchange method, such as curve25519."""
        return KEY_EXCHANGES[self.key_exchange].name

    @property
    def additional_key_exchange_names(self) -> tuple[str, ...]:
        """The additional key exchange methods, such as ml-kem-768, in the order in which they are done."""
        return tuple(KEY_EXCHANGES[method].name for method in self.additional_key_exchanges)


# An additional key exchange may be left out where NONE is among its transforms (RFC 9370 2.2.2), integrity where the
# cipher does without (RFC 7296 3.3).
_OPTIONAL_TYPES = frozenset({TransformType.INTEG, *_ADDITIONAL_TYPES})


def wire_proposals(proposals: Sequence[IkeProposal], spi: bytes = b"") -> tuple[Proposal, ...]:
    """Return what offers ``proposals``, numbered from 1; ``spi`` is ours when an IKE SA is rekeyed."""
    return tuple(
        Proposal(number, ProtocolId.IKE, spi, _transforms(proposal))
        for number, proposal in enumerate(proposals, start=1)
    )


def choose_suite(
    proposals: Sequence[IkeProposal],
    offered: Iterable[Proposal | RkmpProposal],
    spi: bytes = b"",
    *,
    several_key_exchanges: bool = True,
) -> tuple[Proposal, IkeSuite] | None:
    """Choose from the peer's proposals, by our order of preference, what ``proposals`` allow.

    Returns the answer, with our ``spi`` when an IKE SA is rekeyed, and the suite; or None when nothing fits. Proposals
    for another protocol than IKE are passed over, and without ``several_key_exchanges`` those with an additional one:
    the two sides have no exchange to do it in.
    """
    candidates = tuple(
        proposal
        for proposal in offered
        if isinstance(proposal, Proposal)
        and proposal.protocol_id == ProtocolId.IKE
        and (several_key_exchanges or not any(t.transform_type in _ADDITIONAL_TYPES for t in proposal.transforms))
    )
    is_short = sum(len(candidate.transforms) for candidate in candidates) <= _LONGEST_REMEMBERED
    choice = (_remembered_choice if is_short else _choose)(tuple(proposals), candidates)
    if choice is None:
        return None
    number, chosen, suite = choice
    return Proposal(number, ProtocolId.IKE, spi, chosen), suite


def _choose(
    proposals: tuple[IkeProposal, ...], candidates: tuple[Proposal, ...]
) -> tuple[int, tuple[Transform, ...], IkeSuite] | None:
    for own in proposals:
        wanted = _by_type(_transforms(own))
        for candidate in candidates:
            chosen = _choose_transforms(wanted, _by_type(candidate.transforms))
            if chosen is not None:
                return candidate.number, chosen, _suite(chosen)
    return None


_LONGEST_REMEMBERED = 32
_remembered_choice = lru_cache(maxsize=256)(_choose)
"""Peers of one operator offer the same with every handshake; nobody can make us remember more transforms than these."""


def suite_of_answer(proposals: Sequence[IkeProposal], answer: Proposal | RkmpProposal) -> IkeSuite:
    """Return the suite that the responder's ``answer`` picks from :func:`wire_proposals` of ``proposals``.

    Raises CryptoError when that was not offered, or is not one transform of each type of one proposal.
    """
    if not isinstance(answer, Proposal) or answer.protocol_id != ProtocolId.IKE:
        raise CryptoError("the answer is not for an IKE SA")
    if not 1 <= answer.number <= len(proposals):
        raise CryptoError(f"the peer accepted proposal {answer.number}, which was not offered")
    offered = _by_type(_transforms(proposals[answer.number - 1]))
    accepted = _by_type(answer.transforms)
    if accepted.keys() != offered.keys():
        raise CryptoError("the peer's answer does not have the transform types that were offered")
    for transform_type, transforms in accepted.items():
        if len(transforms) != 1 or transforms[0] not in offered[transform_type]:
            raise CryptoError(f"the peer's answer does not have one offered transform of type {transform_type}")
    suite = _suite(answer.transforms)
    if len(set(suite.additional_key_exchanges)) != len(suite.additional_key_exchanges):
        raise CryptoError("the peer's answer has the same additional key exchange twice")
    return suite


def accepts(proposals: Sequence[IkeProposal], suite: IkeSuite) -> bool:
    """Return whether one of ``proposals`` allows everything in ``suite``."""
    return any(_allows(proposal, suite) for proposal in proposals)


def _allows(proposal: IkeProposal, suite: IkeSuite) -> bool:
    additional = itertools.product(*proposal.additional_key_exchanges)
    return (
        (suite.encryption, suite.key_bits) in proposal.encryption
        and suite.integrity in (proposal.integrity or (_NONE,))
        and suite.prf in proposal.prf
        and suite.key_exchange in proposal.key_exchange
        and any(tuple(filter(None, methods)) == suite.additional_key_exchanges for methods in additional)
    )


@lru_cache(maxsize=256)
def _transforms(proposal: IkeProposal) -> tuple[Transform, ...]:
    """Return what offers ``proposal``; remembered, because a policy is asked for it with every handshake."""
    return (
        *(
            Transform(TransformType.ENCR, encryption, (Attribute(AttributeType.KEY_LENGTH, key_bits),))
            for encryption, key_bits in proposal.encryption
        ),
        *(Transform(TransformType.INTEG, integrity) for integrity in proposal.integrity),
        *(Transform(TransformType.PRF, prf) for prf in proposal.prf),
        *(Transform(TransformType.KE, key_exchange) for key_exchange in proposal.key_exchange),
        *(
            Transform(transform_type, method)
            for transform_type, choice in zip(_ADDITIONAL_TYPES, proposal.additional_key_exchanges, strict=False)
            for method in choice
        ),
    )


def _by_type(transforms: Iterable[Transform]) -> dict[int, list[Transform]]:
    by_type: dict[int, list[Transform]] = {}
    for transform in transforms:
        by_type.setdefault(transform.transform_type, []).append(transform)
    return by_type


def _choose_transforms(
    wanted: Mapping[int, Sequence[Transform]], offered: Mapping[int, Sequence[Transform]]
) -> tuple[Transform, ...] | None:
    """Return one transform of each type that either side names, ours first in preference, or None.

    A transform has to be equal in all its attributes; one with an attribute that we don't know is none of ours (RFC
    7296 3.3.6). A type that we have no use for spoils the proposal, unless NONE is allowed.
    """
    alternatives: list[list[Transform]] = []
    for transform_type in (*wanted, *(other for other in offered if other not in wanted)):
        acceptable = wanted.get(transform_type, ())
        none = Transform(transform_type, _NONE)
        if transform_type not in wanted and transform_type in _OPTIONAL_TYPES:
            acceptable = (none,)
        if transform_type not in offered and transform_type in _ADDITIONAL_TYPES and none in acceptable:
            # RFC 9370 2.2.1: as if NONE had been offered, but the answer names no type that was not.
            continue
        alternatives.append([transform for transform in acceptable if transform in offered.get(transform_type, ())])
    return _without_repetition(alternatives)


def _without_repetition(
    alternatives: Sequence[Sequence[Transform]], used: frozenset[int] = frozenset()
) -> tuple[Transform, ...] | None:
    """Return one of each, the first that are possible; no method comes twice among additional key exchanges.

    ``used`` are methods that have come already (RFC 9370 2.2.1).
    """
    if not alternatives:
        return ()
    for transform in alternatives[0]:
        is_additional = transform.transform_type in _ADDITIONAL_TYPES and transform.transform_id != _NONE
        if is_additional and transform.transform_id in used:
            continue
        rest = _without_repetition(alternatives[1:], used | {transform.transform_id} if is_additional else used)
        if rest is not None:
            return transform, *rest
    return None


def _suite(chosen: Iterable[Transform]) -> IkeSuite:
    by_type = {transform.transform_type: transform for transform in chosen}
    encryption = by_type[TransformType.ENCR]
    integrity = by_type.get(TransformType.INTEG)
    return IkeSuite(
        encryption.transform_id,
        encryption.key_length or 0,
        IntegrityId.NONE if integrity is None else integrity.transform_id,
        by_type[TransformType.PRF].transform_id,
        by_type[TransformType.KE].transform_id,
        tuple(
            by_type[transform_type].transform_id
            for transform_type in _ADDITIONAL_TYPES
            if transform_type in by_type and by_type[transform_type].transform_id != _NONE
        ),
    )
