"""Policies as proposals, the responder's choice and the initiator's check of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES
from rkmp.crypto.key_exchange import KEY_EXCHANGES
from rkmp.crypto.prf import PRFS
from rkmp.crypto.suites import (
    DEFAULT_IKE_PROPOSALS,
    ENCRYPTION_BY_NAME,
    INTEGRITY_BY_NAME,
    KEY_EXCHANGE_BY_NAME,
    PRF_BY_NAME,
    IkeProposal,
    IkeSuite,
    accepts,
    choose_suite,
    suite_of_answer,
    wire_proposals,
)
from rkmp.errors import CryptoError
from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    Attribute,
    AttributeType,
    EncryptionId,
    IntegrityId,
    KeyExchangeId,
    PrfId,
    Proposal,
    ProtocolId,
    RkmpProposal,
    SecurityAssociation,
    Transform,
    TransformType,
)
from rkmp.wire.octets import Reader

GCM = IkeProposal(((EncryptionId.AES_GCM_16, 128),), (), (PrfId.HMAC_SHA2_256,), (KeyExchangeId.CURVE25519,))
CBC = IkeProposal(
    ((EncryptionId.AES_CBC, 256), (EncryptionId.AES_CBC, 128)),
    (IntegrityId.HMAC_SHA2_512_256, IntegrityId.HMAC_SHA2_256_128),
    (PrfId.HMAC_SHA2_512, PrfId.HMAC_SHA2_256),
    (KeyExchangeId.ECP_521, KeyExchangeId.ECP_256),
)


def aes_gcm(bits: int) -> Transform:
    return Transform(TransformType.ENCR, EncryptionId.AES_GCM_16, (Attribute(AttributeType.KEY_LENGTH, bits),))


def offer(*transforms: Transform, number: int = 1, protocol_id: int = ProtocolId.IKE) -> Proposal:
    return Proposal(number, protocol_id, b"", transforms)


PRF_256 = Transform(TransformType.PRF, PrfId.HMAC_SHA2_256)
CURVE25519 = Transform(TransformType.KE, KeyExchangeId.CURVE25519)
GCM_OFFER = offer(aes_gcm(128), PRF_256, CURVE25519)
GCM_SUITE = IkeSuite(EncryptionId.AES_GCM_16, 128, 0, PrfId.HMAC_SHA2_256, KeyExchangeId.CURVE25519)


def some_of(choices: list[int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def proposals(draw: st.DrawFn) -> IkeProposal:
    is_combined = draw(st.booleans())
    ciphers = [key for key, row in ENCRYPTIONS.items() if row.is_combined == is_combined]
    return IkeProposal(
        tuple(draw(st.lists(st.sampled_from(ciphers), min_size=1, max_size=2, unique=True))),
        () if is_combined else draw(some_of(sorted(INTEGRITIES))),
        draw(some_of(sorted(PRFS))),
        draw(some_of(sorted(KEY_EXCHANGES))),
        tuple(draw(st.lists(some_of([KeyExchangeId.NONE, *sorted(KEY_EXCHANGES)]), max_size=3))),
    )


policies = st.lists(proposals(), min_size=1, max_size=3).map(tuple)


def allows(proposal: IkeProposal, suite: IkeSuite) -> bool:
    return (
        (suite.encryption, suite.key_bits) in proposal.encryption
        and suite.prf in proposal.prf
        and suite.key_exchange in proposal.key_exchange
        and (suite.integrity in proposal.integrity or (not suite.integrity and not proposal.integrity))
        and suite.additional_key_exchanges in additional(proposal)
    )


def additional(proposal: IkeProposal) -> set[tuple[int, ...]]:
    """Return every row of additional key exchanges that a policy allows."""
    rows = (tuple(m for m in row if m) for row in itertools.product(*proposal.additional_key_exchanges))
    return {row for row in rows if len(set(row)) == len(row)}


def in_common(mine: IkeProposal, theirs: IkeProposal) -> bool:
    """Whether there is a row that both can do, each method by the same transform type and none twice."""
    length = max(len(mine.additional_key_exchanges), len(theirs.additional_key_exchanges))
    rows = []
    for proposal in (mine, theirs):
        padded = (*proposal.additional_key_exchanges, *[(0,)] * (length - len(proposal.additional_key_exchanges)))
        rows.append(set(itertools.product(*padded)))
    return any(len({m for m in row if m}) == sum(m != 0 for m in row) for row in rows[0] & rows[1])


def over_the_wire(proposal: Proposal) -> Proposal | RkmpProposal:
    octets = SecurityAssociation((proposal,)).to_bytes()
    return SecurityAssociation.parse(Reader(octets, 0, len(octets)), DEFAULT_CODE_POINTS).proposals[0]


@given(policies, policies)
def test_both_sides_end_with_one_suite_that_both_allow(
    initiator: tuple[IkeProposal, ...], responder: tuple[IkeProposal, ...]
) -> None:
    choice = choose_suite(responder, wire_proposals(initiator))
    if choice is None:
        assert not any(
            set(mine.encryption) & set(theirs.encryption)
            and set(mine.prf) & set(theirs.prf)
            and set(mine.key_exchange) & set(theirs.key_exchange)
            and (not mine.integrity or set(mine.integrity) & set(theirs.integrity))
            and in_common(mine, theirs)
            for mine in responder
            for theirs in initiator
        )
        return
    answer, suite = choice
    assert suite_of_answer(initiator, over_the_wire(answer)) == suite
    assert any(allows(proposal, suite) for proposal in initiator)
    assert any(allows(proposal, suite) for proposal in responder)
    assert accepts(initiator, suite)
    assert accepts(responder, suite)


@given(policies, policies)
def test_a_suite_is_accepted_by_who_could_have_negotiated_it(
    mine: tuple[IkeProposal, ...], theirs: tuple[IkeProposal, ...]
) -> None:
    choice = choose_suite(theirs, wire_proposals(theirs))
    assume(choice is not None)
    assert choice is not None
    assert accepts(mine, choice[1]) == any(allows(proposal, choice[1]) for proposal in mine)


@given(policies)
def test_a_policy_that_meets_itself_gets_its_first_preferences(policy: tuple[IkeProposal, ...]) -> None:
    assume(additional(policy[0]))
    choice = choose_suite(policy, wire_proposals(policy))
    assert choice is not None
    first = policy[0]
    assert replace(choice[1], additional_key_exchanges=()) == IkeSuite(
        *first.encryption[0], first.integrity[0] if first.integrity else 0, first.prf[0], first.key_exchange[0]
    )
    assert choice[1].additional_key_exchanges in additional(first)
    # Two proposals may allow the same suite; the first one is answered.
    assert choice[0].number == 1


def test_the_responder_prefers_what_it_prefers() -> None:
    reversed_cbc = IkeProposal(CBC.encryption[::-1], CBC.integrity[::-1], CBC.prf[::-1], CBC.key_exchange[::-1])
    choice = choose_suite((CBC,), wire_proposals((GCM, reversed_cbc)))
    assert choice is not None
    answer, suite = choice
    assert answer.number == 2
    assert (suite.encryption_name, suite.integrity_name, suite.prf_name, suite.key_exchange_name) == (
        "aes-cbc-256",
        "hmac-sha2-512-256",
        "hmac-sha2-512",
        "ecp521",
    )
    choice = choose_suite((CBC, GCM), wire_proposals((GCM, CBC)))
    assert choice is not None
    assert choice[0].number == 2


def test_the_default_is_strongest_first() -> None:
    choice = choose_suite(DEFAULT_IKE_PROPOSALS, wire_proposals(DEFAULT_IKE_PROPOSALS))
    assert choice is not None
    suite = choice[1]
    assert (suite.encryption_name, suite.integrity_name, suite.prf_name, suite.key_exchange_name) == (
        "aes-gcm-16-256",
        None,
        "hmac-sha2-384",
        "curve25519",
    )


def test_the_spi_of_a_rekeyed_ike_sa_is_in_offer_and_answer() -> None:
    offered = wire_proposals((GCM,), b"offerspi")
    assert offered[0].spi == b"offerspi"
    choice = choose_suite((GCM,), offered, b"answrspi")
    assert choice is not None
    assert choice[0].spi == b"answrspi"


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(offer(aes_gcm(256), PRF_256, CURVE25519), id="another key length"),
        pytest.param(offer(aes_gcm(128), CURVE25519), id="no PRF"),
        pytest.param(offer(aes_gcm(128), PRF_256), id="no key exchange"),
        pytest.param(
            offer(Transform(TransformType.ENCR, EncryptionId.AES_GCM_16), PRF_256, CURVE25519), id="no key length"
        ),
        pytest.param(
            offer(
                Transform(
                    TransformType.ENCR,
                    EncryptionId.AES_GCM_16,
                    (Attribute(AttributeType.KEY_LENGTH, 128), Attribute(99, 1)),
                ),
                PRF_256,
                CURVE25519,
            ),
            id="an unknown attribute",
        ),
        pytest.param(
            offer(aes_gcm(128), PRF_256, CURVE25519, Transform(TransformType.INTEG, IntegrityId.HMAC_SHA2_256_128)),
            id="integrity beside a combined cipher",
        ),
        pytest.param(
            offer(aes_gcm(128), PRF_256, CURVE25519, Transform(TransformType.ADDKE1, KeyExchangeId.ML_KEM_768)),
            id="an additional key exchange that cannot be left out",
        ),
        pytest.param(
            offer(aes_gcm(128), PRF_256, CURVE25519, Transform(TransformType.SN, 0)), id="a type without use here"
        ),
        pytest.param(offer(aes_gcm(128), PRF_256, CURVE25519, Transform(200, 0)), id="a type that nobody knows"),
        pytest.param(offer(aes_gcm(128), PRF_256, CURVE25519, protocol_id=ProtocolId.ESP), id="for ESP"),
        pytest.param(RkmpProposal(1, 201, b"", ()), id="for TCP-AO"),
    ],
)
def test_what_does_not_fit_is_passed_over(offered: Proposal | RkmpProposal) -> None:
    assert choose_suite((GCM,), (offered,)) is None
    choice = choose_suite((GCM,), (offered, replace(GCM_OFFER, number=2)))
    assert choice is not None
    assert choice[0].number == 2
    assert choice[1] == GCM_SUITE


@pytest.mark.parametrize(
    "optional",
    [
        (Transform(TransformType.INTEG, IntegrityId.NONE),),
        (
            Transform(TransformType.ADDKE1, KeyExchangeId.ML_KEM_768),
            Transform(TransformType.ADDKE1, KeyExchangeId.NONE),
        ),
    ],
)
def test_what_may_be_left_out_is_answered_with_none(optional: tuple[Transform, ...]) -> None:
    choice = choose_suite((GCM,), (offer(*GCM_OFFER.transforms, *optional),))
    assert choice is not None
    answer, suite = choice
    assert suite == GCM_SUITE
    assert answer.transforms == (*GCM_OFFER.transforms, optional[-1])


X25519, P256, P384 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256, KeyExchangeId.ECP_384
ML_KEM_768, ML_KEM_1024, NONE = KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024, KeyExchangeId.NONE


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (((ML_KEM_768,),), ((ML_KEM_768,),), (ML_KEM_768,)),
        (((ML_KEM_1024, ML_KEM_768),), ((ML_KEM_768, ML_KEM_1024),), (ML_KEM_1024,)),
        # Each could be done alone, and one of them twice is not allowed.
        (((ML_KEM_768, P256), (ML_KEM_768,)), ((ML_KEM_768, P256), (ML_KEM_768,)), (P256, ML_KEM_768)),
        (((ML_KEM_768,), (ML_KEM_768,)), ((ML_KEM_768,), (ML_KEM_768,)), None),
        (((ML_KEM_768,), (ML_KEM_768, NONE)), ((ML_KEM_768,), (ML_KEM_768, NONE)), (ML_KEM_768,)),
        (((NONE,), (NONE,), (P256,)), ((NONE,), (NONE,), (P256,)), (P256,)),
        (((ML_KEM_768, NONE),), (), ()),
        (((NONE, ML_KEM_768),), ((ML_KEM_768, NONE),), ()),
        (((ML_KEM_768,),), (), None),
        ((), ((ML_KEM_768,),), None),
        ((), ((ML_KEM_768, NONE),), ()),
        # The drawing of RFC 9370 2.2.1, with methods that there are.
        (
            ((P384,), (ML_KEM_1024,), (ML_KEM_768,), (NONE,)),
            ((P384, P256), (ML_KEM_768, ML_KEM_1024), (ML_KEM_768, ML_KEM_1024), (P256, NONE)),
            (P384, ML_KEM_1024, ML_KEM_768),
        ),
    ],
)
def test_additional_key_exchanges_are_chosen_like_any_other(
    ours: tuple[tuple[int, ...], ...], theirs: tuple[tuple[int, ...], ...], expected: tuple[int, ...] | None
) -> None:
    responder, initiator = replace(GCM, additional_key_exchanges=ours), replace(GCM, additional_key_exchanges=theirs)
    choice = choose_suite((responder,), wire_proposals((initiator,)))
    if expected is None:
        assert choice is None
        return
    assert choice is not None
    answer, suite = choice
    assert suite == replace(GCM_SUITE, additional_key_exchanges=expected)
    assert suite_of_answer((initiator,), over_the_wire(answer)) == suite
    assert len(answer.transforms) == 3 + len(theirs), "one of each type that was offered"
    assert len(suite.additional_key_exchange_names) == len(expected)


def test_without_an_exchange_to_do_them_in_nothing_with_additional_ones_is_chosen() -> None:
    """RFC 9370 2.2.1: they are unknown transform types then, even where one of them may be left out."""
    hybrid = replace(GCM, additional_key_exchanges=((ML_KEM_768, NONE),))
    offered = wire_proposals((hybrid, GCM))
    choice = choose_suite((hybrid, GCM), offered, several_key_exchanges=False)
    assert choice is not None
    assert (choice[0].number, choice[1]) == (2, GCM_SUITE)
    assert choose_suite((hybrid, GCM), offered[:1], several_key_exchanges=False) is None


def test_an_answer_with_one_additional_key_exchange_twice_is_refused() -> None:
    policy = replace(GCM, additional_key_exchanges=((P256, P384), (P256, P384)))
    once, twice = (
        offer(*GCM_OFFER.transforms, Transform(TransformType.ADDKE1, P256), Transform(TransformType.ADDKE2, second))
        for second in (P384, P256)
    )
    assert suite_of_answer((policy,), once).additional_key_exchanges == (P256, P384)
    with pytest.raises(CryptoError, match="twice"):
        suite_of_answer((policy,), twice)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(replace(GCM_OFFER, number=2), id="a number that was not offered"),
        pytest.param(replace(GCM_OFFER, number=0), id="no number"),
        pytest.param(replace(GCM_OFFER, protocol_id=ProtocolId.ESP), id="for ESP"),
        pytest.param(RkmpProposal(1, 201, b"", ()), id="for TCP-AO"),
        pytest.param(offer(aes_gcm(256), PRF_256, CURVE25519), id="another key length"),
        pytest.param(offer(aes_gcm(128), PRF_256), id="a type less"),
        pytest.param(offer(aes_gcm(128), PRF_256, CURVE25519, Transform(TransformType.INTEG, 0)), id="a type more"),
        pytest.param(offer(aes_gcm(128), PRF_256, PRF_256, CURVE25519), id="two of a type"),
        pytest.param(offer(), id="nothing"),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(answer: Proposal | RkmpProposal) -> None:
    with pytest.raises(CryptoError):
        suite_of_answer((GCM,), answer)


def test_an_answer_is_checked_against_the_proposal_that_it_names() -> None:
    wanted = wire_proposals((GCM, CBC))
    crossed = replace(wanted[0], number=2)
    assert suite_of_answer((GCM, CBC), wanted[0]) == GCM_SUITE
    with pytest.raises(CryptoError):
        suite_of_answer((GCM, CBC), crossed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encryption": ()}, "at least one encryption"),
        ({"prf": ()}, "at least one PRF"),
        ({"key_exchange": ()}, "at least one key exchange"),
        ({"integrity": ()}, "at least one integrity"),
        ({"encryption": ((EncryptionId.AES_CBC, 192),)}, "not implemented"),
        ({"prf": (PrfId.HMAC_MD5,)}, "not implemented"),
        ({"key_exchange": (KeyExchangeId.MODP_768,)}, "not implemented"),
        ({"integrity": (IntegrityId.HMAC_SHA1_96,)}, "not implemented"),
        ({"encryption": (*CBC.encryption, *GCM.encryption)}, "separate proposals"),
        ({"encryption": GCM.encryption}, "cannot be combined"),
        ({"additional_key_exchanges": ((),)}, "at least one additional"),
        ({"additional_key_exchanges": ((KeyExchangeId.MODP_768,),)}, "not implemented"),
        ({"additional_key_exchanges": ((KeyExchangeId.NONE,),) * 8}, "more than 7"),
    ],
)
def test_proposals_that_cannot_be_are_refused_with_a_reason(change: dict[str, tuple[int, ...]], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(CBC, **change)  # type: ignore[arg-type]


def test_every_algorithm_has_a_name_of_its_own() -> None:
    assert set(ENCRYPTION_BY_NAME.values()) == set(ENCRYPTIONS)
    assert set(INTEGRITY_BY_NAME.values()) == set(INTEGRITIES)
    assert set(PRF_BY_NAME.values()) == set(PRFS)
    assert set(KEY_EXCHANGE_BY_NAME.values()) == set(KEY_EXCHANGES)
    assert "aes-gcm-16-128" in ENCRYPTION_BY_NAME
    assert "hmac-sha2-256-128" in INTEGRITY_BY_NAME
    assert "hmac-sha2-256" in PRF_BY_NAME
    assert {"curve25519", "ecp256", "ecp384", "ecp521", "ml-kem-768", "ml-kem-1024"} == set(KEY_EXCHANGE_BY_NAME)
