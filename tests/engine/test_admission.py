"""Who gets state or an answer for a first message: half-open IKE SAs, cookies, and rates of errors."""

from __future__ import annotations

import random

from rkmp.crypto.suites import IkeProposal
from rkmp.engine import EngineStatistic, IkePolicy, Initiate
from rkmp.engine.admission import (
    ANSWERS_AT_ONCE,
    ANSWERS_AT_ONCE_TO_ADDRESS,
    COOKIE_THRESHOLD,
    COOKIE_THRESHOLD_OF_ADDRESS,
    HALF_OPEN_LIMIT,
    HALF_OPEN_LIMIT_OF_ADDRESS,
    MOST_ADDRESSES,
    Admission,
)
from rkmp.wire import Message, Notify, NotifyType
from tests.engine.census import holdings
from tests.engine.openings import count, opening, receive, responder, with_cookie
from tests.engine.simulation import Simulation, address_of, configuration, peer

NEVER = Initiate.NEVER
STRANGER = "203.0.113.9"
WITHOUT_ANYTHING_IN_COMMON = IkePolicy(
    "p", proposals=(IkeProposal(encryption=((12, 128),), integrity=(12,), prf=(5,), key_exchange=(19,)),)
)


def test_errors_to_unknown_spis_are_limited() -> None:
    router = responder()
    unknown = bytes(range(1, 17)) + bytes((46, 0x20, 37, 0x08)) + bytes(4) + (28).to_bytes(4)
    answers = sum(len(receive(router, unknown)) for _ in range(1000))
    assert answers == ANSWERS_AT_ONCE_TO_ADDRESS
    assert count(router, EngineStatistic.DROPPED_UNKNOWN_SPI) == 1000
    assert count(router, EngineStatistic.ERRORS_SENT) == answers
    assert count(router, EngineStatistic.ERRORS_SUPPRESSED) == 1000 - answers
    assert receive(router, unknown, now=1.0)
    response = unknown[:19] + bytes((0x28,)) + unknown[20:]
    assert receive(router, response, now=9.0) == []


def test_a_repeated_first_message_gets_the_same_answer_and_no_second_state() -> None:
    router = responder()
    data = opening()
    first = receive(router, data)
    assert receive(router, data, now=0.5) == first
    assert count(router, EngineStatistic.HALF_OPEN_IKE_SAS) == 1
    router.engine.handle_timer(router.at(60.0))
    assert count(router, EngineStatistic.HALF_OPEN_IKE_SAS) == 0
    assert router.engine._switchboard._by_opening == {}


def test_errors_to_one_address_use_up_what_there_is_for_it_and_not_for_others() -> None:
    admission = Admission(random.Random(1).randbytes)
    assert sum(admission.may_answer("192.0.2.1", 0.0) for _ in range(1000)) == ANSWERS_AT_ONCE_TO_ADDRESS
    assert admission.may_answer("192.0.2.3", 0.0)
    everybody = sum(admission.may_answer(f"198.51.{n >> 8}.{n & 255}", 0.0) for n in range(2 * MOST_ADDRESSES))
    assert everybody == ANSWERS_AT_ONCE - ANSWERS_AT_ONCE_TO_ADDRESS - 1
    assert len(admission._answers_to) <= MOST_ADDRESSES


def test_refusals_of_first_messages_are_limited_like_other_errors() -> None:
    router = responder()
    router.configure(configuration("r2", [peer("r1", initiate=NEVER)], policy=WITHOUT_ANYTHING_IN_COMMON), 0.0)
    answers = [answer for seed in range(100) for answer in receive(router, opening(seed=seed))]
    assert len(answers) == ANSWERS_AT_ONCE_TO_ADDRESS
    for answer in answers:
        (notify,) = Message.parse(answer.data).payloads
        assert isinstance(notify, Notify)
        assert notify.notify_type == NotifyType.NO_PROPOSAL_CHOSEN
    assert count(router, EngineStatistic.ERRORS_SENT) == ANSWERS_AT_ONCE_TO_ADDRESS
    assert count(router, EngineStatistic.ERRORS_SUPPRESSED) == 100 - ANSWERS_AT_ONCE_TO_ADDRESS
    assert not any(holdings(router).values())


