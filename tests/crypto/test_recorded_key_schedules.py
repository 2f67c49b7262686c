"""Keys that come about in several steps, and what AUTH signs of them, as another implementation logged them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rkmp.crypto.authentication import signed_octets, verify_shared_key_auth
from rkmp.crypto.ike_keys import IkeKeys, derive_ike_keys, ike_keys_with_ppk, rekeyed_ike_keys, updated_ike_keys
from rkmp.crypto.intermediate import int_auth, int_auth_of_message
from rkmp.crypto.suites import IkeSuite
from rkmp.secret import Secret
from rkmp.wire import (
    Authentication,
    Delete,
    EncryptionId,
    ExchangeType,
    Header,
    IdInitiator,
    IdResponder,
    IntegrityId,
    KeyExchangeId,
    Message,
    Nonce,
    PrfId,
    ProtocolId,
    SecurityAssociation,
)
from tests.crypto.observer import Opened, only, opened
from tests.crypto.transcripts import KEY_SCHEDULES, KeySchedule

SUITES = {
    "aes128gcm16-prfsha256-x25519": IkeSuite(
        EncryptionId.AES_GCM_16, 128, IntegrityId.NONE, PrfId.HMAC_SHA2_256, KeyExchangeId.CURVE25519
    ),
    "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp384": IkeSuite(
        EncryptionId.AES_GCM_16, 256, IntegrityId.NONE, PrfId.HMAC_SHA2_384, KeyExchangeId.CURVE25519
    ),
    "aes128-sha256-ecp256-ke1_mlkem1024": IkeSuite(
        EncryptionId.AES_CBC, 128, IntegrityId.HMAC_SHA2_256_128, PrfId.HMAC_SHA2_256, KeyExchangeId.ECP_256
    ),
}


class Observer:
    """What somebody knows who listened to a conversation and was told the secrets of its key exchanges."""

    def __init__(self, recorded: KeySchedule) -> None:
        self.recorded = recorded
        self.suite = SUITES[recorded.proposal]
        init = tuple(Message.parse(message[0]) for message in (recorded.requests[0], recorded.responses[0]))
        self.context = (
            only(Nonce, init[0].payloads).data,
            only(Nonce, init[1].payloads).data,
            init[1].initiator_spi,
            init[1].responder_spi,
        )
        nonce_i, nonce_r, spi_i, spi_r = self.context
        first, *others = (Secret(generation["shared_secret"]) for generation in recorded.generations)
        self.generations = [derive_ike_keys(self.suite, nonce_i, nonce_r, first, spi_i, spi_r)]
        for secret in others:
            self.generations.append(updated_ike_keys(self.suite, self.generations[-1].sk_d, secret, *self.context))

    @property
    def final_keys(self) -> IkeKeys:
        if self.recorded.ppk is None:
            return self.generations[-1]
        return ike_keys_with_ppk(self.suite.prf, self.generations[-1], Secret(self.recorded.ppk))

    def exchange(self, exchange_type: ExchangeType, keys: IkeKeys, number: int = 0) -> tuple[Opened, Opened]:
        """Open the messages of the exchange of that type, or of the one of that number among them."""
        pairs = zip(self.recorded.requests, self.recorded.responses, strict=True)
        request, response = [pair for pair in pairs if Message.parse(pair[0][0]).exchange_type == exchange_type][number]
        return opened(self.suite, keys, request), opened(self.suite, keys, response)

    def int_auths(self) -> list[tuple[bytes, bytes]]:
        """Return IntAuth of both sides after each IKE_INTERMEDIATE."""
        so_far = [(b"", b"")]
        for number, keys in enumerate(self.generations[:-1]):
            sides = zip(
                self.exchange(ExchangeType.IKE_INTERMEDIATE, keys, number),
                (keys.sk_pi, keys.sk_pr),
                so_far[-1],
                strict=True,
            )
            of_initiator, of_responder = (
                int_auth_of_message(self.suite.prf, sk_p, previous, message.head, message.inner)
                for message, sk_p, previous in sides
            )
            so_far.append((of_initiator, of_responder))
        return so_far[1:]


def octets_of(keys: IkeKeys, logged: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: getattr(keys, name).reveal() for name in logged if name.startswith("sk_")}


def keys_in(logged: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: key for name, key in logged.items() if name.startswith("sk_")}


@pytest.fixture(params=KEY_SCHEDULES, ids=[recorded.proposal for recorded in KEY_SCHEDULES])
def observer(request: pytest.FixtureRequest) -> Observer:
    return Observer(request.param)


def test_the_recordings_have_what_is_tested_here() -> None:
    assert {len(recorded.generations) for recorded in KEY_SCHEDULES} == {1, 2, 3}
    assert {recorded.ppk is None for recorded in KEY_SCHEDULES} == {True, False}
    assert {len(recorded.additional_secrets) for recorded in KEY_SCHEDULES} == {0, 1, 2}
    assert any(len(message) > 1 for recorded in KEY_SCHEDULES for message in recorded.responses)


def test_every_key_exchange_leads_to_their_keys(observer: Observer) -> None:
    assert len(observer.generations) == len(observer.recorded.generations)
    for keys, logged in zip(observer.generations, observer.recorded.generations, strict=True):
        assert octets_of(keys, logged) == keys_in(logged)


def test_the_post_quantum_pre_shared_key_leads_to_their_keys(observer: Observer) -> None:
    logged = observer.recorded.with_ppk
    assert octets_of(observer.final_keys, logged) == keys_in(logged)
    assert bool(logged) == (observer.recorded.ppk is not None)
    unchanged = {"sk_ai", "sk_ar", "sk_ei", "sk_er"}
    for name in unchanged:
        assert getattr(observer.final_keys, name) == getattr(observer.generations[-1], name)


def test_int_auth_is_theirs(observer: Observer) -> None:
    assert observer.int_auths() == list(observer.recorded.int_auth)


def test_both_sign_the_exchanges_in_between(observer: Observer) -> None:
    request, response = observer.exchange(ExchangeType.IKE_AUTH, observer.generations[-1])
    nonce_i, nonce_r, *_ = observer.context
    keys, prf_id = observer.final_keys, observer.suite.prf
    intermediate = b""
    if observer.int_auths():
        intermediate = int_auth(*observer.int_auths()[-1], Header.parse(request.head).message_id)
    pre_shared_key = Secret(observer.recorded.pre_shared_key)
    for payloads, identity, message, nonce, sk_p in (
        (request.payloads, IdInitiator, observer.recorded.requests[0][0], nonce_r, keys.sk_pi),
        (response.payloads, IdResponder, observer.recorded.responses[0][0], nonce_i, keys.sk_pr),
    ):
        auth = only(Authentication, payloads).data
        body = only(identity, payloads).to_bytes()
        octets = signed_octets(prf_id, message, nonce, sk_p, body, intermediate)
        assert verify_shared_key_auth(prf_id, pre_shared_key, octets, auth)
        if intermediate:
            without = signed_octets(prf_id, message, nonce, sk_p, body)
            assert not verify_shared_key_auth(prf_id, pre_shared_key, without, auth)


@pytest.mark.parametrize(
    "recorded",
    [recorded for recorded in KEY_SCHEDULES if recorded.rekeyed],
    ids=lambda recorded: recorded.proposal,
)
def test_a_rekeyed_ike_sa_has_all_secrets_in_its_keys(recorded: KeySchedule) -> None:
    observer = Observer(recorded)
    request, response = observer.exchange(ExchangeType.CREATE_CHILD_SA, observer.generations[-1])
    rekeyed = rekeyed_ike_keys(
        observer.suite.prf,
        observer.final_keys.sk_d,
        observer.suite,
        Secret(recorded.rekeyed["shared_secret"]),
        only(Nonce, request.payloads).data,
        only(Nonce, response.payloads).data,
        only(SecurityAssociation, request.payloads).proposals[0].spi,
        only(SecurityAssociation, response.payloads).proposals[0].spi,
        [Secret(secret) for secret in recorded.additional_secrets],
    )
    assert octets_of(rekeyed, recorded.rekeyed) == keys_in(recorded.rekeyed)
    farewell, _ = observer.exchange(ExchangeType.INFORMATIONAL, rekeyed, -1)
    assert farewell.payloads == (Delete(ProtocolId.IKE),)
