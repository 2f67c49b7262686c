"""What is said to strangers: cookies, and answers to messages that belong to no IKE SA."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.ike import CookieKeeper
from rkmp.ike.cookies import ROTATION
from rkmp.ike.stateless import answer_unknown, hints_at_lost_state
from rkmp.wire import Header, Message, Nonce, Notify, NotifyType
from tests.ike.network import Router, established, inject, pair, request

REMOTE = ("192.0.2.1", 500)


def keeper() -> CookieKeeper:
    return CookieKeeper(random.Random(7).randbytes)


def opening() -> Message:
    alice = Router()
    alice.initiate(request())
    return Message.parse(alice.sent()[0])


def with_cookie(message: Message, cookie: bytes) -> bytes:
    payloads = (Notify(NotifyType.COOKIE, cookie), *message.payloads)
    return Message(message.initiator_spi, bytes(8), 34, 0, payloads, is_initiator=True).to_bytes()


def cookie_of(challenge: bytes | None) -> bytes:
    assert challenge is not None
    (notify,) = Message.parse(challenge).payloads
    assert isinstance(notify, Notify)
    assert notify.notify_type == NotifyType.COOKIE
    return notify.data


# -- cookies ---------------------------------------------------------------------------------------------------------


def test_a_challenge_names_the_request_and_nothing_of_ours() -> None:
    message = opening()
    challenge = keeper().challenge(message.to_bytes(), REMOTE, 0.0)
    assert challenge is not None
    header = Header.parse(challenge)
    assert (header.initiator_spi, header.responder_spi) == (message.initiator_spi, bytes(8))
    assert (header.is_response, header.is_initiator, header.message_id) == (True, False, 0)
    assert 1 <= len(cookie_of(challenge)) <= 64


def test_whoever_brings_its_cookie_back_passes() -> None:
    cookies, message = keeper(), opening()
    cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    assert cookies.challenge(with_cookie(message, cookie), REMOTE, 1.0) is None


@pytest.mark.parametrize("remote", [("192.0.2.2", 500), ("192.0.2.1", 501), ("2001:db8::1", 500)])
def test_a_cookie_is_good_for_the_one_it_was_given_to(remote: tuple[str, int]) -> None:
    cookies, message = keeper(), opening()
    cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    assert cookies.challenge(with_cookie(message, cookie), remote, 1.0) is not None


def test_a_cookie_is_good_for_one_spi_and_one_nonce() -> None:
    cookies, message = keeper(), opening()
    cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    other_spi = Message(b"other---", bytes(8), 34, 0, message.payloads, is_initiator=True)
    assert cookies.challenge(with_cookie(other_spi, cookie), REMOTE, 1.0) is not None
    payloads = tuple(Nonce(bytes(32)) if isinstance(p, Nonce) else p for p in message.payloads)
    other_nonce = Message(message.initiator_spi, bytes(8), 34, 0, payloads, is_initiator=True)
    assert cookies.challenge(with_cookie(other_nonce, cookie), REMOTE, 1.0) is not None


@pytest.mark.parametrize("forged", [b"", b"\x00", b"\x01", bytes(33), b"\x01" + bytes(32)])
def test_a_cookie_that_was_not_made_here_is_answered_by_a_new_one(forged: bytes) -> None:
    cookies, message = keeper(), opening()
    fresh = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    assert cookie_of(cookies.challenge(with_cookie(message, forged), REMOTE, 0.0)) == fresh


def test_a_cookie_outlives_one_change_of_the_secret_and_not_two() -> None:
    cookies, message = keeper(), opening()
    cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    assert cookies.challenge(with_cookie(message, cookie), REMOTE, ROTATION - 0.1) is None
    assert cookies.challenge(with_cookie(message, cookie), REMOTE, ROTATION) is None
    assert cookies.challenge(with_cookie(message, cookie), REMOTE, 2 * ROTATION) is not None


def test_a_secret_that_rested_too_long_is_not_used_again() -> None:
    cookies, message = keeper(), opening()
    cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, 0.0))
    assert cookies.challenge(with_cookie(message, cookie), REMOTE, 5 * ROTATION) is not None


def test_the_octet_that_names_the_secret_comes_round() -> None:
    cookies, message = keeper(), opening()
    for turn in range(300):
        cookie = cookie_of(cookies.challenge(message.to_bytes(), REMOTE, turn * ROTATION))
        assert cookies.challenge(with_cookie(message, cookie), REMOTE, turn * ROTATION) is None


def test_what_is_no_opening_request_gets_no_cookie() -> None:
    cookies, message = keeper(), opening()
    without_nonce = tuple(p for p in message.payloads if not isinstance(p, Nonce))
    for datagram in (
        b"",
        message.to_bytes()[:-1],
        Message(message.initiator_spi, b"responds", 34, 0, message.payloads, is_initiator=True).to_bytes(),
        Message(message.initiator_spi, bytes(8), 35, 0, message.payloads, is_initiator=True).to_bytes(),
        Message(message.initiator_spi, bytes(8), 34, 0, message.payloads, is_response=True).to_bytes(),
        Message(bytes(8), bytes(8), 34, 0, message.payloads, is_initiator=True).to_bytes(),
        Message(message.initiator_spi, bytes(8), 34, 0, without_nonce, is_initiator=True).to_bytes(),
    ):
        assert cookies.challenge(datagram, REMOTE, 0.0) is None


@given(st.binary(max_size=80))
def test_no_octets_trouble_it(octets: bytes) -> None:
    keeper().challenge(octets, REMOTE, 0.0)
    answer_unknown(octets)
    hints_at_lost_state(octets)


# -- messages of no IKE SA -------------------------------------------------------------------------------------------


def test_a_request_for_an_unknown_ike_sa_is_answered_with_its_own_header() -> None:
    alice, _ = established()
    datagram = inject(alice, 37, ())
    answer = answer_unknown(datagram)
    assert answer is not None
    asked, told = Header.parse(datagram), Message.parse(answer)
    assert told.payloads == (Notify(NotifyType.INVALID_IKE_SPI),)
    assert (told.initiator_spi, told.responder_spi) == (asked.initiator_spi, asked.responder_spi)
    assert (told.exchange_type, told.message_id) == (asked.exchange_type, asked.message_id)
    assert (told.is_response, told.is_initiator) == (True, not asked.is_initiator)
    assert hints_at_lost_state(answer)
    # RFC 7296 2.21.4: and that answer is answered by nothing, and changes nothing.
    assert answer_unknown(answer) is None
    before = alice.ike_sa.state
    alice.receive(answer)
    assert alice.ike_sa.state is before


def test_a_higher_version_is_refused_in_ours() -> None:
    datagram = bytearray(opening().to_bytes())
    datagram[17] = 0x31
    answer = answer_unknown(bytes(datagram))
    assert answer is not None
    assert Header.parse(answer).major_version == 2
    assert Message.parse(answer).payloads == (Notify(NotifyType.INVALID_MAJOR_VERSION),)
    assert not hints_at_lost_state(answer)


def test_a_lower_version_a_response_and_rubbish_get_no_answer() -> None:
    datagram = bytearray(opening().to_bytes())
    datagram[17] = 0x10
    assert answer_unknown(bytes(datagram)) is None
    assert answer_unknown(b"rubbish") is None
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    (response,) = bob.sent()
    assert answer_unknown(response) is None


def test_an_opening_request_is_for_a_new_ike_sa() -> None:
    assert answer_unknown(opening().to_bytes()) is None


def test_only_an_open_response_is_a_hint() -> None:
    notify = (Notify(NotifyType.INVALID_IKE_SPI),)
    assert hints_at_lost_state(Message(b"initiate", b"responds", 37, 5, notify, is_response=True).to_bytes())
    assert not hints_at_lost_state(Message(b"initiate", b"responds", 37, 5, notify).to_bytes())
    assert not hints_at_lost_state(Message(b"initiate", b"responds", 37, 5, (), is_response=True).to_bytes())