def test_one_address_can_hold_only_so_many_half_open_ike_sas() -> None:
    router = responder("r1", "r3")
    for seed in range(HALF_OPEN_LIMIT_OF_ADDRESS + 5):
        first = opening(seed=seed)
        answers = receive(router, first)
        # From the fourth on it has to show that it is there at all.
        if COOKIE_THRESHOLD_OF_ADDRESS <= seed < HALF_OPEN_LIMIT_OF_ADDRESS:
            receive(router, with_cookie(first, answers[0].data))
    assert count(router, EngineStatistic.COOKIES_SENT) == HALF_OPEN_LIMIT_OF_ADDRESS - COOKIE_THRESHOLD_OF_ADDRESS
    assert count(router, EngineStatistic.HALF_OPEN_IKE_SAS) == HALF_OPEN_LIMIT_OF_ADDRESS
    assert count(router, EngineStatistic.DROPPED_HALF_OPEN_LIMIT) == 5
    assert receive(router, opening("r3"), "192.0.2.3")
    # They pass with time.
    router.engine.handle_timer(router.at(31.0))
    assert receive(router, opening(seed=99), now=31.0)


def test_who_pretends_to_be_a_peer_does_not_keep_the_peer_out() -> None:
    simulation = Simulation(1, ("r1", "r2"))
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    r2 = simulation["r2"]
    # Of the cookies that it is sent none comes back.
    for seed in range(200):
        receive(r2, opening(seed=seed))
    assert count(r2, EngineStatistic.HALF_OPEN_IKE_SAS) == COOKIE_THRESHOLD_OF_ADDRESS
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    assert simulation.run_until(simulation.agree, 2.0)


def test_while_cookies_are_asked_for_a_first_message_leaves_nothing() -> None:
    router = responder("r1", "r3")
    for seed in range(COOKIE_THRESHOLD_OF_ADDRESS):
        receive(router, opening(seed=seed))
    before = holdings(router)
    for seed in range(100, 200):
        (answer,) = receive(router, opening(seed=seed))
        (cookie,) = Message.parse(answer.data).payloads
        assert isinstance(cookie, Notify)
        assert cookie.notify_type == NotifyType.COOKIE
        # It is shorter than what asked for it, so that we are no amplifier.
        assert len(answer.data) < len(opening(seed=seed))
    assert holdings(router) == before


def test_under_a_flood_a_cookie_is_asked_for_and_the_honest_still_get_through() -> None:
    names = [f"r{number}" for number in range(1, 12) if number != 2]
    simulation = Simulation(1, ("r1", "r2"))
    settings = configuration("r2", [peer(name, initiate=NEVER) for name in names])
    simulation.configure("r2", settings)
    r2 = simulation["r2"]
    for name in names[1:]:
        for seed in range(12):
            first = opening(name, seed)
            (answer,) = receive(r2, first, address_of(name))
            if seed >= COOKIE_THRESHOLD_OF_ADDRESS and count(r2, EngineStatistic.HALF_OPEN_IKE_SAS) < COOKIE_THRESHOLD:
                receive(r2, with_cookie(first, answer.data), address_of(name))
    flood = count(r2, EngineStatistic.HALF_OPEN_IKE_SAS)
    assert flood == COOKIE_THRESHOLD
    sent = count(r2, EngineStatistic.COOKIES_SENT)
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    assert simulation.run_until(simulation.agree, 2.0)
    assert count(r2, EngineStatistic.COOKIES_SENT) == sent + 1
    assert count(simulation["r1"], "init-restarts") == 1


def test_there_is_a_limit_to_it_all() -> None:
    admission = Admission(random.Random(1).randbytes)
    for number in range(HALF_OPEN_LIMIT):
        admission.begin(number.to_bytes(8), f"198.51.{number % 200}.{number // 200}")
    assert admission.half_open == HALF_OPEN_LIMIT
    assert admission.refusal(STRANGER) is EngineStatistic.DROPPED_HALF_OPEN_LIMIT
    admission.end(bytes(8))
    assert admission.refusal(STRANGER) is None
    admission.end(bytes(8))
    assert admission.half_open == HALF_OPEN_LIMIT - 1
