"""The tables of states: every state answers every input, and what the tables say is what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS
from rkmp.errors import IkeError
from rkmp.ike import ChildRefused, IkeSa, IkeSaState, IkeSettings
from rkmp.ike.core import IkeSaCore
from rkmp.ike.states import ACTIONS, TRANSITIONS, Action, Input, message_input
from rkmp.wire import Delete, ExchangeType, KeyExchangeId, Message, Notify
from tests.ike.network import BOB, Router, established, inject, pair, request

MESSAGES = [
    Input.IKE_SA_INIT_REQUEST,
    Input.IKE_SA_INIT_RESPONSE,
    Input.IKE_AUTH_REQUEST,
    Input.IKE_AUTH_RESPONSE,
    Input.IKE_INTERMEDIATE_REQUEST,
    Input.IKE_INTERMEDIATE_RESPONSE,
    Input.CREATE_CHILD_SA_REQUEST,
    Input.CREATE_CHILD_SA_RESPONSE,
    Input.IKE_FOLLOWUP_KE_REQUEST,
    Input.IKE_FOLLOWUP_KE_RESPONSE,
    Input.INFORMATIONAL_REQUEST,
    Input.INFORMATIONAL_RESPONSE,
    Input.OTHER_REQUEST,
    Input.OTHER_RESPONSE,
]
ON_MESSAGES = (Action.PROCESS, Action.REFUSE, Action.POSTPONE, Action.DROP)


def test_every_state_answers_every_input() -> None:
    assert set(ACTIONS) == set(TRANSITIONS) == set(IkeSaState)
    for state, row in ACTIONS.items():
        assert set(row) == set(Input), state


def test_messages_are_processed_refused_postponed_or_dropped_and_commands_are_not() -> None:
    for row in ACTIONS.values():
        for occasion, action in row.items():
            if occasion in MESSAGES:
                assert action in ON_MESSAGES
            else:
                assert action not in ON_MESSAGES


def test_every_state_can_be_reached_and_every_one_ends() -> None:
    reached = {IkeSaState.NEW}
    while True:
        following = reached.union(*(TRANSITIONS[state] for state in reached))
        if following == reached:
            break
        reached = following
    assert reached == set(IkeSaState)
    assert TRANSITIONS[IkeSaState.CLOSED] == frozenset()
    assert all(IkeSaState.CLOSED in following for state, following in TRANSITIONS.items() if following)


def test_every_message_is_an_input() -> None:
    for number in range(256):
        assert message_input(number, is_response=False) in MESSAGES
        assert message_input(number, is_response=True) in MESSAGES
    assert message_input(ExchangeType.IKE_AUTH, is_response=True) is Input.IKE_AUTH_RESPONSE
    assert message_input(ExchangeType.GSA_REKEY, is_response=False) is Input.OTHER_REQUEST


def test_a_transition_that_is_in_no_table_is_a_fault_of_ours() -> None:
    core = established()[0].ike_sa._core
    with pytest.raises(AssertionError, match="cannot go from established to half-open"):
        core.move(IkeSaState.HALF_OPEN)


# -- each state, made, and each input, brought -----------------------------------------------------------------------


def new() -> Router:
    bob = pair()[1]
    bob.ike_sas.append(IkeSa.respond(bob.settings, bob, bob.random))
    return bob


def init_sent() -> Router:
    alice = pair()[0]
    alice.initiate(request())
    return alice


def intermediate() -> Router:
    """Bob, who waits for another key exchange."""
    hybrid = replace(DEFAULT_IKE_PROPOSALS[0], additional_key_exchanges=((KeyExchangeId.ECP_384,),))
    alice, bob = pair(proposals=(hybrid,))
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    return bob


def half_open() -> Router:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    return bob


def auth_sent() -> Router:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    return alice


def closing() -> Router:
    alice = established()[0]
    alice.ike_sa.close("enough", 1.0)
    return alice


def closed() -> Router:
    alice = established()[0]
    alice.ike_sa.abandon("enough", 1.0)
    return alice


def undecided() -> Router:
    """Alice, with what bob has made of the IKE SA while she was at it."""
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    return alice


def replaced() -> Router:
    """Alice, with an IKE SA that bob has replaced and is about to delete."""
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    return alice


def core_in(router: Router, state: IkeSaState) -> IkeSaCore:
    """Return the one of all that replaced one another which is in ``state``."""
    (core,) = (core for core in router.ike_sa._lineage.cores if core.state is state)
    return core


IN_STATE: dict[IkeSaState, Callable[[], Router]] = {
    IkeSaState.NEW: new,
    IkeSaState.INIT_SENT: init_sent,
    IkeSaState.INTERMEDIATE: intermediate,
    IkeSaState.HALF_OPEN: half_open,
    IkeSaState.AUTH_SENT: auth_sent,
    IkeSaState.ESTABLISHED: lambda: established()[0],
    IkeSaState.CLOSING: closing,
    IkeSaState.UNDECIDED: undecided,
    IkeSaState.REPLACED: replaced,
    IkeSaState.CLOSED: closed,
}
NOT_IN_USE = {IkeSaState.UNDECIDED, IkeSaState.REPLACED}
"""Those in which no command reaches an IKE SA: another one is in use."""
IN_USE = [state for state in IkeSaState if state not in NOT_IN_USE]


def test_each_state_can_be_made() -> None:
    assert set(IN_STATE) == set(IkeSaState)
    for state, make in IN_STATE.items():
        router = make()
        assert core_in(router, state).is_current == (state not in NOT_IN_USE)
        assert (router.ike_sa.state is state) == (state not in NOT_IN_USE)


def snapshot(core: IkeSaCore) -> tuple[object, ...]:
    return core.state, tuple(core.context.children.values()), core.context.secrets, core.tasks.outstanding


@pytest.mark.parametrize("state", list(IkeSaState))
@pytest.mark.parametrize("is_response", [False, True])
@pytest.mark.parametrize("exchange_type", [34, 35, 36, 37, 43, 44, 240])
def test_a_message_in_the_wrong_state_changes_nothing(
    state: IkeSaState, exchange_type: int, *, is_response: bool
) -> None:
    router = IN_STATE[state]()
    router.collect()
    router.sent()
    core = core_in(router, state)
    before, events = snapshot(core), len(router.events)
    tasks = core.tasks
    message_id = tasks.expected_message_id if not is_response else max(tasks.next_message_id - 1, 0)
    datagram = Message(
        core.context.initiator_spi,
        core.context.responder_spi,
        exchange_type,
        message_id,
        (Notify(14),),
        is_response=is_response,
        is_initiator=not core.context.is_initiator,
    ).to_bytes()
    router.ike_sa.receive(datagram, 1.0)
    router.collect()
    if state is IkeSaState.NEW:
        # A responder that is not opened by the first message is nothing.
        assert router.ike_sa.is_finished
        return
    doubts = state is IkeSaState.INIT_SENT and exchange_type == 34 and is_response
    assert snapshot(core) == before
    assert len(router.events) == events
    assert router.sent() == []
    assert (tasks.outstanding is not None and tasks.outstanding.doubt is not None) == doubts


@pytest.mark.parametrize("state", IN_USE)
def test_commands_do_what_the_table_says(state: IkeSaState) -> None:
    action = ACTIONS[state][Input.REQUEST]
    router = IN_STATE[state]()
    router.collect()
    router.sent()
    router.ike_sa.create_child(request(90, 91, protocol=5), 1.0)
    router.collect()
    match action:
        case Action.SEND:
            assert len(router.sent()) == 1
        case Action.QUEUE:
            assert router.sent() == []
            assert len(router.ike_sa._core.tasks.queued) == 1
        case _:
            assert action is Action.REJECT
            assert router.sent() == []
            assert router.last(ChildRefused).send_ids == (90, 91)


@pytest.mark.parametrize("state", IN_USE)
def test_close_does_what_the_table_says(state: IkeSaState) -> None:
    action = ACTIONS[state][Input.CLOSE]
    router = IN_STATE[state]()
    router.collect()
    router.sent()
    router.ike_sa.close("enough", 1.0)
    router.collect()
    match action:
        case Action.DELETE:
            assert len(router.sent()) == 1
            assert router.ike_sa.state is IkeSaState.CLOSING
        case Action.END:
            assert router.sent() == []
            assert router.ike_sa.is_closed
        case Action.QUEUE:
            assert router.ike_sa.state is state
        case _:
            assert action is Action.IGNORE
            assert router.sent() == []
            assert router.ike_sa.state is state


def test_a_responder_s_commands_wait_for_authentication() -> None:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    bob.ike_sa.create_child(request(90, 91, protocol=5), 0.0)
    bob.collect()
    (response,) = bob.sent()
    alice.receive(response)
    bob.receive(alice.sent()[0])
    assert len(bob.sent()) == 2


def test_a_close_of_a_half_open_ike_sa_refuses_what_waits() -> None:
    bob = half_open()
    bob.ike_sa.create_child(request(90, 91, protocol=5), 0.0)
    bob.ike_sa.close("enough", 0.0)
    bob.collect()
    assert bob.kinds() == ["ChildRefused", "IkeSaClosed"]


def test_the_peer_s_delete_is_answered_in_every_state_that_has_keys() -> None:
    for close_first in (False, True):
        alice, bob = established()
        deletion = inject(bob, ExchangeType.INFORMATIONAL, (Delete(1),))
        if close_first:
            alice.ike_sa.close("enough", 1.0)
            alice.collect()
            alice.sent()
        alice.receive(deletion, 1.0)
        assert len(alice.sent()) == 1
        assert alice.ike_sa.is_closed


def test_policy_that_refuses_everybody_is_no_crash() -> None:
    class Hermit(Router):
        def remote_authentication(self, remote_identity: object) -> object:  # type: ignore[override]
            raise IkeError(24, "go away")

    alice = Router(settings=IkeSettings())
    bob = Hermit(identity=BOB)
    alice.initiate(request())
    for _ in range(2):
        bob.receive(alice.sent()[0])
        alice.receive(bob.sent()[0])
    assert alice.ike_sa.is_closed
    assert bob.ike_sa.is_closed
