"""What strangers, floods, garbage and our own faults can do to the engine: be counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.engine import EngineStatistic, IkePolicy, Initiate, NegotiationFailure, reactions
from rkmp.engine.conversation import Conversation
from rkmp.engine.peer import Peer
from rkmp.engine.strangers import MOST_REMEMBERED, Strangers
from rkmp.ike import AuthenticationFailed, AuthenticationFailure, ChildKeysEstablished, Path
from rkmp.instant import Instant
from rkmp.wire import Message, Notify, NotifyType
from tests.engine.openings import count, opening, receive, responder
from tests.engine.simulation import BGP, LISTENER, Router, Simulation, address_of, configuration, peer, two_routers

NEVER = Initiate.NEVER
STRANGER = "203.0.113.9"


def test_who_is_not_configured_gets_neither_answer_nor_state() -> None:
    router = responder()
    assert receive(router, opening(), STRANGER) == []
    assert receive(router, opening()[:8] + bytes((9,)) * 8 + opening()[16:], STRANGER) == []
    assert count(router, EngineStatistic.DROPPED_UNKNOWN_ADDRESS) == 1
    assert count(router, EngineStatistic.DROPPED_UNKNOWN_SPI) == 1
    assert count(router, EngineStatistic.HALF_OPEN_IKE_SAS) == 0


def test_a_peer_of_another_listener_is_not_served_here() -> None:
    router = responder()
    router.engine.receive(opening(), "another", ("192.0.2.1", 500), router.at(0.0))
    assert router.engine.datagrams() == []
    assert count(router, EngineStatistic.DROPPED_UNKNOWN_ADDRESS) == 1


def test_what_is_no_ike_message_is_dropped() -> None:
    router = responder()
    for data in (b"", b"\0", bytes(4), bytes(31), b"x" * 27):
        assert receive(router, data) == []
    assert count(router, EngineStatistic.DROPPED_NOT_IKE) == 5


def test_a_higher_version_is_told_ours() -> None:
    router = responder()
    data = bytearray(opening())
    data[17] = 0x30
    (answer,) = receive(router, bytes(data))
    assert answer.data[28 + 6 : 28 + 8] == bytes((0, 5))
    assert count(router, EngineStatistic.DROPPED_WRONG_VERSION) == 1
    data[17] = 0x10
    assert receive(router, bytes(data)) == []


def test_replayed_and_altered_messages_change_nothing() -> None:
    simulation = two_routers()
    seen: list[tuple[str, bytes]] = []

    def note(_source: str, to: str, data: bytes) -> bytes:
        seen.append((to, data))
        return data

    simulation.network.filter = note
    simulation.run(1)
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.run(1)
    before = {name: router.key_table.rows() for name, router in simulation.routers.items()}
    chance = random.Random(7)
    for to, data in seen * 3:
        router = next(router for router in simulation.routers.values() if router.address == to)
        other = next(router for router in simulation.routers.values() if router.address != to)
        altered = bytearray(data)
        altered[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        for message in (data, bytes(altered), data[: chance.randrange(len(data))]):
            router.engine.receive(message, LISTENER, (other.address, 500), router.at(simulation.now))
    for router in simulation.routers.values():
        router.engine.datagrams()
    assert {name: router.key_table.rows() for name, router in simulation.routers.items()} == before
    assert all(router.engine.statistics()["ike-sas"] == 1 for router in simulation.routers.values())
    simulation.run(30)
    assert simulation["r1"].engine.statistics().get(EngineStatistic.INTERNAL_ERRORS, 0) == 0


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["192.0.2.1", STRANGER]))
def test_no_datagram_raises(data: bytes, address: str) -> None:
    router = responder()
    receive(router, data, address)
    assert count(router, EngineStatistic.INTERNAL_ERRORS) == 0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_altered_first_message_raises_or_leaves_more_than_it_may(data: st.DataObject) -> None:
    router = responder()
    message = bytearray(opening())
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    receive(router, bytes(message))
    router.engine.events()
    assert count(router, EngineStatistic.INTERNAL_ERRORS) == 0
    router.engine.handle_timer(router.at(100.0))
    router.engine.handle_timer(router.at(200.0))
    assert router.engine._switchboard.all() == []
    assert router.engine.next_timer() is None


def test_a_fault_of_ours_ends_one_ike_sa_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = Simulation(1, ("r1", "r2", "r3"))
    for name in ("r1", "r3"):
        simulation.configure(name, configuration(name, [peer("r2", initiate=NEVER)]))
    simulation.configure("r2", configuration("r2", [peer("r1"), peer("r3")]))
    simulation.run(1)
    r2 = simulation["r2"]
    real: Callable[..., None] = Conversation.receive

    def broken(self: Conversation, message: bytes, path: Path, now: float, *, is_marked: bool) -> None:
        if path.remote[0] == address_of("r1"):
            raise ZeroDivisionError
        real(self, message, path, now, is_marked=is_marked)

    monkeypatch.setattr(Conversation, "receive", broken)
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    for datagram in r1.engine.datagrams():
        r2.engine.receive(datagram.data, LISTENER, (r1.address, 500), r2.at(simulation.now))
    assert r2.engine.datagrams() == []
    assert count(r2, EngineStatistic.INTERNAL_ERRORS) == 1
    assert count(r2, EngineStatistic.IKE_SAS) == 1
    assert "ZeroDivisionError" in caplog.text
    assert "192.0.2.1" in caplog.text
    assert len(r2.key_table.rows()) == 2


def test_a_fault_in_one_peers_affairs_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Peer.pursue

    def broken(self: Peer, at: object) -> None:
        if self.name == "r3":
            raise ZeroDivisionError
        real(self, at)  # type: ignore[arg-type]

    monkeypatch.setattr(Peer, "pursue", broken)
    router = Router("r1", 1)
    router.configure(configuration("r1", [peer("r3"), peer("r2")]), 0.0)
    assert [datagram.remote[0] for datagram in router.engine.datagrams()] == [address_of("r2")]
    assert count(router, EngineStatistic.INTERNAL_ERRORS) == 1
    assert "peer r3" in caplog.text
    # It is looked at again later.
    monkeypatch.undo()
    router.engine.handle_timer(router.at(11.0))
    assert address_of("r3") in [datagram.remote[0] for datagram in router.engine.datagrams()]


def test_a_fault_in_what_we_make_of_an_event_says_nothing_to_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    r1, r2 = Router("r1", 1), responder()
    r1.configure(configuration("r1", [peer("r2")]), 0.0)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(reactions._REACTIONS, ChildKeysEstablished, broken)
    for _ in range(2):
        for datagram in r1.engine.datagrams():
            r2.engine.receive(datagram.data, LISTENER, (r1.address, 500), r2.at(0.1))
        for datagram in r2.engine.datagrams():
            r1.engine.receive(datagram.data, LISTENER, (r2.address, 500), r1.at(0.1))
    assert count(r2, EngineStatistic.INTERNAL_ERRORS) == 1
    assert r2.key_table.rows() == ()
    assert count(r2, EngineStatistic.IKE_SAS) == 0


def test_a_peer_that_never_comes_to_rest_does_not_hang_the_agent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router("r1", 1)
    router.configure(configuration("r1", [peer("r2")]), 0.0)
    real = Peer.pursue

    def restless(self: Peer, at: Instant) -> None:
        real(self, at)
        for conversation in self.conversations.values():
            self.engine.touch(conversation)

    monkeypatch.setattr(Peer, "pursue", restless)
    router.engine.initiate("r2", router.at(0.1))
    assert count(router, EngineStatistic.INTERNAL_ERRORS) == 1
    assert "peers r2 do not come to rest" in caplog.text
    monkeypatch.undo()
    timer = router.engine.next_timer()
    assert timer is not None
    router.engine.handle_timer(router.at(timer))
    assert count(router, EngineStatistic.INTERNAL_ERRORS) == 1


def test_reports_of_strangers_are_remembered_within_bounds() -> None:
    told: list[object] = []
    strangers = Strangers(told.append)
    router = responder()
    receive(router, opening())
    (conversation,) = router.engine._switchboard.all()
    event = AuthenticationFailed(None, AuthenticationFailure.WRONG_KEY, "no")
    for number in range(MOST_REMEMBERED + 10):
        conversation.path = Path(("192.0.2.2", 500), (f"203.0.{number >> 8}.{number & 255}", 500))
        strangers.react(conversation, None, event, 0.0)
    assert len(told) == MOST_REMEMBERED + 10
    assert len(strangers._reported_at) <= MOST_REMEMBERED


@pytest.mark.parametrize("notify_type", [NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_SYNTAX, 16, 8192])
def test_a_refusal_of_a_first_message_that_anybody_can_send_is_not_believed_at_once(notify_type: int) -> None:
    """RFC 7296 2.21.1: there may be a better answer to come, and here there is."""
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    r1 = simulation["r1"]
    r1.configure(configuration("r1", [peer("r2")]), 0.0)
    (first,) = r1.engine.datagrams()
    asked = Message.parse(first.data)
    forged = replace(
        asked, payloads=(Notify(notify_type),), is_response=True, is_initiator=False, responder_spi=bytes(8)
    )
    for _ in range(3):
        r1.engine.receive(forged.to_bytes(), LISTENER, (address_of("r2"), 500), r1.at(0.0))
    assert r1.happened(NegotiationFailure) == []
    assert simulation.run_until(simulation.agree, 5)
    assert r1.engine.events() == []
    assert r1.happened(NegotiationFailure) == []


def test_hints_that_anybody_can_send_cost_one_liveness_check_in_a_while() -> None:
    simulation = two_routers(policy=IkePolicy("p", liveness_interval=0))
    simulation.run(5)
    r1 = simulation["r1"]
    (shown,) = r1.snapshot("r2", simulation.now).ike_sas
    hint = shown.local_spi + shown.remote_spi + bytes((41, 0x20, 37, 0x20)) + bytes(4) + (36).to_bytes(4)
    hint += bytes((0, 0, 0, 8, 0, 0, 0, 4))
    sent = simulation.sent
    for _ in range(200):
        r1.engine.receive(hint, LISTENER, (address_of("r2"), 500), r1.at(simulation.now))
        simulation.run(0.1)
    assert simulation.sent - sent == 2
    # After a while it is listened to again, in case that it is true now.
    simulation.run(15)
    r1.engine.receive(hint, LISTENER, (address_of("r2"), 500), r1.at(simulation.now))
    simulation.run(1)
    assert simulation.sent - sent == 4
    assert count(r1, EngineStatistic.IKE_SAS) == 1
