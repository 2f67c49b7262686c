"""What is to work with charon, each with the tests that try it: a line that loses its test fails here.

``we`` and ``charon`` say who opens the IKE SA, where that makes a difference.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import pytest

from rkmp.crypto.signature_keys import KeyType
from tests.interop.strongswan.test_authentication import KEY_TYPES
from tests.interop.strongswan.test_ml_kem import SUITES as ML_KEM_SUITES

TRIED: Mapping[str, tuple[str, ...]] = {
    "pre-shared keys, AES-GCM and AES-CBC with HMAC, X25519 and each NIST curve: we": (
        "test_as_initiator.test_both_sides_agree_on_algorithms_and_keys",
    ),
    "pre-shared keys, AES-GCM and AES-CBC with HMAC, X25519 and each NIST curve: charon": (
        "test_as_responder.test_both_sides_agree_on_algorithms_and_keys",
    ),
    "certificates of each kind: both": ("test_authentication.test_both_have_certificates",),
    "RSA signatures by PSS and by PKCS #1: both": ("test_authentication.test_charon_signs_with_rsa_of_either_kind",),
    "signatures of before RFC 7427: both": (
        "test_authentication.test_the_older_methods_towards_a_charon_without_rfc_7427",
    ),
    "another method on either side: both": (
        "test_authentication.test_one_has_a_certificate_and_the_other_a_pre_shared_key",
    ),
    "post-quantum pre-shared keys: both": ("test_authentication.test_both_have_a_ppk",),
    "a group that is not the one wanted: we": ("test_as_initiator.test_another_group_is_taken_when_charon_wants_it",),
    "a group that is not the one wanted: charon": (
        "test_as_responder.test_charon_takes_another_group_when_we_want_it",
    ),
    "a cookie, and then IKE_AUTH: we": ("test_as_initiator.test_a_cookie_is_returned_and_the_ike_sa_established",),
    "a cookie, and then IKE_AUTH: charon": ("test_as_responder.test_charon_returns_our_cookie",),
    "fragments both ways: we": ("test_fragmentation.test_we_open_and_replace_an_ike_sa_in_fragments",),
    "fragments both ways: charon": ("test_fragmentation.test_charon_opens_and_replaces_an_ike_sa_in_fragments",),
    "the IKE SA replaced by us": ("test_rekey.test_we_replace_it",),
    "the IKE SA replaced by charon": ("test_rekey.test_charon_replaces_it",),
    "the IKE SA replaced by both at once": ("test_rekey.test_both_replace_it_at_once",),
    "liveness checked by charon": (
        "test_as_initiator.test_liveness_is_checked_by_charon",
        "test_as_responder.test_liveness_is_checked_by_charon",
    ),
    "the Delete is ours": (
        "test_as_initiator.test_our_delete_reaches_charon",
        "test_as_responder.test_our_delete_reaches_charon",
    ),
    "the Delete is charon's": (
        "test_as_initiator.test_the_delete_of_charon_reaches_us",
        "test_as_responder.test_the_delete_of_charon_reaches_us",
    ),
    "a wrong secret": (
        "test_as_initiator.test_charon_rejects_a_wrong_secret",
        "test_as_initiator.test_we_reject_charon_and_it_learns_that",
        "test_as_responder.test_we_reject_charon_and_it_learns_that",
        "test_as_responder.test_charon_rejects_us_and_we_learn_that",
    ),
    "a child that is refused, and the IKE SA that stays": (
        "test_as_initiator.test_a_refused_child_leaves_the_ike_sa",
        "test_as_initiator.test_a_child_that_is_refused_later_leaves_the_ike_sa",
        "test_as_responder.test_an_esp_child_is_refused_and_the_ike_sa_stays",
        "test_as_responder.test_an_esp_child_that_is_refused_later_leaves_the_ike_sa",
        "test_engine.test_it_opens_an_ike_sa_and_keeps_it_when_the_child_is_refused",
        "test_engine.test_it_answers_an_ike_sa_and_keeps_it_when_it_refuses_the_child",
    ),
    "ML-KEM in IKE_INTERMEDIATE with strongSwan 6: both": ("test_ml_kem.test_an_ike_sa_is_opened_with_ml_kem",),
    "ML-KEM in IKE_FOLLOWUP_KE with strongSwan 6: both": ("test_ml_kem.test_an_ike_sa_is_replaced_with_ml_kem",),
    "a charon that is missing fails in CI": (
        "test_harness.test_where_it_cannot_run_it_skips_loudly_and_fails_in_ci",
        "test_harness.test_without_strongswan_6_it_skips_loudly_and_fails_in_ci",
    ),
}


@pytest.mark.parametrize("what", TRIED)
def test_it_is_tried(what: str) -> None:
    for name in TRIED[what]:
        module, _, function = name.partition(".")
        assert callable(getattr(importlib.import_module(f"tests.interop.strongswan.{module}"), function))


def test_every_kind_of_key_that_charon_knows_has_its_turn() -> None:
    nobody_else_knows = {KeyType.ED448, KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87}
    assert set(KEY_TYPES) == set(KeyType) - nobody_else_knows


def test_the_hybrid_that_is_asked_for_is_among_those_tried() -> None:
    assert "aes256gcm16-prfsha384-x25519-ke1_mlkem768" in ML_KEM_SUITES
